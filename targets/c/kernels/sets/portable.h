/* when: 1 */

/** phiz_dots_s8: rows (4 at most) times 16 outputs. Weights lie in quads: 4 inputs of the first output, then of the
 * second. Two products of int8 by [-127, 127] fit into 16 bits. */
PHIZ_KERNEL void phiz_dots_s8(int32_t rows, int32_t inputs, const int8_t *x, int32_t dx, const int8_t *w,
                              int32_t *sums) {
    const int8_t *x1 = rows > 1 ? x + dx : x, *x2 = rows > 2 ? x1 + dx : x1, *x3 = rows > 3 ? x2 + dx : x2;
    int32_t a[16] = {0}, b[16] = {0}, c[16] = {0}, d[16] = {0}, q = 0;
    for (; rows == 1 && q + 4 <= inputs; q += 4, w += 64) {
        const int32_t v0 = x[q], v1 = x[q + 1], v2 = x[q + 2], v3 = x[q + 3];
        for (int32_t o = 0; o < 16; ++o)
            a[o] += v0 * w[4 * o] + v1 * w[4 * o + 1] + v2 * w[4 * o + 2] + v3 * w[4 * o + 3];
    }
    for (; q + 4 <= inputs; q += 4, w += 64) {
        int16_t u[4][16];
        for (int32_t o = 0; o < 16; ++o) {
            u[0][o] = w[4 * o];
            u[1][o] = w[4 * o + 1];
            u[2][o] = w[4 * o + 2];
            u[3][o] = w[4 * o + 3];
        }
        for (int32_t k = 0; k < 4; k += 2) {
            const int16_t a0 = x[q + k], a1 = x[q + k + 1], b0 = x1[q + k], b1 = x1[q + k + 1];
            const int16_t c0 = x2[q + k], c1 = x2[q + k + 1], d0 = x3[q + k], d1 = x3[q + k + 1];
            for (int32_t o = 0; o < 16; ++o) {
                a[o] += (int16_t)((int16_t)(a0 * u[k][o]) + (int16_t)(a1 * u[k + 1][o]));
                b[o] += (int16_t)((int16_t)(b0 * u[k][o]) + (int16_t)(b1 * u[k + 1][o]));
                c[o] += (int16_t)((int16_t)(c0 * u[k][o]) + (int16_t)(c1 * u[k + 1][o]));
                d[o] += (int16_t)((int16_t)(d0 * u[k][o]) + (int16_t)(d1 * u[k + 1][o]));
            }
        }
    }
    for (; q < inputs; ++q, ++w) { /* what fills no quad */
        for (int32_t o = 0; o < 16; ++o) {
            a[o] += x[q] * w[4 * o];
            b[o] += x1[q] * w[4 * o];
            c[o] += x2[q] * w[4 * o];
            d[o] += x3[q] * w[4 * o];
        }
    }
    memcpy(sums, a, sizeof a);
    if (rows > 1) memcpy(sums + 16, b, sizeof b);
    if (rows > 2) memcpy(sums + 32, c, sizeof c);
    if (rows > 3) memcpy(sums + 48, d, sizeof d);
}

/** phiz_narrow_16: 16 sums and their biases as int8. */
static void phiz_narrow_16(const int32_t *sums, const int32_t *bias, const int32_t *multiplier, const uint8_t *shift,
                           int32_t low, int32_t high, int32_t zero, int8_t *y) {
    for (int32_t j = 0; j < 16; ++j)
        y[j] = (int8_t)(phiz_narrow(sums[j] + bias[j], multiplier[j], shift[j], low, high) + zero);
}

/** PHIZ_DOTS: adds rows (4 at most) times 16 outputs; each sum in the order of the inputs, whatever the width of a
 * register. */
#define PHIZ_DOTS(NAME, TYPE, LOAD)                                                                               \
    PHIZ_KERNEL void NAME(int32_t rows, int32_t inputs, const float *x, int32_t dx, const TYPE *w, float *sums) { \
        const float *x1 = rows > 1 ? x + dx : x, *x2 = rows > 2 ? x1 + dx : x1, *x3 = rows > 3 ? x2 + dx : x2;    \
        float a[16], b[16] = {0.0f}, c[16] = {0.0f}, d[16] = {0.0f};                                              \
        memcpy(a, sums, sizeof a);                                                                                \
        if (rows > 1) memcpy(b, sums + 16, sizeof b);                                                             \
        if (rows > 2) memcpy(c, sums + 32, sizeof c);                                                             \
        if (rows > 3) memcpy(d, sums + 48, sizeof d);                                                             \
        for (int32_t i = 0; rows == 1 && i < inputs; ++i) {                                                       \
            for (int32_t j = 0; j < 16; ++j) a[j] += x[i] * LOAD(w + 16 * i + j);                                 \
        }                                                                                                         \
        for (int32_t i = 0; rows > 1 && i < inputs; ++i) {                                                        \
            const float p = x[i], q = x1[i], s = x2[i], t = x3[i];                                                \
            for (int32_t j = 0; j < 16; ++j) {                                                                    \
                const float u = LOAD(w + 16 * i + j);                                                             \
                a[j] += p * u;                                                                                    \
                b[j] += q * u;                                                                                    \
                c[j] += s * u;                                                                                    \
                d[j] += t * u;                                                                                    \
            }                                                                                                     \
        }                                                                                                         \
        memcpy(sums, a, sizeof a);                                                                                \
        if (rows > 1) memcpy(sums + 16, b, sizeof b);                                                             \
        if (rows > 2) memcpy(sums + 32, c, sizeof c);                                                             \
        if (rows > 3) memcpy(sums + 48, d, sizeof d);                                                             \
    }

/** PHIZ_LOAD_F32: weights as they are. */
#define PHIZ_LOAD_F32(AT) *(AT)

/** PHIZ_LOAD_S8: int8 weights as floats. */
#define PHIZ_LOAD_S8(AT) (float)*(AT)

/** phiz_dots_f32: with float weights. */
PHIZ_DOTS(phiz_dots_f32, float, PHIZ_LOAD_F32)

/** phiz_dots_w8: with int8 weights. */
PHIZ_DOTS(phiz_dots_w8, int8_t, PHIZ_LOAD_S8)
