// The scalar rounding rules. Sources: gemmlowp fixedpoint.h (SRDHM, RDBP), TensorFlow Lite kernels/internal/common.cc.
#pragma once

#include <stdint.h>

/// Saturating rounding doubling high multiply: floor((a * b + 2^30) / 2^31), a half rounds up.
static inline int32_t tgk_srdhm(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/// Rounding division by 2^n, a half rounds away from zero. n: 0 ... 31.
static inline int32_t tgk_rdbp(int32_t x, int32_t n) {
  if (n == 0) return x;
  return (int32_t)(((int64_t)x + ((int64_t)1 << (n - 1)) - (x < 0)) >> n);
}

/// x << n that wraps in int32. n: 0 ... 31.
static inline int32_t tgk_wrapping_shift_left(int32_t x, int32_t n) { return (int32_t)((uint32_t)x << n); }

static inline int32_t tgk_wrapping_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

static inline int32_t tgk_wrapping_multiply(int32_t a, int32_t b) { return (int32_t)((uint32_t)a * (uint32_t)b); }

/// Multiply by a quantised multiplier: multiplier * 2^(shift - 31), double rounding.
static inline int32_t tgk_mbqm(int32_t x, int32_t multiplier, int32_t shift) {
  const int32_t left = shift > 0 ? shift : 0;
  const int32_t right = shift > 0 ? 0 : -shift;
  return tgk_rdbp(tgk_srdhm(tgk_wrapping_shift_left(x, left), multiplier), right);
}

static inline int32_t tgk_clamp(int64_t x, int32_t low, int32_t high) {
  return x < low ? low : x > high ? high : (int32_t)x;
}

/// Hides a double from the optimiser, so that no compiler fuses a multiplication with the addition behind it.
static inline double tgk_opaque(double x) {
#if defined(__x86_64__)
  __asm__("" : "+x"(x));
#elif defined(__aarch64__)
  __asm__("" : "+w"(x));
#else
  volatile double y = x;
  x = y;
#endif
  return x;
}

/// clamp(round-half-away(accumulator * scale) + zero_point).
static inline int32_t tgk_requantise_float64(
    int32_t accumulator, double scale, int32_t zero_point, int32_t low, int32_t high) {
  const double product = tgk_opaque((double)accumulator * scale);
  if (product >= 1024.0) return high;
  if (product <= -1024.0) return low;
  const int32_t truncated = (int32_t)product;
  const double rest = product - (double)truncated;  // exact: both are below 2^10 and close
  return tgk_clamp((int64_t)truncated + (rest >= 0.5) - (rest <= -0.5) + zero_point, low, high);
}
