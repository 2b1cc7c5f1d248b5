#if defined(__x86_64__)
// The tables of the x86 levels. What is not a multiplication of matrices is AVX2 at every level, but for ADD.
#include "PortableElements.h"
#include "X86Elements.h"
#include "X86Kernels.h"

#define AVX2_ELEMENTS \
  .max_pool = tgk_max_pool_avx2, .average_pool = tgk_average_pool_avx2, .mean = tgk_mean_avx2, \
  .table = tgk_table_avx2, .multiply = tgk_multiply_avx2, .quantize = tgk_quantize_avx2, \
  .dequantize = tgk_dequantize_avx2, .softmax = tgk_softmax_portable

const tgk_kernel_table tgk_avx2_kernels = {
    .conv = &tgk_conv_avx2, .depthwise = &tgk_depthwise_avx2, .dense = &tgk_dense_avx2, .add = tgk_add_avx2,
    AVX2_ELEMENTS};
const tgk_kernel_table tgk_avxvnni_kernels = {
    .conv = &tgk_conv_avxvnni, .depthwise = &tgk_depthwise_avxvnni, .dense = &tgk_dense_avxvnni,
    .add = tgk_add_avx2, AVX2_ELEMENTS};
const tgk_kernel_table tgk_avx512vnni_kernels = {
    .conv = &tgk_conv_avx512vnni, .depthwise = &tgk_depthwise_avx512vnni, .dense = &tgk_dense_avx512vnni,
    .add = tgk_add_avx512vnni, AVX2_ELEMENTS};
#endif
