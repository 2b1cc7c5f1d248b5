// Element kernels of AVX2, used by every x86 level.
#pragma once

#include "KernelTable.h"

void tgk_max_pool_avx2(const tgk_pool_geometry *, const int8_t *input, int8_t *output);
void tgk_average_pool_avx2(const tgk_pool_geometry *, const int8_t *input, int8_t *output);
void tgk_mean_avx2(const tgk_mean_parameters *, const int8_t *input, int8_t *output);
void tgk_table_avx2(const int8_t table[256], const int8_t *input, int8_t *output, size_t count);
void tgk_add_avx2(
    const tgk_add_parameters *, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count);
void tgk_multiply_avx2(
    const tgk_multiply_parameters *, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count);
void tgk_quantize_avx2(float scale, int32_t zero_point, const float *input, int8_t *output, size_t count);
void tgk_dequantize_avx2(float scale, int32_t zero_point, const int8_t *input, float *output, size_t count);

/// Constants of the common ADD, one operand. The term is RDBP(SRDHM(d << 20, m), n) with d = x - zero_point: see AVX2Elements.c.
typedef struct {
  int32_t zero_point, high, low, constant;
  int32_t up, down;
  bool is_half;  ///< multiplier one half, no shift: the term is d << 19
} tgk_add_term;

typedef struct {
  tgk_add_term a, b;
  int32_t start;               ///< 2^31, less the zero points of operands that are only shifted
  int64_t doubled_multiplier;  ///< of the sum
  int64_t constant;            ///< added to the product, as in X86Packing.h
  int32_t n;                   ///< final shift
  bool is_rectified;           ///< no sign correction is needed
} tgk_add_plan;

/// False for the rare parameters that the common ADD does not cover.
bool tgk_plan_add(const tgk_add_parameters *p, tgk_add_plan *plan);

void tgk_add_avx512vnni(
    const tgk_add_parameters *, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count);
