// What the x86 source files give to the level tables.
#pragma once

#include "KernelTable.h"

extern const tgk_conv_kernels tgk_conv_avx2;
extern const tgk_conv_kernels tgk_depthwise_avx2;
extern const tgk_dense_kernels tgk_dense_avx2;
extern const tgk_conv_kernels tgk_conv_avxvnni;
extern const tgk_conv_kernels tgk_depthwise_avxvnni;
extern const tgk_dense_kernels tgk_dense_avxvnni;
extern const tgk_conv_kernels tgk_conv_avx512vnni;
extern const tgk_conv_kernels tgk_depthwise_avx512vnni;
extern const tgk_dense_kernels tgk_dense_avx512vnni;
