#if defined(__aarch64__)
// The tables of the NEON levels.
#include "NeonKernels.h"
#include "PortableElements.h"

#define NEON_ELEMENTS \
  .depthwise = &tgk_depthwise_neon, .max_pool = tgk_max_pool_neon, .average_pool = tgk_average_pool_portable, \
  .mean = tgk_mean_portable, .table = tgk_table_neon, .add = tgk_add_neon, .multiply = tgk_multiply_portable, \
  .quantize = tgk_quantize_portable, .dequantize = tgk_dequantize_portable, .softmax = tgk_softmax_portable

const tgk_kernel_table tgk_neon_kernels = {.conv = &tgk_conv_neon, .dense = &tgk_dense_neon, NEON_ELEMENTS};
const tgk_kernel_table tgk_neondot_kernels = {.conv = &tgk_conv_neondot, .dense = &tgk_dense_neondot, NEON_ELEMENTS};
#endif
