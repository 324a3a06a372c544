#include "compute/stages/dictate/dictate.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "compute/speech/speech.h"

// ---- What the analysis is told ------------------------------------------------------------------

enum { P_WORDS, P_LANGUAGE, P_GRAMMAR, P_CONFIDENCE, P_LONGEST, P_COUNT };

#define MODEL "/usr/share/pocketsphinx/model/en-us/"

static bool is_readable_file(const char *path, struct err *err)
{
    return access(path, R_OK) == 0 || err_set(err, ERR_CONFIG, "%s cannot be read", path);
}

// 0.5: as likely wrong as right, by the recogniser's own account. 15 minutes: with a language model
// a second takes 0.1 to 0.4 s of a core, and a job has 300 s.
static const struct stage_param params[P_COUNT] = {
    [P_WORDS] = {"words", "", "Words beside those of American English, each with its phones.",
                 PARAM_PATH, 0, 0, 0, NULL, NULL, is_readable_file},
    [P_LANGUAGE] = {"language", "",
                    "Language model of the site's reports; without it that of general English.",
                    PARAM_PATH, 0, 0, 0, NULL, NULL, is_readable_file},
    [P_GRAMMAR] = {"grammar", "", "JSGF grammar of the site's sentences and commands.", PARAM_PATH,
                   0, 0, 0, NULL, NULL, is_readable_file},
    [P_CONFIDENCE] = {"confidence", "", "Words of less confidence are marked.", PARAM_NUMBER, 0, 1,
                      0.5, NULL, NULL, NULL},
    [P_LONGEST] = {"longest", "min", "Longer recordings are refused.", PARAM_NUMBER, 0.1, 240, 15,
                   NULL, NULL, NULL},
};

// Peak level below which nobody speaks: 8 bits of mu-law resolve down to about -72 dB.
static const double silence_db = -50;

static const struct code finding = {"121071", "DCM", "Finding"};
static const struct code impression = {"121073", "DCM", "Impression"};
static const struct code history = {"11329-0", "LN", "History"};
static const struct code procedure = {"363679005", "SCT", "Imaging procedure"};

// ---- Text ---------------------------------------------------------------------------------------

struct dictation {
    const struct stage_run *run;
    struct findings *f;
    const struct code *section;
    FILE *text; // of the paragraph that grows
    char *paragraph;
    size_t size;
    double shown; // seconds of the recording: from where
    uint32_t sentences, confirmed, unheard, words, marked;
};

// Ends the paragraph: a statement of its section.
static bool end_paragraph(struct dictation *d)
{
    bool ok = true;
    if (!d->text)
        return true;
    ok = fclose(d->text) == 0;
    d->text = NULL;
    if (ok && d->size > 0) {
        struct evaluation *e = findings_add_evaluation(d->f, NULL);
        ok = e != NULL;
        if (ok) {
            e->concept = *d->section;
            e->text = arena_strdup(d->f->arena, d->paragraph);
            ok = e->text && findings_add_fact(d->f, "%s: %s", d->section->meaning, e->text);
        }
    }
    free(d->paragraph);
    d->paragraph = NULL;
    return ok;
}

static bool begin_paragraph(struct dictation *d)
{
    if (!d->text)
        d->text = open_memstream(&d->paragraph, &d->size);
    return d->text != NULL;
}

// "heading findings": the section that it names, or NULL.
static const struct code *heading_of(const struct speech_sentence *said, size_t at)
{
    static const struct {
        const char *word;
        const struct code *section;
    } headings[] = {{"history", &history}, {"findings", &finding}, {"impression", &impression}};
    if (at + 1 >= said->count || strcasecmp(said->words[at].text, "heading") != 0)
        return NULL;
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++) {
        if (strcasecmp(said->words[at + 1].text, headings[i].word) == 0)
            return headings[i].section;
    }
    return NULL;
}

static const char *sign_of(const char *word)
{
    return strcasecmp(word, "period") == 0 ? "." : strcasecmp(word, "comma") == 0 ? "," : NULL;
}

static bool is_new_paragraph(const struct speech_sentence *said, size_t at)
{
    return at + 1 < said->count && strcasecmp(said->words[at].text, "new") == 0 &&
           strcasecmp(said->words[at + 1].text, "paragraph") == 0;
}

// Words of a sentence that is not confirmed stand in brackets, in each paragraph anew.
static bool open_mark(struct dictation *d, const struct speech_sentence *said, bool *open)
{
    if (!begin_paragraph(d))
        return false;
    if (*open || said->confirmed)
        return true;
    fprintf(d->text, "%s[unconfirmed, %.1f to %.1f s:", ftell(d->text) > 0 ? " " : "", said->from_s,
            said->to_s);
    *open = true;
    return true;
}

static void close_mark(struct dictation *d, bool *open)
{
    if (*open)
        fputc(']', d->text);
    *open = false;
}

static bool write_words(struct dictation *d, const struct speech_sentence *said)
{
    const double limit = d->run->params[P_CONFIDENCE].number;
    bool open = false, ok = true;
    for (size_t i = 0; ok && i < said->count; i++) {
        const struct speech_word *w = &said->words[i];
        const struct code *section = heading_of(said, i);
        if (section || is_new_paragraph(said, i)) {
            close_mark(d, &open);
            ok = end_paragraph(d);
            d->section = section ? section : d->section;
            i++;
            continue;
        }
        ok = open_mark(d, said, &open);
        if (!ok)
            break;
        const char *sign = sign_of(w->text);
        const bool doubtful = w->confidence < limit;
        d->words++;
        d->marked += doubtful;
        fprintf(d->text, "%s%s%s%s", sign || ftell(d->text) == 0 ? "" : " ", doubtful ? "[" : "",
                sign ? sign : w->text, doubtful ? "?]" : "");
    }
    close_mark(d, &open);
    return ok;
}

