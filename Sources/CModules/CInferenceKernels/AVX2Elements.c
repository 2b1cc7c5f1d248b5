#if defined(__x86_64__)
#include "PortableElements.h"
#include "X86Elements.h"
#include "X86Vector256.h"

#define TARGET TGK_TARGET_AVX2

TGK_INLINE TARGET __m256i load_8(const int8_t *p) {
  return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

TGK_INLINE TARGET __m256i load_words(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }

/// A short row of b is repeated to whole vectors.
enum { repeated_max = 64 * 16 };

TGK_INLINE size_t repeat_row(const int8_t **b, size_t period, size_t count, int8_t repeated[repeated_max]) {
  if (period > 64 || period % 16 == 0 || count == period) return period;
  size_t whole = period;
  while (whole % 16 != 0) whole *= 2;
  for (size_t at = 0; at < whole; at += period) memcpy(repeated + at, *b, period);
  *b = repeated;
  return whole;
}

// MARK: ADD and SUB

/// Constants of one operand. SRDHM((x - z) << 20, m) with m = high * 2^11 + low is exactly
/// (x - z) * high + (((x - z) * low + 2^10) >> 11), all within int32.
typedef struct {
  __m256i zero_point, high, low, half, shift;
  __m256i below;  ///< RDBP's sign correction applies under this value: 0, or INT32_MIN when nothing is shifted.
} add_operand;

TGK_INLINE TARGET add_operand make_operand(int32_t zero_point, int32_t multiplier, int32_t shift) {
  const int32_t right = -shift;
  return (add_operand){
      _mm256_set1_epi32(zero_point), _mm256_set1_epi32(multiplier >> 11), _mm256_set1_epi32(multiplier & 2047),
      _mm256_set1_epi32(right ? (int32_t)(1u << (right - 1)) : 0), _mm256_set1_epi32(right),
      _mm256_set1_epi32(right ? 0 : INT32_MIN)};
}

TGK_INLINE TARGET __m256i divide(__m256i x, __m256i below, __m256i half, __m256i shift) {
  const __m256i sign = _mm256_cmpgt_epi32(below, x);
  return _mm256_srav_epi32(_mm256_add_epi32(_mm256_add_epi32(x, half), sign), shift);
}

/// The operand of the larger scale has the multiplier one half: its term is a plain shift.
TGK_INLINE TARGET __m256i operand_term(__m256i x, const add_operand *o, bool is_half) {
  const __m256i d = _mm256_sub_epi32(x, o->zero_point);
  if (is_half) return _mm256_slli_epi32(d, 19);
  const __m256i fraction =
      _mm256_srai_epi32(_mm256_add_epi32(_mm256_madd_epi16(d, o->low), _mm256_set1_epi32(1 << 10)), 11);
  return divide(_mm256_add_epi32(_mm256_mullo_epi32(d, o->high), fraction), o->below, o->half, o->shift);
}

TGK_INLINE TARGET void add_rows(
    const bool a_is_half, const bool b_is_half, const tgk_add_parameters *p, const int8_t *a, const int8_t *b,
    size_t b_period, int8_t *output, size_t count) {
  const add_operand oa = make_operand(p->a_zero_point, p->a_multiplier, p->a_shift);
  const add_operand ob = make_operand(p->b_zero_point, p->b_multiplier, p->b_shift);
  const __m256i a_sign = _mm256_set1_epi32(p->a_sign), b_sign = _mm256_set1_epi32(p->b_sign);
  const __m256i multiplier = _mm256_set1_epi32(p->output_multiplier);
  const add_operand out = make_operand(0, 0, p->output_shift);
  const __m256i zero_point = _mm256_set1_epi16((short)p->output_zero_point);
  const __m128i low = _mm_set1_epi8((char)p->activation_min), high = _mm_set1_epi8((char)p->activation_max);
  for (size_t start = 0; start < count; start += b_period) {
    const size_t end = count - start < b_period ? count - start : b_period;
    size_t i = 0;
    for (; i + 16 <= end; i += 16) {
      __m256i y[2];
#pragma GCC unroll 2
      for (int h = 0; h < 2; h++) {
        const __m256i u = operand_term(load_8(a + start + i + 8 * h), &oa, a_is_half);
        const __m256i v = operand_term(load_8(b + i + 8 * h), &ob, b_is_half);
        const __m256i sum = _mm256_add_epi32(_mm256_sign_epi32(u, a_sign), _mm256_sign_epi32(v, b_sign));
        y[h] = divide(tgk_srdhm_256(sum, multiplier, multiplier), out.below, out.half, out.shift);
      }
      _mm_storeu_si128((__m128i *)(output + start + i), tgk_narrow_16_256(y[0], y[1], zero_point, low, high));
    }
    for (; i < end; i++) output[start + i] = tgk_add_element(p, a[start + i], b[i]);
  }
}

/// The common case in fewer instructions: both operands added, no multiplier extreme.
///
/// An operand's term RDBP(SRDHM(d << 20, m), n) is floor((d * m + 2^10 + 2^(10 + n) - [d < 0] * 2^11) / 2^(11 + n)), for nested
/// floors are one (n = 0: without the last two terms). With m = high * 2^16 + low, both signed 16 bits, vpmaddwd multiplies d by
/// each; the upper half of a lane is d's sign, so the second weight of its pair subtracts the 2^11. The sum is then scaled as
/// X86Packing.h describes.
/// The plan holds the constants (X86Elements.h); the vectors here are they, broadcast.
typedef struct {
  __m256i zero_point, high, low, constant;
  __m128i up, down;
} add_term;

TGK_INLINE TARGET add_term broadcast_term(const tgk_add_term *t) {
  return (add_term){
      _mm256_set1_epi32(t->zero_point), _mm256_set1_epi32(t->high), _mm256_set1_epi32(t->low),
      _mm256_set1_epi32(t->constant), _mm_cvtsi32_si128(t->up), _mm_cvtsi32_si128(t->down)};
}

TGK_INLINE TARGET __m256i fast_term(__m256i x, const add_term *t) {
  const __m256i d = _mm256_sub_epi32(x, t->zero_point);
  // The weight of d's upper half is zero here: high is not negative.
  const __m256i high = _mm256_sll_epi32(_mm256_madd_epi16(d, t->high), t->up);
  const __m256i low = _mm256_add_epi32(_mm256_madd_epi16(d, t->low), t->constant);
  return _mm256_add_epi32(high, _mm256_sra_epi32(low, t->down));
}

static tgk_add_term plan_term(int32_t zero_point, int32_t multiplier, int32_t shift) {
  const int32_t n = -shift, high = (int32_t)(((int64_t)multiplier + 0x8000) >> 16);
  const int32_t low = (int32_t)(multiplier - (int64_t)high * 0x10000), sign = n > 0 ? 2048 : 0;
  return (tgk_add_term){
      .zero_point = zero_point, .high = high, .low = (int32_t)(((uint32_t)sign << 16) | ((uint32_t)low & 0xffff)),
      .constant = 1024 + (n > 0 ? 1 << (10 + n) : 0), .up = 5 - n, .down = 11 + n,
      .is_half = multiplier == 1 << 30 && n == 0};
}

bool tgk_plan_add(const tgk_add_parameters *p, tgk_add_plan *plan) {
  const int32_t multiplier_max = INT32_MAX - 0x8000;  // high stays below 2^15
  if (p->a_sign != 1 || p->b_sign != 1 || p->a_shift > 0 || p->a_shift < -5 || p->b_shift > 0 || p->b_shift < -5 ||
      p->a_multiplier > multiplier_max || p->b_multiplier > multiplier_max || p->a_multiplier < 1 << 30 ||
      p->b_multiplier < 1 << 30 || p->output_shift > -1 || p->output_shift < -22)
    return false;
  plan->a = plan_term(p->a_zero_point, p->a_multiplier, p->a_shift);
  plan->b = plan_term(p->b_zero_point, p->b_multiplier, p->b_shift);
  plan->is_rectified = p->activation_min >= p->output_zero_point;
  plan->n = -p->output_shift;
  plan->start = (int32_t)(
      0x80000000u - (plan->a.is_half ? (uint32_t)p->a_zero_point << 19 : 0) -
      (plan->b.is_half ? (uint32_t)p->b_zero_point << 19 : 0));
  plan->doubled_multiplier = (int64_t)p->output_multiplier * 2;
  const int64_t offset = ((int64_t)1 << (plan->n - 1)) - (plan->is_rectified ? 0 : 1) +
      (int64_t)p->output_zero_point * ((int64_t)1 << plan->n) - p->output_multiplier;
  plan->constant = (int64_t)(((uint64_t)offset << 32) + ((uint64_t)1 << 31));
  return true;
}

TGK_INLINE TARGET void add_common(
    const bool a_is_half, const bool b_is_half, const bool b_repeats, const tgk_add_plan *plan,
    const tgk_add_parameters *p, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count) {
  const add_term ta = broadcast_term(&plan->a), tb = broadcast_term(&plan->b);
  const __m256i start_value = _mm256_set1_epi32(plan->start);
  // A short b that repeats has its terms computed once.
  int32_t terms[repeated_max];
  if (b_repeats)
    for (size_t i = 0; i < b_period; i += 8) {
      const __m256i xb = load_8(b + i);
      const __m256i v = plan->b.is_half ? _mm256_slli_epi32(xb, 19) : fast_term(xb, &tb);
      _mm256_storeu_si256((__m256i *)(terms + i), _mm256_add_epi32(v, start_value));
    }
  const __m256i multiplier = _mm256_set1_epi64x(plan->doubled_multiplier);
  const __m256i constant = _mm256_set1_epi64x(plan->constant);
  const __m128i down = _mm_cvtsi32_si128(plan->n);
  const __m128i low = _mm_set1_epi8((char)p->activation_min), high = _mm_set1_epi8((char)p->activation_max);
  for (size_t start = 0; start < count; start += b_period) {
    const size_t end = count - start < b_period ? count - start : b_period;
    size_t i = 0;
    for (; i + 16 <= end; i += 16) {
      __m256i y[2];
#pragma GCC unroll 2
      for (int h = 0; h < 2; h++) {
        const __m256i xa = load_8(a + start + i + 8 * h);
        const __m256i u = a_is_half ? _mm256_slli_epi32(xa, 19) : fast_term(xa, &ta);
        __m256i sum;
        if (b_repeats) {
          sum = _mm256_add_epi32(u, load_words(terms + i + 8 * h));
        } else {
          const __m256i xb = load_8(b + i + 8 * h);
          const __m256i v = b_is_half ? _mm256_slli_epi32(xb, 19) : fast_term(xb, &tb);
          sum = _mm256_add_epi32(_mm256_add_epi32(u, v), start_value);
        }
        const __m256i even = _mm256_add_epi64(_mm256_mul_epu32(sum, multiplier), constant);
        const __m256i odd =
            _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(sum, 32), multiplier), constant);
        __m256i z = _mm256_blend_epi32(_mm256_shuffle_epi32(even, _MM_SHUFFLE(3, 3, 1, 1)), odd, 0xAA);
        if (!plan->is_rectified) z = _mm256_sub_epi32(z, _mm256_srai_epi32(sum, 31));
        y[h] = _mm256_sra_epi32(z, down);
      }
      _mm_storeu_si128(
          (__m128i *)(output + start + i), tgk_narrow_16_256(y[0], y[1], _mm256_setzero_si256(), low, high));
    }
    for (; i < end; i++) output[start + i] = tgk_add_element(p, a[start + i], b[i]);
  }
}

