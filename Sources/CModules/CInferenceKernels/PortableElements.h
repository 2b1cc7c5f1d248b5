// Portable element kernels that other levels borrow where a vector version would gain nothing.
#pragma once

#include "KernelTable.h"

void tgk_max_pool_portable(const tgk_pool_geometry *, const int8_t *input, int8_t *output);
void tgk_average_pool_portable(const tgk_pool_geometry *, const int8_t *input, int8_t *output);
void tgk_mean_portable(const tgk_mean_parameters *, const int8_t *input, int8_t *output);
void tgk_table_portable(const int8_t table[256], const int8_t *input, int8_t *output, size_t count);
void tgk_add_portable(
    const tgk_add_parameters *, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count);
void tgk_multiply_portable(
    const tgk_multiply_parameters *, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count);
void tgk_quantize_portable(float scale, int32_t zero_point, const float *input, int8_t *output, size_t count);
void tgk_dequantize_portable(float scale, int32_t zero_point, const int8_t *input, float *output, size_t count);
void tgk_softmax_portable(
    const tgk_softmax_table *, int32_t rows, int32_t depth, const int8_t *input, int8_t *output);

/// One int8 of an ADD or SUB.
int8_t tgk_add_element(const tgk_add_parameters *p, int8_t a, int8_t b);
/// One int8 of a MUL.
int8_t tgk_multiply_element(const tgk_multiply_parameters *p, int8_t a, int8_t b);
/// The normalised reciprocal of a softmax row: returns 1 / sum in Q0.31 and its shift.
int32_t tgk_softmax_reciprocal(int32_t sum, int32_t *shift);
/// Saturating round-half-away of a float32 quotient; NaN gives the zero point.
int8_t tgk_quantize_element(float x, float scale, int32_t zero_point);
