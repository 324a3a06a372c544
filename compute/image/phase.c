#include "compute/image/phase.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS 60000.0

static const char *phase_text(const struct image_frame *f, const char *keyword)
{
    const char *text = f->attrs ? attrs_get(f->attrs, keyword) : NULL;
    return text ? text : "";
}

// A percentage next to one of these is the strength of a reconstruction, a dose or a size.
static bool phase_names_other(const char *text)
{
    static const char *const others[] = {"asir", "admire", "safire", "idose", "aidr",   "iterat",
                                         "dose", "noise",  "blend",  "zoom",  "magnif", "stenos"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcasestr(text, others[i]))
            return true;
    }
    return false;
}

// The number that ends before `end`, where it stands by itself: neither a part of a word, nor the
// end of a range, nor negative.
static bool phase_number_before(const char *text, const char *end, double *percent)
{
    const char *at = end;
    while (at > text && (isdigit((unsigned char)at[-1]) || at[-1] == '.'))
        at--;
    if (at == end || !isdigit((unsigned char)*at) || !isdigit((unsigned char)end[-1]))
        return false;
    if (at > text && (isalpha((unsigned char)at[-1]) || at[-1] == '-' || at[-1] == ',' ||
                      (unsigned char)at[-1] >= 0x80))
        return false;
    *percent = strtod(at, NULL);
    return *percent <= 100;
}

// "BestDiast 75 %", "75%". False: there is none, or several that differ.
static bool phase_in_words(const char *text, double *percent)
{
    bool found = false;
    if (phase_names_other(text))
        return false;
    for (const char *at = text; (at = strchr(at, '%')) != NULL; at++) {
        const char *end = at;
        double one;
        while (end > text && end[-1] == ' ')
            end--;
        if (!phase_number_before(text, end, &one) || (found && one != *percent))
            return false;
        *percent = one;
        found = true;
    }
    return found;
}

// ms from one R wave to the next; NAN: not stated.
static double phase_interval(const struct image_frame *f)
{
    static const char *const names[] = {"NominalInterval", "RRIntervalTimeNominal"};
    double value;
    for (size_t i = 0; f->attrs && i < sizeof names / sizeof *names; i++) {
        if (attrs_number(f->attrs, names[i], &value) && value > 0)
            return value;
    }
    if (f->attrs && attrs_number(f->attrs, "HeartRate", &value) && value > 0)
        return MINUTE_MS / value;
    return NAN;
}

static bool phase_in_number(const struct image_frame *f, const char *keyword, double *percent)
{
    return f->attrs && attrs_number(f->attrs, keyword, percent) && *percent >= 0 && *percent <= 100;
}

bool image_frame_phase(const struct image_frame *f, struct image_phase *out)
{
    static const char *const numbers[] = {IMAGE_CARDIAC_PERCENT, IMAGE_TOSHIBA_PERCENT};
    static const char *const words[] = {IMAGE_TOSHIBA_PERCENT, "ImageComments"};
    *out = (struct image_phase){.percent = NAN};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        out->by = numbers[i];
        if (phase_in_number(f, out->by, &out->percent))
            return true;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        out->by = words[i];
        if (phase_in_words(phase_text(f, out->by), &out->percent))
            return true;
    }
    out->by = "TriggerTime";
    out->percent = 100 * f->trigger_ms / phase_interval(f);
    out->computed = out->percent >= 0 && out->percent <= 100;
    if (out->computed)
        return true;
    out->by = "SeriesDescription";
    return phase_in_words(phase_text(f, out->by), &out->percent);
}
