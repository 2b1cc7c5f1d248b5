// Byte equality of every kernel level with a readable model, on seeded random shapes.
//
//   kernel-tests [--count N] [--seed N] [--level NAME] [--emulated 1]
//
// Without --level, every level this processor has. --emulated 1: run a level that the processor lacks, because this build
// emulates its instructions. Exit status 1 on the first mismatch of each operator.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "Random.h"
#include "Reference.h"

static int failures;
static size_t compared;

/// Exact-size allocations, so that a sanitizer sees an access one byte outside; alignment 64 where asked for.
static void *aligned(size_t size) {
  void *memory = NULL;
  if (size == 0) return NULL;
  if (posix_memalign(&memory, TGK_ALIGNMENT, size) != 0) abort();
  memset(memory, 0xA5, size);
  return memory;
}

static bool check(
    const char *what, tgk_level level, uint64_t seed, const int8_t *got, const int8_t *wanted, size_t count) {
  compared += count;
  for (size_t i = 0; i < count; i++)
    if (got[i] != wanted[i]) {
      printf(
          "FAIL %s, level %s, seed %llu: element %zu of %zu is %d, expected %d\n", what, tgk_level_name(level),
          (unsigned long long)seed, i, count, got[i], wanted[i]);
      failures++;
      return false;
    }
  return true;
}

/// A multiplier in MBQM form: mostly those of real layers, sometimes extreme ones.
static void random_multiplier(generator *g, bool may_exceed_one, int32_t *multiplier, int32_t *shift) {
  const int kind = between(g, 0, 15);
  double d = exp2(-4 - 9 * unit(g));
  if (kind == 0) d = 0.25 + 0.75 * unit(g);
  if (kind == 1) d = exp2(-20 - 12 * unit(g));
  if (kind == 2 && may_exceed_one) d = exp2(6 * unit(g));
  if (kind == 3) d = exp2(-between(g, 1, 12));
  reference_quantize_multiplier(d, multiplier, shift);
}

static tgk_add_parameters random_add(generator *g) {
  tgk_add_parameters p;
  const double a = exp2(-8 + 4 * unit(g)), b = one_in(g, 4) ? a : exp2(-8 + 4 * unit(g));
  const double out = (a + b) * (0.3 + unit(g)), twice = 2 * fmax(a, b);
  reference_quantize_multiplier(a / twice, &p.a_multiplier, &p.a_shift);
  reference_quantize_multiplier(b / twice, &p.b_multiplier, &p.b_shift);
  reference_quantize_multiplier(twice / (1048576 * out), &p.output_multiplier, &p.output_shift);
  p.a_zero_point = between(g, -128, 127);
  p.b_zero_point = between(g, -128, 127);
  p.output_zero_point = between(g, -128, 127);
  p.a_sign = p.b_sign = 1;
  if (one_in(g, 3)) *(one_in(g, 2) ? &p.a_sign : &p.b_sign) = -1;
  p.activation_min = one_in(g, 2) ? -128 : p.output_zero_point;
  p.activation_max = one_in(g, 4) ? between(g, p.activation_min, 127) : 127;
  return p;
}

static int pick(generator *g, const int *choices, int count) { return choices[between(g, 0, count - 1)]; }

/// Padding and output size of SAME or VALID; false when VALID leaves nothing.
static bool place(generator *g, int input, int kernel, int stride, int dilation, int *output, int *pad) {
  const int reach = (kernel - 1) * dilation + 1;
  if (one_in(g, 2)) {
    if (input < reach) return false;
    *output = (input - reach) / stride + 1;
    *pad = 0;
    return true;
  }
  *output = (input + stride - 1) / stride;
  const int total = (*output - 1) * stride + reach - input;
  *pad = total > 0 ? total / 2 : 0;
  return true;
}

