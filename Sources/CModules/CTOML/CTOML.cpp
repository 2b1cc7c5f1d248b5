#include "CTOML.h"

#define TOML_MAX_NESTED_VALUES 16
#include <new>
#include <string>
#include <string_view>
#include <toml++/toml.h>
#include <vector>

struct ctoml_document {
  toml::table root;
  std::string fault;
  uint32_t fault_line = 0;
  uint32_t fault_column = 0;
  std::vector<ctoml_node> nodes;
};

namespace {

ctoml_text text_of(std::string_view view) { return {view.data(), view.size()}; }

struct pending {
  const toml::node *node;
  const toml::key *key;
  uint32_t parent;
};

ctoml_node describe(const pending &item) {
  ctoml_node out{};
  const toml::source_position place = item.node->source().begin;
  out.parent = item.parent;
  out.line = out.key_line = place.line;
  out.column = out.key_column = place.column;
  if (item.key != nullptr) {
    out.key = text_of(item.key->str());
    out.key_line = item.key->source().begin.line;
    out.key_column = item.key->source().begin.column;
  }
  switch (item.node->type()) {
  case toml::node_type::table: out.kind = CTOML_TABLE; break;
  case toml::node_type::array: out.kind = CTOML_ARRAY; break;
  case toml::node_type::string:
    out.kind = CTOML_STRING;
    out.string = text_of(item.node->as_string()->get());
    break;
  case toml::node_type::integer:
    out.kind = CTOML_INTEGER;
    out.integer = item.node->as_integer()->get();
    break;
  case toml::node_type::floating_point:
    out.kind = CTOML_FLOAT;
    out.real = item.node->as_floating_point()->get();
    break;
  case toml::node_type::boolean:
    out.kind = CTOML_BOOLEAN;
    out.boolean = item.node->as_boolean()->get();
    break;
  default: out.kind = CTOML_DATE_OR_TIME; break;
  }
  return out;
}

// An explicit stack: the depth of a tree made of dotted keys is bounded only by the length of the text.
void flatten(ctoml_document &document) {
  std::vector<pending> waiting{{&document.root, nullptr, 0}};
  while (!waiting.empty()) {
    const pending item = waiting.back();
    waiting.pop_back();
    const auto index = static_cast<uint32_t>(document.nodes.size());
    document.nodes.push_back(describe(item));
    if (const toml::table *table = item.node->as_table()) {
      for (auto &&[key, value] : *table) waiting.push_back({&value, &key, index});
    } else if (const toml::array *array = item.node->as_array()) {
      // Pushed backwards, so that elements come out in their order.
      for (size_t i = array->size(); i > 0; i--) waiting.push_back({array->get(i - 1), nullptr, index});
    }
  }
}

} // namespace

extern "C" ctoml_document *ctoml_parse(const char *text, size_t length) {
  auto *document = new (std::nothrow) ctoml_document;
  if (document == nullptr) return nullptr;
  toml::parse_result result = toml::parse(std::string_view(text, length));
  if (result) {
    document->root = std::move(result).table();
    flatten(*document);
  } else {
    const toml::parse_error &error = result.error();
    document->fault = error.description();
    document->fault_line = error.source().begin.line;
    document->fault_column = error.source().begin.column;
  }
  return document;
}

extern "C" void ctoml_free(ctoml_document *document) { delete document; }

extern "C" ctoml_text ctoml_fault(const ctoml_document *document, uint32_t *line, uint32_t *column) {
  *line = document->fault_line;
  *column = document->fault_column;
  return text_of(document->fault);
}

extern "C" size_t ctoml_count(const ctoml_document *document) { return document->nodes.size(); }

extern "C" ctoml_node ctoml_node_at(const ctoml_document *document, size_t index) { return document->nodes[index]; }
