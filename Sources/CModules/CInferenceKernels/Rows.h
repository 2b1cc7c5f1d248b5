// Padded input rows, the laying down of standing 1-D layers, and the groups of weights that are packed together.
#pragma once

#include <string.h>

#include "KernelTable.h"

/// A column of pixels is a row of pixels: 1-D layers that stand are laid down.
tgk_conv_geometry tgk_lay_down(const tgk_conv_geometry *geometry);

/// Row `y` of a depthwise input as `length` bytes between zero points, each channel repeated by the depth multiplier;
/// zero points as well from `length` to `stride`.
void tgk_pad_row(
    const tgk_conv_geometry *g, int32_t length, int32_t stride, const int8_t *input, int64_t y, int8_t *row);

/// The weights `first` to `first + size` of a run of `length`, as far as the run has them, to `out`.
static inline void tgk_copy_group(int8_t *out, const int8_t *run, int32_t first, int32_t size, int32_t length) {
  if (first + size <= length)
    memcpy(out, run + first, (size_t)size);
  else if (first < length)
    memcpy(out, run + first, (size_t)(length - first));
}
