#include "PortableElements.h"

#include <string.h>

#include "Arithmetic.h"

void tgk_max_pool_portable(const tgk_pool_geometry *g, const int8_t *input, int8_t *output) {
  const size_t row_size = (size_t)g->input_width * g->channels;
  for (int32_t n = 0; n < g->batch; n++, input += row_size * g->input_height)
    for (int32_t y = 0; y < g->output_height; y++)
      for (int32_t x = 0; x < g->output_width; x++, output += g->channels) {
        const int32_t top = y * g->stride_height - g->pad_top, left = x * g->stride_width - g->pad_left;
        const int32_t y0 = tgk_max32(top, 0), y1 = tgk_min32(top + g->window_height, g->input_height);
        const int32_t x0 = tgk_max32(left, 0), x1 = tgk_min32(left + g->window_width, g->input_width);
        memset(output, g->activation_min, (size_t)g->channels);
        for (int32_t iy = y0; iy < y1; iy++)
          for (int32_t ix = x0; ix < x1; ix++) {
            const int8_t *tap = input + iy * row_size + (size_t)ix * g->channels;
            for (int32_t c = 0; c < g->channels; c++)
              if (tap[c] > output[c]) output[c] = tap[c];
          }
        for (int32_t c = 0; c < g->channels; c++)
          if (output[c] > g->activation_max) output[c] = (int8_t)g->activation_max;
      }
}

enum { sum_block = 64 };  // channels summed at a time, on the stack

void tgk_average_pool_portable(const tgk_pool_geometry *g, const int8_t *input, int8_t *output) {
  const size_t row_size = (size_t)g->input_width * g->channels;
  for (int32_t n = 0; n < g->batch; n++, input += row_size * g->input_height)
    for (int32_t y = 0; y < g->output_height; y++)
      for (int32_t x = 0; x < g->output_width; x++, output += g->channels) {
        const int32_t top = y * g->stride_height - g->pad_top, left = x * g->stride_width - g->pad_left;
        const int32_t y0 = tgk_max32(top, 0), y1 = tgk_min32(top + g->window_height, g->input_height);
        const int32_t x0 = tgk_max32(left, 0), x1 = tgk_min32(left + g->window_width, g->input_width);
        const int32_t count = (y1 - y0) * (x1 - x0);
        for (int32_t c0 = 0; c0 < g->channels; c0 += sum_block) {
          int32_t sum[sum_block] = {0};
          const int32_t block = tgk_min32(sum_block, g->channels - c0);
          for (int32_t iy = y0; iy < y1; iy++)
            for (int32_t ix = x0; ix < x1; ix++) {
              const int8_t *tap = input + iy * row_size + (size_t)ix * g->channels + c0;
              for (int32_t c = 0; c < block; c++) sum[c] += tap[c];
            }
          for (int32_t c = 0; c < block; c++) {
            const int32_t half = sum[c] > 0 ? count / 2 : -(count / 2);
            output[c0 + c] = (int8_t)tgk_clamp((sum[c] + half) / count, g->activation_min, g->activation_max);
          }
        }
      }
}

void tgk_mean_portable(const tgk_mean_parameters *p, const int8_t *input, int8_t *output) {
  const int32_t offset = tgk_wrapping_multiply(p->count, p->input_zero_point);
  for (int32_t o = 0; o < p->outer; o++, input += (size_t)p->count * p->inner, output += p->inner)
    for (int32_t c0 = 0; c0 < p->inner; c0 += sum_block) {
      int32_t sum[sum_block] = {0};
      const int32_t block = tgk_min32(sum_block, p->inner - c0);
      for (int32_t i = 0; i < p->count; i++) {
        const int8_t *row = input + (size_t)i * p->inner + c0;
        for (int32_t c = 0; c < block; c++) sum[c] += row[c];
      }
      for (int32_t c = 0; c < block; c++) {
        const int32_t scaled = tgk_mbqm(tgk_wrapping_add(sum[c], -offset), p->multiplier, p->shift);
        output[c0 + c] = (int8_t)tgk_clamp((int64_t)scaled + p->output_zero_point, -128, 127);
      }
    }
}

void tgk_table_portable(const int8_t table[256], const int8_t *input, int8_t *output, size_t count) {
  const int8_t *middle = table + 128;
  for (size_t i = 0; i < count; i++) output[i] = middle[input[i]];
}

