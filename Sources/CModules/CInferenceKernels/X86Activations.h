// Activations of the VNNI levels: biased to unsigned, since vpdpbusd multiplies unsigned by signed bytes. Its sums of four
// products cannot saturate (the saturating form is vpdpbusds); the bias is folded into the channel's constant.
#pragma once

#include "X86Vector256.h"

TGK_INLINE TGK_TARGET_AVX2 void tgk_fill_biased(uint8_t *row, int32_t zero_point, size_t count) {
  memset(row, zero_point + 128, count);
}

TGK_INLINE TGK_TARGET_AVX2 void tgk_widen_biased(uint8_t *row, const int8_t *input, size_t count) {
  const __m256i top = _mm256_set1_epi8(-128);
  size_t i = 0;
  for (; i + 32 <= count; i += 32)
    _mm256_storeu_si256(
        (__m256i *)(row + i), _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(input + i)), top));
  for (; i < count; i++) row[i] = (uint8_t)(input[i] + 128);
}
