// The VNNI and AVX-512 intrinsics that the kernels use, written lane by lane from the Intel Intrinsics Guide, so that a processor
// without them runs the same kernel sources. Forced in front of every file with -include; needs -mavx2.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define TGK_TARGET_AVX2
#define TGK_TARGET_AVXVNNI
#define TGK_TARGET_AVX512VNNI

typedef union {
  int8_t i8[64];
  uint8_t u8[64];
  int16_t i16[32];
  int32_t i32[16];
  uint32_t u32[16];
  int64_t i64[8];
  uint64_t u64[8];
} emulated_512;

#define EMULATED static __attribute__((unused, noinline))

/// sum += a[0] b[0] + ... + a[3] b[3], unsigned by signed bytes, wrapping in int32.
EMULATED int32_t emulated_four(int32_t sum, const uint8_t *a, const int8_t *b) {
  uint32_t total = (uint32_t)sum;
  for (int i = 0; i < 4; i++) total += (uint32_t)((int32_t)a[i] * b[i]);
  return (int32_t)total;
}

EMULATED int32_t emulated_two(int32_t sum, const int16_t *a, const int16_t *b) {
  return (int32_t)((uint32_t)sum + (uint32_t)((int32_t)a[0] * b[0]) + (uint32_t)((int32_t)a[1] * b[1]));
}

EMULATED __m256i emulated_dpbusd_256(__m256i sum, __m256i a, __m256i b) {
  int32_t s[8];
  uint8_t x[32];
  int8_t y[32];
  memcpy(s, &sum, 32), memcpy(x, &a, 32), memcpy(y, &b, 32);
  for (int i = 0; i < 8; i++) s[i] = emulated_four(s[i], x + 4 * i, y + 4 * i);
  memcpy(&sum, s, 32);
  return sum;
}

EMULATED __m256i emulated_dpwssd_256(__m256i sum, __m256i a, __m256i b) {
  int32_t s[8];
  int16_t x[16], y[16];
  memcpy(s, &sum, 32), memcpy(x, &a, 32), memcpy(y, &b, 32);
  for (int i = 0; i < 8; i++) s[i] = emulated_two(s[i], x + 2 * i, y + 2 * i);
  memcpy(&sum, s, 32);
  return sum;
}

EMULATED emulated_512 emulated_dpbusd(emulated_512 sum, emulated_512 a, emulated_512 b) {
  for (int i = 0; i < 16; i++) sum.i32[i] = emulated_four(sum.i32[i], a.u8 + 4 * i, b.i8 + 4 * i);
  return sum;
}

EMULATED emulated_512 emulated_dpwssd(emulated_512 sum, emulated_512 a, emulated_512 b) {
  for (int i = 0; i < 16; i++) sum.i32[i] = emulated_two(sum.i32[i], a.i16 + 2 * i, b.i16 + 2 * i);
  return sum;
}

EMULATED emulated_512 emulated_load(const void *p) {
  emulated_512 x;
  memcpy(&x, p, sizeof x);
  return x;
}

EMULATED void emulated_store(void *p, emulated_512 x) { memcpy(p, &x, sizeof x); }

EMULATED emulated_512 emulated_set1_32(int32_t value) {
  emulated_512 x;
  for (int i = 0; i < 16; i++) x.i32[i] = value;
  return x;
}

EMULATED emulated_512 emulated_set1_64(int64_t value) {
  emulated_512 x;
  for (int i = 0; i < 8; i++) x.i64[i] = value;
  return x;
}

/// A function of two vectors, lane by lane.
#define EMULATED_LANES(name, lanes, lane, expression) \
  EMULATED emulated_512 name(emulated_512 a, emulated_512 b) { \
    for (int i = 0; i < lanes; i++) a.lane[i] = (expression); \
    return a; \
  }