static bool random_conv(generator *g, bool depthwise, tgk_conv_geometry *geometry) {
  static const int channels[] = {1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 24, 31, 32, 33, 40, 48, 63, 64};
  static const int kernels[] = {1, 1, 2, 3, 3, 3, 3, 4, 5, 7};
  tgk_conv_geometry c = {0};
  c.batch = one_in(g, 5) ? 2 : 1;
  c.input_height = between(g, 1, 14);
  c.input_width = between(g, 1, 20);
  c.groups = 1;
  if (depthwise) {
    c.input_channels = pick(g, channels, 18);
    c.output_channels = c.input_channels * (one_in(g, 3) ? between(g, 2, 4) : 1);
  } else {
    if (one_in(g, 5)) c.groups = between(g, 2, 4);
    const int limit = c.groups > 1 ? 11 : 18;
    c.input_channels = pick(g, channels, limit) * c.groups;
    c.output_channels = pick(g, channels, limit) * c.groups;
  }
  c.kernel_height = pick(g, kernels, 10);
  c.kernel_width = one_in(g, 4) ? pick(g, kernels, 10) : c.kernel_height;
  if (one_in(g, 6)) c.kernel_height = c.input_height = 1;  // 1-D
  if (one_in(g, 12)) c.kernel_width = c.input_width = 1;
  c.stride_height = one_in(g, 3) ? between(g, 1, 3) : 1;
  c.stride_width = one_in(g, 4) ? between(g, 1, 3) : c.stride_height;
  c.dilation_height = one_in(g, 6) ? between(g, 1, 3) : 1;
  c.dilation_width = one_in(g, 2) ? c.dilation_height : one_in(g, 3) ? between(g, 1, 2) : 1;
  if (!place(g, c.input_height, c.kernel_height, c.stride_height, c.dilation_height, &c.output_height, &c.pad_top))
    return false;
  if (!place(g, c.input_width, c.kernel_width, c.stride_width, c.dilation_width, &c.output_width, &c.pad_left))
    return false;
  if (!depthwise && one_in(g, 4)) {
    // The shape that networks are made of, and that some levels transform: 3x3, stride 1, channels in eights.
    c.groups = c.stride_height = c.stride_width = c.dilation_height = c.dilation_width = 1;
    c.kernel_height = c.kernel_width = 3;
    c.input_channels = 8 * between(g, 1, 8);
    c.output_channels = one_in(g, 3) ? between(g, 8, 40) : 8 * between(g, 1, 8);
    c.pad_top = c.pad_left = one_in(g, 3) ? 0 : 1;
    c.output_height = c.input_height + 2 * c.pad_top - 2;
    c.output_width = c.input_width + 2 * c.pad_left - 2;
    if (c.output_height < 1 || c.output_width < 1) return false;
  }
  c.input_zero_point = one_in(g, 3) ? -128 : between(g, -128, 127);
  c.output_zero_point = one_in(g, 3) ? -128 : between(g, -128, 127);
  c.activation_min = one_in(g, 2) ? -128 : c.output_zero_point;
  c.activation_max = one_in(g, 4) ? between(g, c.activation_min, 127) : 127;
  if (c.output_height >= 2 && c.output_width >= 2 && one_in(g, 3)) c.pool = TGK_POOL_MAX_2X2;
  if (one_in(g, 3)) c.weight_form = TGK_WEIGHTS_SMALLEST;
  *geometry = c;
  return true;
}

static void describe(const tgk_conv_geometry *c, char *text, size_t size, bool depthwise, bool add) {
  snprintf(
      text, size, "%s %dx%dx%dx%d -> %dx%dx%d k%dx%d s%dx%d d%dx%d p%d,%d g%d%s%s%s", depthwise ? "depthwise" : "conv",
      c->batch, c->input_height, c->input_width, c->input_channels, c->output_height, c->output_width,
      c->output_channels, c->kernel_height, c->kernel_width, c->stride_height, c->stride_width, c->dilation_height,
      c->dilation_width, c->pad_top, c->pad_left, c->groups, c->pool ? " pool" : "", add ? " add" : "",
      c->weight_form ? " small" : "");
}

