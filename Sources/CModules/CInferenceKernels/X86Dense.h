// The half of FULLY_CONNECTED that all x86 levels share: packed constants and requantisation.
//
// Packed: float64 scale, then bias, multiplier, left and right shift (int32), each padded to `padded_outputs`; then the
// level's weights.
#pragma once

#include "KernelTable.h"

static inline size_t tgk_x86_dense_weights_offset(size_t padded_outputs) {
  return tgk_round_up(padded_outputs * (sizeof(double) + 4 * sizeof(int32_t)), TGK_ALIGNMENT);
}

/// Writes the constants; activation_bias is what the widened activations have over the int8.
void tgk_x86_dense_pack_constants(
    const tgk_dense_geometry *g, size_t padded_outputs, int32_t activation_bias, const int8_t *weights,
    const int32_t *bias, const double *scale, const int32_t *multiplier, const int32_t *shift, void *packed);

/// sums: accumulators without bias, a multiple of eight; writes output_count int8.
void tgk_dense_requantise_avx2(
    const tgk_dense_geometry *g, size_t padded_outputs, const void *packed, const int8_t *input, const int32_t *sums,
    int8_t *output);
