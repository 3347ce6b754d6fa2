/* Convolutions and fully connected layers: rows of inputs times packed weights, 16 outputs at a time. */

/** PHIZ_GATHER: the inputs of each of `rows` positions as one run: outer by inner taps of `run` elements. */
#define PHIZ_GATHER(NAME, TYPE)                                                                                \
    PHIZ_KERNEL void NAME(int32_t rows, int32_t row, int32_t outer, int32_t gap, int32_t inner, int32_t near_, \
                     int32_t run, const TYPE *x, TYPE *y) {                                                    \
        for (int32_t r = 0; r < rows; ++r)                                                                     \
            for (int32_t i = 0; i < outer; ++i)                                                                \
                for (int32_t j = 0; j < inner; ++j) {                                                          \
                    const TYPE *from = x + r * row + i * gap + j * near_;                                      \
                    if (run == 1) {                                                                            \
                        *y++ = *from;                                                                          \
                    } else {                                                                                   \
                        memcpy(y, from, (size_t)run * sizeof(TYPE));                                           \
                        y += run;                                                                              \
                    }                                                                                          \
                }                                                                                              \
    }

/** phiz_gather_f32: for floats. */
PHIZ_GATHER(phiz_gather_f32, float)

/** phiz_gather_s8: for int8. */
PHIZ_GATHER(phiz_gather_s8, int8_t)

/** phiz_rows: how many rows are computed together. */
enum { phiz_rows = 8 };

/** phiz_matmul_s8: int8 rows times int8 weights, in 32 bits, narrowed to int8. */
PHIZ_KERNEL void phiz_matmul_s8(int32_t rows, int32_t inputs, const int8_t *x, int32_t dx, int32_t outputs,
                                const int8_t *w, const int32_t *bias, const int32_t *multiplier, const uint8_t *shift,
                                int32_t zero, int32_t low, int32_t high, int8_t *y, int32_t dy) {
    int32_t sums[phiz_rows * 16];
    for (int32_t o = 0; o < outputs; o += 16) {
        const int32_t some = outputs - o < 16 ? outputs - o : 16;
        for (int32_t r = 0; r < rows; r += phiz_rows) {
            const int32_t few = rows - r < phiz_rows ? rows - r : phiz_rows;
            phiz_dots_s8(few, inputs, x + r * dx, dx, w, sums);
            for (int32_t k = 0; k < few; ++k) {
                int8_t block[16], *to = y + (r + k) * dy + o, *made = some == 16 ? to : block;
                phiz_narrow_16(sums + k * 16, bias + o, multiplier + o, shift + o, low - zero, high - zero, zero, made);
                if (some < 16) memcpy(to, block, (size_t)some);
            }
        }
        w += (inputs + 3) / 4 * 64;
    }
}

/** phiz_finish_f32: 16 sums with scale, bias and activation (0 none, 1 ReLU, 2 ReLU6), of which some are kept. Times 1
 * and plus -0 is what was there, to the bit. */
PHIZ_KERNEL void phiz_finish_f32(int32_t some, const float *sums, const float *scale, const float *bias,
                                 int32_t activation, float *y) {
    static const float ones[16] = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f,
                                   1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
    static const float zeros[16] = {-0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f,
                                    -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f};
    const float *a = scale ? scale : ones, *b = bias ? bias : zeros;
    const float low = activation ? 0.0f : -INFINITY, high = activation == 2 ? 6.0f : INFINITY;
    float made[16];
    for (int32_t j = 0; j < 16; ++j) {
        const float value = sums[j] * a[j] + b[j], above = value < low ? low : value;
        made[j] = above > high ? high : above;
    }
    if (some == 16) {
        memcpy(y, made, sizeof made);
    } else {
        memcpy(y, made, (size_t)some * sizeof *y);
    }
}

/** PHIZ_MATMUL: float rows times weights of any kind. */
#define PHIZ_MATMUL(NAME, TYPE, DOTS)                                                                               \
    PHIZ_KERNEL void NAME(int32_t rows, int32_t inputs, const float *x, int32_t dx, int32_t outputs, const TYPE *w, \
                          const float *scale, const float *bias, int32_t activation, float *y, int32_t dy) {        \
        float sums[phiz_rows * 16];                                                                                 \
        for (int32_t o = 0; o < outputs; o += 16) {                                                                 \
            const int32_t some = outputs - o < 16 ? outputs - o : 16;                                               \
            for (int32_t r = 0; r < rows; r += phiz_rows) {                                                         \
                const int32_t few = rows - r < phiz_rows ? rows - r : phiz_rows;                                    \
                memset(sums, 0, (size_t)few * 64);                                                                  \
                DOTS(few, inputs, x + r * dx, dx, w, sums);                                                         \
                for (int32_t k = 0; k < few; ++k)                                                                   \
                    phiz_finish_f32(some, sums + k * 16, scale ? scale + o : 0, bias ? bias + o : 0, activation,    \
                                    y + (r + k) * dy + o);                                                          \
            }                                                                                                       \
            w += inputs * 16;                                                                                       \
        }                                                                                                           \
    }

/** phiz_matmul_f32: float rows times float weights. */
PHIZ_MATMUL(phiz_matmul_f32, float, phiz_dots_f32)