static bool test_conv_case(tgk_level level, uint64_t seed, bool depthwise) {
  generator g = {seed};
  tgk_conv_geometry c;
  if (!random_conv(&g, depthwise, &c)) return true;
  const size_t depth = depthwise ? 1 : (size_t)(c.input_channels / c.groups);
  const size_t weight_count = (size_t)c.output_channels * c.kernel_height * c.kernel_width * depth;
  const size_t input_count = (size_t)c.batch * c.input_height * c.input_width * c.input_channels;
  const size_t pool = c.pool ? 2 : 1;
  const size_t output_count =
      (size_t)c.batch * (c.output_height / pool) * (c.output_width / pool) * (size_t)c.output_channels;
  int8_t *weights = malloc(weight_count), *input = malloc(input_count);
  int8_t *wanted = malloc(output_count), *got = malloc(output_count), *operand = malloc(output_count);
  int32_t *bias = malloc(4 * (size_t)c.output_channels), *multiplier = malloc(4 * (size_t)c.output_channels);
  int32_t *shift = malloc(4 * (size_t)c.output_channels);
  fill_random(&g, weights, weight_count, -127);
  fill_random(&g, input, input_count, -128);
  fill_random(&g, operand, output_count, -128);
  const int32_t bias_max = one_in(&g, 8) ? 2000000000 : 20000;
  const bool may_exceed_one = !c.pool && one_in(&g, 4);
  for (int i = 0; i < c.output_channels; i++) {
    bias[i] = between(&g, -bias_max, bias_max);
    random_multiplier(&g, may_exceed_one, &multiplier[i], &shift[i]);
  }
  const bool has_bias = !one_in(&g, 6);
  const tgk_add_epilogue epilogue = {random_add(&g), operand};
  const tgk_add_epilogue *add = one_in(&g, 4) ? &epilogue : NULL;
  memset(got, 0x5A, output_count);
  reference_conv(&c, depthwise, weights, has_bias ? bias : NULL, multiplier, shift, input, add, wanted);

  bool ok = true;
  char text[200];
  describe(&c, text, sizeof text, depthwise, add != NULL);
  const size_t packed_size =
      depthwise ? tgk_depthwise_packed_size(level, &c) : tgk_conv_packed_size(level, &c);
  if (packed_size == 0) {
    printf("FAIL %s, level %s, seed %llu: refused\n", text, tgk_level_name(level), (unsigned long long)seed);
    failures++;
    ok = false;
  } else {
    void *packed = aligned(packed_size);
    void *scratch = aligned(depthwise ? tgk_depthwise_scratch_size(level, &c) : tgk_conv_scratch_size(level, &c));
    (depthwise ? tgk_depthwise_pack : tgk_conv_pack)(
        level, &c, weights, has_bias ? bias : NULL, multiplier, shift, packed);
    (depthwise ? tgk_depthwise : tgk_conv)(level, &c, packed, input, got, add, scratch);
    ok = check(text, level, seed, got, wanted, output_count);
    free(packed);
    free(scratch);
  }
  free(weights), free(input), free(wanted), free(got), free(operand), free(bias), free(multiplier), free(shift);
  return ok;
}

static bool test_conv(tgk_level level, uint64_t seed) { return test_conv_case(level, seed, false); }
static bool test_depthwise(tgk_level level, uint64_t seed) { return test_conv_case(level, seed, true); }

static bool test_dense(tgk_level level, uint64_t seed) {
  generator g = {seed};
  tgk_dense_geometry d = {0};
  d.batch = one_in(&g, 4) ? between(&g, 2, 5) : 1;
  d.input_count = one_in(&g, 3) ? between(&g, 1, 9) : between(&g, 10, 300);
  d.output_count = one_in(&g, 2) ? between(&g, 1, 12) : between(&g, 13, 70);
  d.input_zero_point = between(&g, -128, 127);
  d.weight_zero_point = one_in(&g, 5) ? between(&g, -128, 127) : 0;
  d.output_zero_point = between(&g, -128, 127);
  d.activation_min = one_in(&g, 2) ? -128 : d.output_zero_point;
  d.activation_max = one_in(&g, 4) ? between(&g, d.activation_min, 127) : 127;
  d.rounding = one_in(&g, 3) ? TGK_ROUNDING_FIXED : TGK_ROUNDING_FLOAT64;
  const size_t outputs = (size_t)d.output_count, output_count = outputs * d.batch;
  const size_t weight_count = outputs * d.input_count, input_count = (size_t)d.batch * d.input_count;
  int8_t *weights = malloc(weight_count), *input = malloc(input_count);
  int8_t *wanted = malloc(output_count), *got = malloc(output_count);
  int32_t *bias = malloc(4 * outputs), *multiplier = malloc(4 * outputs), *shift = malloc(4 * outputs);
  double *scale = malloc(8 * outputs);
  fill_random(&g, weights, weight_count, -127);
  fill_random(&g, input, input_count, -128);
  for (size_t i = 0; i < outputs; i++) {
    bias[i] = between(&g, -30000, 30000);
    random_multiplier(&g, true, &multiplier[i], &shift[i]);
    // Powers of two give exact ties.
    scale[i] = one_in(&g, 3) ? exp2(-between(&g, 1, 12)) : exp2(-4 - 9 * unit(&g));
  }
  const bool has_bias = !one_in(&g, 4);
  reference_dense(&d, weights, has_bias ? bias : NULL, scale, multiplier, shift, input, wanted);
  void *packed = aligned(tgk_dense_packed_size(level, &d)), *scratch = aligned(tgk_dense_scratch_size(level, &d));
  tgk_dense_pack(level, &d, weights, has_bias ? bias : NULL, scale, multiplier, shift, packed);
  memset(got, 0x5A, output_count);
  tgk_dense(level, &d, packed, input, got, scratch);
  char text[100];
  snprintf(
      text, sizeof text, "dense %d x %d -> %d rounding %d weight zero point %d", d.batch, d.input_count,
      d.output_count, (int)d.rounding, d.weight_zero_point);
  const bool ok = check(text, level, seed, got, wanted, output_count);
  free(weights), free(input), free(wanted), free(got), free(bias), free(multiplier), free(shift), free(scale);
  free(packed), free(scratch);
  return ok;
}

