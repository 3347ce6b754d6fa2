#include "face.h"

#include <math.h>
#include <string.h>

/* A product and a sum are rounded apart, on every machine. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#define HOP STUDENT_STREAM_HOP
#define RATE STUDENT_STREAM_SAMPLE_RATE
#define AHEAD STUDENT_STREAM_LOOK_AHEAD
#define CONTROLS PHIZ_FACE_CONTROLS
#define LOUDEST 8.0f /* 18 dB above full scale */

#if 60 * HOP < RATE
#error "more than 60 frames a second: the taps of the ensemble lie beyond the neighbours of a frame"
#endif

const char *const *const phiz_face_names = student_stream_controls;

/* ---- resampling: a sinc under a Kaiser window, one filter for each place between two samples ---- */

static const double HALF_TURN = 3.14159265358979323846;
static const double ZEROS = 16; /* crossings of the sinc on either side */
static const double PASSED = 0.92; /* of half the lower rate: where the filter begins to fall */
static const double BETA = 9;    /* of the window: what folds back is 90 dB down */

/* The modified Bessel function of the first kind, order 0: its power series. */
static double bessel(double x) {
    double sum = 1, term = 1;
    for (int k = 1; term > 1e-17 * sum; ++k) {
        term *= x * x / (4.0 * k * k);
        sum += term;
    }
    return sum;
}

static double kernel(double cut, double distance, double half) {
    const double turn = HALF_TURN * cut * distance, inside = 1 - distance * distance / (half * half);
    return (fabs(turn) < 1e-9 ? 1 : sin(turn) / turn) * bessel(BETA * sqrt(inside > 0 ? inside : 0));
}

static int divisor(int a, int b) { return b ? divisor(b, a % b) : a; }

/* Filters for this rate; 0 where they would not fit. */
static int prepare(phiz_face *face, int rate) {
    if (rate < 4000 || rate > 768000) return 0;
    const int common = divisor(rate, RATE), up = RATE / common, down = rate / common;
    const double cut = PASSED * (up < down ? (double)up / down : 1);
    const int half = up == down ? 0 : (int)ceil(ZEROS / cut);
    if (2 * half > PHIZ_FACE_WIDEST || up > PHIZ_FACE_COEFFICIENTS / (2 * half + 1)) return 0;
    face->rate = rate, face->up = up, face->down = down, face->half = half;
    for (int phase = 0; half && phase < up; ++phase) {
        float *filter = face->filters + phase * 2 * half;
        double sum = 0;
        for (int i = 0; i < 2 * half; ++i) sum += kernel(cut, i - half + 1 - (double)phase / up, half);
        for (int i = 0; i < 2 * half; ++i)
            filter[i] = (float)(kernel(cut, i - half + 1 - (double)phase / up, half) / sum); /* equal gain everywhere */
    }
    return 1;
}

/* No number of a broken driver's gets further. */
static float tame(float sample) {
    if (!(sample - sample == 0.0f)) return 0.0f;
    return sample > LOUDEST ? LOUDEST : sample < -LOUDEST ? -LOUDEST : sample;
}

/* Take one sample in; every sample is written twice, so that the newest always lie in one piece. */
static void hear(phiz_face *face, float sample) {
    const int wide = face->half ? 2 * face->half : 1;
    face->place = face->place + 1 < wide ? face->place + 1 : 0;
    face->heard[face->place] = face->heard[face->place + wide] = sample;
    --face->wait;
}

/* The next sample at the student's rate; only when nothing is waited for. */
static float resampled(phiz_face *face) {
    const int wide = 2 * face->half;
    const float *oldest = face->heard + face->place + 1, *filter = face->filters + face->phase * wide;
    float sum = face->half ? 0.0f : face->heard[face->place];
    for (int i = 0; i < wide; ++i) sum += oldest[i] * filter[i];
    face->phase += face->down;
    face->wait += face->phase / face->up;
    face->phase %= face->up;
    return sum;
}

/* ---- frames ---- */

/* The mean of the face a sixtieth of a second before, at, and after a frame, linear between frames.
 * Source: arXiv 2507.18352. In ARKit's terms mouthClose takes back what jawOpen opens, and more of it crosses the lips. */
static void mix(const phiz_face *face, float *controls) {
    const float share = (float)(RATE / (60.0 * HOP)), rest = (float)(1 - RATE / (60.0 * HOP));
    for (int i = 0; i < CONTROLS; ++i) {
        const float a = face->before[i], b = face->latest[i], c = face->next[i];
        const float mean = ((a + rest * (b - a)) + b + (b + share * (c - b))) / 3.0f;
        controls[i] = !STUDENT_STREAM_BOUNDED ? mean : mean < 0.0f ? 0.0f : mean > 1.0f ? 1.0f : mean;
    }
    if (face->jaw >= 0 && face->close >= 0) {
        const float open = controls[face->jaw] > 0.0f ? controls[face->jaw] : 0.0f;
        if (controls[face->close] > open) controls[face->close] = open;
    }
}

/* Where a control is; -1 where the face has none of this name. */
static int place_of(const char *name) {
    for (int i = 0; i < CONTROLS; ++i) {
        const char *a = phiz_face_names[i], *b = name;
        while (*a && *a == *b) ++a, ++b;
        if (*a == *b) return i;
    }
    return -1;
}

/* A whole hop is there; whether it completes a frame. */
static int advance(phiz_face *face, float *controls) {
    memcpy(face->before, face->latest, sizeof face->before);
    memcpy(face->latest, face->next, sizeof face->latest);
    student_stream_push_hop(&face->state, face->hop, face->next);
    face->filled = 0;
    if (face->frame++ < 1) return 0;
    mix(face, controls);
    return 1;
}

int phiz_face_begin(phiz_face *face, int rate) {
    if (!prepare(face, rate)) return 0;
    face->jaw = place_of("jawOpen"), face->close = place_of("mouthClose");
    student_stream_reset(&face->silent);
    memset(face->hop, 0, sizeof face->hop);
    for (int i = 0; i < STUDENT_STREAM_WARM_UP; ++i) student_stream_push_hop(&face->silent, face->hop, face->still);
    phiz_face_reset(face);
    return 1;
}

void phiz_face_reset(phiz_face *face) {
    face->state = face->silent;
    memcpy(face->before, face->still, sizeof face->before);
    memcpy(face->latest, face->still, sizeof face->latest);
    memcpy(face->next, face->still, sizeof face->next);
    memset(face->heard, 0, sizeof face->heard);
    face->phase = face->place = 0;
    face->wait = face->half + 1;
    /* A hop ends with the look-ahead of its frame, and frames lie at whole hops: the first begins in silence. */
    memset(face->hop, 0, sizeof face->hop);
    face->filled = (HOP - AHEAD % HOP) % HOP;
    face->frame = 1 - (AHEAD + HOP - 1) / HOP;
}

int phiz_face_push(phiz_face *face, const float **samples, int *count, int channels, float *controls) {
    for (;;) {
        while (face->wait <= 0) {
            face->hop[face->filled++] = resampled(face);
            if (face->filled == HOP && advance(face, controls)) return 1;
        }
        if (*count <= 0) return 0;
        float sum = 0;
        for (int i = 0; i < channels; ++i) sum += *(*samples)++;
        --*count;
        hear(face, tame(sum / (float)channels));
    }
}

double phiz_face_time(const phiz_face *face) { return (double)(face->frame - 2) * HOP / RATE; }

double phiz_face_latency(const phiz_face *face) {
    return (double)(AHEAD + HOP) / RATE + (double)face->half / face->rate;
}