TARGET void tgk_add_avx2(
    const tgk_add_parameters *p, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count) {
  const bool a_is_half = p->a_multiplier == 1 << 30 && p->a_shift == 0;
  const bool b_is_half = p->b_multiplier == 1 << 30 && p->b_shift == 0;
  int8_t repeated[repeated_max];
  b_period = repeat_row(&b, b_period, count, repeated);
  tgk_add_plan plan;
  if (tgk_plan_add(p, &plan)) {
    const bool b_repeats = b_period % 16 == 0 && b_period <= repeated_max && b_period < count;
    if (b_repeats && a_is_half)
      add_common(true, false, true, &plan, p, a, b, b_period, output, count);
    else if (b_repeats)
      add_common(false, false, true, &plan, p, a, b, b_period, output, count);
    else if (a_is_half && b_is_half)
      add_common(true, true, false, &plan, p, a, b, b_period, output, count);
    else if (a_is_half)
      add_common(true, false, false, &plan, p, a, b, b_period, output, count);
    else if (b_is_half)
      add_common(false, true, false, &plan, p, a, b, b_period, output, count);
    else
      add_common(false, false, false, &plan, p, a, b, b_period, output, count);
    return;
  }
  if (p->a_shift > 0 || p->b_shift > 0 || p->output_shift > 0)
    tgk_add_portable(p, a, b, b_period, output, count);
  else if (a_is_half && b_is_half)
    add_rows(true, true, p, a, b, b_period, output, count);
  else if (a_is_half)
    add_rows(true, false, p, a, b, b_period, output, count);
  else if (b_is_half)
    add_rows(false, true, p, a, b, b_period, output, count);
  else
    add_rows(false, false, p, a, b, b_period, output, count);
}