static bool test_pool(tgk_level level, uint64_t seed) {
  generator g = {seed};
  tgk_pool_geometry p = {0};
  p.batch = one_in(&g, 5) ? 2 : 1;
  p.input_height = between(&g, 1, 14);
  p.input_width = between(&g, 1, 14);
  p.channels = between(&g, 1, 80);
  p.window_height = between(&g, 1, 5);
  p.window_width = between(&g, 1, 5);
  p.stride_height = between(&g, 1, 3);
  p.stride_width = between(&g, 1, 3);
  if (!place(&g, p.input_height, p.window_height, p.stride_height, 1, &p.output_height, &p.pad_top)) return true;
  if (!place(&g, p.input_width, p.window_width, p.stride_width, 1, &p.output_width, &p.pad_left)) return true;
  p.activation_min = one_in(&g, 2) ? -128 : between(&g, -128, 127);
  p.activation_max = one_in(&g, 2) ? 127 : between(&g, p.activation_min, 127);
  const size_t input_count = (size_t)p.batch * p.input_height * p.input_width * p.channels;
  const size_t output_count = (size_t)p.batch * p.output_height * p.output_width * p.channels;
  int8_t *input = malloc(input_count), *wanted = malloc(output_count), *got = malloc(output_count);
  fill_random(&g, input, input_count, -128);
  reference_pool(&p, false, input, wanted);
  tgk_max_pool(level, &p, input, got);
  bool ok = check("max pool", level, seed, got, wanted, output_count);
  reference_pool(&p, true, input, wanted);
  tgk_average_pool(level, &p, input, got);
  ok = check("average pool", level, seed, got, wanted, output_count) && ok;
  free(input), free(wanted), free(got);
  return ok;
}

static bool test_mean(tgk_level level, uint64_t seed) {
  generator g = {seed};
  tgk_mean_parameters p = {0};
  p.outer = between(&g, 1, 3);
  p.count = between(&g, 1, 70);
  p.inner = between(&g, 1, 80);
  p.input_zero_point = between(&g, -128, 127);
  p.output_zero_point = between(&g, -128, 127);
  random_multiplier(&g, false, &p.multiplier, &p.shift);
  const size_t input_count = (size_t)p.outer * p.count * p.inner, output_count = (size_t)p.outer * p.inner;
  int8_t *input = malloc(input_count), *wanted = malloc(output_count), *got = malloc(output_count);
  fill_random(&g, input, input_count, -128);
  for (int o = 0; o < p.outer; o++)
    for (int i = 0; i < p.inner; i++)
      wanted[o * p.inner + i] = reference_mean(&p, input + (size_t)o * p.count * p.inner + i);
  tgk_mean(level, &p, input, got);
  const bool ok = check("mean", level, seed, got, wanted, output_count);
  free(input), free(wanted), free(got);
  return ok;
}

