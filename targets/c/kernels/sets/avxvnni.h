/* when: defined(__AVXVNNI__) || (defined(__AVX512VNNI__) && defined(__AVX512VL__)) */
#include <immintrin.h>

/** PHIZ_DPBUSD: the one instruction, by either of its names. */
#if defined(__AVXVNNI__)
#define PHIZ_DPBUSD(SUM, INPUT, WEIGHT) _mm256_dpbusd_avx_epi32(SUM, INPUT, WEIGHT)
#else
#define PHIZ_DPBUSD(SUM, INPUT, WEIGHT) _mm256_dpbusd_epi32(SUM, INPUT, WEIGHT)
#endif

/** phiz_dots_s8: 32 products at a time; as with AVX-512, 128 is added to the inputs and taken off the sums. */
PHIZ_KERNEL void phiz_dots_s8(int32_t rows, int32_t inputs, const int8_t *x, int32_t dx, const int8_t *w,
                              int32_t *sums) {
    const __m256i flip = _mm256_set1_epi8(-128), none = _mm256_setzero_si256();
    for (int32_t r = 0; r < rows; r += 2, x += 2 * dx, sums += 32) {
        const int8_t *x1 = r + 1 < rows ? x + dx : x, *p = w;
        __m256i a = none, b = none, c = none, d = none, extra = none, more = none;
        for (int32_t q = 0; q < inputs; q += 4, p += 64) {
            const __m256i u = _mm256_loadu_si256((const __m256i *)(const void *)p);
            const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
            const __m256i s = _mm256_xor_si256(_mm256_set1_epi32(phiz_quad(x + q, inputs - q)), flip);
            const __m256i t = _mm256_xor_si256(_mm256_set1_epi32(phiz_quad(x1 + q, inputs - q)), flip);
            a = PHIZ_DPBUSD(a, s, u), b = PHIZ_DPBUSD(b, s, v);
            c = PHIZ_DPBUSD(c, t, u), d = PHIZ_DPBUSD(d, t, v);
            extra = PHIZ_DPBUSD(extra, flip, u), more = PHIZ_DPBUSD(more, flip, v);
        }
        _mm256_storeu_si256((__m256i *)(void *)sums, _mm256_sub_epi32(a, extra));
        _mm256_storeu_si256((__m256i *)(void *)(sums + 8), _mm256_sub_epi32(b, more));
        if (r + 1 < rows) {
            _mm256_storeu_si256((__m256i *)(void *)(sums + 16), _mm256_sub_epi32(c, extra));
            _mm256_storeu_si256((__m256i *)(void *)(sums + 24), _mm256_sub_epi32(d, more));
        }
    }
}