// MARK: MUL

/// Where b repeats, (b - zb) * multiplier is a constant P of at most 39 bits, split as high * 2^24 + low. With d = a - za,
/// RDBP(SRDHM(d * (b - zb), multiplier), n) is floor((d * P + 2^30 + (2^(n - 1) - [d * P < 0]) * 2^31) / 2^(31 + n)), for nested
/// floors are one, which is floor((d * high + floor(d * low / 2^24) + constant) / 2^(7 + n)). As in fast_term the second
/// weight of a pair meets d's sign and subtracts the [d * P < 0] * 2^7. (n = 0: without the last two terms.)
typedef struct {
  int32_t high[repeated_max], low[repeated_max], constant[repeated_max];
} repeated_factors;

TGK_INLINE void plan_factors(
    const tgk_multiply_parameters *p, const int8_t *b, size_t period, repeated_factors *factors) {
  const int32_t n = -p->shift, sign = n > 0 ? 1 << 7 : 0;
  const int32_t constant = (1 << 6) + (n > 0 ? 1 << (n + 6) : 0) + p->output_zero_point * (1 << (7 + n));
  for (size_t i = 0; i < period; i++) {
    const int32_t factor = b[i] - p->b_zero_point;
    const int64_t product = (int64_t)factor * p->multiplier;
    const int64_t high = (product + (1 << 23)) >> 24;
    const int32_t weight = factor < 0 ? -sign : sign;
    factors->high[i] = (int32_t)(((uint32_t)weight << 16) | ((uint32_t)high & 0xffff));
    factors->low[i] = (int32_t)(product - high * (1 << 24));
    factors->constant[i] = constant - (factor < 0 ? sign : 0);
  }
}