/// ADD of every pair of int8 values: the tie cases that random tensors seldom meet.
static bool test_add_pairs(tgk_level level, uint64_t seed) {
  generator g = {seed};
  enum { count = 65536 };
  int8_t *a = malloc(count), *b = malloc(count), *wanted = malloc(count), *got = malloc(count);
  const tgk_add_parameters p = random_add(&g);
  for (int i = 0; i < count; i++) {
    a[i] = (int8_t)(i / 256 - 128);
    b[i] = (int8_t)(i % 256 - 128);
    wanted[i] = reference_add(&p, a[i], b[i]);
  }
  tgk_add(level, &p, a, b, count, got, count);
  const bool ok = check("add of all pairs", level, seed, got, wanted, count);
  free(a), free(b), free(wanted), free(got);
  return ok;
}

/// MUL of every pair of int8 values, the second operand repeated and whole.
static bool test_multiply_pairs(tgk_level level, uint64_t seed) {
  generator g = {seed};
  enum { count = 65536 };
  int8_t *a = malloc(count), *b = malloc(count), *wanted = malloc(count), *got = malloc(count);
  tgk_multiply_parameters p = {0};
  random_multiplier(&g, false, &p.multiplier, &p.shift);
  p.a_zero_point = one_in(&g, 3) ? -128 : between(&g, -128, 127);
  p.b_zero_point = one_in(&g, 3) ? 127 : between(&g, -128, 127);
  p.output_zero_point = between(&g, -128, 127);
  p.activation_min = -128;
  p.activation_max = 127;
  for (int i = 0; i < count; i++) {
    a[i] = (int8_t)(i / 256 - 128);
    b[i] = (int8_t)(i % 256 - 128);
    wanted[i] = reference_multiply(&p, a[i], b[i]);
  }
  tgk_multiply(level, &p, a, b, 256, got, count);
  bool ok = check("multiply of all pairs, repeated", level, seed, got, wanted, count);
  tgk_multiply(level, &p, a, b, count, got, count);
  ok = check("multiply of all pairs", level, seed, got, wanted, count) && ok;
  free(a), free(b), free(wanted), free(got);
  return ok;
}

static bool test_elements(tgk_level level, uint64_t seed) {
  generator g = {seed};
  const size_t period = (size_t)between(&g, 1, 100), repeats = (size_t)between(&g, 1, 9);
  const size_t count = period * repeats;
  int8_t *a = malloc(count), *b = malloc(period), *wanted = malloc(count), *got = malloc(count), table[256];
  fill_random(&g, a, count, -128);
  fill_random(&g, b, period, -128);
  fill_random(&g, table, sizeof table, -128);
  const tgk_add_parameters add = random_add(&g);
  for (size_t i = 0; i < count; i++) wanted[i] = reference_add(&add, a[i], b[i % period]);
  tgk_add(level, &add, a, b, period, got, count);
  bool ok = check("add", level, seed, got, wanted, count);

  tgk_multiply_parameters multiply = {0};
  random_multiplier(&g, true, &multiply.multiplier, &multiply.shift);
  multiply.a_zero_point = between(&g, -128, 127);
  multiply.b_zero_point = between(&g, -128, 127);
  multiply.output_zero_point = between(&g, -128, 127);
  multiply.activation_min = one_in(&g, 2) ? -128 : between(&g, -128, 127);
  multiply.activation_max = one_in(&g, 2) ? 127 : between(&g, multiply.activation_min, 127);
  for (size_t i = 0; i < count; i++) wanted[i] = reference_multiply(&multiply, a[i], b[i % period]);
  tgk_multiply(level, &multiply, a, b, period, got, count);
  ok = check("multiply", level, seed, got, wanted, count) && ok;
  memcpy(got, a, count);
  tgk_multiply(level, &multiply, got, b, period, got, count);
  ok = check("multiply in place", level, seed, got, wanted, count) && ok;

  for (size_t i = 0; i < count; i++) wanted[i] = table[a[i] + 128];
  tgk_table(level, table, a, got, count);
  ok = check("table", level, seed, got, wanted, count) && ok;
  memcpy(got, a, count);
  tgk_table(level, table, got, got, count);
  ok = check("table in place", level, seed, got, wanted, count) && ok;
  free(a), free(b), free(wanted), free(got);
  return ok;
}