EMULATED_LANES(emulated_add_32, 16, u32, a.u32[i] + b.u32[i])
EMULATED_LANES(emulated_sub_32, 16, u32, a.u32[i] - b.u32[i])
EMULATED_LANES(emulated_add_64, 8, u64, a.u64[i] + b.u64[i])
EMULATED_LANES(emulated_mul_epi32, 8, i64, (int64_t)a.i32[2 * i] * b.i32[2 * i])
EMULATED_LANES(emulated_mul_epu32, 8, u64, (uint64_t)a.u32[2 * i] * b.u32[2 * i])
EMULATED_LANES(emulated_max_epu32, 16, u32, a.u32[i] > b.u32[i] ? a.u32[i] : b.u32[i])
EMULATED_LANES(emulated_max_epi32, 16, i32, a.i32[i] > b.i32[i] ? a.i32[i] : b.i32[i])
EMULATED_LANES(emulated_min_epi32, 16, i32, a.i32[i] < b.i32[i] ? a.i32[i] : b.i32[i])
EMULATED_LANES(emulated_and, 8, u64, a.u64[i] & b.u64[i])
EMULATED_LANES(emulated_andnot, 8, u64, ~a.u64[i] & b.u64[i])
EMULATED_LANES(emulated_xor, 8, u64, a.u64[i] ^ b.u64[i])
EMULATED_LANES(emulated_sllv_32, 16, u32, b.u32[i] > 31 ? 0 : a.u32[i] << b.u32[i])
EMULATED_LANES(emulated_srav_32, 16, i32, a.i32[i] >> (b.u32[i] > 31 ? 31 : b.u32[i]))

EMULATED emulated_512 emulated_srli_64(emulated_512 a, unsigned n) {
  for (int i = 0; i < 8; i++) a.u64[i] >>= n;
  return a;
}

EMULATED emulated_512 emulated_slli_64(emulated_512 a, unsigned n) {
  for (int i = 0; i < 8; i++) a.u64[i] <<= n;
  return a;
}

EMULATED emulated_512 emulated_srli_32(emulated_512 a, unsigned n) {
  for (int i = 0; i < 16; i++) a.u32[i] >>= n;
  return a;
}

EMULATED emulated_512 emulated_srai_32(emulated_512 a, unsigned n) {
  for (int i = 0; i < 16; i++) a.i32[i] >>= n;
  return a;
}

EMULATED emulated_512 emulated_mask_blend_32(__mmask16 k, emulated_512 a, emulated_512 b) {
  for (int i = 0; i < 16; i++) a.i32[i] = (k >> i) & 1 ? b.i32[i] : a.i32[i];
  return a;
}

EMULATED emulated_512 emulated_mask_add_32(emulated_512 source, __mmask16 k, emulated_512 a, emulated_512 b) {
  return emulated_mask_blend_32(k, source, emulated_add_32(a, b));
}

EMULATED emulated_512 emulated_mask_shuffle_32(emulated_512 source, __mmask16 k, emulated_512 a, int order) {
  emulated_512 shuffled;
  for (int i = 0; i < 16; i++) shuffled.i32[i] = a.i32[i / 4 * 4 + ((order >> (2 * (i % 4))) & 3)];
  return emulated_mask_blend_32(k, source, shuffled);
}

EMULATED __mmask16 emulated_cmpgt_32(emulated_512 a, emulated_512 b) {
  unsigned k = 0;
  for (int i = 0; i < 16; i++) k |= (unsigned)(a.i32[i] > b.i32[i]) << i;
  return (__mmask16)k;
}

EMULATED int32_t emulated_saturate(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }

/// Within each quarter: four of a, then four of b.
EMULATED emulated_512 emulated_packs_32(emulated_512 a, emulated_512 b) {
  emulated_512 x;
  for (int i = 0; i < 32; i++) {
    const emulated_512 *from = i % 8 < 4 ? &a : &b;
    x.i16[i] = (int16_t)emulated_saturate(from->i32[i / 8 * 4 + i % 4], -32768, 32767);
  }
  return x;
}

