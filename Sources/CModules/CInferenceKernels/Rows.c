#include "Rows.h"

#include <string.h>

tgk_conv_geometry tgk_lay_down(const tgk_conv_geometry *g) {
  tgk_conv_geometry n = *g;
  if (g->pool != TGK_POOL_NONE || g->input_width != 1 || g->kernel_width != 1 || g->output_width != 1 ||
      g->pad_left != 0)
    return n;
  n.input_width = g->input_height;
  n.output_width = g->output_height;
  n.kernel_width = g->kernel_height;
  n.stride_width = g->stride_height;
  n.dilation_width = g->dilation_height;
  n.pad_left = g->pad_top;
  n.input_height = n.output_height = n.kernel_height = n.stride_height = n.dilation_height = 1;
  n.pad_top = 0;
  return n;
}

void tgk_pad_row(
    const tgk_conv_geometry *g, int32_t length, int32_t stride, const int8_t *input, int64_t y, int8_t *row) {
  const int32_t multiplier = g->output_channels / g->input_channels;
  const size_t left = (size_t)g->pad_left * g->output_channels, total = (size_t)length;
  if (y < 0 || y >= g->input_height || left >= total) {
    memset(row, g->input_zero_point, (size_t)stride);
    return;
  }
  size_t real = (size_t)g->input_width * g->output_channels;
  if (real > total - left) real = total - left;
  memset(row, g->input_zero_point, left);
  const int8_t *source = input + (size_t)y * g->input_width * g->input_channels;
  if (multiplier == 1) {
    memcpy(row + left, source, real);
  } else {
    int8_t *out = row + left;
    if (multiplier == 2) {
      for (size_t i = 0; i < real / 2; i++) {
        const uint16_t copies = (uint16_t)((uint8_t)source[i] * 0x0101);
        memcpy(out + 2 * i, &copies, sizeof copies);
      }
    } else if (multiplier <= 8) {
      // Eight copies at a time, the surplus overwritten by the next channel; the row's slack takes the last one's.
      for (size_t i = 0; i < real / multiplier; i++, out += multiplier) {
        const uint64_t copies = (uint8_t)source[i] * UINT64_C(0x0101010101010101);
        memcpy(out, &copies, sizeof copies);
      }
    } else {
      for (size_t i = 0; i < real / multiplier; i++, out += multiplier) memset(out, source[i], (size_t)multiplier);
    }
  }
  memset(row + left + real, g->input_zero_point, (size_t)stride - left - real);
}
