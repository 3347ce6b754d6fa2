/* when: 1 */

/** phiz_dots_s8: rows (phiz_rows at most) times 16 outputs. Weights lie in quads: 4 inputs of the first output, then of
 * the second. */
PHIZ_KERNEL void phiz_dots_s8(int32_t rows, int32_t inputs, const int8_t *x, int32_t dx, const int8_t *w,
                              int32_t *sums) {
    for (int32_t r = 0; r < rows; ++r, x += dx) {
        for (int32_t o = 0; o < 16; ++o) {
            const int8_t *u = w + 4 * o;
            int32_t q = 0, sum = 0;
            for (; q + 4 <= inputs; q += 4, u += 64)
                sum += x[q] * u[0] + x[q + 1] * u[1] + x[q + 2] * u[2] + x[q + 3] * u[3];
            for (; q < inputs; ++q) sum += x[q] * *u++;
            *sums++ = sum;
        }
    }
}

/** phiz_narrow_16: 16 sums and their biases as int8. */
static void phiz_narrow_16(const int32_t *sums, const int32_t *bias, const int32_t *multiplier, const uint8_t *shift,
                           int32_t low, int32_t high, int32_t zero, int8_t *y) {
    for (int32_t j = 0; j < 16; ++j)
        y[j] = (int8_t)(phiz_narrow(sums[j] + bias[j], multiplier[j], shift[j], low, high) + zero);
}

/** PHIZ_DOTS: adds rows times 16 outputs; each sum in the order of the inputs, whatever the width of a register. */
#define PHIZ_DOTS(NAME, TYPE, LOAD)                                                                               \
    PHIZ_KERNEL void NAME(int32_t rows, int32_t inputs, const float *x, int32_t dx, const TYPE *w, float *sums) { \
        for (int32_t r = 0; r < rows; r += 4, x += 4 * dx, sums += 64) {                                          \
            const int32_t few = rows - r;                                                                         \
            const float *x1 = few > 1 ? x + dx : x, *x2 = few > 2 ? x1 + dx : x1, *x3 = few > 3 ? x2 + dx : x2;   \
            float a[16], b[16] = {0.0f}, c[16] = {0.0f}, d[16] = {0.0f};                                          \
            memcpy(a, sums, sizeof a);                                                                            \
            if (few > 1) memcpy(b, sums + 16, sizeof b);                                                          \
            if (few > 2) memcpy(c, sums + 32, sizeof c);                                                          \
            if (few > 3) memcpy(d, sums + 48, sizeof d);                                                          \
            for (int32_t i = 0; few == 1 && i < inputs; ++i) {                                                    \
                for (int32_t j = 0; j < 16; ++j) a[j] += x[i] * LOAD(w + 16 * i + j);                             \
            }                                                                                                     \
            for (int32_t i = 0; few > 1 && i < inputs; ++i) {                                                     \
                const float p = x[i], q = x1[i], s = x2[i], t = x3[i];                                            \
                for (int32_t j = 0; j < 16; ++j) {                                                                \
                    const float u = LOAD(w + 16 * i + j);                                                         \
                    a[j] += p * u;                                                                                \
                    b[j] += q * u;                                                                                \
                    c[j] += s * u;                                                                                \
                    d[j] += t * u;                                                                                \
                }                                                                                                 \
            }                                                                                                     \
            memcpy(sums, a, sizeof a);                                                                            \
            if (few > 1) memcpy(sums + 16, b, sizeof b);                                                          \
            if (few > 2) memcpy(sums + 32, c, sizeof c);                                                          \
            if (few > 3) memcpy(sums + 48, d, sizeof d);                                                          \
        }                                                                                                         \
    }

/** PHIZ_LOAD_F32: weights as they are. */
#define PHIZ_LOAD_F32(AT) *(AT)

/** PHIZ_LOAD_S8: int8 weights as floats. */
#define PHIZ_LOAD_S8(AT) (float)*(AT)

/** phiz_dots_f32: with float weights. */
PHIZ_DOTS(phiz_dots_f32, float, PHIZ_LOAD_F32)

/** phiz_dots_w8: with int8 weights. */
PHIZ_DOTS(phiz_dots_w8, int8_t, PHIZ_LOAD_S8)
