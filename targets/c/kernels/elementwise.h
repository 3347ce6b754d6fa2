/* Element by element, on runs of `n` with a step for each operand. Only what a network uses is copied out of this file;
 * the first word of each comment that begins with two stars is the name of what follows it. */

/** PHIZ_UNARY: a function of one operand, called `a` in its result. */
#define PHIZ_UNARY(NAME, IN, OUT, RESULT)                                           \
    PHIZ_KERNEL void NAME(int32_t n, OUT *y, int32_t dy, const IN *x, int32_t dx) { \
        if (dy == 1 && dx == 1) {                                                   \
            for (int32_t i = 0; i < n; ++i) {                                       \
                const IN a = x[i];                                                  \
                y[i] = (RESULT);                                                    \
            }                                                                       \
        } else {                                                                    \
            for (int32_t i = 0; i < n; ++i) {                                       \
                const IN a = x[i * dx];                                             \
                y[i * dy] = (RESULT);                                               \
            }                                                                       \
        }                                                                           \
    }

/** PHIZ_BINARY: a function of two operands, called `a` and `b` in its result. */
#define PHIZ_BINARY(NAME, IN, OUT, RESULT)                                                                   \
    PHIZ_KERNEL void NAME(int32_t n, OUT *y, int32_t dy, const IN *x, int32_t dx, const IN *z, int32_t dz) { \
        if (dy == 1 && dx == 1 && dz == 1) {                                                                 \
            for (int32_t i = 0; i < n; ++i) {                                                                \
                const IN a = x[i], b = z[i];                                                                 \
                y[i] = (RESULT);                                                                             \
            }                                                                                                \
        } else {                                                                                             \
            for (int32_t i = 0; i < n; ++i) {                                                                \
                const IN a = x[i * dx], b = z[i * dz];                                                       \
                y[i * dy] = (RESULT);                                                                        \
            }                                                                                                \
        }                                                                                                    \
    }

/** PHIZ_TERNARY: a function of three operands, the first of another type, called `a`, `b` and `c` in its result. */
#define PHIZ_TERNARY(NAME, FIRST, IN, OUT, RESULT)                                                            \
    PHIZ_KERNEL void NAME(int32_t n, OUT *y, int32_t dy, const FIRST *x, int32_t dx, const IN *z, int32_t dz, \
                          const IN *u, int32_t du) {                                                          \
        for (int32_t i = 0; i < n; ++i) {                                                                     \
            const FIRST a = x[i * dx];                                                                        \
            const IN b = z[i * dz], c = u[i * du];                                                            \
            y[i * dy] = (RESULT);                                                                             \
        }                                                                                                     \
    }

/** PHIZ_COPY: elements as they are. */
#define PHIZ_COPY(NAME, TYPE)                                                          \
    PHIZ_KERNEL void NAME(int32_t n, TYPE *y, int32_t dy, const TYPE *x, int32_t dx) { \
        if (dy == 1 && dx == 1) {                                                      \
            memcpy(y, x, (size_t)n * sizeof *x);                                       \
        } else {                                                                       \
            for (int32_t i = 0; i < n; ++i) y[i * dy] = x[i * dx];                     \
        }                                                                              \
    }

/** phiz_copy_f32: floats. */
PHIZ_COPY(phiz_copy_f32, float)

/** phiz_copy_s8: int8. */
PHIZ_COPY(phiz_copy_s8, int8_t)

/** phiz_copy_u8: truth values. */
PHIZ_COPY(phiz_copy_u8, uint8_t)

/** phiz_relu_f32: nothing below 0. */
PHIZ_UNARY(phiz_relu_f32, float, float, a < 0.0f ? 0.0f : a)

/** phiz_leaky_f32: less steep below 0. */
PHIZ_BINARY(phiz_leaky_f32, float, float, a < 0.0f ? a * b : a)

/** phiz_sigmoid_f32: 1 / (1 + exp(-a)). */
PHIZ_UNARY(phiz_sigmoid_f32, float, float, phiz_sigmoid(a))

/** phiz_tanh_f32: hyperbolic tangent. */
PHIZ_UNARY(phiz_tanh_f32, float, float, phiz_tanh(a))

/** phiz_elu_f32: exp(a) - 1 below 0. */
PHIZ_UNARY(phiz_elu_f32, float, float, a < 0.0f ? phiz_expm1(a) : a)

/** phiz_exp_f32: exponential function. */
PHIZ_UNARY(phiz_exp_f32, float, float, phiz_exp(a))

/** phiz_log_f32: natural logarithm. */
PHIZ_UNARY(phiz_log_f32, float, float, phiz_log(a))

/** phiz_sqrt_f32: square root. */
PHIZ_UNARY(phiz_sqrt_f32, float, float, sqrtf(a))

