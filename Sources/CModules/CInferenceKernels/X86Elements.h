// Element kernels of AVX2, used by every x86 level.
#pragma once

#include "KernelTable.h"

void tgk_add_avx2(
    const tgk_add_parameters *, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count);
