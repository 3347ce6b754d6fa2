/* when: defined(__AVX512VNNI__) && defined(__AVX512BW__) && !defined(PHIZ_NO_512) */
#if defined(__GNUC__) && !defined(__clang__) /* GCC 12 finds fault with its own header */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif

/** PHIZ_STEP_S8: 64 products at a time. The instruction wants one factor without sign: 128 is added to the inputs, and
 * 128 times the weights' sum taken off again. */
#define PHIZ_STEP_S8(ROWS, LEFT)                                                                     \
    {                                                                                                \
        const __m512i u = _mm512_loadu_si512(w);                                                     \
        extra = _mm512_dpbusd_epi32(extra, flip, u);                                                 \
        PHIZ_UNROLLED for (int32_t j = 0; j < ROWS; ++j) {                                           \
            const __m512i v = _mm512_xor_si512(_mm512_set1_epi32(phiz_quad(at[j] + q, LEFT)), flip); \
            a[j] = _mm512_dpbusd_epi32(a[j], v, u);                                                  \
        }                                                                                            \
    }

/** PHIZ_DOTS_S8: up to `ROWS` rows; those that are not there are the first once more. */
#define PHIZ_DOTS_S8(NAME, ROWS)                                                                                  \
    static void NAME(int32_t rows, int32_t inputs, const int8_t *x, int32_t dx, const int8_t *w, int32_t *sums) { \
        const __m512i flip = _mm512_set1_epi8(-128);                                                              \
        __m512i extra = _mm512_setzero_si512(), a[ROWS];                                                          \
        const int8_t *at[ROWS];                                                                                   \
        int32_t q = 0;                                                                                            \
        PHIZ_UNROLLED for (int32_t j = 0; j < ROWS; ++j) a[j] = extra;                                            \
        PHIZ_UNROLLED for (int32_t j = 0; j < ROWS; ++j) at[j] = j < rows ? x + j * dx : x;                       \
        for (; q + 4 <= inputs; q += 4, w += 64) PHIZ_STEP_S8(ROWS, 4)                                            \
        if (q < inputs) PHIZ_STEP_S8(ROWS, inputs - q)                                                            \
        PHIZ_UNROLLED for (int32_t j = 0; j < ROWS; ++j)                                                          \
            if (j < rows) _mm512_storeu_si512(sums + 16 * j, _mm512_sub_epi32(a[j], extra));                      \
    }

/** phiz_dots_s8_4: up to 4 rows. */
PHIZ_DOTS_S8(phiz_dots_s8_4, 4)

/** phiz_dots_s8_8: up to 8 rows, for an instruction takes several cycles, and two begin in each. */
PHIZ_DOTS_S8(phiz_dots_s8_8, 8)

/** phiz_dots_s8_1: one row, two quads at a time. */
static void phiz_dots_s8_1(int32_t inputs, const int8_t *x, const int8_t *w, int32_t *sums) {
    const __m512i flip = _mm512_set1_epi8(-128);
    __m512i a = _mm512_setzero_si512(), b = a, extra = a, more = a;
    int32_t q = 0;
    for (; q + 8 <= inputs; q += 8, w += 128) {
        const __m512i u = _mm512_loadu_si512(w), v = _mm512_loadu_si512(w + 64);
        a = _mm512_dpbusd_epi32(a, _mm512_xor_si512(_mm512_set1_epi32(phiz_quad(x + q, 4)), flip), u);
        b = _mm512_dpbusd_epi32(b, _mm512_xor_si512(_mm512_set1_epi32(phiz_quad(x + q + 4, 4)), flip), v);
        extra = _mm512_dpbusd_epi32(extra, flip, u);
        more = _mm512_dpbusd_epi32(more, flip, v);
    }
    for (; q < inputs; q += 4, w += 64) {
        const __m512i u = _mm512_loadu_si512(w);
        a = _mm512_dpbusd_epi32(a, _mm512_xor_si512(_mm512_set1_epi32(phiz_quad(x + q, inputs - q)), flip), u);
        extra = _mm512_dpbusd_epi32(extra, flip, u);
    }
    a = _mm512_sub_epi32(_mm512_add_epi32(a, b), _mm512_add_epi32(extra, more));
    _mm512_storeu_si512(sums, a);
}

/** phiz_dots_s8: rows times 16 outputs. */
PHIZ_KERNEL void phiz_dots_s8(int32_t rows, int32_t inputs, const int8_t *x, int32_t dx, const int8_t *w,
                              int32_t *sums) {
    if (rows == 1) {
        phiz_dots_s8_1(inputs, x, w, sums);
    } else if (rows <= 4) {
        phiz_dots_s8_4(rows, inputs, x, dx, w, sums);
    } else {
        phiz_dots_s8_8(rows, inputs, x, dx, w, sums);
    }
}