/// b_period is a multiple of 16.
static TARGET void multiply_repeated(
    const tgk_multiply_parameters *p, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output,
    size_t count) {
  repeated_factors factors;
  plan_factors(p, b, b_period, &factors);
  const __m256i za = _mm256_set1_epi32(p->a_zero_point), zero_point = _mm256_setzero_si256();
  const __m128i down = _mm_cvtsi32_si128(7 - p->shift);
  const __m128i low = _mm_set1_epi8((char)p->activation_min), high = _mm_set1_epi8((char)p->activation_max);
  for (size_t start = 0; start < count; start += b_period) {
    const size_t end = count - start < b_period ? count - start : b_period;
    size_t i = 0;
    for (; i + 16 <= end; i += 16) {
      __m256i y[2];
#pragma GCC unroll 2
      for (int h = 0; h < 2; h++) {
        const __m256i d = _mm256_sub_epi32(load_8(a + start + i + 8 * h), za);
        const __m256i upper = _mm256_madd_epi16(d, load_words(factors.high + i + 8 * h));
        const __m256i lower = _mm256_srai_epi32(_mm256_mullo_epi32(d, load_words(factors.low + i + 8 * h)), 24);
        const __m256i sum = _mm256_add_epi32(upper, load_words(factors.constant + i + 8 * h));
        y[h] = _mm256_sra_epi32(_mm256_add_epi32(sum, lower), down);
      }
      _mm_storeu_si128((__m128i *)(output + start + i), tgk_narrow_16_256(y[0], y[1], zero_point, low, high));
    }
    for (; i < end; i++) output[start + i] = tgk_multiply_element(p, a[start + i], b[i]);
  }
}

