/* The face as a library that C# can call: plain functions on memory that the caller owns. */
#include "face.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* Bytes of a face, at an address that 8 divides. */
EXPORT int phiz_unity_bytes(void) { return (int)sizeof(phiz_face); }
EXPORT int phiz_unity_controls(void) { return PHIZ_FACE_CONTROLS; }
EXPORT const char *phiz_unity_control(int index) { return phiz_face_names[index]; }

/* Seconds between two frames. */
EXPORT float phiz_unity_interval(void) { return (float)STUDENT_STREAM_HOP / STUDENT_STREAM_SAMPLE_RATE; }
EXPORT float phiz_unity_latency(const phiz_face *face) { return (float)phiz_face_latency(face); }

/* Begin in this memory; 0 where the rate, in Hz, is none of audio's. */
EXPORT int phiz_unity_begin(phiz_face *face, int rate) { return phiz_face_begin(face, rate); }
EXPORT void phiz_unity_reset(phiz_face *face) { phiz_face_reset(face); }

/* Hear `count` samples of each channel, interleaved; the frames that became ready. `controls` are the newest's; where
 * there is none they stay as they are. */
EXPORT int phiz_unity_push(phiz_face *face, const float *samples, int count, int channels, float *controls) {
    int frames = 0;
    while (phiz_face_push(face, &samples, &count, channels, controls)) ++frames;
    return frames;
}
