#if defined(__x86_64__)
// int8 x int8 without saturation: both widened to int16, vpmaddwd sums pairs in int32 exactly.

#include <stdlib.h>
#include <string.h>

#include "Arithmetic.h"
#include "Rows.h"
#include "X86Dense.h"
#include "X86Elements.h"
#include "X86Interleave.h"
#include "X86Kernels.h"
#include "X86Packing.h"
#include "X86Vector256.h"
#include "X86Winograd.h"

#define KERNEL(name) tgk_qs8_##name##_avx2
#define TARGET TGK_TARGET_AVX2
#define activation int16_t
#define ADD_ROW tgk_add_avx2
#define vector __m256i
enum { group_size = 2, lanes = 8, channel_step = 8, activation_bias = 0 };
enum { tile_pixels = 6, tile_vectors = 2, tile_accumulators = 12, pooled_pixels = 4, depthwise_pixels = 6, dense_chains = 8 };

TGK_INLINE TARGET __m256i KERNEL(load)(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

TGK_INLINE TARGET __m256i KERNEL(load_bias)(const int32_t *p) { return KERNEL(load)(p); }

TGK_INLINE TARGET __m256i KERNEL(load_weights)(const int8_t *p) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}

TGK_INLINE TARGET void KERNEL(store)(int32_t *p, __m256i x) { _mm256_storeu_si256((__m256i *)p, x); }

TGK_INLINE TARGET __m256i KERNEL(zero)(void) { return _mm256_setzero_si256(); }

TGK_INLINE TARGET __m256i KERNEL(sum)(__m256i a, __m256i b) { return _mm256_add_epi32(a, b); }

TGK_INLINE TARGET __m256i KERNEL(broadcast)(const int16_t *p) {
  int32_t pair;
  memcpy(&pair, p, sizeof pair);
  return _mm256_set1_epi32(pair);
}

TGK_INLINE TARGET __m256i KERNEL(dot)(__m256i sum, __m256i a, __m256i w) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(a, w));
}

TGK_INLINE TARGET __m256i KERNEL(multiply_pairs)(__m256i sum, __m256i pairs, __m256i w) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, w));
}

TGK_INLINE TARGET __m256i KERNEL(maximum)(__m256i a, __m256i b) { return _mm256_max_epu32(a, b); }

TGK_INLINE TARGET void KERNEL(fill)(int16_t *row, int32_t zero_point, size_t count) {
  for (size_t i = 0; i < count; i++) row[i] = (int16_t)zero_point;
}

TGK_INLINE TARGET void KERNEL(widen)(int16_t *row, const int8_t *input, size_t count) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16)
    _mm256_storeu_si256(
        (__m256i *)(row + i), _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(input + i))));
  for (; i < count; i++) row[i] = input[i];
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

// A 3x3 layer of stride 1 takes the Winograd transform where it fits and its larger weights are welcome.

static size_t packed_size(const tgk_conv_geometry *g) {
  return tgk_winograd_fits(g) ? tgk_winograd_avx2.packed_size(g) : KERNEL(conv_packed_size)(g);
}

static size_t scratch_size(const tgk_conv_geometry *g) {
  return tgk_winograd_fits(g) ? tgk_winograd_avx2.scratch_size(g) : KERNEL(conv_scratch_size)(g);
}

static void pack(
    const tgk_conv_geometry *g, const int8_t *weights, const int32_t *bias, const int32_t *multiplier,
    const int32_t *shift, void *packed) {
  (tgk_winograd_fits(g) ? tgk_winograd_avx2.pack : KERNEL(conv_pack))(g, weights, bias, multiplier, shift, packed);
}

static void run(
    const tgk_conv_geometry *g, const void *packed, const int8_t *input, int8_t *output, const tgk_add_epilogue *add,
    void *scratch) {
  (tgk_winograd_fits(g) ? tgk_winograd_avx2.run : KERNEL(conv_run))(g, packed, input, output, add, scratch);
}

const tgk_conv_kernels tgk_conv_avx2 = {packed_size, scratch_size, pack, run};
const tgk_conv_kernels tgk_depthwise_avx2 = {
    KERNEL(depthwise_packed_size), KERNEL(depthwise_scratch_size), KERNEL(depthwise_pack), KERNEL(depthwise_run)};

const tgk_dense_kernels tgk_dense_avx2 = {
    KERNEL(dense_packed_size), KERNEL(dense_scratch_size), KERNEL(dense_pack), KERNEL(dense_run)};
#endif
