#if defined(__x86_64__)
// vpdpbusd on 512 bits: sixty-four products an instruction.

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

#ifndef TGK_TARGET_AVX512VNNI
#define TGK_TARGET_AVX512VNNI __attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#endif
#define KERNEL(name) tgk_qs8_##name##_avx512vnni
#define TARGET TGK_TARGET_AVX512VNNI
#define activation uint8_t
#define ADD_ROW tgk_add_avx512vnni
#define vector __m512i
enum { group_size = 4, lanes = 16, channel_step = 16, activation_bias = 128 };
enum { tile_pixels = 12, tile_vectors = 2, tile_accumulators = 24, pooled_pixels = 12, depthwise_pixels = 8 };
enum { dense_chains = 8 };

TGK_INLINE TARGET __m512i KERNEL(load)(const void *p) { return _mm512_loadu_si512(p); }

TGK_INLINE TARGET __m512i KERNEL(load_bias)(const int32_t *p) { return KERNEL(load)(p); }

TGK_INLINE TARGET __m512i KERNEL(load_weights)(const int8_t *p) { return KERNEL(load)(p); }

TGK_INLINE TARGET void KERNEL(store)(int32_t *p, __m512i x) { _mm512_storeu_si512(p, x); }

TGK_INLINE TARGET __m512i KERNEL(zero)(void) { return _mm512_setzero_si512(); }

TGK_INLINE TARGET __m512i KERNEL(sum)(__m512i a, __m512i b) { return _mm512_add_epi32(a, b); }

TGK_INLINE TARGET __m512i KERNEL(broadcast)(const uint8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return _mm512_set1_epi32(four);
}

TGK_INLINE TARGET __m512i KERNEL(dot)(__m512i sum, __m512i a, __m512i w) {
  return _mm512_dpbusd_epi32(sum, a, w);
}

TGK_INLINE TARGET __m512i KERNEL(multiply_pairs)(__m512i sum, __m512i pairs, __m512i w) {
  return _mm512_dpwssd_epi32(sum, pairs, w);
}

TGK_INLINE TARGET __m512i KERNEL(maximum)(__m512i a, __m512i b) { return _mm512_max_epu32(a, b); }

TGK_INLINE TARGET void KERNEL(fill)(uint8_t *row, int32_t zero_point, size_t count) {
  tgk_fill_biased(row, zero_point, count);
}

TGK_INLINE TARGET void KERNEL(widen)(uint8_t *row, const int8_t *input, size_t count) {
  tgk_widen_biased(row, input, count);
}

/// RDBP of any shift, after a left shift that wraps: the general rounding.
TGK_INLINE TARGET __m512i tgk_mbqm_512(__m512i x, __m512i multiplier, __m512i left, __m512i right) {
  const __m512i half = _mm512_set1_epi64((int64_t)1 << 30), ones = _mm512_set1_epi32(-1);
  x = _mm512_sllv_epi32(x, left);
  const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(x, multiplier), half);
  const __m512i odd = _mm512_add_epi64(
      _mm512_mul_epi32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(multiplier, 32)), half);
  const __m512i y = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 31), _mm512_add_epi64(odd, odd));
  const __m512i mask = _mm512_andnot_si512(_mm512_sllv_epi32(ones, right), ones);
  const __m512i threshold = _mm512_sub_epi32(_mm512_srli_epi32(mask, 1), _mm512_srai_epi32(y, 31));
  const __mmask16 above = _mm512_cmpgt_epi32_mask(_mm512_and_si512(y, mask), threshold);
  const __m512i quotient = _mm512_srav_epi32(y, right);
  return _mm512_mask_add_epi32(quotient, above, quotient, _mm512_set1_epi32(1));
}

