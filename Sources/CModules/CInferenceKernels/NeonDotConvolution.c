#if defined(__aarch64__)
// sdot: sixteen products an instruction, four inputs of four channels.

#include "Arithmetic.h"
#include "NeonKernels.h"
#include "NeonVector.h"
#include "Rows.h"

#define KERNEL(name) tgk_qs8_##name##_neondot
#define TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#define activation int8_t
#define vector int32x4_t
#define ADD_ROW tgk_add_neon
enum { group_size = 4, lanes = 4, channel_step = 4, activation_bias = 0 };
enum { tile_pixels = 6, tile_vectors = 4, tile_accumulators = 24, pooled_pixels = 4 };

TGK_INLINE int32x4_t KERNEL(load_bias)(const int32_t *p) { return vld1q_s32(p); }

TGK_INLINE int32x4_t KERNEL(load_weights)(const int8_t *p) { return vreinterpretq_s32_s8(vld1q_s8(p)); }

TGK_INLINE int32x4_t KERNEL(broadcast)(const int8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return vdupq_n_s32(four);
}

TGK_INLINE TARGET int32x4_t KERNEL(dot)(int32x4_t sum, int32x4_t a, int32x4_t w) {
  return vdotq_s32(sum, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(a));
}

TGK_INLINE int32x4_t KERNEL(maximum)(int32x4_t a, int32x4_t b) { return vmaxq_s32(a, b); }

TGK_INLINE int KERNEL(finish)(int pixels, int vectors, int32x4_t *sum) {
  (void)pixels;
  (void)sum;
  return vectors;
}

TGK_INLINE void KERNEL(fill)(int8_t *row, int32_t zero_point, size_t count) { memset(row, zero_point, count); }

TGK_INLINE void KERNEL(widen)(int8_t *row, const int8_t *input, size_t count) { memcpy(row, input, count); }

TGK_INLINE void KERNEL(store_tile)(
    const int pixels, const int vectors, int32x4_t *sum, const tgk_channels *channels, const tgk_output *how,
    int32_t channel_count, int8_t *output, int32_t output_step) {
  tgk_store_tile_neon(pixels, vectors, sum, channels, how, channel_count, output, output_step);
}

#define TILES_OF(vectors) \
  TILE(1, vectors) TILE(2, vectors) TILE(3, vectors) TILE(4, vectors) TILE(5, vectors) TILE(6, vectors) \
  POOLED_TILE(4, vectors)
#define TILES TILES_OF(1) TILES_OF(2) TILES_OF(3) TILES_OF(4)
#define TILE_ROW(vectors) \
  {KERNEL(conv_1x##vectors), KERNEL(conv_2x##vectors), KERNEL(conv_3x##vectors), KERNEL(conv_4x##vectors), \
   KERNEL(conv_5x##vectors), KERNEL(conv_6x##vectors)}
#define TILE_TABLE {TILE_ROW(1), TILE_ROW(2), TILE_ROW(3), TILE_ROW(4)}
#define POOLED_TILE_TABLE \
  {{KERNEL(conv_pool_4x1)}, {KERNEL(conv_pool_4x2)}, {KERNEL(conv_pool_4x3)}, {KERNEL(conv_pool_4x4)}}

#include "Convolution.inc"

const tgk_conv_kernels tgk_conv_neondot = {
    KERNEL(conv_packed_size), KERNEL(conv_scratch_size), KERNEL(conv_pack), KERNEL(conv_run)};

// FULLY_CONNECTED: sixteen inputs of one output at a time.

TGK_INLINE TARGET int32x4_t KERNEL(dot_row)(int32x4_t sum, int32x4_t a, int32x4_t w) {
  return KERNEL(dot)(sum, a, w);
}

#define DOT KERNEL(dot_row)
#include "NeonDense.inc"

const tgk_dense_kernels tgk_dense_neondot = {
    KERNEL(dense_packed_size), KERNEL(dense_scratch_size), KERNEL(dense_pack), KERNEL(dense_run)};
#endif
