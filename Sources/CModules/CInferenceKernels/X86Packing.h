// Packed form shared by the x86 convolution and depthwise kernels.
//
//   tgk_x86_header                              64 bytes
//   bias, doubled multiplier, left, right, offset   int32 a channel each, channels padded per group to the vector length
//   weights                                     in the order the kernel reads them
//
// Requantisation in few instructions. With the accumulator held as x + 2^31 (unsigned; the bias carries the 2^31) and
// the multiplier doubled (still below 2^32), the unsigned product is (x + 2^31) * 2M = 2xM + M * 2^32. Adding
// 2^31 + (offset - M) * 2^32 leaves SRDHM(x, M) + offset in the upper half. RDBP by n then needs 2^(n - 1), minus one for a
// negative x, before the arithmetic shift; and adding the output's zero point after the shift is adding
// zero_point * 2^n before it. All of that is constant a channel but for the sign, so it is in `offset`. A layer that clamps at
// its zero point (RELU) does not even need the sign: a negative x ends at the clamp whichever way its half is rounded.
#pragma once

#include <stdlib.h>
#include <string.h>

#include "Arithmetic.h"
#include "KernelTable.h"

/// How a layer's accumulators become int8.
typedef enum {
  tgk_x86_general = 0,      ///< Some channel shifts left, not at all, or so far that an addition might overflow.
  tgk_x86_signed = 1,       ///< The offsets above, with the correction for negative accumulators.
  tgk_x86_rectified = 2,    ///< The offsets above, clamped at the zero point.
} tgk_x86_rounding;

typedef struct {
  int32_t rounding;
  int32_t reserved[15];
} tgk_x86_header;

typedef struct {
  const int32_t *bias, *doubled_multiplier, *left, *right, *offset;
} tgk_channels;

enum { tgk_channel_arrays = 5 };

static inline size_t tgk_weights_offset(size_t channels) {
  return sizeof(tgk_x86_header) + tgk_round_up(tgk_channel_arrays * sizeof(int32_t) * channels, TGK_ALIGNMENT);
}

static inline tgk_channels tgk_channels_at(const void *packed, size_t channels, size_t first) {
  const int32_t *values = (const int32_t *)((const char *)packed + sizeof(tgk_x86_header)) + first;
  return (tgk_channels){values, values + channels, values + 2 * channels, values + 3 * channels,
                            values + 4 * channels};
}

static inline void tgk_pack_header(const tgk_conv_geometry *g, void *packed) {
  tgk_x86_header *header = packed;
  header->rounding = g->activation_min >= g->output_zero_point ? tgk_x86_rectified : tgk_x86_signed;
}

/// Writes one channel's constants at index `at`, behind tgk_pack_header. folded: the bias with all that the
/// activations' offset contributes. magnitude: a bound on |accumulator|.
static inline void tgk_pack_channel(
    const tgk_conv_geometry *g, void *packed, size_t channels, size_t at, int32_t folded, int64_t magnitude,
    int32_t multiplier, int32_t shift) {
  tgk_x86_header *header = packed;
  int32_t *values = (int32_t *)((char *)packed + sizeof(tgk_x86_header)) + at;
  const int32_t left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
  const int64_t half = right > 0 ? (int64_t)1 << (right - 1) : 0;
  const int64_t zero_point = (int64_t)g->output_zero_point * ((int64_t)1 << right);
  values[0] = (int32_t)((uint32_t)folded + 0x80000000u);
  values[channels] = (int32_t)((uint32_t)multiplier * 2);
  values[2 * channels] = left;
  values[3 * channels] = right;
  const int64_t sign = header->rounding == tgk_x86_signed ? 1 : 0;
  values[4 * channels] = (int32_t)(uint32_t)(uint64_t)(half - sign + zero_point - multiplier);
  // SRDHM never enlarges: |result| <= |accumulator|.
  if (left != 0 || right == 0 || magnitude + half + ((int64_t)128 << right) + 1 > INT32_MAX)
    header->rounding = tgk_x86_general;
}
