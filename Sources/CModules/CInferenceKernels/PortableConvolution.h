// Portable convolution and dense kernels, borrowed by other levels for geometries not worth a vector kernel.
#pragma once

#include "KernelTable.h"

extern const tgk_conv_kernels tgk_conv_portable;
extern const tgk_conv_kernels tgk_depthwise_portable;
extern const tgk_dense_kernels tgk_dense_portable;
