// The head of a data set as the association reads it, and reports as an analysis does.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "dimse/net/framing.h"
#include "dimse/read/object.h"
#include "dimse/read/report.h"
#include "base/fs.h"
#include "base/uid.h"
#include "tests/fuzz/helper_targets.h"
#include "tests/made.h"

#define EXPLICIT   "1.2.840.10008.1.2.1"
#define BYTES_MAX  (1u << 20) // of a data set, inflated
#define KEEP_FIRST 2          // bytes before the data set: its transfer syntax, where it is cut

static const char *const syntaxes[] = {EXPLICIT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.2",
                                       "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.70"};
#define SYNTAXES (sizeof syntaxes / sizeof *syntaxes)

static bool peek(const void *data, size_t size, const char *syntax)
{
    struct object_ids ids;
    struct attrs attrs = {0};
    struct err err = {0};
    const bool taken = object_peek(data, size, syntax, &ids, &attrs, &err);
    fuzz_check(taken || (err.code != ERR_NONE && err.text[0]), "a head that is refused says why");
    fuzz_check(!taken || !ids.id.sop_instance_uid[0] || uid_is_usable(ids.id.sop_instance_uid),
               "a UID is usable or empty");
    attrs_finish(&attrs);
    return taken;
}

// The framing of data that come in two pieces.
static bool frame(const uint8_t *data, size_t size, size_t first, const char *syntax)
{
    struct err err = {0};
    struct framing *f = framing_create(syntax, BYTES_MAX);
    fuzz_check(f != NULL, "there is memory");
    framing_keep_private(f);
    if (framing_add(f, data, first))
        framing_add(f, data + first, size - first);
    const bool whole = framing_end(f, &err);
    fuzz_check(whole || (err.code != ERR_NONE && err.text[0]), "a broken data set says why");
    size_t head_size = 0;
    const char *head_syntax = NULL;
    const void *head = framing_head(f, &head_size, &head_syntax);
    fuzz_check(head_size <= FRAMING_HEAD_MAX, "the head is bounded");
    if (head_size)
        peek(head, head_size, head_syntax); // whose order is another matter than its lengths
    framing_destroy(f);
    return whole;
}

bool fuzz_head(const uint8_t *data, size_t size)
{
    if (size < KEEP_FIRST)
        return false;
    const char *syntax = syntaxes[data[0] % SYNTAXES];
    const size_t rest = size - KEEP_FIRST, cut = rest * data[1] / UINT8_MAX;
    uint8_t *exact = malloc(rest + !rest); // so that a byte behind its end is seen
    fuzz_check(exact != NULL, "there is memory");
    memcpy(exact, data + KEEP_FIRST, rest);
    const bool whole = frame(exact, rest, cut, syntax);
    fuzz_check(frame(exact, rest, 0, syntax) == whole, "pieces are no matter");
    peek(exact, rest, syntax);
    free(exact);
    return whole;
}

// Each syntax whose data sets are written as they are here: not the deflated one.
void fuzz_head_seeds(fuzz_keep keep, void *ctx)
{
    static const uint8_t table[8], fragment[16];
    static const uint8_t items[] = {0xfe, 0xff, 0x00, 0xe0, 14, 0,   0,   0,   0x18, 0x00, 0x02,
                                    0x10, 'U',  'I',  6,    0,  '1', '.', '2', '.',  '9',  0};
    for (size_t i = 0; i < SYNTAXES; i++) {
        struct made_file f;
        size_t size = 0;
        if (strcmp(syntaxes[i], "1.2.840.10008.1.2.1.99") == 0)
            continue;
        made_ct(&f, syntaxes[i], "1.2.3.4", 12);
        made_set(&f, 0x00190010, "LO", "SIEMENS CT");
        made_set(&f, 0x0019100c, "LO", "private");
        if (strcmp(syntaxes[i], EXPLICIT) == 0)
            made_set_bytes(&f, 0x0018a001, "SQ", items, sizeof items);
        if (i == SYNTAXES - 1) {
            f.fragments[0] = table;
            f.fragments[1] = fragment;
            f.fragment_sizes[1] = sizeof fragment;
            f.fragment_count = 2;
        } else {
            made_pixels(&f, 48, 0);
        }
        uint8_t *data = made_data(&f, &size), *seed = malloc(size + KEEP_FIRST);
        fuzz_check(seed != NULL, "there is memory");
        seed[0] = (uint8_t)i;
        seed[1] = 100;
        memcpy(seed + KEEP_FIRST, data, size);
        keep(ctx, seed, size + KEEP_FIRST);
        free(seed);
        free(data);
        made_finish(&f);
    }
}

bool fuzz_report(const uint8_t *data, size_t size)
{
    struct told told = {0};
    struct prior prior = {0};
    struct err err = {0};
    struct arena *arena = arena_create();
    fuzz_check(arena != NULL, "there is memory");
    const char *path = fuzz_path(data, size);
    const bool taken = report_read_told(path, arena, &told, &err);
    fuzz_check(taken || (err.code != ERR_NONE && err.text[0]), "a report that is refused says why");
    fuzz_check(report_read(path, arena, &prior, NULL) == taken, "both readers take the same");
    fuzz_check(!taken || *told.result.stage, "a report names its analysis");
    for (size_t i = 0; taken && i < told.number_count; i++) {
        const struct told_number *n = &told.numbers[i];
        fuzz_check(!n->ranged || (n->low <= n->value && n->value <= n->high),
                   "a value is within its range");
    }
    arena_destroy(arena);
    return taken;
}

