/* Functions of one number, the same bits on every machine: no mathematical library agrees with another in the last. */

/** phiz_bits: of a float. */
static uint32_t phiz_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/** phiz_float: with these bits. */
static float phiz_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/** phiz_power_of_two: 2 to the n, within -126 to 127. */
static float phiz_power_of_two(uint32_t n) { return phiz_float((n + 127u) << 23); }

/** phiz_exp: exponential function. Source: Cephes expf, by Moshier; 2 to the n in two factors, to underflow late. */
static float phiz_exp(float x) {
    const float a = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;
    const float shifted = a * 1.44269504f + 12582912.0f, whole = shifted - 12582912.0f;
    const float r = a - whole * 0.693359375f - whole * -2.12194440e-4f;
    const uint32_t n = phiz_bits(shifted) - 0x4b400000u, half = (n & 0x80000000u) | (n >> 1);
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return p * phiz_power_of_two(half) * phiz_power_of_two(n - half);
}

/** phiz_expm1: exp(x) - 1 for x of at most 0, without losing the small ones. */
static float phiz_expm1(float x) {
    const float p = ((1.0f / 120.0f * x + 1.0f / 24.0f) * x + 1.0f / 6.0f) * x + 0.5f;
    return x > -0.125f ? p * x * x + x : phiz_exp(x) - 1.0f;
}

