// Packed form shared by the x86 convolution and depthwise kernels.
//
//   tgk_x86_header                      64 bytes
//   bias, multiplier, left, right, half int32 a channel each, channels padded per group to the vector length
//   weights                             in the order the kernel reads them
#pragma once

#include <string.h>

#include "KernelTable.h"

typedef struct {
  /// 1 when no channel shifts left, every one shifts right by at least one and no rounding addition can overflow.
  int32_t is_fast;
  int32_t padded_channels;  ///< Of one group.
  int32_t reserved[14];
} tgk_x86_header;

typedef struct {
  const int32_t *bias, *multiplier, *left, *right, *half;
} tgk_x86_channels;

enum { tgk_x86_channel_arrays = 5 };

static inline size_t tgk_x86_weights_offset(size_t channels) {
  return sizeof(tgk_x86_header) + tgk_round_up(tgk_x86_channel_arrays * sizeof(int32_t) * channels, TGK_ALIGNMENT);
}

static inline tgk_x86_channels tgk_x86_channels_at(const void *packed, size_t channels, size_t first) {
  const int32_t *values = (const int32_t *)((const char *)packed + sizeof(tgk_x86_header)) + first;
  return (tgk_x86_channels){values, values + channels, values + 2 * channels, values + 3 * channels,
                            values + 4 * channels};
}

/// Writes header and channel arrays. Channel c of group g goes to g * padded + c. folded: the bias with everything added
/// that the activations' offset contributes. magnitude: a bound on |accumulator| a channel.
static inline void tgk_x86_pack_channel(
    void *packed, size_t channels, size_t at, int32_t folded, int64_t magnitude, int32_t multiplier, int32_t shift) {
  tgk_x86_header *header = packed;
  int32_t *values = (int32_t *)((char *)packed + sizeof(tgk_x86_header)) + at;
  const int32_t left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
  const int32_t half = right > 0 ? (int32_t)((uint32_t)1 << (right - 1)) : 0;
  values[0] = folded;
  values[channels] = multiplier;
  values[2 * channels] = left;
  values[3 * channels] = right;
  values[4 * channels] = half;
  // SRDHM never enlarges: |result| <= |accumulator|.
  if (left != 0 || right == 0 || magnitude + half > INT32_MAX) header->is_fast = 0;
}
