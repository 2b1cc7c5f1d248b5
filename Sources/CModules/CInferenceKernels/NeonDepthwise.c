#if defined(__aarch64__)
// Depthwise: eight channels a register, two taps of a kernel row at a time (smull, smlal, then widened into int32).

#include "NeonKernels.h"
#include "NeonVector.h"
#include "Rows.h"

enum { block = 8 };

typedef struct {
  int32_t channels, padded_channels, row_length, row_stride, ring_rows;
} depthwise_plan;

static depthwise_plan make_plan(const tgk_conv_geometry *g) {
  depthwise_plan plan;
  plan.channels = g->output_channels;
  plan.padded_channels = (int32_t)tgk_round_up((size_t)plan.channels, block);
  const int32_t width = (g->output_width - 1) * g->stride_width + (g->kernel_width - 1) * g->dilation_width + 1;
  plan.row_length = width * plan.channels;
  plan.row_stride = (int32_t)tgk_round_up((size_t)plan.row_length + 16, 64);
  plan.ring_rows = (g->kernel_height - 1) * g->dilation_height + 1 +
      (g->pool == TGK_POOL_MAX_2X2 ? g->stride_height : 0);
  return plan;
}

static size_t packed_size(const tgk_conv_geometry *geometry) {
  const tgk_conv_geometry g = tgk_lay_down(geometry);
  const depthwise_plan plan = make_plan(&g);
  return tgk_weights_offset((size_t)plan.padded_channels) +
      tgk_round_up((size_t)plan.padded_channels * g.kernel_height * g.kernel_width, TGK_ALIGNMENT);
}

static size_t scratch_size(const tgk_conv_geometry *geometry) {
  const tgk_conv_geometry g = tgk_lay_down(geometry);
  const depthwise_plan plan = make_plan(&g);
  return tgk_round_up((size_t)plan.ring_rows * sizeof(void *), TGK_ALIGNMENT) +
      (size_t)plan.ring_rows * plan.row_stride;
}

static void pack(
    const tgk_conv_geometry *geometry, const int8_t *weights, const int32_t *bias, const int32_t *multiplier,
    const int32_t *shift, void *packed) {
  const tgk_conv_geometry g = tgk_lay_down(geometry);
  const depthwise_plan plan = make_plan(&g);
  const int32_t taps = g.kernel_height * g.kernel_width;
  memset(packed, 0, packed_size(geometry));
  int8_t *out = (int8_t *)packed + tgk_weights_offset((size_t)plan.padded_channels);
  for (int32_t c = 0; c < plan.channels; c++) {
    int32_t sum = 0;
    for (int32_t i = 0; i < taps; i++) {
      sum += weights[(size_t)i * plan.channels + c];
      out[((size_t)(c / block) * taps + i) * block + c % block] = weights[(size_t)i * plan.channels + c];
    }
    tgk_pack_channel(
        &g, packed, (size_t)plan.padded_channels, (size_t)c,
        tgk_wrapping_add(bias ? bias[c] : 0, tgk_wrapping_multiply(sum, -g.input_zero_point)), 0, multiplier[c],
        shift[c]);
  }
}

typedef struct {
  const int8_t *const *rows;
  const tgk_conv_geometry *geometry;
  size_t first;
  const int8_t *weights;
  tgk_channels channels;
  tgk_output how;
  int32_t channel_count;
  int8_t *output;
} tile_arguments;

TGK_INLINE void tile(const int pixels, const bool pooled, const tile_arguments *t) {
  const tgk_conv_geometry *g = t->geometry;
  const size_t pixel_step = (size_t)g->stride_width * g->output_channels;
  const size_t tap_step = (size_t)g->dilation_width * g->output_channels;
  int32x4_t sum[8];
#pragma GCC unroll 8
  for (int p = 0; p < pixels; p++) {
    sum[2 * p] = vld1q_s32(t->channels.bias);
    sum[2 * p + 1] = vld1q_s32(t->channels.bias + 4);
  }
  const int8_t *w = t->weights;
  for (int32_t ky = 0; ky < g->kernel_height; ky++) {
    const int8_t *row = t->rows[ky * g->dilation_height] + t->first;
    const int8_t *below = pooled ? t->rows[ky * g->dilation_height + g->stride_height] + t->first : row;
    for (int32_t kx = 0; kx < g->kernel_width; kx += 2, w += 2 * block) {
      const bool is_last = kx + 1 == g->kernel_width;
      const int8x8_t w0 = vld1_s8(w), w1 = is_last ? vdup_n_s8(0) : vld1_s8(w + block);
      if (is_last) w -= block;
      const size_t next = is_last ? 0 : tap_step;
#pragma GCC unroll 8
      for (int p = 0; p < pixels; p++) {
        const int8_t *x = pooled ? ((p & 2) ? below : row) + (size_t)(p & 1) * pixel_step : row + p * pixel_step;
        const int16x8_t products = vmlal_s8(vmull_s8(vld1_s8(x), w0), vld1_s8(x + next), w1);
        sum[2 * p] = vaddw_s16(sum[2 * p], vget_low_s16(products));
        sum[2 * p + 1] = vaddw_high_s16(sum[2 * p + 1], products);
      }
      row += 2 * tap_step;
      below += 2 * tap_step;
    }
  }
  if (pooled)
    for (int v = 0; v < 2; v++) sum[v] = vmaxq_s32(vmaxq_s32(sum[v], sum[2 + v]), vmaxq_s32(sum[4 + v], sum[6 + v]));
  tgk_store_tile_neon(
      pooled ? 1 : pixels, 2, sum, &t->channels, &t->how, t->channel_count, t->output, g->output_channels);
}

