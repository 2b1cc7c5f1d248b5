// What the x86 source files give to the level tables.
#pragma once

#include "KernelTable.h"

extern const tgk_conv_kernels tgk_conv_avx2;
