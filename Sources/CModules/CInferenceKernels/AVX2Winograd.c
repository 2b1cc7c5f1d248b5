#if defined(__x86_64__)
// 3x3, stride 1: Winograd's F(2x2, 3x3) computes four outputs with sixteen products instead of thirty-six. In integers it is
// exact: Y = A^T [(G g G^T) . (B^T d B)] A with
//
//   B^T = 1  0 -1  0    2G = 2  0  0    A^T = 1  1  1  0
//         0  1  1  0         1  1  1          0  1 -1 -1
//         0 -1  1  0         1 -1  1
//         0  1  0 -1         0  0  2
//
// and G doubled on both sides, the result is four times the accumulator, and the division by four leaves no rest. Transformed
// inputs stay within +-512, transformed weights within +-1143: both fit int16, and vpmaddwd sums in int32 (Lavin and Gray,
// "Fast Algorithms for Convolutional Neural Networks", 2015). A max-pool of 2x2 is the maximum over one tile.
//
// Packed: header and channel constants (X86Packing.h), then int16 weights [16 outputs][position][pair of inputs][output][2].

#include <stdlib.h>
#include <string.h>

#include "Arithmetic.h"
#include "X86Elements.h"
#include "X86Packing.h"
#include "X86Vector256.h"
#include "X86Winograd.h"

#define TARGET TGK_TARGET_AVX2

enum { positions = 16, block = 16, tile_step = 6, tiles_max = 18 };

bool tgk_winograd_fits(const tgk_conv_geometry *g) {
  const int64_t depth = g->input_channels;
  return g->weight_form == TGK_WEIGHTS_FASTEST && g->groups == 1 && g->kernel_height == 3 && g->kernel_width == 3 && g->stride_height == 1 &&
      g->stride_width == 1 && g->dilation_height == 1 && g->dilation_width == 1 && depth % 8 == 0 && depth >= 8 &&
      g->output_channels >= 8 && g->output_height >= 2 && g->output_width >= 2 &&
      // Four times the sum of products must stay within int32.
      4 * 9 * depth * 127 * 128 < INT32_MAX &&
      // The weights grow by 16 / 9 and to int16: no larger than a second-level cache holds.
      depth * g->output_channels <= 8192;
}

typedef struct {
  int32_t depth;         // input channels
  int32_t padded_depth;  // to whole vectors, in transformed inputs
  int32_t blocks;        // of sixteen outputs
  int32_t tile_rows, tile_columns;
  int32_t tile_total, batch;  // tiles in all, and transformed at a time
} winograd_plan;

static winograd_plan make_plan(const tgk_conv_geometry *g) {
  winograd_plan plan;
  const bool pooled = g->pool == TGK_POOL_MAX_2X2;
  plan.depth = g->input_channels;
  plan.padded_depth = (int32_t)tgk_round_up((size_t)plan.depth, 16);
  plan.blocks = (g->output_channels + block - 1) / block;
  plan.tile_rows = pooled ? g->output_height / 2 : (g->output_height + 1) / 2;
  plan.tile_columns = pooled ? g->output_width / 2 : (g->output_width + 1) / 2;
  plan.tile_total = g->batch * plan.tile_rows * plan.tile_columns;
  plan.batch = plan.tile_total <= tiles_max
      ? (plan.tile_total + tile_step - 1) / tile_step * tile_step : 2 * tile_step;
  return plan;
}

static size_t block_weights(const winograd_plan *plan) { return (size_t)positions * plan->depth * block; }

static size_t packed_size(const tgk_conv_geometry *g) {
  const winograd_plan plan = make_plan(g);
  return tgk_weights_offset((size_t)plan.blocks * block) + (size_t)plan.blocks * block_weights(&plan) * sizeof(int16_t);
}

// Scratch: transformed inputs [position][tile][channel], products [position][tile][output], a pixel of zero points.

static size_t inputs_size(const winograd_plan *plan) {
  return (size_t)positions * plan->batch * plan->padded_depth * sizeof(int16_t);
}

static size_t products_size(const winograd_plan *plan) {
  return (size_t)positions * plan->batch * block * sizeof(int32_t);
}

static size_t scratch_size(const tgk_conv_geometry *g) {
  const winograd_plan plan = make_plan(g);
  return inputs_size(&plan) + products_size(&plan) + tgk_round_up((size_t)plan.padded_depth, TGK_ALIGNMENT);
}

enum { pack_step = 8 };

