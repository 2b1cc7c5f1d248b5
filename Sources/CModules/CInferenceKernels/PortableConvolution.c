#include "PortableConvolution.h"

#include <string.h>

#include "Arithmetic.h"
#include "PortableElements.h"

// Packed: bias, multiplier and shift (int32 a channel each), then the weights as they come.

static size_t packed_size(size_t channels, size_t weights) {
  return tgk_round_up(3 * sizeof(int32_t) * channels, TGK_ALIGNMENT) + tgk_round_up(weights, TGK_ALIGNMENT);
}

static void pack(
    size_t channels, size_t weight_count, const int8_t *weights, const int32_t *bias, const int32_t *multiplier,
    const int32_t *shift, void *packed) {
  int32_t *values = packed;
  for (size_t c = 0; c < channels; c++) {
    values[c] = bias ? bias[c] : 0;
    values[channels + c] = multiplier[c];
    values[2 * channels + c] = shift[c];
  }
  memcpy((char *)packed + tgk_round_up(3 * sizeof(int32_t) * channels, TGK_ALIGNMENT), weights, weight_count);
}

static const int8_t *packed_weights(const void *packed, size_t channels) {
  return (const int8_t *)packed + tgk_round_up(3 * sizeof(int32_t) * channels, TGK_ALIGNMENT);
}

static size_t no_scratch(const tgk_conv_geometry *g) {
  (void)g;
  return 0;
}

typedef int32_t (*accumulate_function)(
    const tgk_conv_geometry *, const int8_t *weights, const int8_t *input, int32_t y, int32_t x, int32_t channel);

/// Sum of weight * (input - zero point) over the taps inside the input.
static int32_t accumulate_conv(
    const tgk_conv_geometry *g, const int8_t *weights, const int8_t *input, int32_t y, int32_t x, int32_t channel) {
  const int32_t depth = g->input_channels / g->groups;
  const int32_t group = channel / (g->output_channels / g->groups);
  const int8_t *row = weights + (size_t)channel * g->kernel_height * g->kernel_width * depth;
  int32_t sum = 0;
  for (int32_t ky = 0; ky < g->kernel_height; ky++) {
    const int64_t iy = (int64_t)y * g->stride_height - g->pad_top + (int64_t)ky * g->dilation_height;
    if (iy < 0 || iy >= g->input_height) continue;
    for (int32_t kx = 0; kx < g->kernel_width; kx++) {
      const int64_t ix = (int64_t)x * g->stride_width - g->pad_left + (int64_t)kx * g->dilation_width;
      if (ix < 0 || ix >= g->input_width) continue;
      const int8_t *tap = input + ((size_t)iy * g->input_width + (size_t)ix) * g->input_channels + group * depth;
      const int8_t *weight = row + ((size_t)ky * g->kernel_width + kx) * depth;
      for (int32_t c = 0; c < depth; c++)
        sum = tgk_wrapping_add(sum, weight[c] * (tap[c] - g->input_zero_point));
    }
  }
  return sum;
}

static int32_t accumulate_depthwise(
    const tgk_conv_geometry *g, const int8_t *weights, const int8_t *input, int32_t y, int32_t x, int32_t channel) {
  const int32_t from = channel / (g->output_channels / g->input_channels);
  int32_t sum = 0;
  for (int32_t ky = 0; ky < g->kernel_height; ky++) {
    const int64_t iy = (int64_t)y * g->stride_height - g->pad_top + (int64_t)ky * g->dilation_height;
    if (iy < 0 || iy >= g->input_height) continue;
    for (int32_t kx = 0; kx < g->kernel_width; kx++) {
      const int64_t ix = (int64_t)x * g->stride_width - g->pad_left + (int64_t)kx * g->dilation_width;
      if (ix < 0 || ix >= g->input_width) continue;
      const int32_t tap = input[((size_t)iy * g->input_width + (size_t)ix) * g->input_channels + from];
      const int32_t weight = weights[((size_t)ky * g->kernel_width + kx) * g->output_channels + channel];
      sum = tgk_wrapping_add(sum, weight * (tap - g->input_zero_point));
    }
  }
  return sum;
}

static void run(
    const tgk_conv_geometry *g, accumulate_function accumulate, const void *packed, const int8_t *input,
    int8_t *output, const tgk_add_epilogue *add) {
  const int32_t channels = g->output_channels;
  const int32_t *bias = packed, *multiplier = bias + channels, *shift = multiplier + channels;
  const int8_t *weights = packed_weights(packed, (size_t)channels);
  const int32_t pool = g->pool == TGK_POOL_MAX_2X2 ? 2 : 1;
  const int8_t *operand = add ? add->operand : NULL;
  for (int32_t n = 0; n < g->batch; n++, input += (size_t)g->input_height * g->input_width * g->input_channels)
    for (int32_t y = 0; y < tgk_written_height(g); y++)
      for (int32_t x = 0; x < tgk_written_width(g); x++)
        for (int32_t c = 0; c < channels; c++) {
          int32_t sum = INT32_MIN;
          for (int32_t tap = 0; tap < pool * pool; tap++) {
            const int32_t value = tgk_wrapping_add(
                bias[c], accumulate(g, weights, input, y * pool + tap / pool, x * pool + tap % pool, c));
            sum = tgk_max32(sum, value);
          }
          const int32_t scaled = tgk_mbqm(sum, multiplier[c], shift[c]);
          int8_t result =
              (int8_t)tgk_clamp((int64_t)scaled + g->output_zero_point, g->activation_min, g->activation_max);
          if (operand) result = tgk_add_element(&add->parameters, result, *operand++);
          *output++ = result;
        }
}

