// Padded input rows for the x86 depthwise kernels.
#pragma once

#include "KernelTable.h"

/// A column of pixels is a row of pixels: 1-D layers that stand are laid down.
tgk_conv_geometry tgk_lay_down(const tgk_conv_geometry *geometry);

/// Row `y` of a depthwise input as `length` bytes between zero points, each channel repeated by the depth multiplier;
/// zero points as well from `length` to `stride`.
void tgk_pad_row(
    const tgk_conv_geometry *g, int32_t length, int32_t stride, const int8_t *input, int64_t y, int8_t *row);

/// pairs[2 * i] = upper[i], pairs[2 * i + 1] = lower[i]. count: a multiple of 16 is fastest.
void tgk_interleave_avx2(const int8_t *upper, const int8_t *lower, int16_t *pairs, size_t count);