int8_t tgk_add_element(const tgk_add_parameters *p, int8_t a, int8_t b) {
  const int32_t left = 20;
  const int32_t u = tgk_mbqm((a - p->a_zero_point) * (1 << left), p->a_multiplier, p->a_shift);
  const int32_t v = tgk_mbqm((b - p->b_zero_point) * (1 << left), p->b_multiplier, p->b_shift);
  const int32_t sum = p->a_sign * u + p->b_sign * v;
  const int32_t scaled = tgk_mbqm(sum, p->output_multiplier, p->output_shift);
  return (int8_t)tgk_clamp((int64_t)scaled + p->output_zero_point, p->activation_min, p->activation_max);
}

void tgk_add_portable(
    const tgk_add_parameters *p, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count) {
  for (size_t start = 0; start < count; start += b_period) {
    const size_t end = count - start < b_period ? count - start : b_period;
    for (size_t i = 0; i < end; i++) output[start + i] = tgk_add_element(p, a[start + i], b[i]);
  }
}

int8_t tgk_multiply_element(const tgk_multiply_parameters *p, int8_t a, int8_t b) {
  const int32_t scaled = tgk_mbqm((a - p->a_zero_point) * (b - p->b_zero_point), p->multiplier, p->shift);
  return (int8_t)tgk_clamp((int64_t)scaled + p->output_zero_point, p->activation_min, p->activation_max);
}

void tgk_multiply_portable(
    const tgk_multiply_parameters *p, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output,
    size_t count) {
  for (size_t start = 0; start < count; start += b_period) {
    const size_t end = count - start < b_period ? count - start : b_period;
    for (size_t i = 0; i < end; i++) output[start + i] = tgk_multiply_element(p, a[start + i], b[i]);
  }
}

int8_t tgk_quantize_element(float x, float scale, int32_t zero_point) {
  const float quotient = x / scale;
  if (quotient != quotient) return (int8_t)zero_point;
  if (quotient >= 1024.0f) return 127;
  if (quotient <= -1024.0f) return -128;
  const int32_t truncated = (int32_t)quotient;
  const float rest = quotient - (float)truncated;
  return (int8_t)tgk_clamp((int64_t)truncated + (rest >= 0.5f) - (rest <= -0.5f) + zero_point, -128, 127);
}

void tgk_quantize_portable(float scale, int32_t zero_point, const float *input, int8_t *output, size_t count) {
  for (size_t i = 0; i < count; i++) output[i] = tgk_quantize_element(input[i], scale, zero_point);
}

void tgk_dequantize_portable(float scale, int32_t zero_point, const int8_t *input, float *output, size_t count) {
  for (size_t i = 0; i < count; i++) output[i] = (float)((double)scale * (double)(input[i] - zero_point));
}

int32_t tgk_softmax_reciprocal(int32_t sum, int32_t *shift) {
  // One over a value in [1, 2): Newton-Raphson in Q2.29 from 48/17 - 32/17 d (gemmlowp one_over_one_plus_x_for_x_in_0_1).
  const int32_t headroom = __builtin_clz((uint32_t)sum | 1);
  const int32_t fraction = (int32_t)(((uint32_t)sum << headroom) - ((uint32_t)1 << 31));
  const int64_t doubled = (int64_t)fraction + INT32_MAX;
  const int32_t half = (int32_t)((doubled + (doubled >= 0 ? 1 : -1)) / 2);
  const int32_t constant_48_17 = 1515870810, constant_minus_32_17 = -1010580540, one = 1 << 29;
  int32_t x = tgk_wrapping_add(constant_48_17, tgk_srdhm(half, constant_minus_32_17));
  for (int i = 0; i < 3; i++) {
    const int32_t error = tgk_wrapping_add(one, -tgk_srdhm(half, x));
    // The product of two Q2.29 is Q4.27; back to Q2.29 by a saturating shift of two.
    const int64_t step = (int64_t)tgk_srdhm(x, error) * 4;
    x = tgk_wrapping_add(x, tgk_clamp(step, INT32_MIN, INT32_MAX));
  }
  *shift = 12 - headroom;
  return tgk_clamp((int64_t)x * 2, INT32_MIN, INT32_MAX);
}

void tgk_softmax_portable(
    const tgk_softmax_table *table, int32_t rows, int32_t depth, const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < rows; row++, input += depth, output += depth) {
    int32_t maximum = -128;
    for (int32_t c = 0; c < depth; c++) maximum = tgk_max32(maximum, input[c]);
    int32_t sum = 0;
    for (int32_t c = 0; c < depth; c++)
      sum = tgk_wrapping_add(sum, tgk_rdbp(table->exponential[maximum - input[c]], 12));
    int32_t shift;
    const int32_t reciprocal = tgk_softmax_reciprocal(sum, &shift);
    for (int32_t c = 0; c < depth; c++) {
      const int32_t product = tgk_srdhm(reciprocal, table->exponential[maximum - input[c]]);
      output[c] = (int8_t)tgk_clamp((int64_t)tgk_rdbp(product, tgk_min32(shift + 23, 31)) - 128, -128, 127);
    }
  }
}

