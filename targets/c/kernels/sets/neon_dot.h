/* when: defined(__ARM_FEATURE_DOTPROD) && defined(__aarch64__) && !defined(__AARCH64EB__) */
#include <arm_neon.h>

/** phiz_dots_s8: 16 products at a time. */
PHIZ_KERNEL void phiz_dots_s8(int32_t rows, int32_t inputs, const int8_t *x, int32_t dx, const int8_t *w,
                              int32_t *sums) {
    for (int32_t r = 0; r < rows; r += 2, x += 2 * dx, sums += 32) {
        const int8_t *x1 = r + 1 < rows ? x + dx : x, *u = w;
        int32x4_t a[4], b[4];
        PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j) a[j] = b[j] = vdupq_n_s32(0);
        for (int32_t q = 0; q < inputs; q += 4, u += 64) {
            const int8x16_t s = vreinterpretq_s8_s32(vdupq_n_s32(phiz_quad(x + q, inputs - q)));
            const int8x16_t t = vreinterpretq_s8_s32(vdupq_n_s32(phiz_quad(x1 + q, inputs - q)));
            PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j) {
                const int8x16_t v = vld1q_s8(u + 16 * j);
                a[j] = vdotq_s32(a[j], s, v);
                b[j] = vdotq_s32(b[j], t, v);
            }
        }
        PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j) {
            vst1q_s32(sums + 4 * j, a[j]);
            if (r + 1 < rows) vst1q_s32(sums + 16 + 4 * j, b[j]);
        }
    }
}
