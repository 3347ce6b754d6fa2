/* when: defined(__AVX2__) */
#include <immintrin.h>

/** phiz_dots_s8: inputs and weights as 16 bits, pairs of products in 32. */
PHIZ_KERNEL void phiz_dots_s8(int32_t rows, int32_t inputs, const int8_t *x, int32_t dx, const int8_t *w,
                              int32_t *sums) {
    for (int32_t r = 0; r < rows; r += 2, x += 2 * dx, sums += 32) {
        const int8_t *x1 = r + 1 < rows ? x + dx : x, *u = w;
        __m256i a[4], b[4];
        PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j) a[j] = b[j] = _mm256_setzero_si256();
        for (int32_t q = 0; q < inputs; q += 4, u += 64) {
            const __m256i v = _mm256_cvtepi8_epi16(_mm_set1_epi32(phiz_quad(x + q, inputs - q)));
            const __m256i v1 = _mm256_cvtepi8_epi16(_mm_set1_epi32(phiz_quad(x1 + q, inputs - q)));
            PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j) { /* 4 outputs of 4 inputs each */
                const __m256i t = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(u + 16 * j)));
                a[j] = _mm256_add_epi32(a[j], _mm256_madd_epi16(v, t));
                b[j] = _mm256_add_epi32(b[j], _mm256_madd_epi16(v1, t));
            }
        }
        PHIZ_UNROLLED for (int32_t j = 0; j < 2; ++j) { /* neighbours are added within each half of a register */
            const __m256i first = _mm256_hadd_epi32(a[2 * j], a[2 * j + 1]);
            const __m256i second = _mm256_hadd_epi32(b[2 * j], b[2 * j + 1]);
            _mm256_storeu_si256((__m256i *)(void *)(sums + 8 * j), _mm256_permute4x64_epi64(first, 0xd8));
            if (r + 1 < rows)
                _mm256_storeu_si256((__m256i *)(void *)(sums + 16 + 8 * j), _mm256_permute4x64_epi64(second, 0xd8));
        }
    }
}

/** phiz_narrow_16: as phiz_narrow does, 8 at a time; where the shift is below 31, sums beyond 1024 are all the same. */
static void phiz_narrow_16(const int32_t *sums, const int32_t *bias, const int32_t *multiplier, const uint8_t *shift,
                           int32_t low, int32_t high, int32_t zero, int8_t *y) {
    const __m256i one = _mm256_set1_epi64x(1), lift = _mm256_set1_epi64x((int64_t)1 << 62);
    const __m256i lower = _mm256_set1_epi64x(0xffffffff);
    int32_t made[16];
    for (int32_t j = 0; j < 16; j += 8) {
        const __m256i m = _mm256_loadu_si256((const __m256i *)(const void *)(multiplier + j));
        const __m256i by = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(shift + j)));
        const __m256i by_even = _mm256_and_si256(by, lower), by_odd = _mm256_srli_epi64(by, 32);
        const __m256i wide = _mm256_cmpgt_epi32(_mm256_set1_epi32(31), by);
        const __m256i most = _mm256_blendv_epi8(_mm256_set1_epi32(2147483647), _mm256_set1_epi32(1024), wide);
        const __m256i least = _mm256_xor_si256(most, _mm256_set1_epi32(-1));
        __m256i s = _mm256_add_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(sums + j)),
                                     _mm256_loadu_si256((const __m256i *)(const void *)(bias + j)));
        __m256i even, odd;
        s = _mm256_min_epi32(_mm256_max_epi32(s, least), most);
        even = _mm256_mul_epi32(s, m);
        odd = _mm256_mul_epi32(_mm256_srli_epi64(s, 32), _mm256_srli_epi64(m, 32));
        even = _mm256_add_epi64(_mm256_add_epi64(even, lift), _mm256_sllv_epi64(one, _mm256_sub_epi64(by_even, one)));
        odd = _mm256_add_epi64(_mm256_add_epi64(odd, lift), _mm256_sllv_epi64(one, _mm256_sub_epi64(by_odd, one)));
        even = _mm256_sub_epi64(_mm256_srlv_epi64(even, by_even), _mm256_srlv_epi64(lift, by_even));
        odd = _mm256_sub_epi64(_mm256_srlv_epi64(odd, by_odd), _mm256_srlv_epi64(lift, by_odd));
        even = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
        even = _mm256_min_epi32(_mm256_max_epi32(even, _mm256_set1_epi32(low)), _mm256_set1_epi32(high));
        _mm256_storeu_si256((__m256i *)(void *)(made + j), _mm256_add_epi32(even, _mm256_set1_epi32(zero)));
    }
    for (int32_t j = 0; j < 16; ++j) y[j] = (int8_t)made[j];
}

