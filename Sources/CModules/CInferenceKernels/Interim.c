// Levels that borrow the portable kernels.
#include "KernelTable.h"
#include "PortableConvolution.h"
#include "PortableElements.h"
#define TABLE(name) const tgk_kernel_table name = { \
    .conv = &tgk_conv_portable, .depthwise = &tgk_depthwise_portable, .dense = &tgk_dense_portable, \
    .max_pool = tgk_max_pool_portable, .average_pool = tgk_average_pool_portable, .mean = tgk_mean_portable, \
    .table = tgk_table_portable, .add = tgk_add_portable, .multiply = tgk_multiply_portable, \
    .quantize = tgk_quantize_portable, .dequantize = tgk_dequantize_portable, .softmax = tgk_softmax_portable}
#if defined(__aarch64__)
TABLE(tgk_neon_kernels);
TABLE(tgk_neondot_kernels);
#endif
