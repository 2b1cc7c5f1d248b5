// Padded input rows and the laying down of standing 1-D layers.
#pragma once

#include "KernelTable.h"

/// A column of pixels is a row of pixels: 1-D layers that stand are laid down.
tgk_conv_geometry tgk_lay_down(const tgk_conv_geometry *geometry);

/// Row `y` of a depthwise input as `length` bytes between zero points, each channel repeated by the depth multiplier;
/// zero points as well from `length` to `stride`.
void tgk_pad_row(
    const tgk_conv_geometry *g, int32_t length, int32_t stride, const int8_t *input, int64_t y, int8_t *row);