static __attribute__((noinline)) void tgk_qs8_depthwise_4x8_neon(const tile_arguments *t) { tile(4, false, t); }
static __attribute__((noinline)) void tgk_qs8_depthwise_1x8_neon(const tile_arguments *t) { tile(1, false, t); }
static __attribute__((noinline)) void tgk_qs8_depthwise_pool_4x8_neon(const tile_arguments *t) { tile(4, true, t); }

static void run(
    const tgk_conv_geometry *geometry, const void *packed, const int8_t *input, int8_t *output,
    const tgk_add_epilogue *add, void *scratch) {
  const tgk_conv_geometry g = tgk_lay_down(geometry);
  const depthwise_plan plan = make_plan(&g);
  const int32_t pool = g.pool == TGK_POOL_MAX_2X2 ? 2 : 1, taps = g.kernel_height * g.kernel_width;
  const int32_t height = tgk_written_height(&g), width = tgk_written_width(&g);
  const int8_t **rows = scratch;
  int8_t *ring = (int8_t *)scratch + tgk_round_up((size_t)plan.ring_rows * sizeof(void *), TGK_ALIGNMENT);
  const int8_t *weights = (const int8_t *)packed + tgk_weights_offset((size_t)plan.padded_channels);
  const size_t output_row = (size_t)width * plan.channels;
  const int8_t *operand = add ? add->operand : NULL;
  tile_arguments t = {.rows = rows, .geometry = &g};
  t.how = tgk_output_of(packed, &g);
  for (int32_t n = 0; n < g.batch; n++, input += (size_t)g.input_height * g.input_width * g.input_channels) {
    int64_t next = -(int64_t)g.pad_top;
    for (int32_t y = 0; y < height; y++, output += output_row) {
      const int64_t first = (int64_t)y * pool * g.stride_height - g.pad_top;
      if (next < first) next = first;
      for (; next < first + plan.ring_rows; next++)
        tgk_pad_row(
            &g, plan.row_length, plan.row_stride, input, next,
            ring + (size_t)((next + g.pad_top) % plan.ring_rows) * plan.row_stride);
      int32_t slot = (int32_t)((first + g.pad_top) % plan.ring_rows);
      for (int32_t i = 0; i < plan.ring_rows; i++) {
        rows[i] = ring + (size_t)slot * plan.row_stride;
        if (++slot == plan.ring_rows) slot = 0;
      }
      for (int32_t c = 0; c < plan.padded_channels; c += block) {
        t.weights = weights + (size_t)c * taps;
        t.channels = tgk_channels_at(packed, (size_t)plan.padded_channels, (size_t)c);
        t.channel_count = tgk_min32(block, plan.channels - c);
        for (int32_t x = 0; x < width;) {
          t.first = (size_t)x * pool * g.stride_width * plan.channels + (size_t)c;
          t.output = output + (size_t)x * plan.channels + c;
          if (pool == 2) {
            tgk_qs8_depthwise_pool_4x8_neon(&t);
            x += 1;
          } else if (width - x >= 4) {
            tgk_qs8_depthwise_4x8_neon(&t);
            x += 4;
          } else {
            tgk_qs8_depthwise_1x8_neon(&t);
            x += 1;
          }
        }
      }
      if (operand) {
        tgk_add_neon(&add->parameters, output, operand, output_row, output, output_row);
        operand += output_row;
      }
    }
  }
}

const tgk_conv_kernels tgk_depthwise_neon = {packed_size, scratch_size, pack, run};
#endif