/** phiz_abs_f32: magnitude. */
PHIZ_UNARY(phiz_abs_f32, float, float, a < 0.0f ? -a : a + 0.0f)

/** phiz_sin_f32: sine. */
PHIZ_UNARY(phiz_sin_f32, float, float, phiz_sin(a, 0u))

/** phiz_cos_f32: cosine. */
PHIZ_UNARY(phiz_cos_f32, float, float, phiz_sin(a, 1u))

/** phiz_floor_f32: the next whole number below. */
PHIZ_UNARY(phiz_floor_f32, float, float, phiz_floor(a))

/** phiz_ceil_f32: the next whole number above. */
PHIZ_UNARY(phiz_ceil_f32, float, float, -phiz_floor(-a))

/** phiz_round_f32: the nearest whole number, of two the even one. */
PHIZ_UNARY(phiz_round_f32, float, float, phiz_round(a))

/** phiz_sign_f32: -1, 0 or 1. */
PHIZ_UNARY(phiz_sign_f32, float, float, a > 0.0f ? 1.0f : a < 0.0f ? -1.0f : a)

/** phiz_gelu_f32: a times the normal distribution's share below a. */
PHIZ_UNARY(phiz_gelu_f32, float, float, 0.5f * a * phiz_erfc(-0.70710678f * a))

/** phiz_gelu_tanh_f32: its approximation by tanh. */
PHIZ_UNARY(phiz_gelu_tanh_f32, float, float,
           0.5f * a * (1.0f + phiz_tanh(0.79788456f * (a + 0.044715f * a * a * a))))

/** phiz_clip_f32: within two bounds. */
PHIZ_TERNARY(phiz_clip_f32, float, float, float, a < b ? b : a > c ? c : a)

/** phiz_add_f32: sum. */
PHIZ_BINARY(phiz_add_f32, float, float, a + b)

/** phiz_add_relu_f32: sum, nothing below 0. */
PHIZ_BINARY(phiz_add_relu_f32, float, float, a + b < 0.0f ? 0.0f : a + b)

/** phiz_add_relu6_f32: sum, within 0 and 6. */
PHIZ_BINARY(phiz_add_relu6_f32, float, float, a + b < 0.0f ? 0.0f : a + b > 6.0f ? 6.0f : a + b)

/** phiz_sub_f32: difference. */
PHIZ_BINARY(phiz_sub_f32, float, float, a - b)

/** phiz_mul_f32: product. */
PHIZ_BINARY(phiz_mul_f32, float, float, a * b)

/** phiz_div_f32: quotient. */
PHIZ_BINARY(phiz_div_f32, float, float, a / b)

/** phiz_max_f32: the larger one; NaN where one is. */
PHIZ_BINARY(phiz_max_f32, float, float, a > b || a != a ? a : b)

/** phiz_min_f32: the smaller one; NaN where one is. */
PHIZ_BINARY(phiz_min_f32, float, float, a < b || a != a ? a : b)

/** phiz_pow_f32: power. */
PHIZ_BINARY(phiz_pow_f32, float, float, phiz_pow(a, b))

/** phiz_exp_sub_f32: exponential function of a difference. */
PHIZ_BINARY(phiz_exp_sub_f32, float, float, phiz_exp(a - b))

/** phiz_less_f32: truth value. */
PHIZ_BINARY(phiz_less_f32, float, uint8_t, (uint8_t)(a < b))

/** phiz_less_equal_f32: truth value. */
PHIZ_BINARY(phiz_less_equal_f32, float, uint8_t, (uint8_t)(a <= b))

/** phiz_greater_f32: truth value. */
PHIZ_BINARY(phiz_greater_f32, float, uint8_t, (uint8_t)(a > b))

/** phiz_greater_equal_f32: truth value. */
PHIZ_BINARY(phiz_greater_equal_f32, float, uint8_t, (uint8_t)(a >= b))

/** phiz_equal_f32: truth value. */
PHIZ_BINARY(phiz_equal_f32, float, uint8_t, (uint8_t)(a >= b && a <= b))

/** phiz_and_u8: truth value. */
PHIZ_BINARY(phiz_and_u8, uint8_t, uint8_t, (uint8_t)(a & b))

/** phiz_or_u8: truth value. */
PHIZ_BINARY(phiz_or_u8, uint8_t, uint8_t, (uint8_t)(a | b))

/** phiz_not_u8: truth value. */
PHIZ_UNARY(phiz_not_u8, uint8_t, uint8_t, (uint8_t)(a ^ 1u))

/** phiz_where_f32: b where a is true, else c. */
PHIZ_TERNARY(phiz_where_f32, uint8_t, float, float, a ? b : c)