TARGET void tgk_multiply_avx2(
    const tgk_multiply_parameters *p, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output,
    size_t count) {
  const __m256i za = _mm256_set1_epi32(p->a_zero_point), zb = _mm256_set1_epi32(p->b_zero_point);
  const __m256i multiplier = _mm256_set1_epi32(p->multiplier);
  const __m256i left = _mm256_set1_epi32(p->shift > 0 ? p->shift : 0);
  const __m256i right = _mm256_set1_epi32(p->shift > 0 ? 0 : -p->shift);
  const __m256i zero_point = _mm256_set1_epi16((short)p->output_zero_point);
  const __m128i low = _mm_set1_epi8((char)p->activation_min), high = _mm_set1_epi8((char)p->activation_max);
  int8_t repeated[repeated_max];
  b_period = repeat_row(&b, b_period, count, repeated);
  if (b_period % 16 == 0 && b_period <= repeated_max && b_period <= count / 4 && p->shift <= 0 && p->shift >= -15) {
    multiply_repeated(p, a, b, b_period, output, count);
    return;
  }
  for (size_t start = 0; start < count; start += b_period) {
    const size_t end = count - start < b_period ? count - start : b_period;
    size_t i = 0;
    for (; i + 16 <= end; i += 16) {
      __m256i y[2];
#pragma GCC unroll 2
      for (int h = 0; h < 2; h++) {
        const __m256i x = _mm256_mullo_epi32(
            _mm256_sub_epi32(load_8(a + start + i + 8 * h), za), _mm256_sub_epi32(load_8(b + i + 8 * h), zb));
        y[h] = tgk_mbqm_256(x, multiplier, left, right);
      }
      _mm_storeu_si128((__m128i *)(output + start + i), tgk_narrow_16_256(y[0], y[1], zero_point, low, high));
    }
    for (; i < end; i++) output[start + i] = tgk_multiply_element(p, a[start + i], b[i]);
  }
}

// MARK: Tables

/// Sixteen byte shuffles. A shuffle answers 0 where the index has its top bit set, so with the index lowered by 16 a
/// step, the shuffles of steps h - 7 ... h answer for an index of high nibble h; the sub-tables are stored as the
/// differences (exclusive or) that make those eight answers add up to the wanted entry.
TARGET void tgk_table_avx2(const int8_t table[256], const int8_t *input, int8_t *output, size_t count) {
  if (count < 128) {
    tgk_table_portable(table, input, output, count);
    return;
  }
  __m128i part[16];
  for (int h = 0; h < 16; h++) part[h] = _mm_loadu_si128((const __m128i *)(table + 16 * h));
  __m256i difference[16];
  for (int h = 0; h < 16; h++) {
    __m128i d = part[h];
    if (h >= 1) d = _mm_xor_si128(d, part[h - 1]);
    if (h >= 8) d = _mm_xor_si128(d, part[h - 8]);
    if (h >= 9) d = _mm_xor_si128(d, part[h - 9]);
    difference[h] = _mm256_broadcastsi128_si256(d);
  }
  const __m256i sixteen = _mm256_set1_epi8(16), top = _mm256_set1_epi8(-128);
  size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    __m256i index = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(input + i)), top);
    __m256i y = _mm256_shuffle_epi8(difference[0], index);
