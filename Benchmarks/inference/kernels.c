// Throughput of single layers at every level this processor has: best and median of repeated timings.
//
//   kernel-bench [--level NAME]
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "CInferenceKernels.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *aligned(size_t size) {
  void *memory = NULL;
  if (posix_memalign(&memory, TGK_ALIGNMENT, size ? size : 64) != 0) abort();
  memset(memory, 0, size);
  return memory;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/// Clock rate from a chain of dependent additions, one a cycle.
static double gigahertz(void) {
  double best = 0;
  for (int round = 0; round < 20; round++) {
    const double start = now();
    uint64_t x = 1;
    for (int i = 0; i < 100000; i++)
      {
      __asm__ volatile("" : "+r"(x));
      x += 3;
      __asm__ volatile("" : "+r"(x));
      x ^= 5;
    }
    const double rate = 200000 / (now() - start) * 1e-9;
    if (rate > best) best = rate;
  }
  return best;
}

enum { rounds = 15 };

typedef struct {
  const char *name;
  int height, width, in, out, kernel_height, kernel_width, stride, pool, depthwise;
} layer;

static const layer layers[] = {
    {"3x3 32->32 at 32x32", 32, 32, 32, 32, 3, 3, 1, 0, 0},
    {"3x3 32->32 at 32x32 pool", 32, 32, 32, 32, 3, 3, 1, 1, 0},
    {"3x3 16->16 at 32x32", 32, 32, 16, 16, 3, 3, 1, 0, 0},
    {"3x3 64->64 at 8x8", 8, 8, 64, 64, 3, 3, 1, 0, 0},
    {"3x3 64->64 at 16x16", 16, 16, 64, 64, 3, 3, 1, 0, 0},
    {"3x3 16->32 at 12x16 pool", 12, 16, 16, 32, 3, 3, 1, 1, 0},
    {"3x3 32->32 s2 at 32x32", 32, 32, 32, 32, 3, 3, 2, 0, 0},
    {"3x3 1->16 at 24x32 pool", 24, 32, 1, 16, 3, 3, 1, 1, 0},
    {"3x3 3->32 at 32x32 pool", 32, 32, 3, 32, 3, 3, 1, 1, 0},
    {"3x3 3->16 at 32x32", 32, 32, 3, 16, 3, 3, 1, 0, 0},
    {"3x3 3->8 s2 at 96x96", 96, 96, 3, 8, 3, 3, 2, 0, 0},
    {"1x1 8->16 at 48x48", 48, 48, 8, 16, 1, 1, 1, 0, 0},
    {"1x1 32->64 at 12x12", 12, 12, 32, 64, 1, 1, 1, 0, 0},
    {"1x1 128->128 at 6x6", 6, 6, 128, 128, 1, 1, 1, 0, 0},
    {"1x7 8->16 at 1x128", 1, 128, 8, 16, 1, 7, 1, 0, 0},
    {"depthwise 3x3 8 at 48x48", 48, 48, 8, 8, 3, 3, 1, 0, 1},
    {"depthwise 3x3 64 at 12x12", 12, 12, 64, 64, 3, 3, 1, 0, 1},
    {"depthwise 3x3 64 s2 at 12x12", 12, 12, 64, 64, 3, 3, 2, 0, 1},
    {"5x3 2->12 at 24x32", 24, 32, 2, 12, 5, 3, 1, 0, 0},
    {"depthwise 3x5 32->64 at 12x16", 12, 16, 32, 64, 3, 5, 1, 0, 1},
    {"depthwise 10x8 1->8 s2 at 49x10", 49, 10, 1, 8, 10, 8, 2, 0, 1},
};

