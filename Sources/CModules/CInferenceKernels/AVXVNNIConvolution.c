#if defined(__x86_64__)
// vpdpbusd on 256 bits, VEX encoded: thirty-two products an instruction.

#include <stdlib.h>
#include <string.h>

#include "Arithmetic.h"
#include "Rows.h"
#include "X86Activations.h"
#include "X86Dense.h"
#include "X86Elements.h"
#include "X86Interleave.h"
#include "X86Kernels.h"
#include "X86Packing.h"

#ifndef TGK_TARGET_AVXVNNI
#define TGK_TARGET_AVXVNNI __attribute__((target("avx2,avxvnni")))
#endif
#define KERNEL(name) tgk_qs8_##name##_avxvnni
#define TARGET TGK_TARGET_AVXVNNI
#define activation uint8_t
#define ADD_ROW tgk_add_avx2
#define vector __m256i
enum { group_size = 4, lanes = 8, channel_step = 8, activation_bias = 128 };
enum { tile_pixels = 6, tile_vectors = 2, tile_accumulators = 12, pooled_pixels = 4, depthwise_pixels = 6 };
enum { dense_chains = 8 };

TGK_INLINE TARGET __m256i KERNEL(load)(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

TGK_INLINE TARGET __m256i KERNEL(load_bias)(const int32_t *p) { return KERNEL(load)(p); }

TGK_INLINE TARGET __m256i KERNEL(load_weights)(const int8_t *p) { return KERNEL(load)(p); }

TGK_INLINE TARGET void KERNEL(store)(int32_t *p, __m256i x) { _mm256_storeu_si256((__m256i *)p, x); }

TGK_INLINE TARGET __m256i KERNEL(zero)(void) { return _mm256_setzero_si256(); }

TGK_INLINE TARGET __m256i KERNEL(sum)(__m256i a, __m256i b) { return _mm256_add_epi32(a, b); }

TGK_INLINE TARGET __m256i KERNEL(broadcast)(const uint8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return _mm256_set1_epi32(four);
}

TGK_INLINE TARGET __m256i KERNEL(dot)(__m256i sum, __m256i a, __m256i w) {
  return _mm256_dpbusd_avx_epi32(sum, a, w);
}

TGK_INLINE TARGET __m256i KERNEL(multiply_pairs)(__m256i sum, __m256i pairs, __m256i w) {
  return _mm256_dpwssd_avx_epi32(sum, pairs, w);
}

TGK_INLINE TARGET __m256i KERNEL(maximum)(__m256i a, __m256i b) { return _mm256_max_epu32(a, b); }

TGK_INLINE TARGET void KERNEL(fill)(uint8_t *row, int32_t zero_point, size_t count) {
  tgk_fill_biased(row, zero_point, count);
}

TGK_INLINE TARGET void KERNEL(widen)(uint8_t *row, const int8_t *input, size_t count) {
  tgk_widen_biased(row, input, count);
}

TGK_INLINE TARGET int KERNEL(finish)(int pixels, int vectors, __m256i *sum) {
  (void)pixels;
  (void)sum;
  return vectors;
}

TGK_INLINE TARGET void KERNEL(store_tile)(
    const int pixels, const int vectors, __m256i *sum, const tgk_channels *channels, const tgk_output *how,
    int32_t channel_count, int8_t *output, int32_t output_step) {
  tgk_store_tile_256(pixels, vectors, sum, channels, how, channel_count, output, output_step);
}

#include "X86Tiles256.inc"

#include "Convolution.inc"
#include "X86Dense.inc"
#include "X86Depthwise.inc"

const tgk_conv_kernels tgk_conv_avxvnni = {
    KERNEL(conv_packed_size), KERNEL(conv_scratch_size), KERNEL(conv_pack), KERNEL(conv_run)};
const tgk_conv_kernels tgk_depthwise_avxvnni = {
    KERNEL(depthwise_packed_size), KERNEL(depthwise_scratch_size), KERNEL(depthwise_pack), KERNEL(depthwise_run)};
const tgk_dense_kernels tgk_dense_avxvnni = {
    KERNEL(dense_packed_size), KERNEL(dense_scratch_size), KERNEL(dense_pack), KERNEL(dense_run)};
#endif