/// 2G g (2G)^T of the 3x3 kernels of `pack_step` inputs, whose taps lie `step` apart; loops that compilers make vectors of.
static void transform_weights(const int8_t *taps, size_t step, int16_t out[positions][pack_step]) {
  int16_t half[4][3][pack_step];
  for (int x = 0; x < 3; x++) {
    const int8_t *a = taps + (size_t)x * step, *b = taps + (size_t)(3 + x) * step, *c = taps + (size_t)(6 + x) * step;
    for (int k = 0; k < pack_step; k++) {
      half[0][x][k] = (int16_t)(2 * a[k]);
      half[1][x][k] = (int16_t)(a[k] + b[k] + c[k]);
      half[2][x][k] = (int16_t)(a[k] - b[k] + c[k]);
      half[3][x][k] = (int16_t)(2 * c[k]);
    }
  }
  for (int y = 0; y < 4; y++)
    for (int k = 0; k < pack_step; k++) {
      const int16_t a = half[y][0][k], b = half[y][1][k], c = half[y][2][k];
      out[4 * y][k] = (int16_t)(2 * a);
      out[4 * y + 1][k] = (int16_t)(a + b + c);
      out[4 * y + 2][k] = (int16_t)(a - b + c);
      out[4 * y + 3][k] = (int16_t)(2 * c);
    }
}

static void pack(
    const tgk_conv_geometry *g, const int8_t *weights, const int32_t *bias, const int32_t *multiplier,
    const int32_t *shift, void *packed) {
  const winograd_plan plan = make_plan(g);
  const size_t channels = (size_t)plan.blocks * block, taps = 9 * (size_t)plan.depth;
  memset(packed, 0, packed_size(g));
  tgk_pack_header(g, packed);
  int16_t *out = (int16_t *)((char *)packed + tgk_weights_offset(channels));
  for (int32_t c = 0; c < g->output_channels; c++) {
    const int8_t *row = weights + (size_t)c * taps;
    int64_t magnitude = bias ? llabs((int64_t)bias[c]) : 0;
    int32_t sum = 0;
    for (size_t i = 0; i < taps; i++) {
      sum += row[i];
      magnitude += 256 * abs(row[i]);
    }
    tgk_pack_channel(
        g, packed, channels, (size_t)c,
        tgk_wrapping_add(bias ? bias[c] : 0, tgk_wrapping_multiply(sum, -g->input_zero_point)), magnitude,
        multiplier[c], shift[c]);
    int16_t *to = out + (size_t)(c / block) * block_weights(&plan) + (size_t)(c % block) * 2;
    for (int32_t k = 0; k < plan.depth; k += pack_step) {
      int16_t transformed[positions][pack_step];
      transform_weights(row + k, (size_t)plan.depth, transformed);
      for (int p = 0; p < positions; p++)
        for (int i = 0; i < pack_step; i += 2)
          memcpy(
              to + ((size_t)p * (plan.depth / 2) + (size_t)((k + i) / 2)) * block * 2, &transformed[p][i],
              2 * sizeof(int16_t));
    }
  }
}

/// B^T d B of sixteen channels (eight when `is_half`) of one tile; pixel: its sixteen pixels.
TGK_INLINE TARGET void transform_channels(
    const bool is_half, const int8_t *const pixel[positions], size_t channel, int16_t *out, size_t position_step) {
  __m256i t[4][4];
#pragma GCC unroll 4
  for (int x = 0; x < 4; x++) {
    __m256i d[4];
#pragma GCC unroll 4
    for (int y = 0; y < 4; y++) {
      const __m128i *at = (const __m128i *)(pixel[4 * y + x] + channel);
      d[y] = _mm256_cvtepi8_epi16(is_half ? _mm_loadl_epi64(at) : _mm_loadu_si128(at));
    }
    t[0][x] = _mm256_sub_epi16(d[0], d[2]);
    t[1][x] = _mm256_add_epi16(d[1], d[2]);
    t[2][x] = _mm256_sub_epi16(d[2], d[1]);
    t[3][x] = _mm256_sub_epi16(d[1], d[3]);
  }
#pragma GCC unroll 4
  for (int y = 0; y < 4; y++) {
    const __m256i row[4] = {
        _mm256_sub_epi16(t[y][0], t[y][2]), _mm256_add_epi16(t[y][1], t[y][2]),
        _mm256_sub_epi16(t[y][2], t[y][1]), _mm256_sub_epi16(t[y][1], t[y][3])};
#pragma GCC unroll 4
    for (int x = 0; x < 4; x++)
      _mm256_storeu_si256((__m256i *)(out + (size_t)(4 * y + x) * position_step), row[x]);
  }
}

typedef struct {
  int32_t sample, row, column;
} tile_place;

static tile_place place_of(const winograd_plan *plan, int32_t tile) {
  const int32_t in_sample = plan->tile_rows * plan->tile_columns;
  return (tile_place){
      tile / in_sample, tile % in_sample / plan->tile_columns, tile % in_sample % plan->tile_columns};
}

