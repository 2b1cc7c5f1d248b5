// What one instruction-set level offers: a table of functions, filled per level, chosen in Dispatch.c.
#pragma once

#include "CInferenceKernels.h"

typedef void (*tgk_conv_pack_function)(
    const tgk_conv_geometry *, const int8_t *weights, const int32_t *bias, const int32_t *multiplier,
    const int32_t *shift, void *packed);
typedef void (*tgk_conv_function)(
    const tgk_conv_geometry *, const void *packed, const int8_t *input, int8_t *output, const tgk_add_epilogue *add,
    void *scratch);

typedef struct {
  size_t (*packed_size)(const tgk_conv_geometry *);
  size_t (*scratch_size)(const tgk_conv_geometry *);
  tgk_conv_pack_function pack;
  tgk_conv_function run;
} tgk_conv_kernels;

typedef struct {
  size_t (*packed_size)(const tgk_dense_geometry *);
  size_t (*scratch_size)(const tgk_dense_geometry *);
  void (*pack)(
      const tgk_dense_geometry *, const int8_t *weights, const int32_t *bias, const double *scale,
      const int32_t *multiplier, const int32_t *shift, void *packed);
  void (*run)(const tgk_dense_geometry *, const void *packed, const int8_t *input, int8_t *output, void *scratch);
} tgk_dense_kernels;

typedef struct {
  const tgk_conv_kernels *conv;
  const tgk_conv_kernels *depthwise;
  const tgk_dense_kernels *dense;
  void (*max_pool)(const tgk_pool_geometry *, const int8_t *input, int8_t *output);
  void (*average_pool)(const tgk_pool_geometry *, const int8_t *input, int8_t *output);
  void (*mean)(const tgk_mean_parameters *, const int8_t *input, int8_t *output);
  void (*table)(const int8_t table[256], const int8_t *input, int8_t *output, size_t count);
  void (*add)(
      const tgk_add_parameters *, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count);
  void (*multiply)(
      const tgk_multiply_parameters *, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output,
      size_t count);
  void (*quantize)(float scale, int32_t zero_point, const float *input, int8_t *output, size_t count);
  void (*dequantize)(float scale, int32_t zero_point, const int8_t *input, float *output, size_t count);
  void (*softmax)(const tgk_softmax_table *, int32_t rows, int32_t depth, const int8_t *input, int8_t *output);
} tgk_kernel_table;

extern const tgk_kernel_table tgk_portable_kernels;
#if defined(__x86_64__)
extern const tgk_kernel_table tgk_avx2_kernels;
extern const tgk_kernel_table tgk_avxvnni_kernels;
extern const tgk_kernel_table tgk_avx512vnni_kernels;
#elif defined(__aarch64__)
extern const tgk_kernel_table tgk_neon_kernels;
extern const tgk_kernel_table tgk_neondot_kernels;
#endif

/// Rounds up to a multiple of `step`, a power of two.
static inline size_t tgk_round_up(size_t value, size_t step) { return (value + step - 1) & ~(step - 1); }

static inline int32_t tgk_min32(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t tgk_max32(int32_t a, int32_t b) { return a > b ? a : b; }

static inline int32_t tgk_written_height(const tgk_conv_geometry *g) {
  return g->pool == TGK_POOL_MAX_2X2 ? g->output_height / 2 : g->output_height;
}
static inline int32_t tgk_written_width(const tgk_conv_geometry *g) {
  return g->pool == TGK_POOL_MAX_2X2 ? g->output_width / 2 : g->output_width;
}
