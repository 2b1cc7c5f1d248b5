// 256-bit building blocks of the AVX2 and AVX-VNNI levels: double-rounding requantisation and packing to int8.
#pragma once

#include <immintrin.h>
#include <string.h>

#include "KernelTable.h"
#include "X86Packing.h"

// A test build may empty the attribute, to run these sources with emulated intrinsics.
#ifndef TGK_TARGET_AVX2
#define TGK_TARGET_AVX2 __attribute__((target("avx2")))
#endif
#define TGK_INLINE static inline __attribute__((always_inline))

/// SRDHM of eight accumulators. multiplier_odd holds lanes 1, 3, 5, 7 of the multiplier in the even lanes.
TGK_INLINE TGK_TARGET_AVX2 __m256i tgk_srdhm_256(__m256i x, __m256i multiplier, __m256i multiplier_odd) {
  const __m256i half = _mm256_set1_epi64x((int64_t)1 << 30);
  const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, multiplier), half);
  const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), multiplier_odd), half);
  // Bits 31 ... 62 of each product, put back into its lane.
  return _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_add_epi64(odd, odd), 0xAA);
}

/// RDBP of eight values by any n of 0 ... 31, without overflow.
TGK_INLINE TGK_TARGET_AVX2 __m256i tgk_rdbp_256(__m256i x, __m256i n) {
  const __m256i ones = _mm256_set1_epi32(-1);
  const __m256i mask = _mm256_andnot_si256(_mm256_sllv_epi32(ones, n), ones);
  const __m256i threshold = _mm256_sub_epi32(_mm256_srli_epi32(mask, 1), _mm256_srai_epi32(x, 31));
  const __m256i above = _mm256_cmpgt_epi32(_mm256_and_si256(x, mask), threshold);
  return _mm256_sub_epi32(_mm256_srav_epi32(x, n), above);
}

/// MBQM of eight values; left and right are the two halves of the shift.
TGK_INLINE TGK_TARGET_AVX2 __m256i tgk_mbqm_256(__m256i x, __m256i multiplier, __m256i left, __m256i right) {
  return tgk_rdbp_256(
      tgk_srdhm_256(_mm256_sllv_epi32(x, left), multiplier, _mm256_srli_epi64(multiplier, 32)), right);
}

/// Eight int32 to int8: add the zero point, saturate, clamp. The result is in the low eight bytes.
TGK_INLINE TGK_TARGET_AVX2 __m128i tgk_narrow_8_256(__m256i x, __m128i zero_point, __m128i low, __m128i high) {
  __m128i y = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  y = _mm_adds_epi16(y, zero_point);
  y = _mm_packs_epi16(y, y);
  return _mm_min_epi8(_mm_max_epi8(y, low), high);
}

