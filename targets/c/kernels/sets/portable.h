/* when: 1 */

/** phiz_dots_s8: rows times 16 outputs. Weights lie in quads: 4 inputs of the first output, then of the second. */
static void phiz_dots_s8(int32_t rows, int32_t inputs, const int8_t *x, int32_t dx, const int8_t *w, int32_t *sums) {
    for (int32_t r = 0; r < rows; ++r, x += dx, sums += 16) {
        const int8_t *u = w;
        int32_t lanes[64] = {0}, q = 0;
        int16_t a[16], b[16];
        for (; q + 8 <= inputs; q += 8, u += 128) { /* two products of int8 by [-127, 127] fit into 16 bits */
            for (int32_t i = 0; i < 16; ++i) {
                a[i] = x[q + (i & 3)];
                b[i] = x[q + 4 + (i & 3)];
            }
            for (int32_t j = 0; j < 64; j += 16)
                for (int32_t i = 0; i < 16; ++i)
                    lanes[j + i] += (int16_t)((int16_t)(a[i] * u[j + i]) + (int16_t)(b[i] * u[64 + j + i]));
        }
        for (; q < inputs; q += 4, u += 64) {
            for (int32_t i = 0; i < 16; ++i) a[i] = q + (i & 3) < inputs ? x[q + (i & 3)] : (int8_t)0;
            for (int32_t i = 0; i < 64; ++i) lanes[i] += a[i & 15] * u[i];
        }
        for (int32_t o = 0; o < 16; ++o)
            sums[o] = lanes[4 * o] + lanes[4 * o + 1] + lanes[4 * o + 2] + lanes[4 * o + 3];
    }
}

/** phiz_narrow_16: 16 sums and their biases as int8. */
static void phiz_narrow_16(const int32_t *sums, const int32_t *bias, const int32_t *multiplier, const uint8_t *shift,
                           int32_t low, int32_t high, int32_t zero, int8_t *y) {
    for (int32_t j = 0; j < 16; ++j)
        y[j] = (int8_t)(phiz_narrow(sums[j] + bias[j], multiplier[j], shift[j], low, high) + zero);
}

/** phiz_dots_f32: adds rows times 16 outputs; each sum in the order of the inputs, whatever the width of a register. */
static void phiz_dots_f32(int32_t rows, int32_t inputs, const float *x, int32_t dx, const float *w, float *sums) {
    for (int32_t r = 0; r < rows; ++r, x += dx, sums += 16) {
        float lanes[16];
        for (int32_t j = 0; j < 16; ++j) lanes[j] = sums[j];
        for (int32_t i = 0; i < inputs; ++i)
            for (int32_t j = 0; j < 16; ++j) lanes[j] += x[i] * w[16 * i + j];
        for (int32_t j = 0; j < 16; ++j) sums[j] = lanes[j];
    }
}
