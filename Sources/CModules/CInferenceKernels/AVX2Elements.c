#if defined(__x86_64__)
#include "X86Elements.h"

#include "PortableElements.h"

void tgk_add_avx2(
    const tgk_add_parameters *p, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count) {
  tgk_add_portable(p, a, b, b_period, output, count);
}
#endif
