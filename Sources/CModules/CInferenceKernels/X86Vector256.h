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

/// RDBP of eight values by n >= 1, where x + 2^(n - 1) cannot overflow. half: 2^(n - 1).
TGK_INLINE TGK_TARGET_AVX2 __m256i tgk_rdbp_fast_256(__m256i x, __m256i n, __m256i half) {
  return _mm256_srav_epi32(_mm256_add_epi32(_mm256_add_epi32(x, _mm256_srai_epi32(x, 31)), half), n);
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
    int8_t bytes[16];
    _mm_storeu_si128((__m128i *)bytes, x);
    for (int32_t i = 0; i < count; i++) output[i] = bytes[i];
  }
}

/// Clamp and rounding of a layer's outputs.
typedef struct {
  int32_t is_fast;
  int32_t zero_point, low, high;
} tgk_x86_output;

static inline tgk_x86_output tgk_x86_output_of(const void *packed, int32_t zero_point, int32_t low, int32_t high) {
  return (tgk_x86_output){((const tgk_x86_header *)packed)->is_fast, zero_point, low, high};
}

/// Requantises vectors [8 * v ...] of `pixels` pixels in place: SRDHM and RDBP with the channel's constants.
TGK_INLINE TGK_TARGET_AVX2 void tgk_requantise_256(
    const int pixels, const int vectors, __m256i *sum, const tgk_x86_channels *channels, bool is_fast) {
#pragma GCC unroll 32
  for (int v = 0; v < vectors; v++) {
    const __m256i multiplier = _mm256_loadu_si256((const __m256i *)(channels->multiplier + 8 * v));
    const __m256i odd = _mm256_srli_epi64(multiplier, 32);
    const __m256i right = _mm256_loadu_si256((const __m256i *)(channels->right + 8 * v));
    if (is_fast) {
      const __m256i half = _mm256_loadu_si256((const __m256i *)(channels->half + 8 * v));
#pragma GCC unroll 32
      for (int p = 0; p < pixels; p++)
        sum[p * vectors + v] =
            tgk_rdbp_fast_256(tgk_srdhm_256(sum[p * vectors + v], multiplier, odd), right, half);
    } else {
      const __m256i left = _mm256_loadu_si256((const __m256i *)(channels->left + 8 * v));
#pragma GCC unroll 32
      for (int p = 0; p < pixels; p++) {
        const __m256i shifted = _mm256_sllv_epi32(sum[p * vectors + v], left);
        sum[p * vectors + v] = tgk_rdbp_256(tgk_srdhm_256(shifted, multiplier, odd), right);
      }
    }
  }
}

/// Requantises pixels x vectors accumulators (one or two vectors) and writes channel_count int8 a pixel.
TGK_INLINE TGK_TARGET_AVX2 void tgk_store_tile_256(
    const int pixels, const int vectors, __m256i *sum, const tgk_x86_channels *channels, const tgk_x86_output *how,
    int32_t channel_count, int8_t *output, int32_t output_step) {
  tgk_requantise_256(pixels, vectors, sum, channels, how->is_fast);
  const __m128i low = _mm_set1_epi8((char)how->low), high = _mm_set1_epi8((char)how->high);
  const __m256i zero_point = _mm256_set1_epi16((short)how->zero_point);
#pragma GCC unroll 32
  for (int p = 0; p < pixels; p++, output += output_step) {
    if (vectors == 2)
      tgk_store_bytes(
          output, tgk_narrow_16_256(sum[2 * p], sum[2 * p + 1], zero_point, low, high), channel_count);
    else
      tgk_store_bytes(
          output, tgk_narrow_8_256(sum[p], _mm256_castsi256_si128(zero_point), low, high), channel_count);
  }
}