static bool test_quantize(tgk_level level, uint64_t seed) {
  generator g = {seed};
  const size_t count = (size_t)between(&g, 1, 70);
  const float scale = one_in(&g, 2) ? 0.5f : (float)exp2(-10 + 12 * unit(&g));
  const int32_t zero_point = between(&g, -128, 127);
  float *reals = malloc(count * sizeof(float)), *back = malloc(count * sizeof(float));
  int8_t *wanted = malloc(count), *got = malloc(count);
  const float special[] = {INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 0.0f, -0.0f, 1e-42f, 0.49999997f * scale};
  for (size_t i = 0; i < count; i++) {
    reals[i] = one_in(&g, 8) ? special[between(&g, 0, 8)]
        : one_in(&g, 3)      ? scale * ((float)between(&g, -140, 140) + 0.5f)
                             : scale * (float)(600 * unit(&g) - 300);
    wanted[i] = reference_quantize(reals[i], scale, zero_point);
  }
  tgk_quantize(level, scale, zero_point, reals, got, count);
  bool ok = check("quantize", level, seed, got, wanted, count);
  tgk_dequantize(level, scale, zero_point, got, back, count);
  for (size_t i = 0; i < count; i++) reals[i] = reference_dequantize(got[i], scale, zero_point);
  ok = check("dequantize", level, seed, (const int8_t *)back, (const int8_t *)reals, count * sizeof(float)) && ok;
  free(reals), free(back), free(wanted), free(got);
  return ok;
}

static bool test_softmax(tgk_level level, uint64_t seed) {
  generator g = {seed};
  const int rows = between(&g, 1, 4), depth = between(&g, 1, 130);
  const double scale = (float)exp2(-10 + 11 * unit(&g)), beta = one_in(&g, 4) ? (float)(0.1 + 3 * unit(&g)) : 1;
  const size_t count = (size_t)rows * depth;
  int8_t *input = malloc(count), *wanted = malloc(count), *got = malloc(count);
  fill_random(&g, input, count, -128);
  for (int r = 0; r < rows; r++) reference_softmax(scale, beta, depth, input + r * depth, wanted + r * depth);
  int32_t multiplier, shift;
  reference_quantize_multiplier(fmin(beta * scale * (double)(1 << 26), 2147483647.0), &multiplier, &shift);
  tgk_softmax_table table;
  tgk_softmax_prepare(multiplier, shift, -(int32_t)floor(31.0 * (1 << 26) / ldexp(1, shift)), &table);
  tgk_softmax(level, &table, rows, depth, input, got);
  const bool ok = check("softmax", level, seed, got, wanted, count);
  free(input), free(wanted), free(got);
  return ok;
}

/// Transposition of a random box, both ways round.
static bool test_copy(tgk_level level, uint64_t seed) {
  generator g = {seed};
  const int counts[3] = {between(&g, 1, 9), between(&g, 1, 9), between(&g, 1, 20)};
  const size_t size = one_in(&g, 3) ? 4 : 1, count = (size_t)counts[0] * counts[1] * counts[2];
  int8_t *input = malloc(count * size), *wanted = malloc(count * size), *got = malloc(count * size);
  fill_random(&g, input, count * size, -128);
  tgk_copy_box box = {.rank = 3, .element_size = (int32_t)size};
  const bool reversed = one_in(&g, 2);
  for (int i = 0; i < 3; i++) box.count[i] = counts[i];
  // [0, 1, 2] -> [2, 0, 1], axis 1 reversed now and then.
  const ptrdiff_t s = (ptrdiff_t)size;
  box.source_stride[0] = counts[1] * counts[2] * s;
  box.source_stride[1] = reversed ? -(counts[2] * s) : counts[2] * s;
  box.source_stride[2] = s;
  box.destination_stride[0] = counts[1] * s;
  box.destination_stride[1] = s;
  box.destination_stride[2] = (ptrdiff_t)counts[0] * counts[1] * s;
  for (int i = 0; i < counts[0]; i++)
    for (int j = 0; j < counts[1]; j++)
      for (int k = 0; k < counts[2]; k++) {
        const int from = reversed ? counts[1] - 1 - j : j;
        memcpy(
            wanted + ((size_t)(k * counts[0] + i) * counts[1] + j) * size,
            input + ((size_t)(i * counts[1] + from) * counts[2] + k) * size, size);
      }
  tgk_copy(&box, input + (reversed ? (size_t)(counts[1] - 1) * counts[2] * size : 0), got);
  const bool ok = check("copy", level, seed, got, wanted, count * size);
  free(input), free(wanted), free(got);
  return ok;
}

