#if defined(__aarch64__)
#include "NeonKernels.h"
#include "NeonVector.h"
#include "PortableElements.h"

typedef struct {
  int32x4_t multiplier, right;
  int16x8_t zero_point;
} add_operand;

TGK_INLINE int32x4_t operand_term(int16x4_t x, const add_operand *o) {
  return tgk_mbqm_neon(vshll_n_s16(x, 16), o->multiplier, vdupq_n_s32(4), o->right);
}

void tgk_add_neon(
    const tgk_add_parameters *p, const int8_t *a, const int8_t *b, size_t b_period, int8_t *output, size_t count) {
  if (p->a_shift > 0 || p->b_shift > 0 || p->output_shift > 0 || b_period < 8) {
    tgk_add_portable(p, a, b, b_period, output, count);
    return;
  }
  const add_operand oa = {
      vdupq_n_s32(p->a_multiplier), vdupq_n_s32(p->a_shift), vdupq_n_s16((int16_t)p->a_zero_point)};
  const add_operand ob = {
      vdupq_n_s32(p->b_multiplier), vdupq_n_s32(p->b_shift), vdupq_n_s16((int16_t)p->b_zero_point)};
  const int32x4_t a_sign = vdupq_n_s32(p->a_sign), b_sign = vdupq_n_s32(p->b_sign);
  const int32x4_t multiplier = vdupq_n_s32(p->output_multiplier), right = vdupq_n_s32(p->output_shift);
  const int16x8_t zero_point = vdupq_n_s16((int16_t)p->output_zero_point);
  const int8x8_t low = vdup_n_s8((int8_t)p->activation_min), high = vdup_n_s8((int8_t)p->activation_max);
  for (size_t start = 0; start < count; start += b_period) {
    const size_t end = count - start < b_period ? count - start : b_period;
    size_t i = 0;
    for (; i + 8 <= end; i += 8) {
      const int16x8_t x = vsubq_s16(vmovl_s8(vld1_s8(a + start + i)), oa.zero_point);
      const int16x8_t y = vsubq_s16(vmovl_s8(vld1_s8(b + i)), ob.zero_point);
      int32x4_t first = vmulq_s32(operand_term(vget_low_s16(x), &oa), a_sign);
      int32x4_t second = vmulq_s32(operand_term(vget_high_s16(x), &oa), a_sign);
      first = vmlaq_s32(first, operand_term(vget_low_s16(y), &ob), b_sign);
      second = vmlaq_s32(second, operand_term(vget_high_s16(y), &ob), b_sign);
      first = tgk_mbqm_neon(first, multiplier, vdupq_n_s32(0), right);
      second = tgk_mbqm_neon(second, multiplier, vdupq_n_s32(0), right);
      const int16x8_t both = vcombine_s16(vqmovn_s32(first), vqmovn_s32(second));
      const int8x8_t z = vqmovn_s16(vqaddq_s16(both, zero_point));
      vst1_s8(output + start + i, vmin_s8(vmax_s8(z, low), high));
    }
    for (; i < end; i++) output[start + i] = tgk_add_element(p, a[start + i], b[i]);
  }
}

void tgk_table_neon(const int8_t table[256], const int8_t *input, int8_t *output, size_t count) {
  if (count < 64) {
    tgk_table_portable(table, input, output, count);
    return;
  }
  const uint8_t *bytes = (const uint8_t *)table;
  const uint8x16x4_t t0 = vld1q_u8_x4(bytes), t1 = vld1q_u8_x4(bytes + 64), t2 = vld1q_u8_x4(bytes + 128);
  const uint8x16x4_t t3 = vld1q_u8_x4(bytes + 192);
  const uint8x16_t top = vdupq_n_u8(128), step = vdupq_n_u8(64);
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    // An index of 64 or more answers 0 (tbl) or leaves the answer alone (tbx).
    uint8x16_t index = veorq_u8(vreinterpretq_u8_s8(vld1q_s8(input + i)), top);
    uint8x16_t y = vqtbl4q_u8(t0, index);
    y = vqtbx4q_u8(y, t1, index = vsubq_u8(index, step));
    y = vqtbx4q_u8(y, t2, index = vsubq_u8(index, step));
    y = vqtbx4q_u8(y, t3, vsubq_u8(index, step));
    vst1q_s8(output + i, vreinterpretq_s8_u8(y));
  }
  tgk_table_portable(table, input + i, output + i, count - i);
}

void tgk_max_pool_neon(const tgk_pool_geometry *g, const int8_t *input, int8_t *output) {
  const size_t channels = (size_t)g->channels, row_size = (size_t)g->input_width * channels;
  if (channels < 16) {
    tgk_max_pool_portable(g, input, output);
    return;
  }
  const int8x16_t low = vdupq_n_s8((int8_t)g->activation_min), high = vdupq_n_s8((int8_t)g->activation_max);
  for (int32_t n = 0; n < g->batch; n++, input += row_size * g->input_height)
    for (int32_t y = 0; y < g->output_height; y++)
      for (int32_t x = 0; x < g->output_width; x++, output += channels) {
        const int32_t top = y * g->stride_height - g->pad_top, left = x * g->stride_width - g->pad_left;
        const int32_t y0 = tgk_max32(top, 0), y1 = tgk_min32(top + g->window_height, g->input_height);
        const int32_t x0 = tgk_max32(left, 0), x1 = tgk_min32(left + g->window_width, g->input_width);
        // The last block overlaps the one before it.
        for (size_t c = 0;; c = c + 32 <= channels ? c + 16 : channels - 16) {
          int8x16_t best = low;
          for (int32_t iy = y0; iy < y1; iy++)
            for (int32_t ix = x0; ix < x1; ix++)
              best = vmaxq_s8(best, vld1q_s8(input + iy * row_size + (size_t)ix * channels + c));
          vst1q_s8(output + c, vminq_s8(best, high));
          if (c + 16 >= channels) break;
        }
      }
}
#endif