#pragma GCC unroll 16
    for (int h = 1; h < 16; h++) {
      index = h <= 8 ? _mm256_sub_epi8(index, sixteen) : _mm256_subs_epi8(index, sixteen);
      y = _mm256_xor_si256(y, _mm256_shuffle_epi8(difference[h], index));
    }
    _mm256_storeu_si256((__m256i *)(output + i), y);
  }
  tgk_table_portable(table, input + i, output + i, count - i);
}

// MARK: Pooling and MEAN

TGK_INLINE TARGET __m128i max_of_window(
    const int8_t *first, size_t row_step, size_t column_step, int32_t rows, int32_t columns, __m128i start) {
  for (int32_t y = 0; y < rows; y++, first += row_step)
    for (int32_t x = 0; x < columns; x++)
      start = _mm_max_epi8(start, _mm_loadu_si128((const __m128i *)(first + x * column_step)));
  return start;
}

TARGET void tgk_max_pool_avx2(const tgk_pool_geometry *g, const int8_t *input, int8_t *output) {
  const size_t channels = (size_t)g->channels, row_size = (size_t)g->input_width * channels;
  if (channels < 16) {
    tgk_max_pool_portable(g, input, output);
    return;
  }
  const __m128i low = _mm_set1_epi8((char)g->activation_min), high = _mm_set1_epi8((char)g->activation_max);
  for (int32_t n = 0; n < g->batch; n++, input += row_size * g->input_height)
    for (int32_t y = 0; y < g->output_height; y++)
      for (int32_t x = 0; x < g->output_width; x++, output += channels) {
        const int32_t top = y * g->stride_height - g->pad_top, left = x * g->stride_width - g->pad_left;
        const int32_t y0 = tgk_max32(top, 0), y1 = tgk_min32(top + g->window_height, g->input_height);
        const int32_t x0 = tgk_max32(left, 0), x1 = tgk_min32(left + g->window_width, g->input_width);
        const int8_t *first = input + y0 * row_size + (size_t)x0 * channels;
        // The last block overlaps the one before it.
        for (size_t c = 0;; c = c + 32 <= channels ? c + 16 : channels - 16) {
          const __m128i best = max_of_window(first + c, row_size, channels, y1 - y0, x1 - x0, low);
          _mm_storeu_si128((__m128i *)(output + c), _mm_min_epi8(best, high));
          if (c + 16 >= channels) break;
        }
      }
}

/// Sums of few taps fit int16, and their quotient by `taps` is the upper half of a product: with m = floor(2^16 / taps) + 1,
/// floor(x * m / 2^16) is floor(x / taps) while x * taps < 2^16, here at most (128 * 16 + 8) * 16.
static TARGET void average_pool_small(const tgk_pool_geometry *g, const int8_t *input, int8_t *output) {
  const size_t channels = (size_t)g->channels, row_size = (size_t)g->input_width * channels;
  const __m128i low = _mm_set1_epi8((char)g->activation_min), high = _mm_set1_epi8((char)g->activation_max);
  for (int32_t n = 0; n < g->batch; n++, input += row_size * g->input_height)
    for (int32_t y = 0; y < g->output_height; y++)
      for (int32_t x = 0; x < g->output_width; x++, output += channels) {
        const int32_t top = y * g->stride_height - g->pad_top, left = x * g->stride_width - g->pad_left;
        const int32_t y0 = tgk_max32(top, 0), y1 = tgk_min32(top + g->window_height, g->input_height);
        const int32_t x0 = tgk_max32(left, 0), x1 = tgk_min32(left + g->window_width, g->input_width);
        const int8_t *first = input + y0 * row_size + (size_t)x0 * channels;
        const int32_t taps = (y1 - y0) * (x1 - x0);
        const __m256i inverse = _mm256_set1_epi16((short)(65536 / taps + 1)), half = _mm256_set1_epi16((short)(taps / 2));
        for (size_t c = 0;; c = c + 32 <= channels ? c + 16 : channels - 16) {
          __m256i sum = _mm256_setzero_si256();
          const int8_t *row = first + c;
          for (int32_t iy = y0; iy < y1; iy++, row += row_size)
            for (int32_t ix = 0; ix < x1 - x0; ix++)
              sum = _mm256_add_epi16(
                  sum, _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(row + (size_t)ix * channels))));
          const __m256i away = _mm256_add_epi16(_mm256_abs_epi16(sum), half);
          // A window of one tap is its own mean, and 65537 is no int16.
          const __m256i quotient = taps == 1 ? away : _mm256_mulhi_epu16(away, inverse);
          const __m256i mean = _mm256_sign_epi16(quotient, sum);
          const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(mean), _mm256_extracti128_si256(mean, 1));
          _mm_storeu_si128((__m128i *)(output + c), _mm_min_epi8(_mm_max_epi8(bytes, low), high));
          if (c + 16 >= channels) break;
        }
      }
}