static size_t conv_weight_count(const tgk_conv_geometry *g) {
  return (size_t)g->output_channels * g->kernel_height * g->kernel_width * (g->input_channels / g->groups);
}

static size_t conv_packed_size(const tgk_conv_geometry *g) {
  return packed_size((size_t)g->output_channels, conv_weight_count(g));
}

static void conv_pack(
    const tgk_conv_geometry *g, const int8_t *weights, const int32_t *bias, const int32_t *multiplier,
    const int32_t *shift, void *packed) {
  pack((size_t)g->output_channels, conv_weight_count(g), weights, bias, multiplier, shift, packed);
}

static void conv_run(
    const tgk_conv_geometry *g, const void *packed, const int8_t *input, int8_t *output, const tgk_add_epilogue *add,
    void *scratch) {
  (void)scratch;
  run(g, accumulate_conv, packed, input, output, add);
}

const tgk_conv_kernels tgk_conv_portable = {conv_packed_size, no_scratch, conv_pack, conv_run};

static size_t depthwise_weight_count(const tgk_conv_geometry *g) {
  return (size_t)g->output_channels * g->kernel_height * g->kernel_width;
}

static size_t depthwise_packed_size(const tgk_conv_geometry *g) {
  return packed_size((size_t)g->output_channels, depthwise_weight_count(g));
}

static void depthwise_pack(
    const tgk_conv_geometry *g, const int8_t *weights, const int32_t *bias, const int32_t *multiplier,
    const int32_t *shift, void *packed) {
  pack((size_t)g->output_channels, depthwise_weight_count(g), weights, bias, multiplier, shift, packed);
}

static void depthwise_run(
    const tgk_conv_geometry *g, const void *packed, const int8_t *input, int8_t *output, const tgk_add_epilogue *add,
    void *scratch) {
  (void)scratch;
  run(g, accumulate_depthwise, packed, input, output, add);
}

const tgk_conv_kernels tgk_depthwise_portable = {depthwise_packed_size, no_scratch, depthwise_pack, depthwise_run};

// Dense. Packed: scale (double a channel), bias, multiplier and shift, then the weights as they come.

static size_t dense_header_size(const tgk_dense_geometry *g) {
  return tgk_round_up((sizeof(double) + 3 * sizeof(int32_t)) * (size_t)g->output_count, TGK_ALIGNMENT);
}

static size_t dense_packed_size(const tgk_dense_geometry *g) {
  return dense_header_size(g) + tgk_round_up((size_t)g->output_count * g->input_count, TGK_ALIGNMENT);
}

static size_t dense_scratch_size(const tgk_dense_geometry *g) {
  (void)g;
  return 0;
}

static void dense_pack(
    const tgk_dense_geometry *g, const int8_t *weights, const int32_t *bias, const double *scale,
    const int32_t *multiplier, const int32_t *shift, void *packed) {
  const size_t count = (size_t)g->output_count;
  double *scales = packed;
  int32_t *values = (int32_t *)(scales + count);
  for (size_t c = 0; c < count; c++) {
    scales[c] = scale ? scale[c] : 0;
    values[c] = bias ? bias[c] : 0;
    values[count + c] = multiplier ? multiplier[c] : 0;
    values[2 * count + c] = shift ? shift[c] : 0;
  }
  memcpy((char *)packed + dense_header_size(g), weights, count * (size_t)g->input_count);
}

static void dense_run(
    const tgk_dense_geometry *g, const void *packed, const int8_t *input, int8_t *output, void *scratch) {
  (void)scratch;
  const size_t count = (size_t)g->output_count;
  const double *scale = packed;
  const int32_t *bias = (const int32_t *)(scale + count), *multiplier = bias + count, *shift = multiplier + count;
  const int8_t *weights = (const int8_t *)packed + dense_header_size(g);
  for (int32_t n = 0; n < g->batch; n++, input += g->input_count)
    for (size_t c = 0; c < count; c++) {
      const int8_t *row = weights + c * (size_t)g->input_count;
      int32_t sum = bias[c];
      for (int32_t i = 0; i < g->input_count; i++)
        sum = tgk_wrapping_add(sum, (row[i] - g->weight_zero_point) * (input[i] - g->input_zero_point));
      if (g->rounding == TGK_ROUNDING_FLOAT64) {
        *output++ = (int8_t)tgk_requantise_float64(
            sum, scale[c], g->output_zero_point, g->activation_min, g->activation_max);
      } else {
        const int64_t scaled = (int64_t)tgk_mbqm(sum, multiplier[c], shift[c]) + g->output_zero_point;
        *output++ = (int8_t)tgk_clamp(scaled, g->activation_min, g->activation_max);
      }
    }
}

const tgk_dense_kernels tgk_dense_portable = {dense_packed_size, dense_scratch_size, dense_pack, dense_run};
