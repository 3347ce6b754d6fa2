/* Instructions of WebAssembly, and the sine, which is none: libc.c. */
#ifndef MATH_H
#define MATH_H
#define INFINITY __builtin_inff()
#define sqrtf __builtin_sqrtf
#define sqrt __builtin_sqrt
#define fabs __builtin_fabs
#define ceil __builtin_ceil
double sin(double x);
#endif