TARGET void tgk_average_pool_avx2(const tgk_pool_geometry *g, const int8_t *input, int8_t *output) {
  const size_t channels = (size_t)g->channels, row_size = (size_t)g->input_width * channels;
  if (channels >= 16 && (int64_t)g->window_height * g->window_width <= 16) {
    average_pool_small(g, input, output);
    return;
  }
  if (channels < 8 || (int64_t)g->window_height * g->window_width > 4096) {
    tgk_average_pool_portable(g, input, output);
    return;
  }
  const __m128i low = _mm_set1_epi8((char)g->activation_min), high = _mm_set1_epi8((char)g->activation_max);
  for (int32_t n = 0; n < g->batch; n++, input += row_size * g->input_height)
    for (int32_t y = 0; y < g->output_height; y++)
      for (int32_t x = 0; x < g->output_width; x++, output += channels) {
        const int32_t top = y * g->stride_height - g->pad_top, left = x * g->stride_width - g->pad_left;
        const int32_t y0 = tgk_max32(top, 0), y1 = tgk_min32(top + g->window_height, g->input_height);
        const int32_t x0 = tgk_max32(left, 0), x1 = tgk_min32(left + g->window_width, g->input_width);
        const int8_t *first = input + y0 * row_size + (size_t)x0 * channels;
        const int32_t taps = (y1 - y0) * (x1 - x0);
        const __m256 divisor = _mm256_set1_ps((float)taps);
        const __m256i half = _mm256_set1_epi32(taps / 2);
        for (size_t c = 0;; c = c + 16 <= channels ? c + 8 : channels - 8) {
          __m256i sum = _mm256_setzero_si256();
          const int8_t *row = first + c;
          for (int32_t iy = y0; iy < y1; iy++, row += row_size)
            for (int32_t ix = 0; ix < x1 - x0; ix++)
              sum = _mm256_add_epi32(sum, load_8(row + (size_t)ix * channels));
          // Below 2^20 a float quotient never reaches an integer that the true quotient does not.
          const __m256i away = _mm256_add_epi32(sum, _mm256_sign_epi32(half, sum));
          const __m256i mean = _mm256_cvttps_epi32(_mm256_div_ps(_mm256_cvtepi32_ps(away), divisor));
          _mm_storel_epi64((__m128i *)(output + c), tgk_narrow_8_256(mean, _mm_setzero_si128(), low, high));
          if (c + 8 >= channels) break;
        }
      }
}