EMULATED __m256i emulated_cvtsepi16_epi8(emulated_512 a) {
  int8_t bytes[32];
  for (int i = 0; i < 32; i++) bytes[i] = (int8_t)emulated_saturate(a.i16[i], -128, 127);
  __m256i x;
  memcpy(&x, bytes, 32);
  return x;
}

EMULATED __m128i emulated_cvtsepi32_epi8(emulated_512 a) {
  int8_t bytes[16];
  for (int i = 0; i < 16; i++) bytes[i] = (int8_t)emulated_saturate(a.i32[i], -128, 127);
  __m128i x;
  memcpy(&x, bytes, 16);
  return x;
}

EMULATED emulated_512 emulated_cvtepi8_epi32(__m128i a) {
  int8_t bytes[16];
  memcpy(bytes, &a, 16);
  emulated_512 x;
  for (int i = 0; i < 16; i++) x.i32[i] = bytes[i];
  return x;
}

EMULATED void emulated_mask_store_256(void *p, __mmask32 k, __m256i x) {
  int8_t bytes[32];
  memcpy(bytes, &x, 32);
  for (int i = 0; i < 32; i++)
    if ((k >> i) & 1) ((int8_t *)p)[i] = bytes[i];
}

EMULATED void emulated_mask_store_128(void *p, __mmask16 k, __m128i x) {
  int8_t bytes[16];
  memcpy(bytes, &x, 16);
  for (int i = 0; i < 16; i++)
    if ((k >> i) & 1) ((int8_t *)p)[i] = bytes[i];
}

#define __m512i emulated_512
#define _mm256_dpbusd_avx_epi32 emulated_dpbusd_256
#define _mm256_dpwssd_avx_epi32 emulated_dpwssd_256
#define _mm256_mask_storeu_epi8 emulated_mask_store_256
#define _mm_mask_storeu_epi8 emulated_mask_store_128
#define _mm512_loadu_si512 emulated_load
#define _mm512_storeu_si512 emulated_store
#define _mm512_setzero_si512() emulated_set1_32(0)
#define _mm512_set1_epi32 emulated_set1_32
#define _mm512_set1_epi64 emulated_set1_64
#define _mm512_add_epi32 emulated_add_32
#define _mm512_sub_epi32 emulated_sub_32
#define _mm512_add_epi64 emulated_add_64
#define _mm512_mul_epi32 emulated_mul_epi32
#define _mm512_mul_epu32 emulated_mul_epu32
#define _mm512_max_epu32 emulated_max_epu32
#define _mm512_max_epi32 emulated_max_epi32
#define _mm512_min_epi32 emulated_min_epi32
#define _mm512_and_si512 emulated_and
#define _mm512_andnot_si512 emulated_andnot
#define _mm512_xor_si512 emulated_xor
#define _mm512_sllv_epi32 emulated_sllv_32
#define _mm512_srav_epi32 emulated_srav_32
#define _mm512_srli_epi64 emulated_srli_64
#define _mm512_slli_epi64 emulated_slli_64
#define _mm512_srli_epi32 emulated_srli_32
#define _mm512_srai_epi32 emulated_srai_32
#define _mm512_mask_blend_epi32 emulated_mask_blend_32
#define _mm512_mask_add_epi32 emulated_mask_add_32
#define _mm512_mask_shuffle_epi32 emulated_mask_shuffle_32
#define _mm512_cmpgt_epi32_mask emulated_cmpgt_32
#define _mm512_packs_epi32 emulated_packs_32
#define _mm512_cvtsepi32_epi8 emulated_cvtsepi32_epi8
#define _mm512_cvtepi8_epi32 emulated_cvtepi8_epi32
#define _mm512_cvtsepi16_epi8 emulated_cvtsepi16_epi8
#define _mm512_dpbusd_epi32 emulated_dpbusd
#define _mm512_dpwssd_epi32 emulated_dpwssd
#endif
