#include "sound.h"

#include <string.h>

enum { CHANNELS = 16 };

static uint32_t number(const unsigned char *bytes, int count) {
    uint32_t value = 0;
    while (count--) value = value << 8 | bytes[count];
    return value;
}

static int skip(FILE *file, uint64_t bytes) {
    while (bytes && getc(file) != EOF) --bytes; /* a pipe cannot seek */
    return !bytes;
}

const char *sound_open_wav(sound *source, FILE *file) {
    unsigned char head[12], chunk[8], format[40] = {0};
    int known = 0;
    if (fread(head, 1, 12, file) != 12 || memcmp(head, "RIFF", 4) || memcmp(head + 8, "WAVE", 4))
        return "it is no RIFF WAV file; convert it: ffmpeg -i FILE -c:a pcm_s16le speech.wav";
    for (;;) {
        if (fread(chunk, 1, 8, file) != 8) return known ? "it holds no sound" : "it does not say its format";
        const uint32_t size = number(chunk + 4, 4);
        if (!memcmp(chunk, "data", 4)) {
            if (!known) return "it does not say its format before its sound";
            /* What writes to a pipe does not know the size, and says the largest or none. */
            source->left = size == 0 || size >= 0xffffff00u ? -1 : (int64_t)(size / (2 * (unsigned)source->channels));
            source->file = file;
            return 0;
        }
        const uint32_t read = !memcmp(chunk, "fmt ", 4) ? (size < sizeof format ? size : (uint32_t)sizeof format) : 0;
        if (fread(format, 1, read, file) != read || !skip(file, (uint64_t)size - read + (size & 1))) return "it ends early";
        if (!read) continue;
        const uint32_t kind = number(format, 2), bits = number(format + 14, 2), rate = number(format + 4, 4);
        const uint32_t channels = number(format + 2, 2);
        const int pcm = size >= 16 && (kind == 1 || (kind == 0xfffe && size >= 40 && number(format + 24, 2) == 1));
        if (!pcm || bits != 16) return "its samples are not integers of 16 bits; convert it: ffmpeg -i FILE -c:a pcm_s16le speech.wav";
        if (channels < 1 || channels > CHANNELS) return "it has no channel, or more than 16";
        if (rate > 768000) return "its sample rate is none of audio's";
        source->rate = (int)rate, source->channels = (int)channels, known = 1;
    }
}

int sound_read(sound *source, float *samples, int most) {
    unsigned char bytes[2 * CHANNELS];
    const size_t size = 2 * (size_t)source->channels;
    int count = 0;
    while (count < most && source->left != 0 && fread(bytes, 1, size, source->file) == size) {
        for (size_t i = 0; i < size; i += 2) *samples++ = (float)(int16_t)number(bytes + i, 2) / 32768.0f;
        if (source->left > 0) --source->left;
        ++count;
    }
    return count;
}