static bool write_unheard(struct dictation *d, const struct speech_sentence *said)
{
    d->unheard++;
    if (!begin_paragraph(d))
        return false;
    fprintf(d->text, "%s[not understood, %.1f to %.1f s]", ftell(d->text) > 0 ? " " : "",
            said->from_s, said->to_s);
    return true;
}

static bool take_sentence(void *ctx, const struct speech_sentence *said)
{
    struct dictation *d = ctx;
    d->sentences++;
    d->confirmed += said->confirmed;
    bool ok = said->count > 0 ? write_words(d, said) : write_unheard(d, said);
    d->f->no_memory = d->f->no_memory || !ok;
    return ok;
}

static bool dictate_step(void *ctx, double done, struct err *err)
{
    const struct dictation *d = ctx;
    return stage_step(d->run, "listening", done, err);
}

// ---- The whole ----------------------------------------------------------------------------------

static bool tell_outcome(struct dictation *d, const struct speech_level *level)
{
    struct findings *f = d->f;
    f->page.headline = arena_printf(f->arena,
                                    "%u sentences in %.0f s: %u confirmed, %u not, %u "
                                    "not understood",
                                    d->sentences, level->seconds, d->confirmed,
                                    d->sentences - d->confirmed - d->unheard, d->unheard);
    findings_add_fact(f, "Level of the voice %.0f dB of full scale, of the rest %.0f dB",
                      level->voice_db, level->floor_db);
    findings_add_fact(f, "%u of %u words have less confidence than the limit", d->marked, d->words);
    findings_add_warning(f, "Text by machine that no person has compared with the recording: what "
                            "is not marked may be wrong too.");
    if (d->confirmed < d->sentences)
        findings_add_warning(f,
                             "%u of %u sentences are not confirmed by a second decoding: they "
                             "may say the opposite of what was said.",
                             d->sentences - d->confirmed, d->sentences);
    return f->page.headline != NULL;
}

static enum stage_end end_dictation(struct dictation *d, const struct speech_level *level, bool ok,
                                    struct err *err)
{
    const bool written = end_paragraph(d);
    if (!ok)
        return STAGE_BROKEN;
    if (d->words == 0)
        return stage_refuse(d->f, "nothing in %.0f s of sound is understood", level->seconds);
    if (!written || !tell_outcome(d, level)) {
        err_set(err, ERR_NOMEM, "dictate: no memory for the text");
        return STAGE_BROKEN;
    }
    d->f->verdict = VERDICT_DONE;
    d->f->reason = "";
    return STAGE_DONE;
}

static enum stage_end run_dictate(const struct stage_run *run, struct findings *out,
                                  struct err *err)
{
    const struct recording *r = run->recordings;
    struct dictation d = {.run = run, .f = out, .section = &finding};
    struct speech_level level;
    struct err why = {0};
    const double longest = run->params[P_LONGEST].number;
    out->page.title = "Dictation";
    out->procedure = procedure;
    if (run->recording_count != 1)
        return stage_refuse(out, "%zu recordings in the series: one can be taken",
                            run->recording_count);
    const double minutes = (double)r->samples / r->rate_hz / 60;
    if (minutes > longest)
        return stage_refuse(out,
                            "the recording has %.1f min, more than %g (option longest; the job "
                            "must end within its deadline)",
                            minutes, longest);
    if (!speech_measure(r, &level, err))
        return STAGE_BROKEN;
    if (!isfinite(level.peak_db))
        return stage_refuse(out, "silence: %.1f s without any sound", level.seconds);
    if (level.peak_db < silence_db)
        return stage_refuse(out,
                            "silence: the loudest of %.1f s has %.0f dB of full scale, a voice at "
                            "least %.0f",
                            level.seconds, level.peak_db, silence_db);
    const bool stock = !*run->params[P_LANGUAGE].text;
    const struct speech_options options = {.model = MODEL "en-us",
                                           .dictionary = MODEL "cmudict-en-us.dict",
                                           .words = run->params[P_WORDS].text,
                                           .language = stock ? MODEL "en-us.lm.bin"
                                                             : run->params[P_LANGUAGE].text,
                                           .grammar = run->params[P_GRAMMAR].text};
    struct speech *speech = speech_create(&options, &why);
    if (!speech)
        return stage_refuse(out, "%s", why.text);
    if (stock)
        findings_add_warning(out, "The language model is of general English: terms of medicine are "
                                  "mostly not understood (option language).");
    const bool ok =
        speech_transcribe(speech, r, &level, run->arena, take_sentence, dictate_step, &d, err);
    speech_destroy(speech);
    return end_dictation(&d, &level, ok, err);
}

// ---- The row ------------------------------------------------------------------------------------

static const struct stage_accept accepts[] = {{"Modality", "AU"}, {0}};
static const struct stage_input_spec inputs[] = {
    {.name = "recording",
     .help = "an audio object: one voice, 8000 to 48000 samples a second",
     .count = INPUT_ONE,
     .accepts = accepts,
     .recordings = true},
};

const struct stage stage_dictate = {
    .name = "dictate",
    .title = "Dictation",
    .version = "2",
    .slot = 32,
    .help = "Dictation in American English to text, for a person to check against the sound.",
    .scope = SCOPE_SERIES,
    .inputs = inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_SC | RESULT_PDF,
    .report = REPORT_BASIC_TEXT,
    .params = params,
    .param_count = P_COUNT,
    .run = run_dictate,
};
