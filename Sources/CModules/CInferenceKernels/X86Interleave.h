#pragma once

#include "KernelTable.h"

/// pairs[2 * i] = upper[i], pairs[2 * i + 1] = lower[i]. count: a multiple of 16 is fastest.
void tgk_interleave_avx2(const int8_t *upper, const int8_t *lower, int16_t *pairs, size_t count);