/// Geometries no kernel may be given are refused by every level.
static void test_validation(tgk_level level) {
  const tgk_conv_geometry good = {
      .batch = 1, .input_height = 4, .input_width = 4, .input_channels = 4, .output_height = 4, .output_width = 4,
      .output_channels = 4, .kernel_height = 3, .kernel_width = 3, .stride_height = 1, .stride_width = 1,
      .dilation_height = 1, .dilation_width = 1, .pad_top = 1, .pad_left = 1, .groups = 1, .activation_min = -128,
      .activation_max = 127};
  if (tgk_conv_packed_size(level, &good) == 0 || tgk_depthwise_packed_size(level, &good) == 0) {
    printf("FAIL validation, level %s: a good geometry is refused\n", tgk_level_name(level));
    failures++;
  }
  tgk_conv_geometry bad[15];
  for (int i = 0; i < 15; i++) bad[i] = good;
  bad[0].stride_height = 0;
  bad[1].input_channels = -1;
  bad[2].kernel_width = 0;
  bad[3].groups = 3;
  bad[4].pad_top = -1;
  bad[5].input_height = bad[5].input_width = bad[5].input_channels = 1 << 20;
  bad[6].output_width = 1 << 24, bad[6].stride_width = 1 << 24;
  bad[7].activation_min = 5, bad[7].activation_max = 4;
  bad[8].output_zero_point = 128;
  bad[9].pool = (tgk_pool)7;
  bad[10].pool = TGK_POOL_MAX_2X2, bad[10].output_height = 1;
  bad[11].dilation_width = INT32_MAX;
  bad[12].batch = INT32_MAX;
  bad[13].input_zero_point = -129;
  bad[14].weight_form = (tgk_weight_form)2;
  for (int i = 0; i < 15; i++)
    if (tgk_conv_packed_size(level, &bad[i]) != 0) {
      printf("FAIL validation, level %s: bad geometry %d is accepted\n", tgk_level_name(level), i);
      failures++;
    }
}

static const struct {
  const char *name;
  bool (*run)(tgk_level, uint64_t seed);
  int weight;  // cases for each 8 of --count
} tests[] = {
    {"conv", test_conv, 8},         {"depthwise", test_depthwise, 6}, {"dense", test_dense, 3},
    {"pool", test_pool, 3},         {"mean", test_mean, 2},           {"elements", test_elements, 6},
    {"quantize", test_quantize, 2}, {"softmax", test_softmax, 4},     {"copy", test_copy, 2},
    {"add pairs", test_add_pairs, 1},   {"multiply pairs", test_multiply_pairs, 1},
};

int main(int argc, char **argv) {
  uint64_t seed = 1;
  long count = 400;
  const char *only = NULL;
  bool emulated = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], NULL, 10);
    else if (strcmp(argv[i], "--count") == 0) count = strtol(argv[i + 1], NULL, 10);
    else if (strcmp(argv[i], "--level") == 0) only = argv[i + 1];
    else if (strcmp(argv[i], "--emulated") == 0) emulated = strcmp(argv[i + 1], "0") != 0;
    else return fprintf(stderr, "unknown option %s\n", argv[i]), 2;
  }
  int levels_run = 0;
  for (int l = 0; l < TGK_LEVEL_COUNT; l++) {
    const tgk_level level = (tgk_level)l;
    if (only && strcmp(only, tgk_level_name(level)) != 0) continue;
    if (!tgk_level_is_available(level) && !emulated) {
      printf("%s: not on this processor\n", tgk_level_name(level));
      continue;
    }
    levels_run++;
    const size_t before = compared;
    test_validation(level);
    for (size_t t = 0; t < sizeof tests / sizeof *tests; t++)
      for (long i = 0; i < count * tests[t].weight / 8; i++)
        if (!tests[t].run(level, seed * 1000003 + t * 100000007 + (uint64_t)i)) break;
    printf("%s: %zu bytes compared\n", tgk_level_name(level), compared - before);
  }
  if (levels_run == 0) return fprintf(stderr, "no such level here\n"), 2;
  printf(failures ? "%d FAILED\n" : "all equal\n", failures);
  return failures != 0;
}
