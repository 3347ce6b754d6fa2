#include <math.h>
#include <string.h>

/* With -mbulk-memory these are one instruction each. */
void *memcpy(void *to, const void *from, size_t size) { return __builtin_memcpy(to, from, size); }
void *memset(void *to, int value, size_t size) { return __builtin_memset(to, value, size); }

/* Of a few hundred at most, to 1e-13: brought to half a turn, then the power series. */
double sin(double x) {
    const double turns = __builtin_nearbyint(x / 3.14159265358979323846);
    const double rest = x - turns * 3.14159265358979323846;
    double term = rest, sum = rest;
    for (int k = 2; k < 26; k += 2) sum += term *= -rest * rest / (double)(k * (k + 1));
    return (long long)turns % 2 ? -sum : sum;
}
