// Fixed-point int8 kernels of the inference engine: one C interface over several instruction-set levels.
//
// Rules for every function here:
// - Exact. For each operator there is one right answer (TensorFlow Lite reference kernels: SRDHM then RDBP,
//   "double rounding"; float64 for FULLY_CONNECTED), and every level returns it to the last bit.
// - Validate once, run blind. `..._packed_size` returns 0 for a geometry no kernel may be given; the run functions
//   check nothing. They allocate nothing, lock nothing and keep no state: memory is the caller's.
// - Tensors are row-major, NHWC, int8; real = scale * (q - zero_point). Weights are in [-127, 127], zero point 0.
// - `packed` and `scratch` are aligned to TGK_ALIGNMENT. Packed weights serve only the level and geometry they were
//   packed for. Input and output never overlap, save where a function says so.
// - A level that this processor does not have must not be run (`tgk_level_is_available`); packing is safe anywhere.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Alignment in bytes of packed weights and scratch.
#define TGK_ALIGNMENT 64

// MARK: Levels

/// Instruction-set levels. Every build knows every name; a level of another architecture is never available.
typedef enum {
  TGK_LEVEL_PORTABLE = 0,    ///< C11, any processor.
  TGK_LEVEL_AVX2 = 1,        ///< x86-64 with AVX2: pmaddwd on int16.
  TGK_LEVEL_AVXVNNI = 2,     ///< x86-64 with AVX2 and AVX-VNNI: vpdpbusd, 256 bit, VEX encoded.
  TGK_LEVEL_AVX512VNNI = 3,  ///< x86-64 with AVX-512 F, BW, DQ, VL and VNNI: vpdpbusd, 512 bit.
  TGK_LEVEL_NEON = 4,        ///< AArch64 Advanced SIMD (Cortex-A53, A72).
  TGK_LEVEL_NEONDOT = 5,     ///< AArch64 with the dot-product extension (Cortex-A76).
} tgk_level;

#define TGK_LEVEL_COUNT 6

/// "portable", "avx2", "avxvnni", "avx512vnni", "neon", "neondot"; NULL for a number that is no level.
const char *tgk_level_name(tgk_level level);
/// Whether this build has the level's code and this processor its instructions.
bool tgk_level_is_available(tgk_level level);
/// The fastest available level.
tgk_level tgk_level_best(void);

// MARK: Convolution

/// What is fused between a convolution's accumulators and their requantisation.
typedef enum {
  TGK_POOL_NONE = 0,
  /// MAX_POOL_2D 2x2, stride 2, VALID (an odd last row or column is dropped), taken on the int32 accumulators.
  /// Allowed only when `tgk_pool_fusion_is_exact`; the pool's own activation clamp is merged by intersecting bounds.
  TGK_POOL_MAX_2X2 = 1,
} tgk_pool;

/// How weights are packed.
typedef enum {
  TGK_WEIGHTS_FASTEST = 0,   ///< As the fastest kernel wants them; transformed weights take up to 3.6 times the file's.
  TGK_WEIGHTS_SMALLEST = 1,  ///< int8, channels and taps padded to whole vectors.
} tgk_weight_form;

/// Geometry and clamp of CONV_2D (grouped too; 1-D: kernel_height 1) and DEPTHWISE_CONV_2D.
/// All sizes are at least 1 unless said otherwise. `output_height` and `output_width` are the convolution's own, before
/// a fused pool; with TGK_POOL_MAX_2X2 the function writes [batch, output_height / 2, output_width / 2, channels].
typedef struct {
  int32_t batch;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width, output_channels;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t dilation_height, dilation_width;
  /// Rows above and columns left of the input, 0 or more; what is missing below and right follows from the output size.
  int32_t pad_top, pad_left;
  /// Divides input_channels and output_channels. Convolution only.
  int32_t groups;
  int32_t input_zero_point, output_zero_point;  ///< -128 ... 127; skipped taps count as the input zero point.
  int32_t activation_min, activation_max;       ///< Clamp of the int8 output, within -128 ... 127.
  tgk_pool pool;
  tgk_weight_form weight_form;  ///< Convolution only.
} tgk_conv_geometry;

