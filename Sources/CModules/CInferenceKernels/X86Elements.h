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
