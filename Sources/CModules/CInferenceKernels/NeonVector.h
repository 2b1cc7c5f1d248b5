// What the NEON levels share: packed constants, double-rounding requantisation, padding of rows.
//
// Packed: 64 bytes of header, then bias, multiplier, left and right shift (int32 a channel each), then the weights.
#pragma once

#include <arm_neon.h>
#include <stdlib.h>
#include <string.h>

#include "Arithmetic.h"
#include "KernelTable.h"

#define TGK_INLINE static inline __attribute__((always_inline))

typedef struct {
  const int32_t *bias, *multiplier, *left, *right;
} tgk_channels;

typedef struct {
  int32_t zero_point, low, high;
} tgk_output;

enum { tgk_neon_header_size = 64 };

static inline size_t tgk_weights_offset(size_t channels) {
  return tgk_neon_header_size + tgk_round_up(4 * sizeof(int32_t) * channels, TGK_ALIGNMENT);
}

static inline tgk_channels tgk_channels_at(const void *packed, size_t channels, size_t first) {
  const int32_t *values = (const int32_t *)((const char *)packed + tgk_neon_header_size) + first;
  return (tgk_channels){values, values + channels, values + 2 * channels, values + 3 * channels};
}

static inline void tgk_pack_header(const tgk_conv_geometry *g, void *packed) {
  (void)g;
  (void)packed;
}

static inline void tgk_pack_channel(
    const tgk_conv_geometry *g, void *packed, size_t channels, size_t at, int32_t folded, int64_t magnitude,
    int32_t multiplier, int32_t shift) {
  (void)g;
  (void)magnitude;
  int32_t *values = (int32_t *)((char *)packed + tgk_neon_header_size) + at;
  values[0] = folded;
  values[channels] = multiplier;
  values[2 * channels] = shift > 0 ? shift : 0;
  values[3 * channels] = shift > 0 ? 0 : shift;  // negative: srshl shifts right
}

static inline tgk_output tgk_output_of(const void *packed, const tgk_conv_geometry *g) {
  (void)packed;
  return (tgk_output){g->output_zero_point, g->activation_min, g->activation_max};
}

/// MBQM of four values. sqrdmulh is SRDHM; srshl rounds halves up, so negative values that do shift lose one first.
/// right: 0 or negative.
TGK_INLINE int32x4_t tgk_mbqm_neon(int32x4_t x, int32x4_t multiplier, int32x4_t left, int32x4_t right) {
  const int32x4_t y = vqrdmulhq_s32(vshlq_s32(x, left), multiplier);
  return vrshlq_s32(vqaddq_s32(y, vshrq_n_s32(vandq_s32(y, right), 31)), right);
}

/// Stores the first `count` (1 ... 8) bytes.
TGK_INLINE void tgk_store_bytes_neon(int8_t *output, int8x8_t x, int32_t count) {
  if (count >= 8) {
    vst1_s8(output, x);
  } else if (count == 4) {
    const int32_t four = vget_lane_s32(vreinterpret_s32_s8(x), 0);
    memcpy(output, &four, sizeof four);
  } else {
    int8_t bytes[8];
    vst1_s8(bytes, x);
    for (int32_t i = 0; i < count; i++) output[i] = bytes[i];
  }
}

/// Requantises pixels x vectors accumulators of four channels and writes channel_count int8 a pixel.
TGK_INLINE void tgk_store_tile_neon(
    const int pixels, const int vectors, int32x4_t *sum, const tgk_channels *channels, const tgk_output *how,
    int32_t channel_count, int8_t *output, int32_t output_step) {
#pragma GCC unroll 32
  for (int v = 0; v < vectors; v++) {
    const int32x4_t multiplier = vld1q_s32(channels->multiplier + 4 * v), left = vld1q_s32(channels->left + 4 * v);
    const int32x4_t right = vld1q_s32(channels->right + 4 * v);
#pragma GCC unroll 32
    for (int p = 0; p < pixels; p++)
      sum[p * vectors + v] = tgk_mbqm_neon(sum[p * vectors + v], multiplier, left, right);
  }
  const int16x8_t zero_point = vdupq_n_s16((int16_t)how->zero_point);
  const int8x8_t low = vdup_n_s8((int8_t)how->low), high = vdup_n_s8((int8_t)how->high);
#pragma GCC unroll 32
  for (int p = 0; p < pixels; p++, output += output_step) {
#pragma GCC unroll 32
    for (int v = 0; v < vectors; v += 2) {
      const int16x4_t first = vqmovn_s32(sum[p * vectors + v]);
      const int16x4_t second = v + 1 < vectors ? vqmovn_s32(sum[p * vectors + v + 1]) : first;
      const int8x8_t y = vqmovn_s16(vqaddq_s16(vcombine_s16(first, second), zero_point));
      const int32_t count = channel_count - 4 * v;
      if (count > 0)
        tgk_store_bytes_neon(
            output + 4 * v, vmin_s8(vmax_s8(y, low), high), v + 1 < vectors ? count : tgk_min32(count, 4));
    }
  }
}
