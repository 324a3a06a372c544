#include "compute/speech/speech.h"
#include <math.h>
#include <pocketsphinx.h>
#include <sphinxbase/err.h>
#include <stdlib.h>
#include <string.h>
#include "compute/speech/resample.h"

#define RATE_HZ    16000 // of the model
#define FRAME      320   // samples: 20 ms
#define LONGEST_S  30    // of a sentence; PocketSphinx takes 0.3 MiB a second
#define PAUSE_S    0.5   // a speaker who goes on pauses for less
#define MARGIN_S   0.2   // kept around what is loud: the ends of words are soft
#define SHORTEST_S 0.2   // of what is loud: less is a click
#define BELOW_DB   20    // of the voice: what is less loud is none
// Synthetic speech without noise is heard worse than with noise 20 dB below it: 18 % of words wrong
// against 3.8 %, 30 sentences of espeak-ng and a language model of 71 words.
#define NOISE_DB 20
#define BINS     200 // of 0.5 dB, from 0 dB down

struct speech {
    ps_decoder_t *decoder;
    bool has_grammar, has_language;
};

// ---- The recogniser -----------------------------------------------------------------------------

static const char search_language[] = "language", search_grammar[] = "grammar",
                  search_denial[] = "denial";

// A word and its phones a line, as the dictionary has them.
static bool speech_add_words(struct speech *s, const char *path, struct err *err)
{
    char line[512];
    FILE *f = fopen(path, "r");
    if (!f)
        return err_set(err, ERR_INPUT, "words: %s cannot be read", path);
    bool ok = true;
    for (int number = 1; ok && fgets(line, sizeof line, f); number++) {
        line[strcspn(line, "\r\n")] = 0;
        const size_t word = strcspn(line, " \t"), gap = strspn(line + word, " \t");
        if (!*line)
            continue;
        line[word] = 0;
        if (ps_lookup_word(s->decoder, line))
            continue; // known already
        if (gap == 0 || ps_add_word(s->decoder, line, line + word + gap, FALSE) < 0)
            ok = err_set(err, ERR_INPUT, "words: line %d of %s is no word with phones of the model",
                         number, path);
    }
    fclose(f);
    return ok;
}

static bool speech_load(struct speech *s, const struct speech_options *o, struct err *err)
{
    if (*o->words && !speech_add_words(s, o->words, err))
        return false;
    if (*o->language && ps_set_lm_file(s->decoder, search_language, o->language) < 0)
        return err_set(err, ERR_INPUT, "language: %s is no language model of known words",
                       o->language);
    if (*o->grammar && ps_set_jsgf_file(s->decoder, search_grammar, o->grammar) < 0)
        return err_set(err, ERR_INPUT, "grammar: %s is no JSGF grammar of known words", o->grammar);
    s->has_language = *o->language;
    s->has_grammar = *o->grammar;
    return s->has_language || s->has_grammar ||
           err_set(err, ERR_INPUT, "neither a language model nor a grammar");
}

struct speech *speech_create(const struct speech_options *options, struct err *err)
{
    struct speech *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(err, ERR_NOMEM, "no memory for speech");
        return NULL;
    }
    err_set_logfp(NULL); // its log goes nowhere
    // One utterance is decoded at a time, whole: its mean is known, and nothing is left out of it.
    cmd_ln_t *config =
        cmd_ln_init(NULL, ps_args(), TRUE, "-hmm", options->model, "-dict", options->dictionary,
                    "-remove_silence", "no", "-cmn", "batch", "-bestpath", "yes", NULL);
    s->decoder = config ? ps_init(config) : NULL;
    cmd_ln_free_r(config);
    if (!s->decoder)
        err_set(err, ERR_INPUT, "no acoustic model in %s, or no dictionary %s", options->model,
                options->dictionary);
    if (s->decoder && speech_load(s, options, err))
        return s;
    speech_destroy(s);
    return NULL;
}

void speech_destroy(struct speech *s)
{
    if (!s)
        return;
    ps_free(s->decoder);
    free(s);
}

// ---- How loud it is -----------------------------------------------------------------------------