/** phiz_cast_u8: truth values as 0 and 1. */
PHIZ_UNARY(phiz_cast_u8, uint8_t, float, (float)a)

/** phiz_fill_f32: one number everywhere. */
PHIZ_KERNEL void phiz_fill_f32(int32_t n, float *y, int32_t dy, float value) {
    for (int32_t i = 0; i < n; ++i) y[i * dy] = value;
}

/** phiz_fill_s8: one number everywhere. */
PHIZ_KERNEL void phiz_fill_s8(int32_t n, int8_t *y, int32_t dy, int32_t value) {
    for (int32_t i = 0; i < n; ++i) y[i * dy] = (int8_t)value;
}

/** phiz_fill_s32: one number everywhere. */
PHIZ_KERNEL void phiz_fill_s32(int32_t n, int32_t *y, int32_t dy, int32_t value) {
    for (int32_t i = 0; i < n; ++i) y[i * dy] = value;
}

/** phiz_sum_f32: y += x; y stays where its step is 0. */
PHIZ_KERNEL void phiz_sum_f32(int32_t n, float *y, int32_t dy, const float *x, int32_t dx) {
    for (int32_t i = 0; i < n; ++i) y[i * dy] += x[i * dx];
}

/** phiz_largest_f32: y = max(y, x). */
PHIZ_KERNEL void phiz_largest_f32(int32_t n, float *y, int32_t dy, const float *x, int32_t dx) {
    for (int32_t i = 0; i < n; ++i) {
        const float a = y[i * dy], b = x[i * dx];
        y[i * dy] = b > a || b != b ? b : a;
    }
}

/** phiz_smallest_f32: y = min(y, x). */
PHIZ_KERNEL void phiz_smallest_f32(int32_t n, float *y, int32_t dy, const float *x, int32_t dx) {
    for (int32_t i = 0; i < n; ++i) {
        const float a = y[i * dy], b = x[i * dx];
        y[i * dy] = b < a || b != b ? b : a;
    }
}

/** phiz_largest_s8: y = max(y, x). */
PHIZ_KERNEL void phiz_largest_s8(int32_t n, int8_t *y, int32_t dy, const int8_t *x, int32_t dx) {
    for (int32_t i = 0; i < n; ++i) y[i * dy] = x[i * dx] > y[i * dy] ? x[i * dx] : y[i * dy];
}

/** phiz_sum_s8: y += x, in 32 bits. */
PHIZ_KERNEL void phiz_sum_s8(int32_t n, int32_t *y, int32_t dy, const int8_t *x, int32_t dx) {
    for (int32_t i = 0; i < n; ++i) y[i * dy] += x[i * dx];
}

/** phiz_multiply_sum_f32: y += x * z. */
PHIZ_KERNEL void phiz_multiply_sum_f32(int32_t n, float *y, int32_t dy, const float *x, int32_t dx, const float *z,
                                       int32_t dz) {
    if (dy == 1 && dx == 0 && dz == 1) {
        const float a = x[0];
        for (int32_t i = 0; i < n; ++i) y[i] += a * z[i];
    } else {
        for (int32_t i = 0; i < n; ++i) y[i * dy] += x[i * dx] * z[i * dz];
    }
}

/** phiz_pick_f32: rows of `n`, by a list of where each begins. */
PHIZ_KERNEL void phiz_pick_f32(int32_t n, float *y, int32_t dy, const float *x, int32_t dx, const int32_t *where,
                               int32_t count, int32_t row, int32_t step) {
    for (int32_t r = 0; r < count; ++r)
        for (int32_t i = 0; i < n; ++i) y[r * row + i * dy] = x[where[r] * step + i * dx];
}

/** phiz_pick_s8: rows of `n`, by a list of where each begins. */
PHIZ_KERNEL void phiz_pick_s8(int32_t n, int8_t *y, int32_t dy, const int8_t *x, int32_t dx, const int32_t *where,
                              int32_t count, int32_t row, int32_t step) {
    for (int32_t r = 0; r < count; ++r)
        for (int32_t i = 0; i < n; ++i) y[r * row + i * dy] = x[where[r] * step + i * dx];
}

/** phiz_mix_f32: rows of `n`, each between two others; `share` is that of the second. */
PHIZ_KERNEL void phiz_mix_f32(int32_t n, float *y, int32_t dy, const float *x, int32_t dx, const int32_t *first,
                              const int32_t *second, const float *share, int32_t count, int32_t row, int32_t step) {
    for (int32_t r = 0; r < count; ++r) {
        const float *a = x + first[r] * step, *b = x + second[r] * step;
        const float part = share[r], rest = 1.0f - part;
        for (int32_t i = 0; i < n; ++i) y[r * row + i * dy] = a[i * dx] * rest + b[i * dx] * part;
    }
}
