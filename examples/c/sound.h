/* Samples from a file or a pipe, as they come: plain RIFF WAV of 16 bits, or the same samples without a header. */
#ifndef SOUND_H
#define SOUND_H

#include <stdint.h>
#include <stdio.h>

typedef struct sound {
    FILE *file;
    int rate, channels;
    int64_t left; /* sample frames that the header promises; -1: until the file ends */
} sound;

/* 0, or what is wrong with the file. */
const char *sound_open_wav(sound *source, FILE *file);

/* Up to `most` sample frames, interleaved; 0 at the end. Never more than 16 channels, see sound_open_wav. */
int sound_read(sound *source, float *samples, int most);

#endif