// --- a report ---

// code  "450360000 SCT"
static void set_code(struct made_file *item, uint32_t sequence, const char *code)
{
    struct made_file of = {.syntax = EXPLICIT};
    char value[32];
    snprintf(value, sizeof value, "%.*s", (int)strcspn(code, " "), code);
    made_set(&of, 0x00080100, "SH", value);
    made_set(&of, 0x00080102, "SH", strchr(code, ' ') + 1);
    made_set(&of, 0x00080104, "LO", "meaning");
    made_nest(item, sequence, &of);
}

static struct made_file content(const char *type, const char *concept)
{
    struct made_file item = {.syntax = EXPLICIT};
    made_set(&item, 0x0040a010, "CS", "CONTAINS");
    made_set(&item, 0x0040a040, "CS", type);
    set_code(&item, 0x0040a043, concept);
    return item;
}

static void add_text(struct made_file *parent, const char *concept, const char *text)
{
    struct made_file item = content("TEXT", concept);
    made_set(&item, 0x0040a160, "UT", text);
    made_nest(parent, 0x0040a730, &item);
}

static void add_code(struct made_file *parent, const char *concept, const char *code)
{
    struct made_file item = content("CODE", concept);
    set_code(&item, 0x0040a168, code);
    made_nest(parent, 0x0040a730, &item);
}

// With a range of one to each side where ranged.
static void add_number(struct made_file *parent, const char *concept, const char *value,
                       bool ranged)
{
    struct made_file item = content("NUM", concept), measured = {.syntax = EXPLICIT};
    made_set(&measured, 0x0040a30a, "DS", value);
    set_code(&measured, 0x004008ea, "mg UCUM");
    made_nest(&item, 0x0040a300, &measured);
    if (ranged) {
        add_code(&item, "370129005 SCT", "112055 DCM");
        add_number(&item, "371886008 SCT", "1", false);
        add_number(&item, "371885007 SCT", "1.5", false);
        add_text(&item, "121106 DCM", "between 1 and 4 mg: noise");
    }
    made_nest(parent, 0x0040a730, &item);
}

static void add_container(struct made_file *parent, const char *concept, struct made_file *inside)
{
    struct made_file item = content("CONTAINER", concept);
    for (size_t i = 0; i < inside->count; i++) {
        const struct made_attr *a = &inside->attrs[i];
        made_set_bytes(&item, a->tag, a->vr, a->value, a->size);
    }
    made_finish(inside);
    made_nest(parent, 0x0040a730, &item);
}

static void add_results(struct made_file *f, bool evaluable)
{
    struct made_file qualities = {.syntax = EXPLICIT}, all = {.syntax = EXPLICIT},
                     group = {.syntax = EXPLICIT}, library = {.syntax = EXPLICIT},
                     images = {.syntax = EXPLICIT};
    if (!evaluable)
        add_code(&qualities, "121071 DCM", "373121007 SCT");
    add_text(&qualities, evaluable ? "C1 99ANODE" : "121106 DCM", "because of noise");
    add_text(&group, "112039 DCM", "Total");
    add_text(&group, "111001 DCM", "anode calcium");
    add_text(&group, "111003 DCM", "7");
    add_number(&group, "450360000 SCT", "2.50", true);
    add_container(&all, "125007 DCM", &group);
    add_number(&images, "113733 DCM", "120", false);
    add_text(&images, "113878 DCM", "Maker");
    add_container(&library, "126200 DCM", &images);
    add_code(f, "121058 DCM", "24590-2 LN");
    add_text(f, "121111 DCM", "Agatston 2.5. NOT FOR DIAGNOSTIC USE");
    add_container(f, "111028 DCM", &library);
    add_container(f, "C0034375 UMLS", &qualities);
    add_container(f, "126010 DCM", &all);
}

void fuzz_report_seeds(fuzz_keep keep, void *ctx)
{
    for (int evaluable = 0; evaluable < 2; evaluable++) {
        struct made_file f = {.syntax = EXPLICIT}, by = {.syntax = EXPLICIT};
        made_set(&f, 0x00080005, "CS", "ISO_IR 192");
        made_set(&f, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.88.34");
        made_set(&f, 0x00080018, "UI", "1.2.3.4");
        made_set(&f, 0x00080020, "DA", "20260131");
        made_set(&f, 0x00080060, "CS", "SR");
        made_set(&f, 0x00080070, "LO", "anode");
        made_set(&f, 0x00100020, "LO", "P1");
        made_set(&f, 0x0020000d, "UI", "1.2.3.1");
        made_set(&f, 0x0020000e, "UI", "1.2.3.2");
        made_set(&f, 0x0040a040, "CS", "CONTAINER");
        made_set(&by, 0x00080105, "CS", "DCMR");
        made_set(&by, 0x0040db00, "CS", "1500");
        made_nest(&f, 0x0040a504, &by);
        add_results(&f, evaluable);
        size_t size = 0;
        char *seed = fs_read_file(made_write(&f, "seed.dcm"), 1 << 20, &size, NULL);
        fuzz_check(seed != NULL, "the seed can be read");
        keep(ctx, (const uint8_t *)seed, size);
        free(seed);
        made_finish(&f);
    }
}