static double power_db(const int16_t *samples, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)samples[i] * samples[i];
    return sum > 0 ? 10 * log10(sum / (double)count / (32768.0 * 32768.0)) : -INFINITY;
}

static size_t bin_of(double db)
{
    return db > -BINS / 2.0 ? (size_t)fmin(BINS - 1, fmax(0, -2 * db)) : BINS - 1;
}

bool speech_measure(const struct recording *r, struct speech_level *out, struct err *err)
{
    uint64_t counts[BINS] = {0}, total = 0;
    double power[BINS] = {0};
    int16_t samples[1024];
    const size_t frame = (size_t)(r->rate_hz / 50) < 1024 ? (size_t)(r->rate_hz / 50) : 1024;
    for (uint64_t at = 0; at + frame <= r->samples; at += frame, total++) {
        if (!r->read(r->ctx, at, frame, samples, err))
            return false;
        const double db = power_db(samples, frame);
        counts[bin_of(db)]++;
        power[bin_of(db)] += pow(10, db / 10);
    }
    *out = (struct speech_level){(double)r->samples / r->rate_hz, -INFINITY, -INFINITY, -INFINITY};
    double voice = 0;
    uint64_t seen = 0, voices = 0;
    for (size_t i = 0; i < BINS - 1; i++) { // the last is silence
        seen += counts[i];
        const double db = -(double)i / 2;
        if (seen > 0 && 100 * seen >= total && !isfinite(out->peak_db))
            out->peak_db = db;
        if (!isfinite(out->peak_db) || db >= out->peak_db - BELOW_DB) {
            voice += power[i];
            voices += counts[i];
        }
        if (10 * seen >= 9 * total && !isfinite(out->floor_db) && seen > 0)
            out->floor_db = db;
    }
    if (isfinite(out->peak_db) && voices > 0)
        out->voice_db = 10 * log10(voice / (double)voices);
    return true;
}

// ---- Sentences ----------------------------------------------------------------------------------

struct hearing { // one recording
    struct speech *speech;
    const struct speech_level *level;
    struct arena *arena;
    bool (*each)(void *ctx, const struct speech_sentence *said);
    void *ctx;
    int16_t *buffer;      // [LONGEST_S * RATE_HZ + FRAME]
    size_t count;         // samples in it
    size_t loud, quiet;   // frames of it that are, and those since the last loud one
    uint64_t begun;       // place of buffer[0], at RATE_HZ
    int16_t frame[FRAME]; // that fills
    size_t filled;
    uint32_t noise; // state of the generator
    double noise_amplitude;
    bool stopped;
};

// PocketSphinx names silence, noise and variants: "<sil>", "[NOISE]", "++COUGH++", "the(2)".
static bool is_filler(const char *word)
{
    return *word == '<' || *word == '[' || *word == '+' || *word == '(';
}

// The words of one decoding. False: PocketSphinx does not go on, or no memory.
static bool decode(struct hearing *h, const char *search, struct speech_sentence *out,
                   struct err *err)
{
    ps_decoder_t *d = h->speech->decoder;
    if (ps_set_search(d, search) < 0 || ps_start_utt(d) < 0 ||
        ps_process_raw(d, h->buffer, h->count, FALSE, TRUE) < 0 || ps_end_utt(d) < 0)
        return err_set(err, ERR_INPUT, "the recogniser gives up");
    out->count = 0;
    int32 score = 0;
    if (!ps_get_hyp(d, &score))
        return true;
    size_t room = 0;
    for (ps_seg_t *seg = ps_seg_iter(d); seg; seg = ps_seg_next(seg))
        room += !is_filler(ps_seg_word(seg));
    struct speech_word *words = arena_alloc(h->arena, room + 1, sizeof *words);
    if (!words)
        return err_set(err, ERR_NOMEM, "no memory for words");
    for (ps_seg_t *seg = ps_seg_iter(d); seg; seg = ps_seg_next(seg)) {
        const char *word = ps_seg_word(seg);
        if (is_filler(word) || out->count == room)
            continue;
        const int32 p = ps_seg_prob(seg, NULL, NULL, NULL);
        words[out->count].text = arena_printf(h->arena, "%.*s", (int)strcspn(word, "("), word);
        words[out->count].confidence = fmin(1, logmath_exp(ps_get_logmath(d), p));
        if (!words[out->count++].text) {
            ps_seg_free(seg);
            return err_set(err, ERR_NOMEM, "no memory for words");
        }
    }
    out->words = words;
    return true;
}