/// As tgk_requantise_256, sixteen channels a vector.
TGK_INLINE TARGET void tgk_requantise_512(
    const int pixels, const int vectors, __m512i *sum, const tgk_channels *channels, const tgk_output *how) {
  const __m512i one_half = _mm512_set1_epi64((int64_t)1 << 31);
#pragma GCC unroll 32
  for (int v = 0; v < vectors; v++) {
    const __m512i multiplier = _mm512_loadu_si512(channels->doubled_multiplier + 16 * v);
    const __m512i right = _mm512_loadu_si512(channels->right + 16 * v);
    if (how->rounding == tgk_x86_general) {
      const __m512i left = _mm512_loadu_si512(channels->left + 16 * v), plain = _mm512_srli_epi32(multiplier, 1);
      const __m512i zero_point = _mm512_set1_epi32(how->zero_point), limit = _mm512_set1_epi32(1 << 24);
#pragma GCC unroll 32
      for (int p = 0; p < pixels; p++) {
        __m512i x = _mm512_xor_si512(sum[p * vectors + v], _mm512_set1_epi32(INT32_MIN));
        x = _mm512_min_epi32(tgk_mbqm_512(x, plain, left, right), limit);
        sum[p * vectors + v] =
            _mm512_add_epi32(_mm512_max_epi32(x, _mm512_sub_epi32(_mm512_setzero_si512(), limit)), zero_point);
      }
      continue;
    }
    const __m512i odd_multiplier = _mm512_srli_epi64(multiplier, 32);
    const __m512i offset = _mm512_loadu_si512(channels->offset + 16 * v);
    const __m512i even_offset = _mm512_add_epi64(_mm512_slli_epi64(offset, 32), one_half);
    const __m512i odd_offset = _mm512_mask_blend_epi32(0xAAAA, one_half, offset);
    const bool is_signed = how->rounding == tgk_x86_signed;
#pragma GCC unroll 32
    for (int p = 0; p < pixels; p++) {
      const __m512i x = sum[p * vectors + v];
      const __m512i even = _mm512_add_epi64(_mm512_mul_epu32(x, multiplier), even_offset);
      const __m512i odd = _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(x, 32), odd_multiplier), odd_offset);
      __m512i y = _mm512_mask_shuffle_epi32(odd, 0x5555, even, (_MM_PERM_ENUM)_MM_SHUFFLE(3, 3, 1, 1));
      if (is_signed) y = _mm512_sub_epi32(y, _mm512_srai_epi32(x, 31));
      sum[p * vectors + v] = _mm512_srav_epi32(y, right);
    }
  }
}

/// int32 of two vectors to thirty-two int8, clamped. The packing works in quarters; the permutation undoes it.
TGK_INLINE TARGET __m256i tgk_narrow_32_512(__m512i x0, __m512i x1, const tgk_output *how) {
  const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
  const __m256i y =
      _mm256_permutevar8x32_epi32(_mm512_cvtsepi16_epi8(_mm512_packs_epi32(x0, x1)), order);
  const __m256i low = _mm256_set1_epi8((char)how->low), high = _mm256_set1_epi8((char)how->high);
  return _mm256_min_epi8(_mm256_max_epi8(y, low), high);
}

TGK_INLINE TARGET int KERNEL(finish)(int pixels, int vectors, __m512i *sum) {
  (void)pixels;
  (void)sum;
  return vectors;
}

TGK_INLINE TARGET void KERNEL(store_tile)(
    const int pixels, const int vectors, __m512i *sum, const tgk_channels *channels, const tgk_output *how,
    int32_t channel_count, int8_t *output, int32_t output_step) {
  tgk_requantise_512(pixels, vectors, sum, channels, how);
  if (vectors == 2) {
    const __mmask32 mask = channel_count >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << channel_count) - 1;
#pragma GCC unroll 32
    for (int p = 0; p < pixels; p++, output += output_step)
      _mm256_mask_storeu_epi8(output, mask, tgk_narrow_32_512(sum[2 * p], sum[2 * p + 1], how));
    return;
  }
  const __mmask16 mask = (__mmask16)(channel_count >= 16 ? 0xffff : (1 << channel_count) - 1);
#pragma GCC unroll 32
  for (int p = 0; p < pixels; p += 2, output += 2 * (size_t)output_step) {
    const __m256i both = tgk_narrow_32_512(sum[p], sum[p + 1 < pixels ? p + 1 : p], how);
    _mm_mask_storeu_epi8(output, mask, _mm256_castsi256_si128(both));
    if (p + 1 < pixels) _mm_mask_storeu_epi8(output + output_step, mask, _mm256_extracti128_si256(both, 1));
  }
}

#include "X86Tiles512.inc"

#include "Convolution.inc"
#include "X86Dense.inc"
#include "X86Depthwise.inc"

const tgk_conv_kernels tgk_conv_avx512vnni = {
    KERNEL(conv_packed_size), KERNEL(conv_scratch_size), KERNEL(conv_pack), KERNEL(conv_run)};
const tgk_conv_kernels tgk_depthwise_avx512vnni = {
    KERNEL(depthwise_packed_size), KERNEL(depthwise_scratch_size), KERNEL(depthwise_pack), KERNEL(depthwise_run)};
const tgk_dense_kernels tgk_dense_avx512vnni = {
    KERNEL(dense_packed_size), KERNEL(dense_scratch_size), KERNEL(dense_pack), KERNEL(dense_run)};
#endif