static TARGET __attribute__((noinline)) void transform_inputs(
    const tgk_conv_geometry *g, const winograd_plan *plan, const int8_t *input, const int8_t *outside, int32_t first,
    int32_t count, int16_t *out) {
  const size_t depth = (size_t)plan->depth, position_step = (size_t)plan->batch * plan->padded_depth;
  for (int32_t i = 0; i < count; i++, out += plan->padded_depth) {
    const tile_place place = place_of(plan, first + i);
    const int8_t *sample = input + (size_t)place.sample * g->input_height * g->input_width * depth;
    const int32_t top = 2 * place.row - g->pad_top, left = 2 * place.column - g->pad_left;
    const int8_t *pixel[positions];
    for (int y = 0; y < 4; y++)
      for (int x = 0; x < 4; x++) {
        const bool is_inside = (uint32_t)(top + y) < (uint32_t)g->input_height &&
            (uint32_t)(left + x) < (uint32_t)g->input_width;
        pixel[4 * y + x] =
            is_inside ? sample + ((size_t)(top + y) * g->input_width + (size_t)(left + x)) * depth : outside;
      }
    size_t channel = 0;
    for (; channel + 16 <= depth; channel += 16)
      transform_channels(false, pixel, channel, out + channel, position_step);
    if (channel < depth) transform_channels(true, pixel, channel, out + channel, position_step);
  }
}