/** phiz_narrow_16: as phiz_narrow does, 8 numbers of 64 bits at a time. */
static void phiz_narrow_16(const int32_t *sums, const int32_t *bias, const int32_t *multiplier, const uint8_t *shift,
                           int32_t low, int32_t high, int32_t zero, int8_t *y) {
    const __m512i s = _mm512_add_epi32(_mm512_loadu_si512(sums), _mm512_loadu_si512(bias));
    const __m512i m = _mm512_loadu_si512(multiplier);
    const __m512i by = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)shift));
    const __m512i one = _mm512_set1_epi64(1), lift = _mm512_set1_epi64((int64_t)1 << 62);
    const __m512i by_even = _mm512_and_si512(by, _mm512_set1_epi64(0xffffffff)), by_odd = _mm512_srli_epi64(by, 32);
    __m512i even = _mm512_mul_epi32(s, m), odd = _mm512_mul_epi32(_mm512_srli_epi64(s, 32), _mm512_srli_epi64(m, 32));
    even = _mm512_add_epi64(_mm512_add_epi64(even, lift), _mm512_sllv_epi64(one, _mm512_sub_epi64(by_even, one)));
    odd = _mm512_add_epi64(_mm512_add_epi64(odd, lift), _mm512_sllv_epi64(one, _mm512_sub_epi64(by_odd, one)));
    even = _mm512_sub_epi64(_mm512_srlv_epi64(even, by_even), _mm512_srlv_epi64(lift, by_even));
    odd = _mm512_sub_epi64(_mm512_srlv_epi64(odd, by_odd), _mm512_srlv_epi64(lift, by_odd));
    even = _mm512_min_epi64(_mm512_max_epi64(even, _mm512_set1_epi64(low)), _mm512_set1_epi64(high));
    odd = _mm512_min_epi64(_mm512_max_epi64(odd, _mm512_set1_epi64(low)), _mm512_set1_epi64(high));
    even = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
    even = _mm512_add_epi32(even, _mm512_set1_epi32(zero));
    _mm_storeu_si128((__m128i *)(void *)y, _mm512_cvtepi32_epi8(even));
}

/** PHIZ_DOTS_ROWS: up to `ROWS` rows, 16 outputs in one register, product and sum apart. */
#define PHIZ_DOTS_ROWS(ROWS, LOAD)                                                                               \
    {                                                                                                            \
        const float *at[ROWS];                                                                                   \
        __m512 a[ROWS];                                                                                          \
        PHIZ_UNROLLED for (int32_t j = 0; j < ROWS; ++j) at[j] = j < rows ? x + j * dx : x;                      \
        PHIZ_UNROLLED for (int32_t j = 0; j < ROWS; ++j) a[j] = _mm512_loadu_ps(sums + (j < rows ? 16 * j : 0)); \
        for (int32_t i = 0; i < inputs; ++i) {                                                                   \
            const __m512 u = LOAD(w + 16 * i);                                                                   \
            PHIZ_UNROLLED for (int32_t j = 0; j < ROWS; ++j)                                                     \
                a[j] = _mm512_add_ps(a[j], _mm512_mul_ps(_mm512_set1_ps(at[j][i]), u));                          \
        }                                                                                                        \
        PHIZ_UNROLLED for (int32_t j = 0; j < ROWS; ++j)                                                         \
            if (j < rows) _mm512_storeu_ps(sums + 16 * j, a[j]);                                                 \
    }

/** PHIZ_DOTS: as many rows at once as there are. */
#define PHIZ_DOTS(NAME, TYPE, LOAD)                                                                               \
    PHIZ_KERNEL void NAME(int32_t rows, int32_t inputs, const float *x, int32_t dx, const TYPE *w, float *sums) { \
        if (rows == 1) PHIZ_DOTS_ROWS(1, LOAD)                                                                    \
        else if (rows <= 4) PHIZ_DOTS_ROWS(4, LOAD)                                                               \
        else PHIZ_DOTS_ROWS(8, LOAD)                                                                              \
    }

/** PHIZ_LOAD_F32: weights as they are. */
#define PHIZ_LOAD_F32(AT) _mm512_loadu_ps(AT)

/** PHIZ_LOAD_S8: int8 weights as floats. */
#define PHIZ_LOAD_S8(AT) _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(AT))))

/** phiz_dots_f32: with float weights. */
PHIZ_DOTS(phiz_dots_f32, float, PHIZ_LOAD_F32)

/** phiz_dots_w8: with int8 weights. */
PHIZ_DOTS(phiz_dots_w8, int8_t, PHIZ_LOAD_S8)