static bool same_words(const struct speech_sentence *a, const struct speech_sentence *b)
{
    bool same = a->count == b->count && a->count > 0;
    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->words[i].text, b->words[i].text) == 0;
    return same;
}

static bool is_one_of(const char *word, const char *const *list)
{
    for (; *list; list++) {
        if (strcmp(word, *list) == 0)
            return true;
    }
    return false;
}

static const char *const articles[] = {"a", "an", "the", NULL}, *const denials[] = {"no", "not",
                                                                                    NULL};

// A grammar of the sentence as heard, in which "no" or "not" may come or be missing anywhere, also
// in place of an article. NULL: no memory.
static const char *grammar_of_denials(struct hearing *h, const struct speech_sentence *said)
{
    const char *text = "#JSGF V1.0;\ngrammar denial;\npublic <sentence> = [no | not]";
    for (size_t i = 0; text && i < said->count; i++) {
        const char *word = said->words[i].text;
        const bool open = is_one_of(word, articles) || is_one_of(word, denials);
        text = open ? arena_printf(h->arena, "%s [a | an | the | no | not]", text)
                    : arena_printf(h->arena, "%s %s [no | not]", text, word);
    }
    return text ? arena_printf(h->arena, "%s;\n", text) : NULL;
}

// The next word that is no article, or NULL.
static const char *next_plain(const struct speech_sentence *s, size_t *at)
{
    while (*at < s->count && is_one_of(s->words[*at].text, articles))
        ++*at;
    return *at < s->count ? s->words[(*at)++].text : NULL;
}

// Whether the sound has the "no" and "not" of the sentence and no others: a grammar and a language
// model that know only "the liver is enlarged" agree on it where "the liver is not enlarged" is
// said.
static bool hear_denials(struct hearing *h, const struct speech_sentence *said, bool *same,
                         struct err *err)
{
    struct speech_sentence again = {0};
    const char *grammar = grammar_of_denials(h, said);
    size_t i = 0, j = 0;
    *same = false;
    if (!grammar)
        return err_set(err, ERR_NOMEM, "no memory for words");
    if (ps_set_jsgf_string(h->speech->decoder, search_denial, grammar) < 0)
        return true; // a word that a grammar cannot have
    const bool ok = decode(h, search_denial, &again, err);
    const char *a = next_plain(said, &i), *b = next_plain(&again, &j);
    while (a && b && strcmp(a, b) == 0) {
        a = next_plain(said, &i);
        b = next_plain(&again, &j);
    }
    *same = ok && !a && !b;
    return ok;
}

// Where the two decodings differ that of the grammar stands: it is made of what the site says. Its
// confidence is that of the language model where they agree.
static bool end_sentence(struct hearing *h, struct err *err)
{
    struct speech_sentence by_language = {0}, by_grammar = {0};
    bool ok = true;
    if (h->loud * FRAME >= SHORTEST_S * RATE_HZ) {
        ok = (!h->speech->has_language || decode(h, search_language, &by_language, err)) &&
             (!h->speech->has_grammar || decode(h, search_grammar, &by_grammar, err));
        struct speech_sentence said = by_grammar.count ? by_grammar : by_language;
        if (ok && same_words(&by_language, &by_grammar)) {
            said.words = by_language.words;
            ok = hear_denials(h, &said, &said.confirmed, err);
        }
        said.from_s = (double)h->begun / RATE_HZ;
        said.to_s = said.from_s + (double)h->count / RATE_HZ;
        h->stopped = ok && !h->each(h->ctx, &said);
    }
    h->begun += h->count;
    h->count = h->loud = h->quiet = 0;
    return ok;
}