/// ADD and SUB: MBQM with a left shift of 20 on each operand, then on their sum. Shifts as in QuantizeMultiplier:
/// positive left, negative right; operand multipliers are at most one half, so `*_shift` is at most 0.
typedef struct {
  int32_t a_zero_point, a_multiplier, a_shift;
  int32_t b_zero_point, b_multiplier, b_shift;
  int32_t a_sign, b_sign;  ///< +1, or -1 for the operand that is subtracted.
  int32_t output_zero_point, output_multiplier, output_shift;
  int32_t activation_min, activation_max;
} tgk_add_parameters;

/// An ADD or SUB fused behind a convolution: operand `a` is the convolution's int8 result after its clamp (and pool),
/// operand `b` a tensor of the same shape, which the output must not overlap.
typedef struct {
  tgk_add_parameters parameters;
  const int8_t *operand;
} tgk_add_epilogue;

/// Whether MAX_POOL may run on accumulators: requantisation is monotone when no channel shifts left.
bool tgk_pool_fusion_is_exact(int32_t channels, const int32_t *shift);

/// Bytes for packed weights at `level`, or 0 when the geometry is invalid (a size below 1, groups that do not divide,
/// a clamp or zero point out of range, a product that overflows).
size_t tgk_conv_packed_size(tgk_level level, const tgk_conv_geometry *geometry);
/// Bytes of scratch one run needs; may be 0.
size_t tgk_conv_scratch_size(tgk_level level, const tgk_conv_geometry *geometry);
/// weights: [output_channels, kernel_height, kernel_width, input_channels / groups]; bias: [output_channels] or NULL;
/// multiplier, shift: [output_channels], MBQM form (multiplier 0 or in [2^30, 2^31), shift -31 ... 30).
/// The accumulators must not overflow int32; kernels wrap.
void tgk_conv_pack(
    tgk_level level, const tgk_conv_geometry *geometry, const int8_t *weights, const int32_t *bias,
    const int32_t *multiplier, const int32_t *shift, void *packed);
/// add: NULL, or the fused ADD.
void tgk_conv(
    tgk_level level, const tgk_conv_geometry *geometry, const void *packed, const int8_t *input, int8_t *output,
    const tgk_add_epilogue *add, void *scratch);

/// As for CONV_2D; weights: [kernel_height, kernel_width, output_channels], output channel = input channel * multiplier
/// + m with multiplier = output_channels / input_channels. `groups` is ignored.
size_t tgk_depthwise_packed_size(tgk_level level, const tgk_conv_geometry *geometry);
size_t tgk_depthwise_scratch_size(tgk_level level, const tgk_conv_geometry *geometry);
void tgk_depthwise_pack(
    tgk_level level, const tgk_conv_geometry *geometry, const int8_t *weights, const int32_t *bias,
    const int32_t *multiplier, const int32_t *shift, void *packed);
void tgk_depthwise(
    tgk_level level, const tgk_conv_geometry *geometry, const void *packed, const int8_t *input, int8_t *output,
    const tgk_add_epilogue *add, void *scratch);

// MARK: Dense

typedef enum {
  /// round-half-away(accumulator * scale) in float64, without FMA: the reference rule.
  TGK_ROUNDING_FLOAT64 = 0,
  /// MBQM: the rule of TensorFlow Lite Micro.
  TGK_ROUNDING_FIXED = 1,
} tgk_rounding;

typedef struct {
  int32_t batch, input_count, output_count;
  int32_t input_zero_point, weight_zero_point, output_zero_point;
  int32_t activation_min, activation_max;
  tgk_rounding rounding;
} tgk_dense_geometry;

size_t tgk_dense_packed_size(tgk_level level, const tgk_dense_geometry *geometry);
size_t tgk_dense_scratch_size(tgk_level level, const tgk_dense_geometry *geometry);
/// weights: [output_count, input_count]; bias: [output_count] or NULL. FLOAT64 reads scale: [output_count]
/// (input scale * weight scale / output scale in double); FIXED reads multiplier and shift: [output_count]. The
/// unused arrays may be NULL.
void tgk_dense_pack(
    tgk_level level, const tgk_dense_geometry *geometry, const int8_t *weights, const int32_t *bias,
    const double *scale, const int32_t *multiplier, const int32_t *shift, void *packed);
void tgk_dense(
    tgk_level level, const tgk_dense_geometry *geometry, const void *packed, const int8_t *input, int8_t *output,
    void *scratch);

// MARK: Pooling and reduction

typedef struct {
  int32_t batch, input_height, input_width, channels;
  int32_t output_height, output_width;
  int32_t window_height, window_width;
  int32_t stride_height, stride_width;
  int32_t pad_top, pad_left;
  int32_t activation_min, activation_max;
} tgk_pool_geometry;

