// What the NEON source files give to the level tables.
#pragma once

#include "KernelTable.h"

extern const tgk_conv_kernels tgk_conv_neon;
extern const tgk_conv_kernels tgk_conv_neondot;
extern const tgk_conv_kernels tgk_depthwise_neon;
extern const tgk_dense_kernels tgk_dense_neon;
extern const tgk_dense_kernels tgk_dense_neondot;

void tgk_add_neon(
    const tgk_add_parameters *, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count);
void tgk_table_neon(const int8_t table[256], const int8_t *input, int8_t *output, size_t count);
void tgk_max_pool_neon(const tgk_pool_geometry *, const int8_t *input, int8_t *output);
