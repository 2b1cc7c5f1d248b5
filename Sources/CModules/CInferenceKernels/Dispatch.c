// The public functions: validation of geometries, detection of the processor, and the jump through a level's table.
#include "KernelTable.h"
#include "PortableConvolution.h"
#include "PortableElements.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1UL << 20)  // linux/arch/arm64/include/uapi/asm/hwcap.h
#endif
#endif

const tgk_kernel_table tgk_portable_kernels = {
    .conv = &tgk_conv_portable,
    .depthwise = &tgk_depthwise_portable,
    .dense = &tgk_dense_portable,
    .max_pool = tgk_max_pool_portable,
    .average_pool = tgk_average_pool_portable,
    .mean = tgk_mean_portable,
    .table = tgk_table_portable,
    .add = tgk_add_portable,
    .multiply = tgk_multiply_portable,
    .quantize = tgk_quantize_portable,
    .dequantize = tgk_dequantize_portable,
    .softmax = tgk_softmax_portable,
};

static const tgk_kernel_table *const tables[TGK_LEVEL_COUNT] = {
    [TGK_LEVEL_PORTABLE] = &tgk_portable_kernels,
#if defined(__x86_64__)
    [TGK_LEVEL_AVX2] = &tgk_avx2_kernels,
    [TGK_LEVEL_AVXVNNI] = &tgk_avxvnni_kernels,
    [TGK_LEVEL_AVX512VNNI] = &tgk_avx512vnni_kernels,
#elif defined(__aarch64__)
    [TGK_LEVEL_NEON] = &tgk_neon_kernels,
    [TGK_LEVEL_NEONDOT] = &tgk_neondot_kernels,
#endif
};

static const tgk_kernel_table *table_of(tgk_level level) {
  return (unsigned)level < TGK_LEVEL_COUNT ? tables[level] : NULL;
}

const char *tgk_level_name(tgk_level level) {
  static const char *const names[TGK_LEVEL_COUNT] = {"portable", "avx2", "avxvnni", "avx512vnni", "neon", "neondot"};
  return (unsigned)level < TGK_LEVEL_COUNT ? names[level] : NULL;
}

#if defined(__x86_64__)
/// AVX-VNNI is bit 4 of EAX of CPUID leaf 7, sub-leaf 1 (Intel SDM volume 2A); compilers differ in knowing its name.
static bool processor_has_avxvnni(void) {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & (1u << 4));
}
#endif

bool tgk_level_is_available(tgk_level level) {
  switch (level) {
    case TGK_LEVEL_PORTABLE: return true;
#if defined(__x86_64__)
    // __builtin_cpu_supports also asks whether the system saves the registers (XGETBV).
    case TGK_LEVEL_AVX2: return __builtin_cpu_supports("avx2");
    case TGK_LEVEL_AVXVNNI: return __builtin_cpu_supports("avx2") && processor_has_avxvnni();
    case TGK_LEVEL_AVX512VNNI:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("avx512f") &&
          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__)
    case TGK_LEVEL_NEON: return true;
    case TGK_LEVEL_NEONDOT: return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#endif
    default: return false;
  }
}

tgk_level tgk_level_best(void) {
  for (int level = TGK_LEVEL_COUNT - 1; level > 0; level--)
    if (tgk_level_is_available((tgk_level)level)) return (tgk_level)level;
  return TGK_LEVEL_PORTABLE;
}

bool tgk_pool_fusion_is_exact(int32_t channels, const int32_t *shift) {
  for (int32_t c = 0; c < channels; c++)
    if (shift[c] > 0) return false;
  return true;
}

// MARK: Validation

// No tensor, padded row or weight array of a model for a board of this class comes near these.
static const int64_t size_max = 1 << 24, product_max = (int64_t)1 << 29;

static bool is_size(int64_t value) { return value >= 1 && value <= size_max; }

/// Whether the product of positive sizes stays within product_max.
static bool product_is_bounded(int64_t a, int64_t b, int64_t c, int64_t d) {
  if (a > product_max / b) return false;
  if (a * b > product_max / c) return false;
  return a * b * c <= product_max / d;
}

static bool is_int8(int32_t value) { return value >= -128 && value <= 127; }