static void bench_layer(tgk_level level, const layer *l, tgk_weight_form form, double clock) {
  tgk_conv_geometry g = {
      .batch = 1, .input_height = l->height, .input_width = l->width, .input_channels = l->in,
      .output_channels = l->out, .kernel_height = l->kernel_height, .kernel_width = l->kernel_width,
      .stride_height = l->stride, .stride_width = l->stride, .dilation_height = 1, .dilation_width = 1, .groups = 1,
      .input_zero_point = -128, .output_zero_point = -128, .activation_min = -128, .activation_max = 127,
      .pool = l->pool ? TGK_POOL_MAX_2X2 : TGK_POOL_NONE, .weight_form = form};
  g.output_height = (l->height + l->stride - 1) / l->stride;
  g.output_width = (l->width + l->stride - 1) / l->stride;
  const int above = (g.output_height - 1) * l->stride + l->kernel_height - l->height;
  const int beside = (g.output_width - 1) * l->stride + l->kernel_width - l->width;
  g.pad_top = above > 0 ? above / 2 : 0;
  g.pad_left = beside > 0 ? beside / 2 : 0;
  if (form == TGK_WEIGHTS_SMALLEST) {
    tgk_conv_geometry fastest = g;
    fastest.weight_form = TGK_WEIGHTS_FASTEST;
    if (l->depthwise || tgk_conv_packed_size(level, &fastest) == tgk_conv_packed_size(level, &g)) return;
  }
  const size_t depth = l->depthwise ? 1 : (size_t)l->in;
  const size_t weight_count = (size_t)l->out * l->kernel_height * l->kernel_width * depth;
  const size_t input_count = (size_t)l->height * l->width * l->in;
  const size_t output_count = (size_t)g.output_height * g.output_width * l->out;
  int8_t *weights = aligned(weight_count), *input = aligned(input_count), *output = aligned(output_count);
  int32_t *bias = aligned(4 * (size_t)l->out), *multiplier = aligned(4 * (size_t)l->out);
  int32_t *shift = aligned(4 * (size_t)l->out);
  for (size_t i = 0; i < weight_count; i++) weights[i] = (int8_t)(rand() % 255 - 127);
  for (size_t i = 0; i < input_count; i++) input[i] = (int8_t)(rand() % 256 - 128);
  for (int i = 0; i < l->out; i++) multiplier[i] = 1500000000 + i, shift[i] = -9, bias[i] = i * 100;
  const size_t packed_size = l->depthwise ? tgk_depthwise_packed_size(level, &g) : tgk_conv_packed_size(level, &g);
  void *packed = aligned(packed_size);
  void *scratch = aligned(
      l->depthwise ? tgk_depthwise_scratch_size(level, &g) : tgk_conv_scratch_size(level, &g));
  (l->depthwise ? tgk_depthwise_pack : tgk_conv_pack)(level, &g, weights, bias, multiplier, shift, packed);
  const double macs = (double)output_count * l->kernel_height * l->kernel_width * (double)depth;
  const int runs = (int)fmax(1, 5e6 / macs * (level == TGK_LEVEL_PORTABLE ? 0.5 : 10));
  double times[rounds];
  for (int round = -1; round < rounds; round++) {
    const double start = now();
    for (int i = 0; i < runs; i++)
      (l->depthwise ? tgk_depthwise : tgk_conv)(level, &g, packed, input, output, NULL, scratch);
    if (round >= 0) times[round] = (now() - start) / runs;
  }
  qsort(times, rounds, sizeof *times, compare);
  printf(
      "%-11s %-24s %-7s %9.2f us  (median %9.2f)  %7.1f GMAC/s  %6.2f MAC/cycle  weights x%.2f\n",
      tgk_level_name(level), l->name, form == TGK_WEIGHTS_SMALLEST ? "small" : "", times[0] * 1e6,
      times[rounds / 2] * 1e6, macs / times[0] * 1e-9, macs / times[0] * 1e-9 / clock,
      (double)packed_size / (double)weight_count);
  free(weights), free(input), free(output), free(bias), free(multiplier), free(shift), free(packed), free(scratch);
}

static void bench_dense(tgk_level level, int in, int out, double clock) {
  const tgk_dense_geometry g = {
      .batch = 1, .input_count = in, .output_count = out, .input_zero_point = -128, .output_zero_point = 3,
      .activation_min = -128, .activation_max = 127, .rounding = TGK_ROUNDING_FLOAT64};
  int8_t *weights = aligned((size_t)in * out), *input = aligned((size_t)in), *output = aligned((size_t)out);
  double *scale = aligned(8 * (size_t)out);
  for (int i = 0; i < in * out; i++) weights[i] = (int8_t)(rand() % 255 - 127);
  for (int i = 0; i < in; i++) input[i] = (int8_t)(rand() % 256 - 128);
  for (int i = 0; i < out; i++) scale[i] = 0.0003;
  void *packed = aligned(tgk_dense_packed_size(level, &g)), *scratch = aligned(tgk_dense_scratch_size(level, &g));
  tgk_dense_pack(level, &g, weights, NULL, scale, NULL, NULL, packed);
  const int runs = 20 + 20000000 / (in * out);
  double times[rounds];
  for (int round = -1; round < rounds; round++) {
    const double start = now();
    for (int i = 0; i < runs; i++) tgk_dense(level, &g, packed, input, output, scratch);
    if (round >= 0) times[round] = (now() - start) / runs;
  }
  qsort(times, rounds, sizeof *times, compare);
  const double macs = (double)in * out;
  char name[64];
  snprintf(name, sizeof name, "dense %d -> %d", in, out);
  printf(
      "%-11s %-32s %9.2f us  (median %9.2f)  %7.1f GMAC/s  %6.2f MAC/cycle\n", tgk_level_name(level), name,
      times[0] * 1e6, times[rounds / 2] * 1e6, macs / times[0] * 1e-9, macs / times[0] * 1e-9 / clock);
  free(weights), free(input), free(output), free(scale), free(packed), free(scratch);
}

