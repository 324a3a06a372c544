// Spoken words to text, offline, by PocketSphinx with its model of American English, the words, the
// language model and the grammar of a site. The only place that knows PocketSphinx.
//
// No decoding alone can be believed: a grammar finds one of its sentences in whatever is said, with
// a confidence of 1, and "there is a fracture" may become "there is no fracture". A sentence counts
// as confirmed only where two decodings, by the grammar and by a language model, say the same
// words, and a third finds no "no" or "not" more or less in the sound. Process: worker, analyze.
// Thread-safety: one thread a speech.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"
#include "compute/speech/recording.h"

struct speech_options {     // paths; "": none
    const char *model;      // folder of the acoustic model
    const char *dictionary; // of the words that are known, a word and its phones a line
    const char *words;      // more of them
    const char *language;   // language model (ARPA or its binary form)
    const char *grammar;    // JSGF
};

struct speech;
// ERR_INPUT: a file that cannot be used, by its option; ERR_NOMEM
struct speech *speech_create(const struct speech_options *options, struct err *err);
void speech_destroy(struct speech *s); // NULL is fine

struct speech_word {
    const char *text;
    double confidence; // 0 to 1, posterior in the lattice of the language model; 1 by a grammar
};

// What was said between two pauses.
struct speech_sentence {
    double from_s, to_s;             // of the recording
    const struct speech_word *words; // in arena
    size_t count;                    // 0: nothing was understood
    bool confirmed;                  // all decodings have these words
};

// How loud it is.
struct speech_level {
    double seconds;
    double peak_db;  // that 1 % of its 20 ms reach; 0 dB: full scale; -INFINITY: digital silence
    double voice_db; // mean power of what is within 20 dB of that
    double floor_db; // that 10 % do not exceed
};
// Reads all of it, in little memory. step (may be NULL) as speech_transcribe()'s.
//   the errors of recording.read() and step()
bool speech_measure(const struct recording *r, struct speech_level *out, struct err *err);

// Calls each() for each sentence in order of time, until it returns false. A pause is half a second
// of 20 dB less than the voice; without one a sentence ends after 30 s, and memory is that of one.
// step(done 0..1) says whether to go on.
//   ERR_INPUT (PocketSphinx does not go on), the errors of recording.read() and step()
bool speech_transcribe(struct speech *s, const struct recording *r,
                       const struct speech_level *level, struct arena *arena,
                       bool (*each)(void *ctx, const struct speech_sentence *said),
                       bool (*step)(void *ctx, double done, struct err *err), void *ctx,
                       struct err *err);