static bool conv_geometry_is_valid(const tgk_conv_geometry *g) {
  const int32_t sizes[] = {
      g->batch,        g->input_height,  g->input_width,   g->input_channels, g->output_height,
      g->output_width, g->output_channels, g->kernel_height, g->kernel_width,   g->stride_height,
      g->stride_width, g->dilation_height, g->dilation_width};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (!is_size(sizes[i])) return false;
  if (g->pad_top < 0 || g->pad_top > size_max || g->pad_left < 0 || g->pad_left > size_max) return false;
  if (!is_int8(g->input_zero_point) || !is_int8(g->output_zero_point)) return false;
  if (!is_int8(g->activation_min) || !is_int8(g->activation_max) || g->activation_min > g->activation_max) return false;
  if (g->pool != TGK_POOL_NONE && g->pool != TGK_POOL_MAX_2X2) return false;
  if (g->weight_form != TGK_WEIGHTS_FASTEST && g->weight_form != TGK_WEIGHTS_SMALLEST) return false;
  if (g->pool == TGK_POOL_MAX_2X2 && (g->output_height < 2 || g->output_width < 2)) return false;
  const int64_t padded_height =
      (int64_t)(g->output_height - 1) * g->stride_height + (int64_t)(g->kernel_height - 1) * g->dilation_height + 1;
  const int64_t padded_width =
      (int64_t)(g->output_width - 1) * g->stride_width + (int64_t)(g->kernel_width - 1) * g->dilation_width + 1;
  if (padded_height > size_max || padded_width > size_max) return false;
  // Rows of scratch are padded input rows, and their channels are rounded up by some kernels.
  const int64_t input_channels = (int64_t)g->input_channels + 64, output_channels = (int64_t)g->output_channels + 64;
  return product_is_bounded(g->batch, g->input_height, g->input_width, g->input_channels) &&
      product_is_bounded(g->batch, g->output_height, g->output_width, output_channels) &&
      product_is_bounded((int64_t)g->kernel_height + 1, padded_width, input_channels, 2) &&
      product_is_bounded(output_channels, (int64_t)g->kernel_height + 4, (int64_t)g->kernel_width + 4, input_channels);
}

static bool conv_is_valid(const tgk_conv_geometry *g) {
  return conv_geometry_is_valid(g) && is_size(g->groups) && g->input_channels % g->groups == 0 &&
      g->output_channels % g->groups == 0;
}

static bool depthwise_is_valid(const tgk_conv_geometry *g) {
  return conv_geometry_is_valid(g) && g->output_channels % g->input_channels == 0 &&
      product_is_bounded((int64_t)g->kernel_height + 1, (int64_t)g->output_width + g->kernel_width,
                         (int64_t)g->output_channels + 64, 4);
}

static bool dense_is_valid(const tgk_dense_geometry *g) {
  return is_size(g->batch) && is_size(g->input_count) && is_size(g->output_count) && is_int8(g->input_zero_point) &&
      is_int8(g->weight_zero_point) && is_int8(g->output_zero_point) && is_int8(g->activation_min) &&
      is_int8(g->activation_max) && g->activation_min <= g->activation_max &&
      (g->rounding == TGK_ROUNDING_FLOAT64 || g->rounding == TGK_ROUNDING_FIXED) &&
      product_is_bounded(g->batch, (int64_t)g->input_count + 64, 2, 1) &&
      product_is_bounded(g->batch, (int64_t)g->output_count + 64, 2, 1) &&
      product_is_bounded((int64_t)g->input_count + 64, (int64_t)g->output_count + 64, 1, 1);
}

// MARK: Jumps

size_t tgk_conv_packed_size(tgk_level level, const tgk_conv_geometry *g) {
  const tgk_kernel_table *table = table_of(level);
  return table && conv_is_valid(g) ? table->conv->packed_size(g) : 0;
}

size_t tgk_conv_scratch_size(tgk_level level, const tgk_conv_geometry *g) {
  const tgk_kernel_table *table = table_of(level);
  return table && conv_is_valid(g) ? table->conv->scratch_size(g) : 0;
}

void tgk_conv_pack(
    tgk_level level, const tgk_conv_geometry *g, const int8_t *weights, const int32_t *bias,
    const int32_t *multiplier, const int32_t *shift, void *packed) {
  tables[level]->conv->pack(g, weights, bias, multiplier, shift, packed);
}

