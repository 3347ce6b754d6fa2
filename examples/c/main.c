/* Speech in, curves out: a line for each frame as soon as it is known. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "face.h"
#include "sound.h"

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

enum { CHUNK = 64 }; /* few: a pipe gives them only together */

static const char *const USAGE =
    "usage: speak SPEECH.wav > curves.csv            a WAV file of 16 bits, any rate and channels\n"
    "       speak --raw RATE < samples > curves.csv  16-bit little-endian mono, such as: arecord -t raw -f S16_LE -r 16000\n";

static int refuse(const char *where, const char *what) {
    fprintf(stderr, "speak: %s: %s\n", where, what);
    return 2;
}

static void show(int64_t frame, const float *controls) {
    printf("%.6f", (double)frame * STUDENT_STREAM_HOP / STUDENT_STREAM_SAMPLE_RATE);
    for (int i = 0; i < PHIZ_FACE_CONTROLS; ++i) printf(",%.6f", (double)controls[i]);
    putchar('\n');
}

int main(int argc, char **argv) {
    static phiz_face face;
    static float samples[CHUNK * 16], controls[PHIZ_FACE_CONTROLS];
    sound source = {stdin, 0, 1, -1};
    const int raw = argc == 3 && !strcmp(argv[1], "--raw");
    const char *where = raw ? "--raw" : argc == 2 ? argv[1] : "";
    if (!raw && (argc != 2 || argv[1][0] == '-')) return fputs(USAGE, stderr), 2;
    if (raw) {
        source.rate = atoi(argv[2]);
#ifdef _WIN32
        _setmode(_fileno(stdin), _O_BINARY);
#endif
    } else {
        FILE *file = fopen(where, "rb");
        if (!file) return refuse(where, "it cannot be opened");
        const char *problem = sound_open_wav(&source, file);
        if (problem) return refuse(where, problem);
    }
    if (!phiz_face_begin(&face, source.rate)) return refuse(where, "no sample rate that is supported; convert it to 16000 or 48000 Hz");

    fputs("seconds", stdout);
    for (int i = 0; i < PHIZ_FACE_CONTROLS; ++i) printf(",%s", phiz_face_names[i]);
    putchar('\n');
    int64_t heard = 0, shown = 0;
    for (int count; (count = sound_read(&source, samples, CHUNK)) > 0; heard += count) {
        const float *from = samples;
        for (int left = count; phiz_face_push(&face, &from, &left, source.channels, controls); ++shown) show(shown, controls);
        if (raw) fflush(stdout); /* who listens now wants to see now */
    }
    /* The last frames wait for what is said after them: silence, up to the frame before the end. */
    const int64_t hop = (int64_t)STUDENT_STREAM_HOP * source.rate, length = heard * STUDENT_STREAM_SAMPLE_RATE;
    memset(samples, 0, sizeof samples);
    while (shown * hop < length) {
        const float *from = samples;
        int left = CHUNK;
        while (shown * hop < length && phiz_face_push(&face, &from, &left, 1, controls)) show(shown++, controls);
    }
    if (fflush(stdout) || ferror(stdout)) return refuse("output", "it cannot be written");
    if (source.left > 0) return refuse(where, "it ends before the end that its header promises; so do the curves");
    return 0;
}