/// Products of six tiles and sixteen outputs at one position.
static TARGET __attribute__((noinline)) void tgk_qs8_winograd_6x16_avx2(
    const int16_t *inputs, size_t tile_stride, int32_t pairs, const int16_t *weights, int32_t *products) {
  __m256i sum[2 * tile_step];
#pragma GCC unroll 12
  for (int i = 0; i < 2 * tile_step; i++) sum[i] = _mm256_setzero_si256();
  for (int32_t k = 0; k < pairs; k++, inputs += 2, weights += 2 * block) {
    const __m256i w0 = _mm256_loadu_si256((const __m256i *)weights);
    const __m256i w1 = _mm256_loadu_si256((const __m256i *)(weights + block));
#pragma GCC unroll 6
    for (int t = 0; t < tile_step; t++) {
      int32_t pair;
      memcpy(&pair, inputs + (size_t)t * tile_stride, sizeof pair);
      const __m256i a = _mm256_set1_epi32(pair);
      sum[2 * t] = _mm256_add_epi32(sum[2 * t], _mm256_madd_epi16(a, w0));
      sum[2 * t + 1] = _mm256_add_epi32(sum[2 * t + 1], _mm256_madd_epi16(a, w1));
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < 2 * tile_step; i++) _mm256_storeu_si256((__m256i *)(products + 8 * i), sum[i]);
}

/// A^T m A of one tile and eight outputs, four times the sums of the four pixels.
TGK_INLINE TARGET void transform_products(const int32_t *products, size_t position_step, __m256i out[4]) {
  __m256i upper[4], lower[4];
#pragma GCC unroll 4
  for (int x = 0; x < 4; x++) {
    __m256i m[4];
#pragma GCC unroll 4
    for (int y = 0; y < 4; y++)
      m[y] = _mm256_loadu_si256((const __m256i *)(products + (size_t)(4 * y + x) * position_step));
    upper[x] = _mm256_add_epi32(_mm256_add_epi32(m[0], m[1]), m[2]);
    lower[x] = _mm256_sub_epi32(_mm256_sub_epi32(m[1], m[2]), m[3]);
  }
  out[0] = _mm256_add_epi32(_mm256_add_epi32(upper[0], upper[1]), upper[2]);
  out[1] = _mm256_sub_epi32(_mm256_sub_epi32(upper[1], upper[2]), upper[3]);
  out[2] = _mm256_add_epi32(_mm256_add_epi32(lower[0], lower[1]), lower[2]);
  out[3] = _mm256_sub_epi32(_mm256_sub_epi32(lower[1], lower[2]), lower[3]);
}

typedef struct {
  const tgk_conv_geometry *geometry;
  const winograd_plan *plan;
  tgk_channels channels;
  tgk_output how;
  int32_t channel_count;
  int8_t *output;  // the block's first channel
} output_arguments;

TGK_INLINE TARGET void write_outputs(
    const bool pooled, const output_arguments *o, int32_t first, int32_t count, const int32_t *products) {
  const tgk_conv_geometry *g = o->geometry;
  const int32_t channels = g->output_channels;
  const int32_t height = tgk_written_height(g), width = tgk_written_width(g);
  const size_t position_step = (size_t)o->plan->batch * block;
  const __m256i bias[2] = {
      _mm256_loadu_si256((const __m256i *)o->channels.bias),
      _mm256_loadu_si256((const __m256i *)(o->channels.bias + 8))};
  for (int32_t i = 0; i < count; i++, products += block) {
    __m256i sum[8];  // pixel by pixel, two vectors each
#pragma GCC unroll 2
    for (int v = 0; v < 2; v++) {
      __m256i y[4];
      transform_products(products + 8 * v, position_step, y);
      if (pooled) y[0] = _mm256_max_epi32(_mm256_max_epi32(y[0], y[1]), _mm256_max_epi32(y[2], y[3]));
#pragma GCC unroll 4
      for (int p = 0; p < 4; p++) {
        if (pooled && p > 0) break;
        sum[2 * p + v] = _mm256_add_epi32(_mm256_srai_epi32(y[p], 2), bias[v]);
      }
    }
    const tile_place place = place_of(o->plan, first + i);
    if (pooled) {
      int8_t *to = o->output + (((size_t)place.sample * height + place.row) * width + place.column) * channels;
      tgk_store_tile_256(1, 2, sum, &o->channels, &o->how, o->channel_count, to, 0);
      continue;
    }
    const int32_t row = 2 * place.row, column = 2 * place.column;
    int8_t *to = o->output + (((size_t)place.sample * height + row) * width + column) * channels;
    tgk_requantise_256(4, 2, sum, &o->channels, &o->how);
    // An odd height or width leaves tiles that hang over the edge.
    const bool has_right = column + 1 < width, has_below = row + 1 < height;
    tgk_narrow_and_store_256(2, sum, &o->how, o->channel_count, to);
    if (has_right) tgk_narrow_and_store_256(2, sum + 2, &o->how, o->channel_count, to + channels);
    to += (size_t)width * channels;
    if (has_below) tgk_narrow_and_store_256(2, sum + 4, &o->how, o->channel_count, to);
    if (has_below && has_right) tgk_narrow_and_store_256(2, sum + 6, &o->how, o->channel_count, to + channels);
  }
}

static TARGET __attribute__((noinline)) void write_tiles(
    const output_arguments *o, int32_t first, int32_t count, const int32_t *products) {
  write_outputs(false, o, first, count, products);
}

static TARGET __attribute__((noinline)) void write_pooled_tiles(
    const output_arguments *o, int32_t first, int32_t count, const int32_t *products) {
  write_outputs(true, o, first, count, products);
}

static void run(
    const tgk_conv_geometry *g, const void *packed, const int8_t *input, int8_t *output, const tgk_add_epilogue *add,
    void *scratch) {
  const winograd_plan plan = make_plan(g);
  const size_t channels = (size_t)plan.blocks * block;
  int16_t *inputs = scratch;
  int32_t *products = (int32_t *)((char *)scratch + inputs_size(&plan));
  int8_t *outside = (int8_t *)products + products_size(&plan);
  memset(outside, g->input_zero_point, (size_t)plan.padded_depth);
  const int16_t *weights = (const int16_t *)((const char *)packed + tgk_weights_offset(channels));
  output_arguments o = {.geometry = g, .plan = &plan, .how = tgk_output_of(packed, g)};
  for (int32_t first = 0; first < plan.tile_total; first += plan.batch) {
    const int32_t count = tgk_min32(plan.batch, plan.tile_total - first);
    transform_inputs(g, &plan, input, outside, first, count, inputs);
    for (int32_t b = 0; b < plan.blocks; b++) {
      const int16_t *w = weights + (size_t)b * block_weights(&plan);
      for (int p = 0; p < positions; p++, w += (size_t)plan.depth * block)
        // The last step may compute tiles that do not exist, from whatever the scratch holds.
        for (int32_t t = 0; t < count; t += tile_step)
          tgk_qs8_winograd_6x16_avx2(
              inputs + ((size_t)p * plan.batch + t) * plan.padded_depth, (size_t)plan.padded_depth, plan.depth / 2, w,
              products + ((size_t)p * plan.batch + t) * block);
      o.channels = tgk_channels_at(packed, channels, (size_t)b * block);
      o.channel_count = tgk_min32(block, g->output_channels - b * block);
      o.output = output + b * block;
      if (g->pool == TGK_POOL_MAX_2X2)
        write_pooled_tiles(&o, first, count, products);
      else
        write_tiles(&o, first, count, products);
    }
  }
  if (add) {
    const size_t total =
        (size_t)g->batch * tgk_written_height(g) * tgk_written_width(g) * (size_t)g->output_channels;
    tgk_add_avx2(&add->parameters, output, add->operand, total, output, total);
  }
}

const tgk_conv_kernels tgk_winograd_avx2 = {packed_size, scratch_size, pack, run};
#endif