/** PHIZ_DOTS: 16 outputs in two registers, product and sum apart. */
#define PHIZ_DOTS(NAME, TYPE, LOAD)                                                                                    \
    PHIZ_KERNEL void NAME(int32_t rows, int32_t inputs, const float *x, int32_t dx, const TYPE *w, float *sums) {      \
        for (int32_t r = 0; r < rows; r += 4, x += 4 * dx, sums += 64) {                                               \
            const int32_t few = rows - r;                                                                              \
            const float *x1 = few > 1 ? x + dx : x, *x2 = few > 2 ? x1 + dx : x1, *x3 = few > 3 ? x2 + dx : x2;        \
            __m256 a = _mm256_loadu_ps(sums), b = _mm256_loadu_ps(sums + 8), c = a, d = b, e = a, f = b, g = a, h = b; \
            if (few == 1) {                                                                                            \
                for (int32_t i = 0; i < inputs; ++i) {                                                                 \
                    const __m256 v = _mm256_set1_ps(x[i]);                                                             \
                    a = _mm256_add_ps(a, _mm256_mul_ps(v, LOAD(w + 16 * i)));                                          \
                    b = _mm256_add_ps(b, _mm256_mul_ps(v, LOAD(w + 16 * i + 8)));                                      \
                }                                                                                                      \
                _mm256_storeu_ps(sums, a);                                                                             \
                _mm256_storeu_ps(sums + 8, b);                                                                         \
                return;                                                                                                \
            }                                                                                                          \
            c = _mm256_loadu_ps(sums + 16), d = _mm256_loadu_ps(sums + 24);                                            \
            if (few > 2) e = _mm256_loadu_ps(sums + 32), f = _mm256_loadu_ps(sums + 40);                               \
            if (few > 3) g = _mm256_loadu_ps(sums + 48), h = _mm256_loadu_ps(sums + 56);                               \
            for (int32_t i = 0; i < inputs; ++i) {                                                                     \
                const __m256 u = LOAD(w + 16 * i), v = LOAD(w + 16 * i + 8);                                           \
                __m256 t = _mm256_set1_ps(x[i]);                                                                       \
                a = _mm256_add_ps(a, _mm256_mul_ps(t, u)), b = _mm256_add_ps(b, _mm256_mul_ps(t, v));                  \
                t = _mm256_set1_ps(x1[i]);                                                                             \
                c = _mm256_add_ps(c, _mm256_mul_ps(t, u)), d = _mm256_add_ps(d, _mm256_mul_ps(t, v));                  \
                t = _mm256_set1_ps(x2[i]);                                                                             \
                e = _mm256_add_ps(e, _mm256_mul_ps(t, u)), f = _mm256_add_ps(f, _mm256_mul_ps(t, v));                  \
                t = _mm256_set1_ps(x3[i]);                                                                             \
                g = _mm256_add_ps(g, _mm256_mul_ps(t, u)), h = _mm256_add_ps(h, _mm256_mul_ps(t, v));                  \
            }                                                                                                          \
            _mm256_storeu_ps(sums, a), _mm256_storeu_ps(sums + 8, b);                                                  \
            _mm256_storeu_ps(sums + 16, c), _mm256_storeu_ps(sums + 24, d);                                            \
            if (few > 2) _mm256_storeu_ps(sums + 32, e), _mm256_storeu_ps(sums + 40, f);                               \
            if (few > 3) _mm256_storeu_ps(sums + 48, g), _mm256_storeu_ps(sums + 56, h);                               \
        }                                                                                                              \
    }

/** PHIZ_LOAD_F32: weights as they are. */
#define PHIZ_LOAD_F32(AT) _mm256_loadu_ps(AT)

/** PHIZ_LOAD_S8: int8 weights as floats. */
#define PHIZ_LOAD_S8(AT) _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(AT))))

/** phiz_dots_f32: with float weights. */
PHIZ_DOTS(phiz_dots_f32, float, PHIZ_LOAD_F32)

/** phiz_dots_w8: with int8 weights. */
PHIZ_DOTS(phiz_dots_w8, int8_t, PHIZ_LOAD_S8)
