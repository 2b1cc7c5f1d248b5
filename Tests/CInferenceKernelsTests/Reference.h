// A slow, readable model of every operator, written from the rules of the TensorFlow Lite reference kernels and from
// nothing in the kernels under test. It indexes element by element, never pads, and works in wide types.
#pragma once

#include "CInferenceKernels.h"

int64_t reference_mbqm(int64_t x, int64_t multiplier, int shift);

/// output: [batch, written height, written width, channels]; add may be NULL.
void reference_conv(
    const tgk_conv_geometry *g, bool depthwise, const int8_t *weights, const int32_t *bias, const int32_t *multiplier,
    const int32_t *shift, const int8_t *input, const tgk_add_epilogue *add, int8_t *output);
void reference_dense(
    const tgk_dense_geometry *g, const int8_t *weights, const int32_t *bias, const double *scale,
    const int32_t *multiplier, const int32_t *shift, const int8_t *input, int8_t *output);
void reference_pool(const tgk_pool_geometry *g, bool average, const int8_t *input, int8_t *output);
int8_t reference_mean(const tgk_mean_parameters *p, const int8_t *first);
int8_t reference_add(const tgk_add_parameters *p, int8_t a, int8_t b);
int8_t reference_multiply(const tgk_multiply_parameters *p, int8_t a, int8_t b);
int8_t reference_quantize(float x, float scale, int32_t zero_point);
float reference_dequantize(int8_t q, float scale, int32_t zero_point);
/// One row. scale: input scale; beta: the operator's.
void reference_softmax(double scale, double beta, int32_t depth, const int8_t *input, int8_t *output);
/// frexp form of a multiplier: d = multiplier * 2^(shift - 31).
void reference_quantize_multiplier(double d, int32_t *multiplier, int32_t *shift);