static void bench_elements(tgk_level level) {
  enum { count = 16384 };
  int8_t *a = aligned(count), *b = aligned(count), *out = aligned(count), table[256];
  float *reals = aligned(count * sizeof(float));
  for (int i = 0; i < count; i++) a[i] = (int8_t)(rand() % 256 - 128), b[i] = (int8_t)(rand() % 256 - 128);
  for (int i = 0; i < 256; i++) table[i] = (int8_t)(i - 128);
  const tgk_add_parameters add = {
      -3, 1073741824, 0, 5, 1932735283, -1, 1, 1, 7, 1395864371, -18, -128, 127};
  const tgk_multiply_parameters multiply = {-3, 5, 7, 1395864371, -6, -128, 127};
  const tgk_mean_parameters mean = {1, 256, 64, -3, 4, 1500000000, -8};
  const tgk_pool_geometry pool = {1, 16, 16, 64, 8, 8, 2, 2, 2, 2, 0, 0, -128, 127};
  const tgk_pool_geometry pool3 = {1, 16, 16, 64, 16, 16, 3, 3, 1, 1, 1, 1, -128, 127};
  tgk_softmax_table softmax;
  tgk_softmax_prepare(1500000000, 22, -255, &softmax);
  static const char *const names[] = {"add 16384", "multiply 16384", "table 16384", "mean 16x16x64",
                                      "max pool 2x2 16x16x64", "average pool 3x3 16x16x64", "softmax 1x12",
                                      "softmax 16x1024", "quantize 16384", "dequantize 16384"};
  for (int kind = 0; kind < 10; kind++) {
    double times[rounds];
    for (int round = -1; round < rounds; round++) {
      const int runs = kind == 6 ? 2000 : 50;
      const double start = now();
      for (int i = 0; i < runs; i++) switch (kind) {
          case 0: tgk_add(level, &add, a, b, count, out, count); break;
          case 1: tgk_multiply(level, &multiply, a, b, count, out, count); break;
          case 2: tgk_table(level, table, a, out, count); break;
          case 3: tgk_mean(level, &mean, a, out); break;
          case 4: tgk_max_pool(level, &pool, a, out); break;
          case 5: tgk_average_pool(level, &pool3, a, out); break;
          case 6: tgk_softmax(level, &softmax, 1, 12, a, out); break;
          case 7: tgk_softmax(level, &softmax, 16, 1024, a, out); break;
          case 8: tgk_quantize(level, 0.01f, 3, reals, out, count); break;
          case 9: tgk_dequantize(level, 0.01f, 3, a, reals, count); break;
        }
      if (round >= 0) times[round] = (now() - start) / runs;
    }
    qsort(times, rounds, sizeof *times, compare);
    printf(
        "%-11s %-32s %9.3f us  (median %9.3f)\n", tgk_level_name(level), names[kind], times[0] * 1e6,
        times[rounds / 2] * 1e6);
  }
  free(a), free(b), free(out), free(reals);
}

int main(int argc, char **argv) {
  const char *only = argc == 3 && strcmp(argv[1], "--level") == 0 ? argv[2] : NULL;
  const double clock = gigahertz();
  printf("clock %.2f GHz (dependent additions)\n", clock);
  for (int l = 0; l < TGK_LEVEL_COUNT; l++) {
    const tgk_level level = (tgk_level)l;
    if (!tgk_level_is_available(level) || (only && strcmp(only, tgk_level_name(level)) != 0)) continue;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
      bench_layer(level, &layers[i], TGK_WEIGHTS_FASTEST, clock);
      bench_layer(level, &layers[i], TGK_WEIGHTS_SMALLEST, clock);
    }
    bench_dense(level, 2304, 64, clock);
    bench_dense(level, 1536, 10, clock);
    bench_dense(level, 64, 3, clock);
    bench_elements(level);
  }
  return 0;
}