/// exp(x) for x in [-1/4, 0), Q0.31: Taylor about -1/8 (gemmlowp exp_on_interval_between_negative_one_quarter_and_0_excl).
static int32_t exponential_on_quarter(int32_t a) {
  const int32_t constant_term = 1895147668, one_third = 715827883;
  const int32_t x = tgk_wrapping_add(a, 1 << 28);
  const int32_t x2 = tgk_srdhm(x, x);
  const int32_t x3 = tgk_srdhm(x2, x);
  const int32_t x4 = tgk_srdhm(x2, x2);
  const int32_t x4_over_4 = tgk_rdbp(x4, 2);
  const int32_t tail = tgk_rdbp(tgk_wrapping_add(tgk_srdhm(tgk_wrapping_add(x4_over_4, x3), one_third), x2), 1);
  return tgk_wrapping_add(constant_term, tgk_srdhm(constant_term, tgk_wrapping_add(x, tail)));
}

/// exp(x) for x <= 0 in Q5.26, as Q0.31 (gemmlowp exp_on_negative_values).
static int32_t exponential_on_negative(int32_t a) {
  static const int32_t factor[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  if (a == 0) return INT32_MAX;
  const int32_t quarter = 1 << 24;
  const int32_t modulo = (a & (quarter - 1)) - quarter;
  int32_t result = exponential_on_quarter(modulo * (1 << 5));
  const int32_t remainder = modulo - a;
  for (int i = 0; i < 7; i++)
    if (remainder & (1 << (24 + i))) result = tgk_srdhm(result, factor[i]);
  return result;
}

void tgk_softmax_prepare(int32_t multiplier, int32_t shift, int32_t diff_min, tgk_softmax_table *table) {
  for (int32_t i = 0; i < 256; i++)
    table->exponential[i] =
        -i < diff_min ? 0 : exponential_on_negative(tgk_srdhm(tgk_wrapping_shift_left(-i, shift), multiplier));
}

/// `rows` copies of `size` bytes each, without a call a row for the sizes that pixels have.
static void copy_rows(
    size_t size, int32_t rows, const char *source, ptrdiff_t from, char *destination, ptrdiff_t to) {
#define ROWS(body) \
  for (int32_t i = 0; i < rows; i++, source += from, destination += to) { \
    body; \
  }
  if (size == 1)
    ROWS(*destination = *source)
  else if (size == 2)
    ROWS(memcpy(destination, source, 2))
  else if (size == 4)
    ROWS(memcpy(destination, source, 4))
  else if (size == 8)
    ROWS(memcpy(destination, source, 8))
  else if (size == 16)
    ROWS(memcpy(destination, source, 16))
  else if (size > 8 && size < 16)
    ROWS(memcpy(destination, source, 8); memcpy(destination + size - 8, source + size - 8, 8))
  else if (size > 16 && size <= 32)
    ROWS(memcpy(destination, source, 16); memcpy(destination + size - 16, source + size - 16, 16))
  else
    ROWS(memcpy(destination, source, size))
#undef ROWS
}

static void copy_level(const tgk_copy_box *box, int32_t level, const char *source, char *destination) {
  const ptrdiff_t from = box->source_stride[level], to = box->destination_stride[level];
  const int32_t count = box->count[level], last = box->rank - 1;
  if (level == last) {
    copy_rows((size_t)box->element_size, count, source, from, destination, to);
  } else if (
      level + 1 == last && box->source_stride[last] == box->element_size &&
      box->destination_stride[last] == box->element_size) {
    copy_rows((size_t)box->count[last] * (size_t)box->element_size, count, source, from, destination, to);
  } else {
    for (int32_t i = 0; i < count; i++) copy_level(box, level + 1, source + i * from, destination + i * to);
  }
}

void tgk_copy(const tgk_copy_box *box, const void *source, void *destination) {
  if (box->rank == 1 && box->source_stride[0] == box->element_size && box->destination_stride[0] == box->element_size)
    memcpy(destination, source, (size_t)box->count[0] * (size_t)box->element_size);
  else
    copy_level(box, 0, source, destination);
}

void tgk_fill(int8_t value, int8_t *output, size_t count) { memset(output, value, count); }