TARGET void tgk_mean_avx2(const tgk_mean_parameters *p, const int8_t *input, int8_t *output) {
  const size_t inner = (size_t)p->inner;
  if (inner < 16) {
    tgk_mean_portable(p, input, output);
    return;
  }
  const __m256i offset = _mm256_set1_epi32((int32_t)(0u - (uint32_t)p->count * (uint32_t)p->input_zero_point));
  const __m256i multiplier = _mm256_set1_epi32(p->multiplier);
  const __m256i left = _mm256_set1_epi32(p->shift > 0 ? p->shift : 0);
  const __m256i right = _mm256_set1_epi32(p->shift > 0 ? 0 : -p->shift);
  const __m256i zero_point = _mm256_set1_epi16((short)p->output_zero_point);
  const __m128i low = _mm_set1_epi8(-128), high = _mm_set1_epi8(127);
  const int32_t batch = 256;  // int8 that an int16 sums without overflow
  for (int32_t o = 0; o < p->outer; o++, input += (size_t)p->count * inner, output += inner)
    for (size_t c = 0;; c = c + 32 <= inner ? c + 16 : inner - 16) {
      __m256i sum[2] = {offset, offset};
      for (int32_t i = 0; i < p->count; i += batch) {
        const int32_t end = p->count - i < batch ? p->count : i + batch;
        __m256i partial = _mm256_setzero_si256();
        for (int32_t j = i; j < end; j++)
          partial = _mm256_add_epi16(
              partial, _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(input + (size_t)j * inner + c))));
        sum[0] = _mm256_add_epi32(sum[0], _mm256_cvtepi16_epi32(_mm256_castsi256_si128(partial)));
        sum[1] = _mm256_add_epi32(sum[1], _mm256_cvtepi16_epi32(_mm256_extracti128_si256(partial, 1)));
      }
      for (int h = 0; h < 2; h++) sum[h] = tgk_mbqm_256(sum[h], multiplier, left, right);
      _mm_storeu_si128((__m128i *)(output + c), tgk_narrow_16_256(sum[0], sum[1], zero_point, low, high));
      if (c + 16 >= inner) break;
    }
}

// MARK: Float

TARGET void tgk_quantize_avx2(float scale, int32_t zero_point, const float *input, int8_t *output, size_t count) {
  const __m256 divisor = _mm256_set1_ps(scale), limit = _mm256_set1_ps(1024);
  const __m128i zero = _mm_set1_epi16((short)zero_point), low = _mm_set1_epi8(-128), high = _mm_set1_epi8(127);
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m256 quotient = _mm256_div_ps(_mm256_loadu_ps(input + i), divisor);
    // NaN becomes 0, infinities and large values saturate behind the limit.
    quotient = _mm256_and_ps(quotient, _mm256_cmp_ps(quotient, quotient, _CMP_ORD_Q));
    quotient = _mm256_max_ps(_mm256_min_ps(quotient, limit), _mm256_sub_ps(_mm256_setzero_ps(), limit));
    const __m256 truncated = _mm256_round_ps(quotient, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    const __m256 rest = _mm256_sub_ps(quotient, truncated), one = _mm256_set1_ps(1);
    const __m256 up = _mm256_and_ps(_mm256_cmp_ps(rest, _mm256_set1_ps(0.5f), _CMP_GE_OQ), one);
    const __m256 down = _mm256_and_ps(_mm256_cmp_ps(rest, _mm256_set1_ps(-0.5f), _CMP_LE_OQ), one);
    const __m256i rounded = _mm256_cvttps_epi32(_mm256_sub_ps(_mm256_add_ps(truncated, up), down));
    _mm_storel_epi64((__m128i *)(output + i), tgk_narrow_8_256(rounded, zero, low, high));
  }
  tgk_quantize_portable(scale, zero_point, input + i, output + i, count - i);
}

TARGET void tgk_dequantize_avx2(float scale, int32_t zero_point, const int8_t *input, float *output, size_t count) {
  const __m256d factor = _mm256_set1_pd((double)scale);
  const __m256i zero = _mm256_set1_epi32(zero_point);
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256i x = _mm256_sub_epi32(load_8(input + i), zero);
    const __m256d first = _mm256_mul_pd(_mm256_cvtepi32_pd(_mm256_castsi256_si128(x)), factor);
    const __m256d second = _mm256_mul_pd(_mm256_cvtepi32_pd(_mm256_extracti128_si256(x, 1)), factor);
    _mm_storeu_ps(output + i, _mm256_cvtpd_ps(first));
    _mm_storeu_ps(output + i + 4, _mm256_cvtpd_ps(second));
  }
  tgk_dequantize_portable(scale, zero_point, input + i, output + i, count - i);
}
#endif
