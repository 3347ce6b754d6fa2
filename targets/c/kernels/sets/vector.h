/* when: !defined(PHIZ_SCALAR) && (defined(__GNUC__) || defined(__clang__)) && (defined(__SSE2__) || \
    defined(__ARM_NEON) || defined(__wasm_simd128__) || defined(__ALTIVEC__) || defined(__VX__) || \
    defined(__loongarch_sx) || defined(__riscv_vector)) */

/** phiz_lanes: 8 numbers of 16 bits, whatever the machine has for them. */
typedef int16_t phiz_lanes __attribute__((vector_size(16)));

/** phiz_halves: without sign, for what may overflow. */
typedef uint16_t phiz_halves __attribute__((vector_size(16)));

/** phiz_words: 4 numbers of 32 bits. */
typedef int32_t phiz_words __attribute__((vector_size(16)));

/** PHIZ_LOWER: the lower byte of each lane as a number; the upper one is `>> 8`. */
#define PHIZ_LOWER(V) ((phiz_lanes)((phiz_halves)(V) << 8) >> 8)

/** phiz_dots_s8: a lane holds two inputs of a quad, and two products by [-127, 127] fit into it. Of their sums `low`
 * keeps the lowest 16 bits, and `high` adds up what is above their lowest 8: for 256 quads both together know all. */
PHIZ_KERNEL void phiz_dots_s8(int32_t rows, int32_t inputs, const int8_t *x, int32_t dx, const int8_t *w,
                              int32_t *sums) {
    for (int32_t r = 0; r < rows; ++r, x += dx, sums += 16) {
        const int8_t *u = w;
        memset(sums, 0, 16 * sizeof *sums);
        for (int32_t first = 0; first < inputs; first += 1024) {
            const int32_t end = inputs - first < 1024 ? inputs : first + 1024;
            phiz_halves low[4] = {{0}, {0}, {0}, {0}};
            phiz_lanes high[4] = {{0}, {0}, {0}, {0}};
            uint16_t lows[32];
            int16_t highs[32];
            for (int32_t q = first; q < end; q += 4, u += 64) {
                const int32_t quad = phiz_quad(x + q, inputs - q);
                const phiz_words quads = {quad, quad, quad, quad};
                const phiz_lanes even = PHIZ_LOWER(quads), odd = (phiz_lanes)quads >> 8;
                PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j) {
                    phiz_lanes pairs, sum;
                    memcpy(&pairs, u + 16 * j, sizeof pairs);
                    sum = even * PHIZ_LOWER(pairs) + odd * (pairs >> 8);
                    low[j] += (phiz_halves)sum;
                    high[j] += sum >> 8;
                }
            }
            memcpy(lows, low, sizeof lows);
            memcpy(highs, high, sizeof highs);
            for (int32_t o = 0; o < 16; ++o) {
                const int32_t a = highs[2 * o] * 256, b = highs[2 * o + 1] * 256;
                sums[o] += a + b + (uint16_t)(lows[2 * o] - a) + (uint16_t)(lows[2 * o + 1] - b);
            }
        }
    }
}