/** phiz_log: natural logarithm. Source: Cephes logf, by Moshier. */
static float phiz_log(float x) {
    const int subnormal = x < 1.17549435e-38f; /* also 0, which leaves by its own way */
    const uint32_t bits = phiz_bits(subnormal ? x * 8388608.0f : x) - 0x3f3504f3u; /* of sqrt(1/2) */
    const int32_t whole = (int32_t)(bits & 0x7fffffffu) >> 23;
    const float e = (float)((bits & 0x80000000u ? whole - 256 : whole) - (subnormal ? 23 : 0));
    const float m = phiz_float((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f, z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    p = p * m * z + e * -2.12194440e-4f - 0.5f * z;
    p = m + p + e * 0.693359375f;
    if (x > 3.40282347e+38f) return x;
    if (x > 0.0f) return p;
    return x < 0.0f ? phiz_float(0x7fc00000u) : x == x ? phiz_float(0xff800000u) : x;
}

/** phiz_sigmoid: 1 / (1 + exp(-x)), of the exponential that does not overflow. */
static float phiz_sigmoid(float x) {
    const float e = phiz_exp(x < 0.0f ? x : -x);
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

/** phiz_tanh: hyperbolic tangent. Source: Cephes tanhf, by Moshier. */
static float phiz_tanh(float x) {
    const float size = x < 0.0f ? -x : x, z = x * x;
    const float large = 1.0f - 2.0f / (phiz_exp(size + size) + 1.0f);
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    return size < 0.625f ? p * z * x + x : x < 0.0f ? -large : large;
}

/** phiz_erfc: 1 - erf(x), to 2e-7 of itself. Source: Press et al., Numerical Recipes, erfcc. */
static float phiz_erfc(float x) {
    static const float terms[9] = {0.17087277f, -0.82215223f, 1.48851587f, -1.13520398f, 0.27886807f,
                                   -0.18628806f, 0.09678418f, 0.37409196f, 1.00002368f};
    const float size = x < 0.0f ? -x : x, t = 1.0f / (1.0f + 0.5f * size);
    float p = terms[0];
    for (int32_t i = 1; i < 9; ++i) p = p * t + terms[i];
    p = t * phiz_exp(p * t - 1.26551223f - size * size);
    return x < 0.0f ? 2.0f - p : p;
}

/** phiz_floor: the next whole number below. */
static float phiz_floor(float x) {
    float whole;
    if (!(x > -8388608.0f && x < 8388608.0f)) return x;
    whole = (float)(int32_t)x;
    return whole > x ? whole - 1.0f : whole;
}

/** phiz_round: the nearest whole number, of two the even one. */
static float phiz_round(float x) {
    if (!(x > -4194304.0f && x < 4194304.0f)) {
        const float below = phiz_floor(x), rest = x - below;
        if (!(rest >= 0.5f)) return below;
        return rest > 0.5f || ((int32_t)below & 1) ? below + 1.0f : below;
    }
    return (x + 12582912.0f) - 12582912.0f;
}

/** phiz_sin: sine of x and `quarter` quarter turns. Turns are taken off in 64 bits, for large numbers by all of the
 * bits of 2/pi that matter (Payne and Hanek, 1983, as in ARM's optimized routines). */
static float phiz_sin(float x, uint32_t quarter) {
    static const uint32_t two_over_pi[24] = {
        0xa2u,       0xa2f9u,     0xa2f983u,   0xa2f9836eu, 0xf9836e4eu, 0x836e4e44u, 0x6e4e4415u, 0x4e441529u,
        0x441529fcu, 0x1529fc27u, 0x29fc2757u, 0xfc2757d1u, 0x2757d1f5u, 0x57d1f534u, 0xd1f534ddu, 0xf534ddc0u,
        0x34ddc0dbu, 0xddc0db62u, 0xc0db6295u, 0xdb629599u, 0x6295993cu, 0x95993c43u, 0x993c4390u, 0x3c439041u};
    const float size = x < 0.0f ? -x : x;
    double r, z, p;
    uint32_t n;
    if (!(size < 3.40282347e+38f * 2.0f)) return x - x; /* infinite, or no number */
    if (size < 120.0f) {
        n = (uint32_t)((double)size * 0.63661977236758134 + 0.5);
        r = (double)size - (double)n * 1.5707963267341256 - (double)n * 6.0771005065061922e-11;
    } else {
        const uint32_t bits = phiz_bits(size);
        const uint32_t *part = two_over_pi + ((bits >> 26) & 15u);
        const uint32_t mantissa = ((bits & 0xffffffu) | 0x800000u) << ((bits >> 23) & 7u);
        uint64_t turn = (uint64_t)(uint32_t)(mantissa * part[0]) << 32;
        uint64_t whole;
        turn |= ((uint64_t)mantissa * part[8]) >> 32;
        turn += (uint64_t)mantissa * part[4];
        whole = (turn + ((uint64_t)1 << 61)) >> 62;
        turn -= whole << 62;
        n = (uint32_t)whole;
        r = (turn >> 63 ? -(double)(~turn + 1u) : (double)turn) * 3.4061215800304562e-19; /* pi / 2 ** 63 */
    }
    z = r * r;
    if (x < 0.0f && !(quarter & 1u)) n = n + 2u; /* sin(-x) = sin(x + pi) */
    n = n + quarter;
    if (n & 1u) {
        p = ((((-1.0 / 3628800 * z + 1.0 / 40320) * z - 1.0 / 720) * z + 1.0 / 24) * z - 0.5) * z + 1.0;
    } else {
        p = ((((1.0 / 362880 * z - 1.0 / 5040) * z + 1.0 / 120) * z - 1.0 / 6) * z + 1.0) * r;
    }
    return (float)(n & 2u ? -p : p);
}

/** phiz_pow: x to the y, in 64 bits within. */
static float phiz_pow(float x, float y) {
    const float size = x < 0.0f ? -x : x;
    const int whole = y - phiz_floor(y) == 0.0f;
    const int odd = whole && y - 2.0f * phiz_floor(0.5f * y) == 1.0f;
    const float sign = x < 0.0f && odd ? -1.0f : 1.0f;
    double m, e, s, z, p, n, r, t;
    uint32_t bits;
    int32_t k;
    if (y == 0.0f) return 1.0f;
    if (x != x || y != y) return x + y;
    if (size == 1.0f) return x > 0.0f || whole ? sign : phiz_float(0x7fc00000u);
    if (size == 0.0f) return y > 0.0f ? 0.0f : phiz_float(0x7f800000u);
    if (x < 0.0f && !whole) return phiz_float(0x7fc00000u);
    if (size > 3.40282347e+38f) return y > 0.0f ? sign * size : 0.0f;
    bits = phiz_bits(size < 1.17549435e-38f ? size * 8388608.0f : size) - 0x3f3504f3u;
    k = (int32_t)(bits & 0x7fffffffu) >> 23;
    e = (double)((bits & 0x80000000u ? k - 256 : k) - (size < 1.17549435e-38f ? 23 : 0));
    m = (double)phiz_float((bits & 0x007fffffu) + 0x3f3504f3u);
    s = (m - 1.0) / (m + 1.0);
    z = s * s;
    p = 1.0 / 19;
    for (k = 17; k > 0; k -= 2) p = p * z + 1.0 / k;
    t = (double)y * (e + 2.0 * s * p * 1.4426950408889634);
    if (!(t < 129.0)) return sign * phiz_float(0x7f800000u);
    if (!(t > -151.0)) return sign * 0.0f;
    k = (int32_t)(t + 1024.5) - 1024;
    n = (double)k;
    r = (t - n) * 0.69314718055994531;
    p = 1.0;
    for (int32_t i = 12; i > 0; --i) p = p * r / i + 1.0;
    for (; k > 0; --k) p = p * 2.0;
    for (; k < 0; ++k) p = p * 0.5;
    return sign * (float)p;
}
