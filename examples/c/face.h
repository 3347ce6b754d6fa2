/* A face that hears: samples of any usual rate in, frames of controls out. C99 that is also valid C++.
 *
 * Around the two files that `phiz compile MODEL --target c --stream` writes. It does what phiz does with every
 * artefact: brings the samples to the student's rate, cuts them into hops, begins as if there had always been silence,
 * and averages three taps around each frame. It allocates nothing: a face is a struct in its owner's memory, and faces
 * know nothing of each other. One thread at a time may use one.
 */
#ifndef PHIZ_FACE_H
#define PHIZ_FACE_H

/* A model that came from an .onnx file may have another name: change it here and in face.c. */
#include "student.stream.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PHIZ_FACE_CONTROLS STUDENT_STREAM_CONTROLS
#define PHIZ_FACE_COEFFICIENTS 24576 /* of the resampler: enough for 8000 to 192000 Hz in audio's usual steps */
#define PHIZ_FACE_WIDEST 512         /* samples that it looks at */

/* Bytes that are never touched cost no memory where pages come with their first use: 16 kHz needs no coefficients,
 * 48 kHz needs 106. */
typedef struct phiz_face {
    student_stream_state state, silent; /* now, and after silence for ever */
    float still[PHIZ_FACE_CONTROLS];    /* what silence looks like */
    float before[PHIZ_FACE_CONTROLS], latest[PHIZ_FACE_CONTROLS], next[PHIZ_FACE_CONTROLS];
    float hop[STUDENT_STREAM_HOP];
    int jaw, close; /* which controls jawOpen and mouthClose are */
    int filled;  /* samples of the hop that are there */
    int64_t frame; /* number of the frame that the next hop gives; the first lies at time 0 */
    int rate, up, down, half, phase, wait, place;
    float heard[2 * PHIZ_FACE_WIDEST];
    float filters[PHIZ_FACE_COEFFICIENTS];
} phiz_face;

/* The names of the controls, in their order. */
extern const char *const *const phiz_face_names;

/* Begin with silence. 0 where the rate, in Hz, is none of audio's; else 1. */
int phiz_face_begin(phiz_face *face, int rate);

/* Forget all that was heard. */
void phiz_face_reset(phiz_face *face);

/* Hear `*count` samples of each of `channels` channels, interleaved, in [-1, 1]; channels are averaged, what is
 * no number is silence, and what is beyond 8 is 8. Stops at a frame: 1, `controls` [PHIZ_FACE_CONTROLS] are its, and the samples that are left are
 * `*samples` and `*count`. 0 when all are heard:
 *
 *     while (phiz_face_push(face, &samples, &count, channels, controls)) show(phiz_face_time(face), controls);
 */
int phiz_face_push(phiz_face *face, const float **samples, int *count, int channels, float *controls);

/* Seconds after the first sample at which the last frame is to be seen. */
double phiz_face_time(const phiz_face *face);

/* Seconds that a frame waits for what is said after its time; buffers and computing come on top. */
double phiz_face_latency(const phiz_face *face);

#ifdef __cplusplus
}
#endif

#endif
