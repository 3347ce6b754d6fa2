/* The face as a WebAssembly module: one face, and memory through which samples go in and frames come out. */
#include "face.h"

#define EXPORT(name) __attribute__((export_name(#name)))

enum { SAMPLES = 4096, FRAMES = 64 }; /* a hop is never less than 64 samples of 8000 Hz */

static phiz_face face;
static float samples[SAMPLES], frames[FRAMES][PHIZ_FACE_CONTROLS];

EXPORT(begin) int begin(int rate) { return phiz_face_begin(&face, rate); }
EXPORT(reset) void reset(void) { phiz_face_reset(&face); }
EXPORT(latency) double latency(void) { return phiz_face_latency(&face); }
EXPORT(time) double time_of_last(void) { return phiz_face_time(&face); }
EXPORT(hop) double hop(void) { return (double)STUDENT_STREAM_HOP / STUDENT_STREAM_SAMPLE_RATE; }
EXPORT(rate) int rate(void) { return STUDENT_STREAM_SAMPLE_RATE; }
EXPORT(room) int room(void) { return SAMPLES; }
EXPORT(samples) float *samples_at(void) { return samples; }
EXPORT(frames) float *frames_at(void) { return &frames[0][0]; }
EXPORT(controls) int controls(void) { return PHIZ_FACE_CONTROLS; }
EXPORT(name) const char *name(int index) { return phiz_face_names[index]; }

/* Hear so many of the samples; how many frames lie in `frames` now. */
EXPORT(push) int push(int count) {
    const float *from = samples;
    int made = 0;
    while (made < FRAMES && phiz_face_push(&face, &from, &count, 1, frames[made])) ++made;
    return made;
}