/// Maximum and average over the taps inside the input. Every window has at least one.
void tgk_max_pool(tgk_level level, const tgk_pool_geometry *geometry, const int8_t *input, int8_t *output);
void tgk_average_pool(tgk_level level, const tgk_pool_geometry *geometry, const int8_t *input, int8_t *output);

/// MEAN over the middle axis of [outer, count, inner] (height and width together are one axis):
/// out = clamp(MBQM(sum - count * input_zero_point, multiplier, shift) + output_zero_point). The caller has divided the
/// multiplier by the count as the reference does.
typedef struct {
  int32_t outer, count, inner;
  int32_t input_zero_point, output_zero_point;
  int32_t multiplier, shift;
} tgk_mean_parameters;
void tgk_mean(tgk_level level, const tgk_mean_parameters *parameters, const int8_t *input, int8_t *output);

// MARK: Element by element. Output may be an input.

/// output[i] = table[input[i] + 128]: every unary int8 operator (RELU family, LEAKY_RELU, LOGISTIC, TANH, int8 QUANTIZE).
void tgk_table(tgk_level level, const int8_t table[256], const int8_t *input, int8_t *output, size_t count);

/// output[i] = a[i] +- b[i % b_period]. b_period = count: same shape; = channels: one value a channel; = 1: a scalar.
void tgk_add(
    tgk_level level, const tgk_add_parameters *parameters, const int8_t *a, const int8_t *b, size_t b_period,
    int8_t *output, size_t count);

typedef struct {
  int32_t a_zero_point, b_zero_point, output_zero_point;
  int32_t multiplier, shift;
  int32_t activation_min, activation_max;
} tgk_multiply_parameters;
/// output[i] = MBQM((a[i] - za) * (b[i % b_period] - zb), multiplier, shift) + zo, clamped.
void tgk_multiply(
    tgk_level level, const tgk_multiply_parameters *parameters, const int8_t *a, const int8_t *b, size_t b_period,
    int8_t *output, size_t count);

/// clamp(round-half-away(float32 x / scale) + zero_point); infinities saturate, NaN becomes zero_point.
void tgk_quantize(
    tgk_level level, float scale, int32_t zero_point, const float *input, int8_t *output, size_t count);
/// float32(double(scale) * (q - zero_point)).
void tgk_dequantize(
    tgk_level level, float scale, int32_t zero_point, const int8_t *input, float *output, size_t count);

// MARK: Softmax

/// exponential[i] = exp(-i * beta * scale) as Q0.31 of the reference's fixed-point exponential, 0 below diff_min.
typedef struct {
  int32_t exponential[256];
} tgk_softmax_table;
/// multiplier, shift: QuantizeMultiplier(min(beta * scale * 2^26, 2^31 - 1)), shift 0 ... 31.
/// diff_min: -floor(31 * 2^26 / 2^shift).
void tgk_softmax_prepare(int32_t multiplier, int32_t shift, int32_t diff_min, tgk_softmax_table *table);
/// Softmax of each of `rows` rows of `depth`; output scale 1/256, zero point -128. Output may be the input.
void tgk_softmax(
    tgk_level level, const tgk_softmax_table *table, int32_t rows, int32_t depth, const int8_t *input, int8_t *output);

// MARK: Data movement

#define TGK_COPY_RANK_MAX 6

/// Copies a box of `rank` (1 ... 6) dimensions, the innermost last: element (i0, i1, ...) goes from
/// source + sum(i * source_stride) to destination + sum(i * destination_stride). Strides are in bytes, may be negative
/// and, for the source, 0. One function for TRANSPOSE, STRIDED_SLICE, PAD (fill, then copy), CONCATENATION,
/// SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND. Source and destination do not overlap.
typedef struct {
  int32_t rank;
  int32_t element_size;  ///< 1 or 4 bytes.
  int32_t count[TGK_COPY_RANK_MAX];
  ptrdiff_t source_stride[TGK_COPY_RANK_MAX];
  ptrdiff_t destination_stride[TGK_COPY_RANK_MAX];
} tgk_copy_box;
void tgk_copy(const tgk_copy_box *box, const void *source, void *destination);
void tgk_fill(int8_t value, int8_t *output, size_t count);

#ifdef __cplusplus
}
#endif
