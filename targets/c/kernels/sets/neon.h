/* when: defined(__ARM_NEON) && defined(__aarch64__) && !defined(__AARCH64EB__) */
#include <arm_neon.h>

/** phiz_dots_s8: products in 16 bits, pairs of them added in 32. */
PHIZ_KERNEL void phiz_dots_s8(int32_t rows, int32_t inputs, const int8_t *x, int32_t dx, const int8_t *w,
                              int32_t *sums) {
    for (int32_t r = 0; r < rows; ++r, x += dx, sums += 16) {
        const int8_t *u = w;
        int32x4_t a[8];
        PHIZ_UNROLLED for (int32_t j = 0; j < 8; ++j) a[j] = vdupq_n_s32(0);
        for (int32_t q = 0; q < inputs; q += 4, u += 64) {
            const int8x8_t v = vreinterpret_s8_s32(vdup_n_s32(phiz_quad(x + q, inputs - q)));
            PHIZ_UNROLLED for (int32_t j = 0; j < 8; ++j) a[j] = vpadalq_s16(a[j], vmull_s8(v, vld1_s8(u + 8 * j)));
        }
        PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j) vst1q_s32(sums + 4 * j, vpaddq_s32(a[2 * j], a[2 * j + 1]));
    }
}

/** phiz_narrow_16: as phiz_narrow does, 4 at a time; where the shift is below 31, sums beyond 1024 are all the same. */
static void phiz_narrow_16(const int32_t *sums, const int32_t *bias, const int32_t *multiplier, const uint8_t *shift,
                           int32_t low, int32_t high, int32_t zero, int8_t *y) {
    for (int32_t j = 0; j < 16; j += 4) {
        const int32_t shifts[4] = {shift[j], shift[j + 1], shift[j + 2], shift[j + 3]};
        const int32x4_t m = vld1q_s32(multiplier + j), by = vnegq_s32(vld1q_s32(shifts));
        const uint32x4_t wide = vcgtq_s32(by, vdupq_n_s32(-31));
        const int32x4_t most = vbslq_s32(wide, vdupq_n_s32(1024), vdupq_n_s32(2147483647));
        int32x4_t s = vaddq_s32(vld1q_s32(sums + j), vld1q_s32(bias + j));
        int64x2_t below, above;
        s = vminq_s32(vmaxq_s32(s, vmvnq_s32(most)), most);
        below = vrshlq_s64(vmull_s32(vget_low_s32(s), vget_low_s32(m)), vmovl_s32(vget_low_s32(by)));
        above = vrshlq_s64(vmull_s32(vget_high_s32(s), vget_high_s32(m)), vmovl_s32(vget_high_s32(by)));
        s = vcombine_s32(vmovn_s64(below), vmovn_s64(above));
        s = vaddq_s32(vminq_s32(vmaxq_s32(s, vdupq_n_s32(low)), vdupq_n_s32(high)), vdupq_n_s32(zero));
        y[j] = (int8_t)vgetq_lane_s32(s, 0);
        y[j + 1] = (int8_t)vgetq_lane_s32(s, 1);
        y[j + 2] = (int8_t)vgetq_lane_s32(s, 2);
        y[j + 3] = (int8_t)vgetq_lane_s32(s, 3);
    }
}

/** PHIZ_DOTS: 16 outputs in four registers, product and sum apart. */
#define PHIZ_DOTS(NAME, TYPE, LOAD)                                                                               \
    PHIZ_KERNEL void NAME(int32_t rows, int32_t inputs, const float *x, int32_t dx, const TYPE *w, float *sums) { \
        for (int32_t r = 0; r < rows; r += 2, x += 2 * dx, sums += 32) {                                          \
            const int32_t both = r + 1 < rows;                                                                    \
            const float *x1 = both ? x + dx : x;                                                                  \
            float32x4_t a[4], b[4];                                                                               \
            PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j) {                                                       \
                a[j] = vld1q_f32(sums + 4 * j);                                                                   \
                b[j] = both ? vld1q_f32(sums + 16 + 4 * j) : a[j];                                                \
            }                                                                                                     \
            for (int32_t i = 0; i < inputs; ++i) {                                                                \
                const float32x4_t s = vdupq_n_f32(x[i]), t = vdupq_n_f32(x1[i]);                                  \
                PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j) {                                                   \
                    const float32x4_t u = LOAD(w + 16 * i + 4 * j);                                               \
                    a[j] = vaddq_f32(a[j], vmulq_f32(s, u));                                                      \
                    b[j] = vaddq_f32(b[j], vmulq_f32(t, u));                                                      \
                }                                                                                                 \
            }                                                                                                     \
            PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j) {                                                       \
                vst1q_f32(sums + 4 * j, a[j]);                                                                    \
                if (both) vst1q_f32(sums + 16 + 4 * j, b[j]);                                                     \
            }                                                                                                     \
        }                                                                                                         \
    }

/** PHIZ_LOAD_F32: weights as they are. */
#define PHIZ_LOAD_F32(AT) vld1q_f32(AT)

/** PHIZ_FOUR: four int8 in the lower half of a register. */
#define PHIZ_FOUR(AT) vreinterpret_s8_s32(vdup_n_s32(phiz_quad(AT, 4)))

/** PHIZ_LOAD_S8: int8 weights as floats. */
#define PHIZ_LOAD_S8(AT) vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(PHIZ_FOUR(AT)))))

/** phiz_dots_f32: with float weights. */
PHIZ_DOTS(phiz_dots_f32, float, PHIZ_LOAD_F32)

/** phiz_dots_w8: with int8 weights. */
PHIZ_DOTS(phiz_dots_w8, int8_t, PHIZ_LOAD_S8)