// Deterministic white noise, where the recording has less.
static int16_t add_noise(struct hearing *h, int16_t sample)
{
    h->noise = h->noise * 1664525u + 1013904223u; // Numerical Recipes, "quick and dirty"
    const double u = (double)(h->noise >> 8) / 8388608.0 - 1;
    return (int16_t)fmax(INT16_MIN, fmin(INT16_MAX, sample + u * h->noise_amplitude));
}

// Before a sentence only the margin is kept; it ends after a pause.
static bool hear_frame(struct hearing *h, struct err *err)
{
    const size_t margin = (size_t)(MARGIN_S * RATE_HZ);
    const bool loud = power_db(h->frame, h->filled) >= h->level->voice_db - BELOW_DB;
    for (size_t i = 0; i < h->filled; i++)
        h->buffer[h->count++] = add_noise(h, h->frame[i]);
    h->filled = 0;
    h->loud += loud;
    h->quiet = loud ? 0 : h->quiet + 1;
    if (h->loud == 0 && h->count > margin) {
        const size_t gone = h->count - margin;
        memmove(h->buffer, h->buffer + gone, margin * sizeof *h->buffer);
        h->count = margin;
        h->begun += gone;
    }
    if (h->loud > 0 &&
        (h->quiet * FRAME >= PAUSE_S * RATE_HZ || h->count >= (size_t)LONGEST_S * RATE_HZ))
        return end_sentence(h, err);
    return true;
}

static bool hear(struct hearing *h, const int16_t *samples, size_t count, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && !h->stopped && i < count; i++) {
        h->frame[h->filled++] = samples[i];
        if (h->filled == FRAME)
            ok = hear_frame(h, err);
    }
    return ok;
}

// A second of it at a time.
static bool hear_all(struct hearing *h, const struct recording *r, struct resample *resample,
                     bool (*step)(void *ctx, double done, struct err *err), struct err *err)
{
    const size_t block = (size_t)r->rate_hz, room = RATE_HZ + 4096;
    int16_t *in = calloc(block + 1, sizeof *in), *out = calloc(room, sizeof *out);
    bool ok = (in && out) || err_set(err, ERR_NOMEM, "no memory for sound");
    for (uint64_t at = 0; ok && !h->stopped && at < r->samples; at += block) {
        const size_t count = r->samples - at < block ? (size_t)(r->samples - at) : block;
        size_t written = 0;
        ok = (!step || step(h->ctx, (double)at / (double)r->samples, err)) &&
             r->read(r->ctx, at, count, in, err);
        if (ok && r->rate_hz == RATE_HZ)
            ok = hear(h, in, count, err);
        else if (ok)
            ok = (resample_feed(resample, in, count, at + count == r->samples, out, room,
                                &written) ||
                  err_set(err, ERR_NOMEM, "no memory for sound")) &&
                 hear(h, out, written, err);
    }
    free(in);
    free(out);
    return ok && (h->stopped || ((h->filled == 0 || hear_frame(h, err)) && end_sentence(h, err)));
}

bool speech_transcribe(struct speech *s, const struct recording *r,
                       const struct speech_level *level, struct arena *arena,
                       bool (*each)(void *ctx, const struct speech_sentence *said),
                       bool (*step)(void *ctx, double done, struct err *err), void *ctx,
                       struct err *err)
{
    struct resample resample;
    struct hearing *h = calloc(1, sizeof *h);
    bool ok = resample_init(&resample, r->rate_hz, RATE_HZ) && h;
    if (ok) {
        *h =
            (struct hearing){.speech = s, .level = level, .arena = arena, .each = each, .ctx = ctx};
        h->buffer = calloc((size_t)LONGEST_S * RATE_HZ + 2 * FRAME, sizeof *h->buffer);
        ok = h->buffer != NULL;
        const double noise_db = level->voice_db - NOISE_DB;
        if (level->floor_db < noise_db) // of power 1/3 of the amplitude's square
            h->noise_amplitude = 32768 * pow(10, noise_db / 20) * sqrt(3);
    }
    ok = ok ? hear_all(h, r, &resample, step, err) : err_set(err, ERR_NOMEM, "no memory for sound");
    if (h)
        free(h->buffer);
    free(h);
    resample_finish(&resample);
    return ok;
}
