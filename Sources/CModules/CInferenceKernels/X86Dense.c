#if defined(__x86_64__)
#include "X86Dense.h"

#include <string.h>

#include "Arithmetic.h"
#include "X86Vector256.h"

void tgk_x86_dense_pack_constants(
    const tgk_dense_geometry *g, size_t padded_outputs, int32_t activation_bias, const int8_t *weights,
    const int32_t *bias, const double *scale, const int32_t *multiplier, const int32_t *shift, void *packed) {
  memset(packed, 0, tgk_x86_dense_weights_offset(padded_outputs));
  double *scales = packed;
  int32_t *values = (int32_t *)(scales + padded_outputs);
  for (int32_t c = 0; c < g->output_count; c++) {
    const int8_t *row = weights + (size_t)c * g->input_count;
    int32_t sum = 0;
    for (int32_t i = 0; i < g->input_count; i++) sum += row[i];
    // sum (w - wz)(x - xz) = sum w (x + b) - (xz + b) sum w - wz sum x + n wz xz
    int32_t folded = tgk_wrapping_multiply(sum, -(g->input_zero_point + activation_bias));
    folded = tgk_wrapping_add(
        folded, tgk_wrapping_multiply(g->input_count, g->weight_zero_point * g->input_zero_point));
    scales[c] = scale ? scale[c] : 0;
    values[c] = tgk_wrapping_add(folded, bias ? bias[c] : 0);
    values[padded_outputs + c] = multiplier ? multiplier[c] : 0;
    values[2 * padded_outputs + c] = shift && shift[c] > 0 ? shift[c] : 0;
    values[3 * padded_outputs + c] = shift && shift[c] < 0 ? -shift[c] : 0;
  }
}

/// Round-half-away of four products in float64, by truncation and the exact remainder. Beyond +-1024 every output is
/// clamped, so the product is limited first.
TGK_INLINE TGK_TARGET_AVX2 __m128i requantise_float64(__m128i sum, __m256d scale) {
  __m256d product = _mm256_mul_pd(_mm256_cvtepi32_pd(sum), scale);
  product = _mm256_min_pd(_mm256_max_pd(product, _mm256_set1_pd(-1024)), _mm256_set1_pd(1024));
  const __m256d truncated = _mm256_round_pd(product, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
  const __m256d rest = _mm256_sub_pd(product, truncated), one = _mm256_set1_pd(1);
  const __m256d up = _mm256_and_pd(_mm256_cmp_pd(rest, _mm256_set1_pd(0.5), _CMP_GE_OQ), one);
  const __m256d down = _mm256_and_pd(_mm256_cmp_pd(rest, _mm256_set1_pd(-0.5), _CMP_LE_OQ), one);
  return _mm256_cvttpd_epi32(_mm256_sub_pd(_mm256_add_pd(truncated, up), down));
}

TGK_TARGET_AVX2 void tgk_dense_requantise_avx2(
    const tgk_dense_geometry *g, size_t padded_outputs, const void *packed, const int8_t *input, const int32_t *sums,
    int8_t *output) {
  const double *scale = packed;
  const int32_t *bias = (const int32_t *)(scale + padded_outputs);
  int32_t common = 0;
  if (g->weight_zero_point != 0) {
    int32_t sum = 0;
    for (int32_t i = 0; i < g->input_count; i++) sum += input[i];
    common = tgk_wrapping_multiply(sum, -g->weight_zero_point);
  }
  const __m256i offset = _mm256_set1_epi32(common);
  const __m128i zero_point = _mm_set1_epi16((short)g->output_zero_point);
  const __m128i low = _mm_set1_epi8((char)g->activation_min), high = _mm_set1_epi8((char)g->activation_max);
  for (int32_t c = 0; c < g->output_count; c += 8) {
    __m256i sum = _mm256_loadu_si256((const __m256i *)(sums + c));
    sum = _mm256_add_epi32(_mm256_add_epi32(sum, offset), _mm256_loadu_si256((const __m256i *)(bias + c)));
    if (g->rounding == TGK_ROUNDING_FLOAT64) {
      const __m128i first = requantise_float64(_mm256_castsi256_si128(sum), _mm256_loadu_pd(scale + c));
      const __m128i second = requantise_float64(_mm256_extracti128_si256(sum, 1), _mm256_loadu_pd(scale + c + 4));
      sum = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
    } else {
      const int32_t *multiplier = bias + padded_outputs + c;
      sum = tgk_mbqm_256(
          sum, _mm256_loadu_si256((const __m256i *)multiplier),
          _mm256_loadu_si256((const __m256i *)(multiplier + padded_outputs)),
          _mm256_loadu_si256((const __m256i *)(multiplier + 2 * padded_outputs)));
    }
    tgk_store_bytes(output + c, tgk_narrow_8_256(sum, zero_point, low, high), tgk_min32(8, g->output_count - c));
  }
}
#endif
