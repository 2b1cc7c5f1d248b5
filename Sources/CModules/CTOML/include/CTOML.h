// toml++ behind a C interface: a document becomes a flat list of nodes in which a parent stands before its children.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ctoml_document ctoml_document;

typedef enum ctoml_kind {
  CTOML_TABLE,
  CTOML_ARRAY,
  CTOML_STRING,
  CTOML_INTEGER,
  CTOML_FLOAT,
  CTOML_BOOLEAN,
  CTOML_DATE_OR_TIME,
} ctoml_kind;

/// UTF-8, not terminated; lives as long as its document.
typedef struct ctoml_text {
  const char *bytes;
  size_t length;
} ctoml_text;

/// Lines and columns count from 1; a column counts code points.
typedef struct ctoml_node {
  ctoml_kind kind;
  /// Index of the table or array that holds this node; the root's is its own, 0.
  uint32_t parent;
  uint32_t line, column;
  /// Of the key, where the parent is a table; else of the value.
  uint32_t key_line, key_column;
  ctoml_text key;
  ctoml_text string;
  int64_t integer;
  double real;
  bool boolean;
} ctoml_node;

/// Parses `length` bytes of UTF-8 with or without a byte order mark. Values nest at most 16 deep; more is a parse error.
/// The nesting of dotted keys has no limit of its own: bound the length of a line before the call, because releasing a
/// tree recurses. Returns NULL only when memory is exhausted.
ctoml_document *ctoml_parse(const char *text, size_t length);
void ctoml_free(ctoml_document *document);

/// The first fault of the text, or an empty text. A document with a fault has no nodes. Line 0: the parser could not say
/// where.
ctoml_text ctoml_fault(const ctoml_document *document, uint32_t *line, uint32_t *column);

size_t ctoml_count(const ctoml_document *document);
/// `index` < ctoml_count.
ctoml_node ctoml_node_at(const ctoml_document *document, size_t index);

#ifdef __cplusplus
}
#endif
