#if defined(__x86_64__)
#include "X86Interleave.h"

#include "X86Vector256.h"

TGK_TARGET_AVX2 void tgk_interleave_avx2(const int8_t *upper, const int8_t *lower, int16_t *pairs, size_t count) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m128i u = _mm_loadu_si128((const __m128i *)(upper + i));
    const __m128i l = _mm_loadu_si128((const __m128i *)(lower + i));
    _mm256_storeu_si256((__m256i *)(pairs + 2 * i), _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(u, l)));
    _mm256_storeu_si256((__m256i *)(pairs + 2 * i + 16), _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(u, l)));
  }
  for (; i < count; i++) {
    pairs[2 * i] = upper[i];
    pairs[2 * i + 1] = lower[i];
  }
}
#endif
