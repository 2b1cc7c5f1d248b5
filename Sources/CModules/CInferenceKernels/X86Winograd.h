// Winograd F(2x2, 3x3) in integers for AVX2.
#pragma once

#include "KernelTable.h"

/// Whether the layer is a 3x3 convolution of stride 1 that gains from the transform and cannot overflow in it.
bool tgk_winograd_fits(const tgk_conv_geometry *geometry);

extern const tgk_conv_kernels tgk_winograd_avx2;
