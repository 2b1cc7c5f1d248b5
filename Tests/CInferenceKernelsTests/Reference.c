#include "Reference.h"

#include <math.h>
#include <stdlib.h>

static int64_t floor_divide(int64_t a, int64_t b) {
  const int64_t q = a / b;
  return a % b != 0 && (a % b < 0) != (b < 0) ? q - 1 : q;
}

static int32_t wrap32(int64_t x) {
  const uint64_t low = (uint64_t)x & 0xffffffffu;
  return low >= 0x80000000u ? (int32_t)((int64_t)low - 0x100000000) : (int32_t)low;
}

static int64_t clamp64(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

static int64_t srdhm(int64_t a, int64_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  return floor_divide(a * b + ((int64_t)1 << 30), (int64_t)1 << 31);
}

/// Nearest of x / 2^n, ties away from zero: the sign set aside.
static int64_t rdbp(int64_t x, int n) {
  if (n == 0) return x;
  const int64_t magnitude = x < 0 ? -x : x;
  const int64_t rounded = (magnitude + ((int64_t)1 << (n - 1))) / ((int64_t)1 << n);
  return x < 0 ? -rounded : rounded;
}

int64_t reference_mbqm(int64_t x, int64_t multiplier, int shift) {
  const int left = shift > 0 ? shift : 0, right = shift < 0 ? -shift : 0;
  return rdbp(srdhm(wrap32((int64_t)((uint64_t)x << left)), multiplier), right);
}

void reference_quantize_multiplier(double d, int32_t *multiplier, int32_t *shift) {
  if (d == 0) {
    *multiplier = *shift = 0;
    return;
  }
  int e;
  const double q = frexp(d, &e);
  int64_t m = llround(q * 2147483648.0);
  if (m == (int64_t)1 << 31) {
    m /= 2;
    e++;
  }
  if (e < -31) m = e = 0;
  *multiplier = (int32_t)m;
  *shift = e;
}

static int64_t accumulator(
    const tgk_conv_geometry *g, bool depthwise, const int8_t *weights, const int32_t *bias, const int8_t *input,
    int n, int oy, int ox, int oc) {
  int64_t sum = bias ? bias[oc] : 0;
  const int depth = depthwise ? 1 : g->input_channels / g->groups;
  const int first = depthwise ? oc / (g->output_channels / g->input_channels)
                              : oc / (g->output_channels / g->groups) * depth;
  for (int ky = 0; ky < g->kernel_height; ky++)
    for (int kx = 0; kx < g->kernel_width; kx++)
      for (int c = 0; c < depth; c++) {
        const int iy = oy * g->stride_height + ky * g->dilation_height - g->pad_top;
        const int ix = ox * g->stride_width + kx * g->dilation_width - g->pad_left;
        if (iy < 0 || iy >= g->input_height || ix < 0 || ix >= g->input_width) continue;
        const int x = input[((n * g->input_height + iy) * g->input_width + ix) * g->input_channels + first + c];
        const int w = depthwise ? weights[(ky * g->kernel_width + kx) * g->output_channels + oc]
                                : weights[((oc * g->kernel_height + ky) * g->kernel_width + kx) * depth + c];
        sum += (int64_t)w * (x - g->input_zero_point);
      }
  return sum;
}

static int8_t requantise(const tgk_conv_geometry *g, int64_t sum, int32_t multiplier, int32_t shift) {
  const int64_t y = reference_mbqm(sum, multiplier, shift) + g->output_zero_point;
  return (int8_t)clamp64(y, g->activation_min, g->activation_max);
}

void reference_conv(
    const tgk_conv_geometry *g, bool depthwise, const int8_t *weights, const int32_t *bias, const int32_t *multiplier,
    const int32_t *shift, const int8_t *input, const tgk_add_epilogue *add, int8_t *output) {
  const int pool = g->pool == TGK_POOL_MAX_2X2 ? 2 : 1;
  size_t at = 0;
  for (int n = 0; n < g->batch; n++)
    for (int y = 0; y < g->output_height / pool; y++)
      for (int x = 0; x < g->output_width / pool; x++)
        for (int c = 0; c < g->output_channels; c++, at++) {
          // The pool as the graph has it: over requantised values.
          int best = -128;
          for (int dy = 0; dy < pool; dy++)
            for (int dx = 0; dx < pool; dx++) {
              const int64_t sum =
                  accumulator(g, depthwise, weights, bias, input, n, y * pool + dy, x * pool + dx, c);
              const int value = requantise(g, sum, multiplier[c], shift[c]);
              if (value > best) best = value;
            }
          output[at] = add ? reference_add(&add->parameters, (int8_t)best, add->operand[at]) : (int8_t)best;
        }
}

void reference_dense(
    const tgk_dense_geometry *g, const int8_t *weights, const int32_t *bias, const double *scale,
    const int32_t *multiplier, const int32_t *shift, const int8_t *input, int8_t *output) {
  for (int n = 0; n < g->batch; n++)
    for (int c = 0; c < g->output_count; c++) {
      int64_t sum = bias ? bias[c] : 0;
      for (int i = 0; i < g->input_count; i++)
        sum += (int64_t)(weights[(size_t)c * g->input_count + i] - g->weight_zero_point) *
            (input[(size_t)n * g->input_count + i] - g->input_zero_point);
      int64_t y;
      if (g->rounding == TGK_ROUNDING_FLOAT64) {
        const volatile double product = (double)sum * scale[c];
        y = (int64_t)clamp64((int64_t)round(fmax(fmin(product, 1e9), -1e9)), -1000000000, 1000000000);
      } else {
        y = reference_mbqm(sum, multiplier[c], shift[c]);
      }
      output[(size_t)n * g->output_count + c] =
          (int8_t)clamp64(y + g->output_zero_point, g->activation_min, g->activation_max);
    }
}

void reference_pool(const tgk_pool_geometry *g, bool average, const int8_t *input, int8_t *output) {
  for (int n = 0; n < g->batch; n++)
    for (int y = 0; y < g->output_height; y++)
      for (int x = 0; x < g->output_width; x++)
        for (int c = 0; c < g->channels; c++) {
          int count = 0, sum = 0, best = -128;
          for (int wy = 0; wy < g->window_height; wy++)
            for (int wx = 0; wx < g->window_width; wx++) {
              const int iy = y * g->stride_height - g->pad_top + wy, ix = x * g->stride_width - g->pad_left + wx;
              if (iy < 0 || iy >= g->input_height || ix < 0 || ix >= g->input_width) continue;
              const int value = input[((n * g->input_height + iy) * g->input_width + ix) * g->channels + c];
              count++;
              sum += value;
              if (value > best) best = value;
            }
          const int mean = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
          *output++ = (int8_t)clamp64(average ? mean : best, g->activation_min, g->activation_max);
        }
}

int8_t reference_mean(const tgk_mean_parameters *p, const int8_t *first) {
  int64_t sum = 0;
  for (int i = 0; i < p->count; i++) sum += first[(size_t)i * p->inner] - p->input_zero_point;
  return (int8_t)clamp64(reference_mbqm(sum, p->multiplier, p->shift) + p->output_zero_point, -128, 127);
}

int8_t reference_add(const tgk_add_parameters *p, int8_t a, int8_t b) {
  const int64_t u = reference_mbqm((int64_t)(a - p->a_zero_point) * 1048576, p->a_multiplier, p->a_shift);
  const int64_t v = reference_mbqm((int64_t)(b - p->b_zero_point) * 1048576, p->b_multiplier, p->b_shift);
  const int64_t y = reference_mbqm(u * p->a_sign + v * p->b_sign, p->output_multiplier, p->output_shift);
  return (int8_t)clamp64(y + p->output_zero_point, p->activation_min, p->activation_max);
}

int8_t reference_multiply(const tgk_multiply_parameters *p, int8_t a, int8_t b) {
  const int64_t product = (int64_t)(a - p->a_zero_point) * (b - p->b_zero_point);
  const int64_t y = reference_mbqm(product, p->multiplier, p->shift) + p->output_zero_point;
  return (int8_t)clamp64(y, p->activation_min, p->activation_max);
}

int8_t reference_quantize(float x, float scale, int32_t zero_point) {
  const volatile float quotient = x / scale;
  if (isnan(quotient)) return (int8_t)zero_point;
  const double rounded = round((double)quotient);
  return (int8_t)fmax(-128, fmin(127, rounded + zero_point));
}

float reference_dequantize(int8_t q, float scale, int32_t zero_point) {
  return (float)((double)scale * (double)(q - zero_point));
}

// Softmax: Q5.26 differences, Q0.31 exponentials, Q12.19 sum.

static int64_t saturate32(int64_t x) { return clamp64(x, INT32_MIN, INT32_MAX); }

static int64_t exponential_negative(int64_t a) {
  if (a == 0) return INT32_MAX;
  // a = -(multiple of 1/4) + m, m in [-1/4, 0)
  int64_t m = a % ((int64_t)1 << 24);
  if (m == 0) m = -((int64_t)1 << 24);
  const int64_t quarters = (m - a) >> 24;
  // Taylor about -1/8 in Q0.31.
  const int64_t x = m * 32 + ((int64_t)1 << 28);
  const int64_t x2 = srdhm(x, x), x3 = srdhm(x2, x), x4 = srdhm(x2, x2);
  const int64_t inner = rdbp(srdhm(rdbp(x4, 2) + x3, 715827883) + x2, 1);
  int64_t y = 1895147668 + srdhm(1895147668, x + inner);
  const int64_t barrel[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  for (int bit = 0; bit < 7; bit++)
    if ((quarters >> bit) & 1) y = srdhm(y, barrel[bit]);
  return y;
}

void reference_softmax(double scale, double beta, int32_t depth, const int8_t *input, int8_t *output) {
  int32_t multiplier, shift;
  reference_quantize_multiplier(fmin(beta * scale * (double)(1 << 26), 2147483647.0), &multiplier, &shift);
  const int64_t diff_min = -(int64_t)floor(31.0 * (1 << 26) / ldexp(1, shift));
  int best = -128;
  for (int c = 0; c < depth; c++)
    if (input[c] > best) best = input[c];
  int64_t sum = 0;
  for (int c = 0; c < depth; c++)
    if (input[c] - best >= diff_min)
      sum += rdbp(exponential_negative(srdhm((int64_t)(input[c] - best) * ((int64_t)1 << shift), multiplier)), 12);
  int headroom = 0;
  while ((sum << headroom) < ((int64_t)1 << 31)) headroom++;
  const int64_t a = (sum << headroom) - ((int64_t)1 << 31);
  const int64_t doubled = a + INT32_MAX;
  const int64_t half = (doubled + (doubled >= 0 ? 1 : -1)) / 2;
  int64_t x = 1515870810 + srdhm(half, -1010580540);
  for (int i = 0; i < 3; i++) x += saturate32(srdhm(x, ((int64_t)1 << 29) - srdhm(half, x)) * 4);
  const int64_t reciprocal = saturate32(x * 2);
  for (int c = 0; c < depth; c++) {
    output[c] = -128;
    if (input[c] - best < diff_min) continue;
    const int64_t e = exponential_negative(srdhm((int64_t)(input[c] - best) * ((int64_t)1 << shift), multiplier));
    output[c] = (int8_t)clamp64(rdbp(srdhm(reciprocal, e), 12 - headroom + 23) - 128, -128, 127);
  }
}
