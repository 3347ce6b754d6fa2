/* Integers: how sums become int8 again, and floats integers. docs/c.md has the arithmetic. */

/** phiz_narrow: sum times multiplier over 2 to the shift, rounded, half of a step upwards; within low and high. */
PHIZ_HELPER int32_t phiz_narrow(int32_t sum, int32_t multiplier, int32_t shift, int32_t low, int32_t high) {
    const uint64_t half = (uint64_t)1 << (shift - 1), lift = (uint64_t)1 << 62;
    const uint64_t product = (uint64_t)((int64_t)sum * multiplier) + half + lift; /* never negative */
    const int64_t value = (int64_t)(product >> shift) - (int64_t)(lift >> shift);
    return value < low ? low : value > high ? high : (int32_t)value;
}

/** phiz_integer: the nearest whole number of x, of two the even one, within low and high; NaN is low. */
static int32_t phiz_integer(float x, float low, float high) {
    const float above = x > low ? x : low, within = above < high ? above : high;
    return (int32_t)((within + 12582912.0f) - 12582912.0f);
}

/** phiz_quantize: floats as int8. */
PHIZ_KERNEL void phiz_quantize(int32_t n, int8_t *y, int32_t dy, const float *x, int32_t dx, float scale,
                               int32_t zero) {
    const float low = (float)(-128 - zero), high = (float)(127 - zero);
    if (dy == 1 && dx == 1) {
        for (int32_t i = 0; i < n; ++i) y[i] = (int8_t)(phiz_integer(x[i] / scale, low, high) + zero);
    } else {
        for (int32_t i = 0; i < n; ++i) y[i * dy] = (int8_t)(phiz_integer(x[i * dx] / scale, low, high) + zero);
    }
}

/** phiz_dequantize: int8 as floats. */
PHIZ_KERNEL void phiz_dequantize(int32_t n, float *y, int32_t dy, const int8_t *x, int32_t dx, float scale,
                                 int32_t zero) {
    if (dy == 1 && dx == 1) {
        for (int32_t i = 0; i < n; ++i) y[i] = (float)(x[i] - zero) * scale;
    } else {
        for (int32_t i = 0; i < n; ++i) y[i * dy] = (float)(x[i * dx] - zero) * scale;
    }
}

/** phiz_look_up: a function of int8, from the table of its 256 values. */
PHIZ_KERNEL void phiz_look_up(int32_t n, int8_t *y, int32_t dy, const int8_t *x, int32_t dx, const int8_t *table) {
    for (int32_t i = 0; i < n; ++i) y[i * dy] = table[x[i * dx] + 128];
}

/** phiz_add_s8: x * a + z * b + c over 2 to the shift, rounded; 32 bits hold it. */
PHIZ_KERNEL void phiz_add_s8(int32_t n, int8_t *y, int32_t dy, const int8_t *x, int32_t dx, const int8_t *z, int32_t dz,
                             int32_t a, int32_t b, int32_t c, int32_t shift, int32_t low, int32_t high) {
    const int32_t lift = -(int32_t)((uint32_t)0x40000000u >> shift);
    if (dy == 1 && dx == 1 && dz == 1) {
        for (int32_t i = 0; i < n; ++i) {
            const uint32_t sum = (uint32_t)(x[i] * a + z[i] * b + c) + 0x40000000u; /* never negative */
            const int32_t value = (int32_t)(sum >> shift) + lift;
            y[i] = (int8_t)(value < low ? low : value > high ? high : value);
        }
    } else {
        for (int32_t i = 0; i < n; ++i) {
            const uint32_t sum = (uint32_t)(x[i * dx] * a + z[i * dz] * b + c) + 0x40000000u;
            const int32_t value = (int32_t)(sum >> shift) + lift;
            y[i * dy] = (int8_t)(value < low ? low : value > high ? high : value);
        }
    }
}

/** phiz_mul_s8: (x - zero of x) * (z - zero of z), narrowed. */
PHIZ_KERNEL void phiz_mul_s8(int32_t n, int8_t *y, int32_t dy, const int8_t *x, int32_t dx, const int8_t *z, int32_t dz,
                             int32_t zero_x, int32_t zero_z, int32_t multiplier, int32_t shift, int32_t zero) {
    for (int32_t i = 0; i < n; ++i) {
        const int32_t product = (x[i * dx] - zero_x) * (z[i * dz] - zero_z);
        y[i * dy] = (int8_t)(phiz_narrow(product, multiplier, shift, -128 - zero, 127 - zero) + zero);
    }
}

/** phiz_mean_s8: sums of `count` elements each, narrowed; multipliers have a step of their own. */
PHIZ_KERNEL void phiz_mean_s8(int32_t n, int8_t *y, int32_t dy, const int32_t *x, int32_t dx, const int32_t *multiplier,
                              int32_t dm, int32_t shift, int32_t zero) {
    for (int32_t i = 0; i < n; ++i) {
        y[i * dy] = (int8_t)(phiz_narrow(x[i * dx], multiplier[i * dm], shift, -128 - zero, 127 - zero) + zero);
    }
}

/** phiz_quantize_row: a row by its own range, as ONNX's DynamicQuantizeLinear does; gives its scale and zero. */
static float phiz_quantize_row(int32_t n, const float *x, int8_t *y, int32_t *zero) {
    float low = 0.0f, high = 0.0f, scale;
    for (int32_t i = 0; i < n; ++i) low = x[i] < low ? x[i] : low;
    for (int32_t i = 0; i < n; ++i) high = x[i] > high ? x[i] : high;
    scale = (high - low) / 255.0f;
    if (!(scale > 0.0f)) scale = 1.0f;
    *zero = phiz_integer((0.0f - low) / scale, 0.0f, 255.0f) - 128;
    phiz_quantize(n, y, 1, x, 1, scale, *zero);
    return scale;
}

/** phiz_shift_s32: one number added. */
PHIZ_KERNEL void phiz_shift_s32(int32_t n, int32_t *y, int32_t dy, const int32_t *x, int32_t dx, int32_t value) {
    for (int32_t i = 0; i < n; ++i) y[i * dy] = x[i * dx] + value;
}

/** phiz_quad: four inputs as the bits of one number, in the order of memory; zeros beyond those that are left. */
PHIZ_HELPER int32_t phiz_quad(const int8_t *x, int32_t left) {
    int32_t bits = 0;
    if (left >= 4) {
        memcpy(&bits, x, 4);
    } else {
        memcpy(&bits, x, (size_t)left);
    }
    return bits;
}
