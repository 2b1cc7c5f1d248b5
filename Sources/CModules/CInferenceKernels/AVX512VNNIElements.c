#if defined(__x86_64__)
// ADD on 512 bits: the one element kernel that whole networks feel.
#include "X86Elements.h"
#include "X86Vector256.h"

#ifndef TGK_TARGET_AVX512VNNI
#define TGK_TARGET_AVX512VNNI __attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#endif
#define TARGET TGK_TARGET_AVX512VNNI

typedef struct {
  __m512i zero_point, high, low, constant, up, down;
} add_term;

TGK_INLINE TARGET add_term broadcast_term(const tgk_add_term *t) {
  return (add_term){
      _mm512_set1_epi32(t->zero_point), _mm512_set1_epi32(t->high), _mm512_set1_epi32(t->low),
      _mm512_set1_epi32(t->constant), _mm512_set1_epi32(t->up), _mm512_set1_epi32(t->down)};
}

TGK_INLINE TARGET __m512i operand_term(const bool is_half, const int8_t *from, const add_term *t) {
  const __m512i x = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from));
  if (is_half) return _mm512_sllv_epi32(x, _mm512_set1_epi32(19));
  const __m512i d = _mm512_sub_epi32(x, t->zero_point);
  const __m512i high = _mm512_sllv_epi32(_mm512_dpwssd_epi32(_mm512_setzero_si512(), d, t->high), t->up);
  return _mm512_add_epi32(high, _mm512_srav_epi32(_mm512_dpwssd_epi32(t->constant, d, t->low), t->down));
}

TGK_INLINE TARGET size_t add_row(
    const bool a_is_half, const bool b_is_half, const tgk_add_plan *plan, const tgk_add_parameters *p,
    const int8_t *a, const int8_t *b, int8_t *output, size_t count) {
  const add_term ta = broadcast_term(&plan->a), tb = broadcast_term(&plan->b);
  const __m512i start = _mm512_set1_epi32(plan->start), multiplier = _mm512_set1_epi64(plan->doubled_multiplier);
  const __m512i constant = _mm512_set1_epi64(plan->constant), down = _mm512_set1_epi32(plan->n);
  const __m128i low = _mm_set1_epi8((char)p->activation_min), high = _mm_set1_epi8((char)p->activation_max);
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m512i u = operand_term(a_is_half, a + i, &ta), v = operand_term(b_is_half, b + i, &tb);
    const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(u, v), start);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epu32(sum, multiplier), constant);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(sum, 32), multiplier), constant);
    __m512i z = _mm512_mask_shuffle_epi32(odd, 0x5555, even, (_MM_PERM_ENUM)_MM_SHUFFLE(3, 3, 1, 1));
    if (!plan->is_rectified) z = _mm512_sub_epi32(z, _mm512_srai_epi32(sum, 31));
    const __m128i y = _mm512_cvtsepi32_epi8(_mm512_srav_epi32(z, down));
    _mm_storeu_si128((__m128i *)(output + i), _mm_min_epi8(_mm_max_epi8(y, low), high));
  }
  return i;
}

TARGET void tgk_add_avx512vnni(
    const tgk_add_parameters *p, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count) {
  tgk_add_plan plan;
  if (b_period < count || !tgk_plan_add(p, &plan)) {
    tgk_add_avx2(p, a, b, b_period, output, count);
    return;
  }
  size_t done;
  if (plan.a.is_half && plan.b.is_half)
    done = add_row(true, true, &plan, p, a, b, output, count);
  else if (plan.a.is_half)
    done = add_row(true, false, &plan, p, a, b, output, count);
  else if (plan.b.is_half)
    done = add_row(false, true, &plan, p, a, b, output, count);
  else
    done = add_row(false, false, &plan, p, a, b, output, count);
  if (done < count) tgk_add_avx2(p, a + done, b + done, count - done, output + done, count - done);
}
#endif