/** phiz_matmul_w8: float rows times int8 weights. */
PHIZ_MATMUL(phiz_matmul_w8, int8_t, phiz_dots_w8)

/** phiz_widen_f16: half precision as floats, subnormal ones too. */
PHIZ_KERNEL void phiz_widen_f16(int32_t n, const uint16_t *x, float *y) {
    for (int32_t i = 0; i < n; ++i) {
        const uint32_t bits = (uint32_t)(x[i] & 0x7fffu) << 13, sign = (uint32_t)(x[i] & 0x8000u) << 16;
        const float size = phiz_float(bits) * 5.1922968585348276e+33f; /* 2 ** 112, between the two biases */
        y[i] = phiz_float(phiz_bits(size) | sign);
    }
}

/** phiz_dots_w16: float rows times half-precision weights, which are widened 64 inputs at a time. */
static void phiz_dots_w16(int32_t rows, int32_t inputs, const float *x, int32_t dx, const uint16_t *w, float *sums) {
    float wide[64 * 16];
    for (int32_t i = 0; i < inputs; i += 64) {
        const int32_t part = inputs - i < 64 ? inputs - i : 64;
        phiz_widen_f16(part * 16, w + i * 16, wide);
        phiz_dots_f32(rows, part, x + i, dx, wide, sums);
    }
}

/** phiz_matmul_w16: float rows times half-precision weights. */
PHIZ_MATMUL(phiz_matmul_w16, uint16_t, phiz_dots_w16)

/** phiz_matmul_dynamic: float rows, made int8 by their own range, times int8 weights, of which `sum` is the sum. */
PHIZ_KERNEL void phiz_matmul_dynamic(int32_t rows, int32_t inputs, const float *x, int32_t dx, int32_t outputs,
                                     const int8_t *w, const float *scale, const int32_t *sum, const float *bias,
                                     int32_t activation, int8_t *narrow, float *y, int32_t dy) {
    for (int32_t r = 0; r < rows; ++r) {
        const int8_t *block = w;
        int32_t zero;
        const float own = phiz_quantize_row(inputs, x + r * dx, narrow, &zero);
        for (int32_t o = 0; o < outputs; o += 16) {
            const int32_t some = outputs - o < 16 ? outputs - o : 16;
            int32_t sums[phiz_rows * 16];
            float real[16], scales[16];
            phiz_dots_s8(1, inputs, narrow, 0, block, sums);
            for (int32_t j = 0; j < 16; ++j) real[j] = (float)(sums[j] - zero * sum[o + j]);
            for (int32_t j = 0; j < 16; ++j) scales[j] = own * scale[o + j];
            phiz_finish_f32(some, real, scales, bias ? bias + o : 0, activation, y + r * dy + o);
            block += (inputs + 3) / 4 * 64;
        }
    }
}

/** phiz_depthwise_s8: each channel with a filter of its own, of outer by inner taps. */
PHIZ_KERNEL void phiz_depthwise_s8(int32_t rows, int32_t row, int32_t outer, int32_t gap, int32_t inner, int32_t near_,
                                   int32_t channels, const int8_t *x, const int8_t *w, const int32_t *bias,
                                   const int32_t *multiplier, const uint8_t *shift, int32_t zero, int32_t low,
                                   int32_t high, int8_t *y, int32_t dy) {
    for (int32_t r = 0; r < rows; ++r) {
        for (int32_t c = 0; c < channels; c += 16) {
            const int32_t some = channels - c < 16 ? channels - c : 16;
            const int8_t *u = w + c;
            int32_t sums[16] = {0};
            for (int32_t i = 0; i < outer; ++i)
                for (int32_t j = 0; j < inner; ++j, u += channels) {
                    const int8_t *v = x + r * row + i * gap + j * near_ + c;
                    for (int32_t k = 0; k < some; ++k) sums[k] += v[k] * u[k];
                }
            for (int32_t k = 0; k < some; ++k) {
                const int32_t value = phiz_narrow(sums[k] + bias[c + k], multiplier[c + k], shift[c + k], low - zero,
                                                  high - zero);
                y[r * dy + c + k] = (int8_t)(value + zero);
            }
        }
    }
}

/** phiz_depthwise_f32: each channel with a filter of its own. */
PHIZ_KERNEL void phiz_depthwise_f32(int32_t rows, int32_t row, int32_t outer, int32_t gap, int32_t inner, int32_t near_,
                                    int32_t channels, const float *x, const float *w, const float *bias,
                                    int32_t activation, float *y, int32_t dy) {
    for (int32_t r = 0; r < rows; ++r) {
        for (int32_t c = 0; c < channels; c += 16) {
            const int32_t some = channels - c < 16 ? channels - c : 16;
            const float *u = w + c;
            float sums[16] = {0.0f};
            for (int32_t i = 0; i < outer; ++i)
                for (int32_t j = 0; j < inner; ++j, u += channels) {
                    const float *v = x + r * row + i * gap + j * near_ + c;
                    for (int32_t k = 0; k < some; ++k) sums[k] += v[k] * u[k];
                }
            phiz_finish_f32(some, sums, 0, bias ? bias + c : 0, activation, y + r * dy + c);
        }
    }
}