/// Sixteen int32 to int8, as above.
TGK_INLINE TGK_TARGET_AVX2 __m128i
tgk_narrow_16_256(__m256i x0, __m256i x1, __m256i zero_point, __m128i low, __m128i high) {
  __m256i y = _mm256_packs_epi32(x0, x1);
  y = _mm256_adds_epi16(y, zero_point);
  __m128i z = _mm_packs_epi16(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
  z = _mm_shuffle_epi32(z, _MM_SHUFFLE(3, 1, 2, 0));
  return _mm_min_epi8(_mm_max_epi8(z, low), high);
}

/// Stores the first `count` (1 ... 16) bytes.
TGK_INLINE TGK_TARGET_AVX2 void tgk_store_bytes(int8_t *output, __m128i x, int32_t count) {
  if (count >= 16) {
    _mm_storeu_si128((__m128i *)output, x);
  } else if (count == 8) {
    _mm_storel_epi64((__m128i *)output, x);
  } else {
    if (count & 8) {
      _mm_storel_epi64((__m128i *)output, x);
      x = _mm_unpackhi_epi64(x, x);
      output += 8;
    }
    uint64_t rest = (uint64_t)_mm_cvtsi128_si64(x);
    if (count & 4) {
      memcpy(output, &rest, 4);
      rest >>= 32;
      output += 4;
    }
    if (count & 2) {
      memcpy(output, &rest, 2);
      rest >>= 16;
      output += 2;
    }
    if (count & 1) memcpy(output, &rest, 1);
  }
}

/// Clamp and rounding of a layer's outputs.
typedef struct {
  int32_t rounding;  ///< tgk_x86_rounding
  int32_t zero_point, low, high;
} tgk_output;

static inline tgk_output tgk_output_of(const void *packed, const tgk_conv_geometry *g) {
  return (tgk_output){
      ((const tgk_x86_header *)packed)->rounding, g->output_zero_point, g->activation_min, g->activation_max};
}

/// Requantises pixels x vectors accumulators (held as x + 2^31) in place to int32 with the zero point added. See X86Packing.h.
TGK_INLINE TGK_TARGET_AVX2 void tgk_requantise_256(
    const int pixels, const int vectors, __m256i *sum, const tgk_channels *channels, const tgk_output *how) {
  const __m256i one_half = _mm256_set1_epi64x((int64_t)1 << 31);
#pragma GCC unroll 32
  for (int v = 0; v < vectors; v++) {
    const __m256i multiplier = _mm256_loadu_si256((const __m256i *)(channels->doubled_multiplier + 8 * v));
    const __m256i right = _mm256_loadu_si256((const __m256i *)(channels->right + 8 * v));
    if (how->rounding == tgk_x86_general) {
      const __m256i left = _mm256_loadu_si256((const __m256i *)(channels->left + 8 * v));
      const __m256i plain = _mm256_srli_epi32(multiplier, 1);
      const __m256i zero_point = _mm256_set1_epi32(how->zero_point), limit = _mm256_set1_epi32(1 << 24);
#pragma GCC unroll 32
      for (int p = 0; p < pixels; p++) {
        __m256i x = _mm256_xor_si256(sum[p * vectors + v], _mm256_set1_epi32(INT32_MIN));
        x = _mm256_min_epi32(tgk_mbqm_256(x, plain, left, right), limit);
        sum[p * vectors + v] =
            _mm256_add_epi32(_mm256_max_epi32(x, _mm256_sub_epi32(_mm256_setzero_si256(), limit)), zero_point);
      }
      continue;
    }
    const __m256i odd_multiplier = _mm256_srli_epi64(multiplier, 32);
    const __m256i offset = _mm256_loadu_si256((const __m256i *)(channels->offset + 8 * v));
    const __m256i even_offset = _mm256_add_epi64(_mm256_slli_epi64(offset, 32), one_half);
    const __m256i odd_offset = _mm256_blend_epi32(one_half, offset, 0xAA);
    const bool is_signed = how->rounding == tgk_x86_signed;
#pragma GCC unroll 32
    for (int p = 0; p < pixels; p++) {
      const __m256i x = sum[p * vectors + v];
      const __m256i even = _mm256_add_epi64(_mm256_mul_epu32(x, multiplier), even_offset);
      const __m256i odd =
          _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(x, 32), odd_multiplier), odd_offset);
      __m256i y = _mm256_blend_epi32(_mm256_shuffle_epi32(even, _MM_SHUFFLE(3, 3, 1, 1)), odd, 0xAA);
      // The top bit of x + 2^31 is set where x is not negative; the offset already holds the minus one.
      if (is_signed) y = _mm256_sub_epi32(y, _mm256_srai_epi32(x, 31));
      sum[p * vectors + v] = _mm256_srav_epi32(y, right);
    }
  }
}

/// Narrows one pixel's requantised vectors (one or two), clamps and writes channel_count int8.
TGK_INLINE TGK_TARGET_AVX2 void tgk_narrow_and_store_256(
    const int vectors, const __m256i *x, const tgk_output *how, int32_t channel_count, int8_t *output) {
  const __m128i low = _mm_set1_epi8((char)how->low), high = _mm_set1_epi8((char)how->high);
  __m128i y;
  if (vectors == 2) {
    const __m256i z = _mm256_packs_epi32(x[0], x[1]);
    y = _mm_packs_epi16(_mm256_castsi256_si128(z), _mm256_extracti128_si256(z, 1));
    y = _mm_shuffle_epi32(y, _MM_SHUFFLE(3, 1, 2, 0));
  } else {
    y = _mm_packs_epi32(_mm256_castsi256_si128(x[0]), _mm256_extracti128_si256(x[0], 1));
    y = _mm_packs_epi16(y, y);
  }
  tgk_store_bytes(output, _mm_min_epi8(_mm_max_epi8(y, low), high), channel_count);
}

/// Requantises pixels x vectors accumulators (one or two vectors) and writes channel_count int8 a pixel.
TGK_INLINE TGK_TARGET_AVX2 void tgk_store_tile_256(
    const int pixels, const int vectors, __m256i *sum, const tgk_channels *channels, const tgk_output *how,
    int32_t channel_count, int8_t *output, int32_t output_step) {
  tgk_requantise_256(pixels, vectors, sum, channels, how);
#pragma GCC unroll 32
  for (int p = 0; p < pixels; p++, output += output_step)
    tgk_narrow_and_store_256(vectors, sum + p * vectors, how, channel_count, output);
}