void tgk_conv(
    tgk_level level, const tgk_conv_geometry *g, const void *packed, const int8_t *input, int8_t *output,
    const tgk_add_epilogue *add, void *scratch) {
  tables[level]->conv->run(g, packed, input, output, add, scratch);
}

size_t tgk_depthwise_packed_size(tgk_level level, const tgk_conv_geometry *g) {
  const tgk_kernel_table *table = table_of(level);
  return table && depthwise_is_valid(g) ? table->depthwise->packed_size(g) : 0;
}

size_t tgk_depthwise_scratch_size(tgk_level level, const tgk_conv_geometry *g) {
  const tgk_kernel_table *table = table_of(level);
  return table && depthwise_is_valid(g) ? table->depthwise->scratch_size(g) : 0;
}

void tgk_depthwise_pack(
    tgk_level level, const tgk_conv_geometry *g, const int8_t *weights, const int32_t *bias,
    const int32_t *multiplier, const int32_t *shift, void *packed) {
  tables[level]->depthwise->pack(g, weights, bias, multiplier, shift, packed);
}

void tgk_depthwise(
    tgk_level level, const tgk_conv_geometry *g, const void *packed, const int8_t *input, int8_t *output,
    const tgk_add_epilogue *add, void *scratch) {
  tables[level]->depthwise->run(g, packed, input, output, add, scratch);
}

size_t tgk_dense_packed_size(tgk_level level, const tgk_dense_geometry *g) {
  const tgk_kernel_table *table = table_of(level);
  return table && dense_is_valid(g) ? table->dense->packed_size(g) : 0;
}

size_t tgk_dense_scratch_size(tgk_level level, const tgk_dense_geometry *g) {
  const tgk_kernel_table *table = table_of(level);
  return table && dense_is_valid(g) ? table->dense->scratch_size(g) : 0;
}

void tgk_dense_pack(
    tgk_level level, const tgk_dense_geometry *g, const int8_t *weights, const int32_t *bias, const double *scale,
    const int32_t *multiplier, const int32_t *shift, void *packed) {
  tables[level]->dense->pack(g, weights, bias, scale, multiplier, shift, packed);
}

void tgk_dense(
    tgk_level level, const tgk_dense_geometry *g, const void *packed, const int8_t *input, int8_t *output,
    void *scratch) {
  tables[level]->dense->run(g, packed, input, output, scratch);
}

void tgk_max_pool(tgk_level level, const tgk_pool_geometry *g, const int8_t *input, int8_t *output) {
  tables[level]->max_pool(g, input, output);
}

void tgk_average_pool(tgk_level level, const tgk_pool_geometry *g, const int8_t *input, int8_t *output) {
  tables[level]->average_pool(g, input, output);
}

void tgk_mean(tgk_level level, const tgk_mean_parameters *p, const int8_t *input, int8_t *output) {
  tables[level]->mean(p, input, output);
}

void tgk_table(tgk_level level, const int8_t table[256], const int8_t *input, int8_t *output, size_t count) {
  tables[level]->table(table, input, output, count);
}

void tgk_add(
    tgk_level level, const tgk_add_parameters *p, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output,
    size_t count) {
  tables[level]->add(p, a, b, b_period, output, count);
}

void tgk_multiply(
    tgk_level level, const tgk_multiply_parameters *p, const int8_t *a, const int8_t *b, size_t b_period,
    int8_t *output, size_t count) {
  tables[level]->multiply(p, a, b, b_period, output, count);
}

void tgk_quantize(
    tgk_level level, float scale, int32_t zero_point, const float *input, int8_t *output, size_t count) {
  tables[level]->quantize(scale, zero_point, input, output, count);
}

void tgk_dequantize(
    tgk_level level, float scale, int32_t zero_point, const int8_t *input, float *output, size_t count) {
  tables[level]->dequantize(scale, zero_point, input, output, count);
}

void tgk_softmax(
    tgk_level level, const tgk_softmax_table *table, int32_t rows, int32_t depth, const int8_t *input,
    int8_t *output) {
  tables[level]->softmax(table, rows, depth, input, output);
}
