#if defined(__aarch64__)
// Without a dot product: sixteen inputs of one pixel and one channel at a time. smull, then smlal2 onto it, cannot overflow
// int16 (two products of at most 128 * 127), and sadalp folds pairs into int32. An accumulator is four partial sums
// of one channel; they are added up, four channels into a vector, once a tile.

#include "Arithmetic.h"
#include "NeonKernels.h"
#include "NeonVector.h"
#include "Rows.h"

#define KERNEL(name) tgk_qs8_##name##_neon
#define TARGET
#define activation int8_t
#define vector int32x4_t
#define ADD_ROW tgk_add_neon
enum { group_size = 16, lanes = 1, channel_step = 4, activation_bias = 0 };
enum { tile_pixels = 4, tile_vectors = 4, tile_accumulators = 16, pooled_pixels = 4 };

TGK_INLINE int32x4_t KERNEL(load_bias)(const int32_t *p) { return vld1q_lane_s32(p, vdupq_n_s32(0), 0); }

TGK_INLINE int32x4_t KERNEL(load_weights)(const int8_t *p) { return vreinterpretq_s32_s8(vld1q_s8(p)); }

TGK_INLINE int32x4_t KERNEL(broadcast)(const int8_t *p) { return KERNEL(load_weights)(p); }

TGK_INLINE int32x4_t KERNEL(dot)(int32x4_t sum, int32x4_t a, int32x4_t w) {
  const int8x16_t x = vreinterpretq_s8_s32(a), y = vreinterpretq_s8_s32(w);
  return vpadalq_s16(sum, vmlal_high_s8(vmull_s8(vget_low_s8(x), vget_low_s8(y)), x, y));
}

TGK_INLINE int32x4_t KERNEL(maximum)(int32x4_t a, int32x4_t b) { return vmaxq_s32(a, b); }

TGK_INLINE int KERNEL(finish)(int pixels, int vectors, int32x4_t *sum) {
  (void)vectors;
#pragma GCC unroll 32
  for (int p = 0; p < pixels; p++)
    sum[p] = vpaddq_s32(
        vpaddq_s32(sum[4 * p], sum[4 * p + 1]), vpaddq_s32(sum[4 * p + 2], sum[4 * p + 3]));
  return 1;
}

TGK_INLINE void KERNEL(fill)(int8_t *row, int32_t zero_point, size_t count) { memset(row, zero_point, count); }

TGK_INLINE void KERNEL(widen)(int8_t *row, const int8_t *input, size_t count) { memcpy(row, input, count); }

TGK_INLINE void KERNEL(store_tile)(
    const int pixels, const int vectors, int32x4_t *sum, const tgk_channels *channels, const tgk_output *how,
    int32_t channel_count, int8_t *output, int32_t output_step) {
  tgk_store_tile_neon(pixels, vectors, sum, channels, how, channel_count, output, output_step);
}

#define TILES TILE(1, 4) TILE(2, 4) TILE(3, 4) TILE(4, 4) POOLED_TILE(4, 4)
#define TILE_TABLE {[3] = {KERNEL(conv_1x4), KERNEL(conv_2x4), KERNEL(conv_3x4), KERNEL(conv_4x4)}}
#define POOLED_TILE_TABLE {[3] = {KERNEL(conv_pool_4x4)}}

#include "Convolution.inc"

const tgk_conv_kernels tgk_conv_neon = {
    KERNEL(conv_packed_size), KERNEL(conv_scratch_size), KERNEL(conv_pack), KERNEL(conv_run)};

// FULLY_CONNECTED.

#define DOT KERNEL(dot)
#include "NeonDense.inc"

const tgk_dense_kernels tgk_dense_neon = {
    KERNEL(dense_packed_size), KERNEL(dense_scratch_size), KERNEL(dense_pack), KERNEL(dense_run)};
#endif
