/* when: defined(__SSE4_1__) */
#include <smmintrin.h>

/** phiz_dots_s8: inputs and weights as 16 bits, pairs of products in 32. */
PHIZ_KERNEL void phiz_dots_s8(int32_t rows, int32_t inputs, const int8_t *x, int32_t dx, const int8_t *w,
                              int32_t *sums) {
    for (int32_t r = 0; r < rows; ++r, x += dx, sums += 16) {
        const int8_t *u = w;
        __m128i a[8];
        PHIZ_UNROLLED for (int32_t j = 0; j < 8; ++j) a[j] = _mm_setzero_si128();
        for (int32_t q = 0; q < inputs; q += 4, u += 64) {
            const __m128i v = _mm_cvtepi8_epi16(_mm_set1_epi32(phiz_quad(x + q, inputs - q)));
            PHIZ_UNROLLED for (int32_t j = 0; j < 8; ++j) { /* 2 outputs of 4 inputs each */
                const __m128i t = _mm_loadl_epi64((const __m128i *)(const void *)(u + 8 * j));
                a[j] = _mm_add_epi32(a[j], _mm_madd_epi16(v, _mm_cvtepi8_epi16(t)));
            }
        }
        PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j)
            _mm_storeu_si128((__m128i *)(void *)(sums + 4 * j), _mm_hadd_epi32(a[2 * j], a[2 * j + 1]));
    }
}

/** PHIZ_DOTS: 16 outputs in four registers, product and sum apart. */
#define PHIZ_DOTS(NAME, TYPE, LOAD)                                                                               \
    PHIZ_KERNEL void NAME(int32_t rows, int32_t inputs, const float *x, int32_t dx, const TYPE *w, float *sums) { \
        for (int32_t r = 0; r < rows; r += 2, x += 2 * dx, sums += 32) {                                          \
            const int32_t both = r + 1 < rows;                                                                    \
            const float *x1 = both ? x + dx : x;                                                                  \
            __m128 a[4], b[4];                                                                                    \
            PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j) {                                                       \
                a[j] = _mm_loadu_ps(sums + 4 * j);                                                                \
                b[j] = both ? _mm_loadu_ps(sums + 16 + 4 * j) : a[j];                                             \
            }                                                                                                     \
            for (int32_t i = 0; i < inputs; ++i) {                                                                \
                const __m128 s = _mm_set1_ps(x[i]), t = _mm_set1_ps(x1[i]);                                       \
                PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j) {                                                   \
                    const __m128 u = LOAD(w + 16 * i + 4 * j);                                                    \
                    a[j] = _mm_add_ps(a[j], _mm_mul_ps(s, u));                                                    \
                    b[j] = _mm_add_ps(b[j], _mm_mul_ps(t, u));                                                    \
                }                                                                                                 \
            }                                                                                                     \
            PHIZ_UNROLLED for (int32_t j = 0; j < 4; ++j) {                                                       \
                _mm_storeu_ps(sums + 4 * j, a[j]);                                                                \
                if (both) _mm_storeu_ps(sums + 16 + 4 * j, b[j]);                                                 \
            }                                                                                                     \
        }                                                                                                         \
    }

/** PHIZ_LOAD_F32: weights as they are. */
#define PHIZ_LOAD_F32(AT) _mm_loadu_ps(AT)

/** PHIZ_LOAD_S8: int8 weights as floats. */
#define PHIZ_LOAD_S8(AT) _mm_cvtepi32_ps(_mm_cvtepi8_epi32(_mm_cvtsi32_si128(phiz_quad(AT, 4))))

/** phiz_dots_f32: with float weights. */
PHIZ_DOTS(phiz_dots_f32, float, PHIZ_LOAD_F32)

/** phiz_dots_w8: with int8 weights. */
PHIZ_DOTS(phiz_dots_w8, int8_t, PHIZ_LOAD_S8)
