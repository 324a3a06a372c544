#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/conf.h"
#include "base/fs.h"
#include "base/log.h"
#include "tests/check.h"
#include "tests/configurations.h"

// ---- a small world to check names against ----

static bool has_stage(const char *name, char *why, size_t size)
{
    if (strcmp(name, "calcium") == 0 || strcmp(name, "lungs") == 0)
        return true;
    snprintf(why, size, "no stage \"%s\" (did you mean \"calcium\"?)", name);
    return false;
}

static bool has_result(const char *stage, const char *kind, unsigned *bit, char *why, size_t size)
{
    static const char *const kinds[] = {"sr", "gsps", "sc", "seg"};
    for (unsigned i = 0; i < 4; i++) {
        bool calcium = strcmp(stage, "calcium") == 0;
        if (strcmp(kinds[i], kind) == 0 && (calcium ? i != 3 : i != 1)) { // lungs: sr, sc, seg
            *bit = 1U << i;
            return true;
        }
    }
    snprintf(why, size, "%s gives no \"%s\"", stage, kind);
    return false;
}

static bool has_option(const char *stage, const char *name)
{
    return strcmp(name, "threshold_hu") == 0 ||
           (strcmp(name, "lobes") == 0 && strcmp(stage, "lungs") == 0);
}

static bool takes_option(const char *stage, const char *name, const char *value, char *why,
                         size_t size)
{
    if (!has_option(stage, name))
        return false; // leaves the words to conf
    if (strcmp(name, "lobes") == 0)
        return true;
    if (strtod(value, NULL) >= 50)
        return true;
    snprintf(why, size, "threshold_hu is at least 50");
    return false;
}

static bool has_keyword(const char *keyword, char *why, size_t size)
{
    static const char *const known[] = {"Modality", "SeriesDescription", "SliceThickness",
                                        "ImageType", "PatientID"};
    for (size_t i = 0; i < 5; i++) {
        if (strcmp(known[i], keyword) == 0)
            return true;
    }
    snprintf(why, size, "no attribute \"%s\"", keyword);
    return false;
}

static const struct conf_checks checks = {has_stage, has_result, has_option, takes_option,
                                          has_keyword};

// ---- helpers ----

// A file name in the scratch folder.
static const char *scratch_file(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", check_scratch(), name);
    return path;
}

static struct conf *load_file(const char *path, char **report, size_t *errors, struct err *err)
{
    size_t size;
    FILE *out = open_memstream(report, &size);
    struct conf *c = conf_load(path, &checks, out, errors, err);
    fclose(out);
    return c;
}

static struct conf *load_text(const char *text, size_t len, char **report, size_t *errors)
{
    struct err err = {0};
    const char *path = scratch_file("a.yaml");
    CU_ASSERT_TRUE(fs_write_file(path, text, len, &err));
    struct conf *c = load_file(path, report, errors, &err);
    CU_ASSERT_EQUAL(c == NULL, *errors > 0);
    CU_ASSERT_EQUAL(c == NULL, err.code != ERR_NONE);
    return c;
}

static struct conf *load(const char *text)
{
    char *report;
    size_t errors;
    struct conf *c = load_text(text, strlen(text), &report, &errors);
    if (!c)
        fputs(report, stderr);
    free(report);
    return c;
}

#define ROUTES "routes:\n- {name: a, when: {Modality: CT}, run: calcium}\n"

// The report of a text that must not load, without file name: "2:3: peers: ...".
static char *report_of(const char *text)
{
    char *report;
    size_t errors;
    struct conf *c = load_text(text, strlen(text), &report, &errors);
    CU_ASSERT_PTR_NULL(c);
    conf_destroy(c);
    const char *path = scratch_file("a.yaml");
    size_t skip = strlen(path) + 1;
    char *from = report, *to = report;
    while (*from) {
        if (strncmp(from, path, skip - 1) == 0)
            from += skip;
        while (*from && *from != '\n')
            *to++ = *from++;
        if (*from)
            *to++ = *from++;
    }
    *to = 0;
    return report;
}

static void expect(const char *text, const char *line)
{
    char *report = report_of(text);
    if (!strstr(report, line))
        fprintf(stderr, "wanted %s\ngot    %s\n", line, report);
    CU_ASSERT_PTR_NOT_NULL(strstr(report, line));
    free(report);
}

// ---- reading ----

static void example_loads_and_means_what_it_says(void)
{
    char *report;
    size_t errors;
    struct err err = {0};
    struct conf *c = load_file("conf/anode.yaml", &report, &errors, &err);
    if (!c)
        fputs(report, stderr);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_EQUAL(errors, 0);
    CU_ASSERT_STRING_EQUAL(report, "");
    CU_ASSERT_STRING_EQUAL(c->ae_title, "ANODE");
    CU_ASSERT_EQUAL(c->port, 11112);
    CU_ASSERT_STRING_EQUAL(c->bind, "");
    CU_ASSERT_EQUAL(c->quiet_s, 5);
    CU_ASSERT_EQUAL(c->max_pdu, 131072);
    CU_ASSERT_EQUAL_FATAL(c->peer_count, 1);
    CU_ASSERT_STRING_EQUAL(c->peers[0].name, "ORTHANC");
    CU_ASSERT_EQUAL(c->peers[0].port, 4242);
    CU_ASSERT_TRUE(c->peers[0].may_send && c->peers[0].find);
    CU_ASSERT_EQUAL_FATAL(c->route_count, 1);
    const struct conf_route *r = &c->routes[0];
    CU_ASSERT_EQUAL_FATAL(r->run_count, 1);
    CU_ASSERT_STRING_EQUAL(r->runs[0].stage, "calcium");
    CU_ASSERT_EQUAL(r->runs[0].results, 7);
    CU_ASSERT_EQUAL(r->priority, 0);
    CU_ASSERT_PTR_NULL(conf_timezone(c));
    CU_ASSERT_TRUE(r->return_source);
    CU_ASSERT_EQUAL(r->return_count, 0);
    CU_ASSERT_EQUAL_FATAL(r->when_count, 2);
    CU_ASSERT_STRING_EQUAL(r->when[1].keyword, "SeriesDescription");
    CU_ASSERT_EQUAL_FATAL(r->runs[0].option_count, 1);
    CU_ASSERT_STRING_EQUAL(r->runs[0].options[0].name, "threshold_hu");
    CU_ASSERT_STRING_EQUAL(r->runs[0].options[0].value, "130");
    conf_destroy(c);
    free(report);
}

// The example shows each default: with its plain sections removed it must mean the same.
static void example_shows_the_defaults(void)
{
    char *report;
    size_t errors;
    struct err err = {0};
    struct conf *example = load_file("conf/anode.yaml", &report, &errors, &err);
    free(report);
    struct conf *plain = load(PEERS ROUTES);
    CU_ASSERT_PTR_NOT_NULL_FATAL(example);
    CU_ASSERT_PTR_NOT_NULL_FATAL(plain);
    char *texts[2] = {NULL, NULL};
    const struct conf *confs[2] = {example, plain};
    for (int i = 0; i < 2; i++) {
        size_t size;
        FILE *out = open_memstream(&texts[i], &size);
        conf_print(confs[i], out);
        fclose(out);
        char *peers = strstr(texts[i], "\npeers:");
        CU_ASSERT_PTR_NOT_NULL_FATAL(peers);
        *peers = 0;
    }
    CU_ASSERT_STRING_EQUAL(texts[0], texts[1]);
    free(texts[0]);
    free(texts[1]);
    conf_destroy(example);
    conf_destroy(plain);
}

static bool is_word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool has_word(const char *text, const char *word, char after)
{
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
        const char *end = at + strlen(word);
        if ((at == text || !is_word_char(at[-1])) && (after ? *end == after : !is_word_char(*end)))
            return true;
    }
    return false;
}

static void every_key_is_in_the_example(void)
{
    size_t len;
    char *text = fs_read_file("conf/anode.yaml", 1 << 20, &len, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    size_t count = 0;
    for (const struct conf_key *k; (k = conf_key_at(count)); count++) {
        const char *name = strchr(k->name, '.') + 1;
        if (!has_word(text, name, ':'))
            fprintf(stderr, "%s is not in the example\n", k->name);
        CU_ASSERT_TRUE(has_word(text, name, ':'));
        CU_ASSERT_TRUE(strlen(k->help) > 10 && k->help[strlen(k->help) - 1] == '.');
    }
    CU_ASSERT_TRUE(count > 30);
    free(text);
}

// The entry that anode(8) must have for a key: name and default, what it is for, what it may be.
static void write_manual_entry(FILE *out, const struct conf_key *k)
{
    fprintf(out, ".It Cm %s", k->name);
    if (k->def)
        fprintf(out, " Pq %s", *k->def ? k->def : "empty");
    fprintf(out, "\n%s\n", k->help);
    if (k->type == CONF_UINT16 || k->type == CONF_UINT32 || k->type == CONF_INT32 ||
        k->type == CONF_NUMBER)
        fprintf(out, "From %.10g to %.10g.\n", k->min, k->max);
    if (k->choices) {
        fputs("One of ", out);
        for (const char *c = k->choices; *c; c++)
            fputs(*c == '|' ? ", " : (char[]){*c, 0}, out);
        fputs(".\n", out);
    }
    if (k->required)
        fputs("Required.\n", out);
}

static void every_key_is_in_the_manual_as_the_table_has_it(void)
{
    size_t len;
    char *text = fs_read_file("doc/anode.8", 1 << 20, &len, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (size_t i = 0; conf_key_at(i); i++) {
        char *entry = NULL;
        size_t size;
        FILE *out = open_memstream(&entry, &size);
        write_manual_entry(out, conf_key_at(i));
        fclose(out);
        bool found = strstr(text, entry) != NULL;
        if (!found)
            fprintf(stderr, "missing in doc/anode.8:\n%s", entry);
        CU_ASSERT_TRUE(found);
        free(entry);
    }
    free(text);
}

static void an_address_is_of_a_network(void)
{
    static const struct {
        const char *network, *address;
        bool is;
    } rows[] = {
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.8", false},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"10.0.0.0/9", "10.127.1.1", true},
        {"10.0.0.0/9", "10.128.0.0", false},
        {"0.0.0.0/0", "192.0.2.7", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1", "::1", true},
        {"192.0.2.7", "unknown", false},
        {"192.0.2.0/24", "192.0.2.0/24", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *networks[] = {(char[]){"203.0.113.1"}, strdup(rows[i].network)};
        const struct conf_texts list = {networks, 2};
        CU_ASSERT_EQUAL(conf_address_is_of(&list, rows[i].address), rows[i].is);
        free(networks[1]);
    }
    CU_ASSERT_TRUE(conf_address_is_of(&(struct conf_texts){0}, "192.0.2.7"));
}

static void identity_is_derived_from_the_ae_title(void)
{
    struct conf *a = load(PEERS ROUTES), *b = load("node: {ae_title: OTHER}\n" PEERS ROUTES),
                *own = load("node: {serial: S1, device_uid: 1.2.3}\n" PEERS ROUTES);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    CU_ASSERT_PTR_NOT_NULL_FATAL(own);
    // printf 'anode nodeANODE' | sha256sum, and its first 128 bits in decimal
    CU_ASSERT_STRING_EQUAL(a->serial, "f8a3c5b01a0a");
    CU_ASSERT_STRING_EQUAL(a->device_uid, "2.25.330498896929507970798854493426851146011");
    CU_ASSERT_STRING_NOT_EQUAL(a->device_uid, b->device_uid);
    CU_ASSERT_STRING_EQUAL(own->serial, "S1");
    CU_ASSERT_STRING_EQUAL(own->device_uid, "1.2.3");
    conf_destroy(a);
    conf_destroy(b);
    conf_destroy(own);
}

static void results_and_returns_have_defaults(void)
{
    struct conf *c =
        load(PEERS "routes:\n"
                   "- {name: a, when: {Modality: [CT, PT]}, run: calcium}\n"
                   "- {name: b, when: {Modality: CT}, run: calcium, results: [sc], "
                   "return_to: [WS, source]}\n"
                   "- {name: c, when: {Modality: CT}, run: calcium, return_to: [WS]}\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_EQUAL(c->routes[0].runs[0].results, 7);
    CU_ASSERT_TRUE(c->routes[0].return_source);
    CU_ASSERT_EQUAL(c->routes[1].runs[0].results, 4);
    CU_ASSERT_TRUE(c->routes[1].return_source);
    CU_ASSERT_EQUAL_FATAL(c->routes[1].return_count, 1);
    CU_ASSERT_EQUAL(c->routes[1].return_peers[0], 1);
    CU_ASSERT_FALSE(c->routes[2].return_source);
    conf_destroy(c);
}

static void a_route_may_run_several_analyses(void)
{
    struct conf *c =
        load(PEERS
             "routes:\n"
             "- {name: a, priority: -3, when: {Modality: CT}, run: [calcium, lungs], results: [sr, "
             "seg], options: {lungs: {threshold_hu: 99}, threshold_hu: 131, lobes: yes}}\n"
             "- {name: b, when: {Modality: CT}, run: [lungs], options: {lungs: {lobes: no}}}\n"
             "- {name: c, priority: 1000, when: {Modality: CT}, run: [lungs, calcium]}\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    const struct conf_route *r = &c->routes[0];
    CU_ASSERT_EQUAL(r->priority, -3);
    CU_ASSERT_EQUAL_FATAL(r->run_count, 2);
    CU_ASSERT_STRING_EQUAL(r->runs[0].stage, "calcium");
    CU_ASSERT_EQUAL(r->runs[0].results, 1); // it gives no SEG
    CU_ASSERT_EQUAL(r->runs[1].results, 1 | 8);
    CU_ASSERT_EQUAL_FATAL(r->runs[0].option_count, 1); // it has no lobes
    CU_ASSERT_STRING_EQUAL(r->runs[0].options[0].value, "131");
    CU_ASSERT_EQUAL_FATAL(r->runs[1].option_count, 2);
    CU_ASSERT_STRING_EQUAL(r->runs[1].options[0].name, "threshold_hu");
    CU_ASSERT_STRING_EQUAL(r->runs[1].options[0].value, "99"); // its own wins, in either order
    CU_ASSERT_STRING_EQUAL(r->runs[1].options[1].name, "lobes");
    CU_ASSERT_EQUAL_FATAL(c->routes[1].run_count, 1);
    CU_ASSERT_STRING_EQUAL(c->routes[1].runs[0].options[0].value, "no");
    CU_ASSERT_EQUAL(c->routes[2].priority, 1000);
    CU_ASSERT_EQUAL(c->routes[2].runs[0].results, 1 | 4); // of sr, gsps, sc
    CU_ASSERT_EQUAL(c->routes[2].runs[1].results, 7);
    conf_destroy(c);
}

static void each_analysis_of_a_route_needs_a_result_and_each_option_an_analysis(void)
{
#define BOTH PEERS "routes:\n- {name: a, when: {Modality: CT}, run: [calcium, lungs],\n"
    expect(BOTH "  results: [seg]}\n",
           "4:12: routes[0].results: calcium gives none of these: name a kind that it gives (see "
           "`anode stages`)\n");
    expect(BOTH "  results: [sr, pdf]}\n",
           "4:17: routes[0].results[1]: calcium gives no \"pdf\"\n");
    expect(BOTH "  options: {threshold: 3}}\n",
           "4:24: routes[0].options.threshold: no analysis of this route takes this option\n");
    expect(BOTH "  options: {threshold_hu: 10}}\n",
           "4:27: routes[0].options.threshold_hu: threshold_hu is at least 50\n");
    expect(BOTH "  options: {calcium: {lobes: 1}}}\n",
           "4:30: routes[0].options.calcium.lobes: analysis calcium does not take this option\n");
    expect(BOTH "  options: {lobes: [1]}}\n",
           "4:20: routes[0].options.lobes: wants one value, not a list\n");
#undef BOTH
}

// What is said of none and all of several values, and of what is absent, decides and is printed as
// it is read.
static void a_route_may_ask_for_absence(void)
{
    static const struct {
        const char *type, *agent; // NULL: absent
        bool taken;
    } series[] = {{"ORIGINAL\\PRIMARY\\AXIAL", NULL, true},
                  {"ORIGINAL\\PRIMARY\\AXIAL", "", true},
                  {"ORIGINAL\\PRIMARY\\AXIAL", "Iomeprol", false},
                  {"ORIGINAL\\PRIMARY\\LOCALIZER", NULL, false},
                  {"DERIVED\\PRIMARY", NULL, false},
                  {"ORIGINAL\\SECONDARY", NULL, false},
                  {NULL, NULL, false}};
    struct conf *c = load(PEERS "routes:\n- {name: a, run: calcium, when: {SeriesDescription: "
                                "\"\", ImageType: {any: PRIMARY, none: [LOCALIZER, DERIVED]}, "
                                "SliceThickness: {all: \">= 1\"}}}\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    char *printed = NULL, *again = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&printed, &size);
    conf_print(c, out);
    fclose(out);
    conf_destroy(c);
    c = load(printed);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    out = open_memstream(&again, &size);
    conf_print(c, out);
    fclose(out);
    CU_ASSERT_STRING_EQUAL(printed, again);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(printed, "{any: \"PRIMARY\", none: [\"LOCALIZER\", \"DERIVED\"]}"));
    for (size_t i = 0; i < sizeof series / sizeof *series; i++) {
        struct attrs a = {0};
        attrs_add(&a, "SliceThickness", "1\\3");
        if (series[i].type)
            attrs_add(&a, "ImageType", series[i].type);
        if (series[i].agent)
            attrs_add(&a, "SeriesDescription", series[i].agent);
        CU_ASSERT_EQUAL(conf_match(c, &a, CONF_VALUES_HIDDEN, NULL) != NULL, series[i].taken);
        attrs_finish(&a);
    }
    conf_destroy(c);
    free(printed);
    free(again);
}

static void a_time_zone_is_an_offset_or_none(void)
{
    static const char *const good[] = {"+0000", "+1400", "-1200", "-0330", "+0545"};
    static const char *const bad[] = {"-0000", "+1401", "-1201", "0100", "+1:00", "+0160", "local"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "node: {timezone: %s}\n" PEERS ROUTES, good[i]);
        struct conf *c = load(text);
        CU_ASSERT_PTR_NOT_NULL_FATAL(c);
        CU_ASSERT_STRING_EQUAL(conf_timezone(c), good[i]);
        conf_destroy(c);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "node: {timezone: '%s'}\n" PEERS ROUTES, bad[i]);
        expect(text, "1:18: node.timezone: wants none or an offset from UTC");
    }
}

static void defaults_follow_smaller_limits(void)
{
    struct conf *c =
        load("completion: {quiet_s: 0.5}\nlimits: {max_associations: 4}\n" PEERS ROUTES);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_EQUAL(c->short_quiet_s, 0.5);
    CU_ASSERT_EQUAL(c->max_associations_per_peer, 4);
    conf_destroy(c);
}

static void ae_titles_lose_their_padding(void)
{
    struct conf *c = load("node: {ae_title: '  A NODE '}\n" PEERS ROUTES);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_STRING_EQUAL(c->ae_title, "A NODE");
    conf_destroy(c);
}

static void peers_are_found_by_exact_title(void)
{
    struct conf *c = load(PEERS ROUTES);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    const struct conf_peer *ws = conf_find_peer(c, "WS");
    CU_ASSERT_PTR_NOT_NULL_FATAL(ws);
    CU_ASSERT_STRING_EQUAL(ws->host, "::1");
    CU_ASSERT_EQUAL(ws->port, 11113);
    CU_ASSERT_PTR_NULL(conf_find_peer(c, "ws"));
    CU_ASSERT_PTR_NULL(conf_find_peer(c, "W"));
    conf_destroy(c);
}

// ---- errors ----

// Each file says in its comments what must be reported of it, in this order:
//   # expect 14:7: routes[0].run: no stage "calcum"
static void check_broken(const char *name)
{
    char path[256], *report;
    size_t errors, len, wanted = 0;
    struct err err = {0};
    snprintf(path, sizeof path, "tests/unit/conf/%s", name);
    struct conf *c = load_file(path, &report, &errors, &err);
    CU_ASSERT_PTR_NULL(c);
    CU_ASSERT_EQUAL(err.code, ERR_CONFIG);
    conf_destroy(c);
    char *text = fs_read_file(path, 1 << 20, &len, NULL), *rest = text, *lines = report;
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (strncmp(line, "# expect ", 9) != 0)
            continue;
        char full[1024];
        snprintf(full, sizeof full, "%s:%s", path, line + 9);
        char *got = strsep(&lines, "\n");
        bool same = got && strcmp(got, full) == 0;
        if (!same)
            fprintf(stderr, "wanted %s\ngot    %s\n", full, got ? got : "nothing");
        CU_ASSERT_TRUE(same);
        wanted++;
    }
    if (lines && *lines)
        fprintf(stderr, "unexpected: %s", lines);
    CU_ASSERT_TRUE(wanted > 0 && lines && *lines == 0);
    CU_ASSERT_EQUAL(errors, wanted);
    free(text);
    free(report);
}

static void broken_files_report_every_error_at_once(void)
{
    static const char *const names[] = {"unknown-keys.yaml",  "duplicates.yaml", "patterns.yaml",
                                        "types.yaml",         "ranges.yaml",     "routes.yaml",
                                        "ae-titles.yaml",     "missing.yaml",    "syntax.yaml",
                                        "tabs.yaml",          "aliases.yaml",    "empty.yaml",
                                        "two-documents.yaml", "list.yaml",       "comparison.yaml",
                                        "order.yaml",         "texts.yaml",      "runs.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        check_broken(names[i]);
}

static void unreadable_file_is_an_io_error(void)
{
    char *report;
    size_t errors;
    struct err err = {0};
    CU_ASSERT_PTR_NULL(load_file("/nonexistent/anode.yaml", &report, &errors, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    CU_ASSERT_EQUAL(errors, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(report, "No such file"));
    free(report);
}

static void too_large_file_is_refused(void)
{
    size_t len = (1 << 20) + 1;
    char *text = malloc(len), *report;
    size_t errors;
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    memset(text, '#', len);
    CU_ASSERT_PTR_NULL(load_text(text, len, &report, &errors));
    CU_ASSERT_EQUAL(errors, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(report, "1048577 bytes, more than 1048576"));
    free(report);
    free(text);
}

static void hostile_shapes_are_bounded(void)
{
    char *text = calloc(1, 300000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    memset(text, '[', 100000);
    expect(text, "nested too deeply");
    memset(text, 0, 300000);
    for (int i = 0; i < 60000; i++)
        memcpy(text + 2 * i, "- ", 2);
    expect(text, "nested too deeply");
    memset(text, 0, 300000);
    text[0] = '[';
    for (int i = 0; i < 60000; i++)
        memcpy(text + 1 + 2 * i, "a,", 2);
    expect(text, "too many values");
    free(text);
    // what would be a billion values is three errors
    expect("a: &a [x, x, x]\nb: &b [*a, *a]\nc: [*b]\n", "2:8: b[0]: alias *a is not allowed");
}

static void errors_are_shown_up_to_a_limit(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (int i = 0; i < 500; i++)
        fprintf(out, "k%d: 1\n", i);
    fclose(out);
    expect(text, "and 302 more errors"); // 500 unknown, peers and routes missing, 200 shown
    free(text);
}

static void control_characters_are_refused(void)
{
    expect("node: {ae_title: \"A\\0B\"}\n" PEERS ROUTES,
           "1:18: node.ae_title: a line break or control character");
    expect("node: {serial: \"A\\x07\"}\n" PEERS ROUTES,
           "1:16: node.serial: a line break or control character");
    expect("node: {serial: \"A\\x85\"}\n" PEERS ROUTES,
           "1:16: node.serial: a line break or control character");
    expect("node: {serial: \"A\xff\"}\n" PEERS ROUTES, "1:18: not a text file in UTF-8");
}

// ---- printing ----

static char *print(const struct conf *c)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    conf_print(c, out);
    fclose(out);
    return text;
}

// Prints, reads and prints again: the same. Takes over c.
static void check_round_trip(struct conf *c)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    char *first = print(c);
    conf_destroy(c);
    struct conf *again = load(first);
    if (!again)
        fputs(first, stderr);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    char *second = print(again);
    CU_ASSERT_STRING_EQUAL(first, second);
    free(first);
    free(second);
    conf_destroy(again);
}

static const char everything[] =
    EVERYTHING "- {name: plain, when: {Modality: CT}, run: [calcium, lungs]}\n";

static void printed_configuration_reads_back_the_same(void)
{
    check_round_trip(load(PEERS ROUTES));
    check_round_trip(load(everything));
    struct conf *c = load(everything);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_STRING_EQUAL(c->ae_title, "A \"1\"");
    CU_ASSERT_STRING_EQUAL(pattern_text(c->routes[0].when[0].pattern), "[CT, *x?, /a\\d\\/\"b/i]");
    CU_ASSERT_EQUAL(c->quiet_s, 0.30000000000000004);
    conf_destroy(c);
}

// ---- matching ----

static void first_route_that_matches_wins(void)
{
    struct conf *c =
        load(PEERS "routes:\n"
                   "- {name: thin, when: {Modality: CT, SliceThickness: '< 2'}, run: calcium}\n"
                   "- {name: any CT, when: {Modality: CT}, run: calcium}\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    struct attrs attrs = {0};
    char *why = NULL;
    size_t size;
    FILE *out = open_memstream(&why, &size);
    CU_ASSERT_PTR_NULL(conf_match(c, &attrs, CONF_VALUES_HIDDEN, out));
    attrs_add(&attrs, "Modality", "CT");
    CU_ASSERT_PTR_EQUAL(conf_match(c, &attrs, CONF_VALUES_HIDDEN, out), &c->routes[1]);
    attrs_add(&attrs, "SliceThickness", "1.0\n");
    CU_ASSERT_PTR_EQUAL(conf_match(c, &attrs, CONF_VALUES_SHOWN, NULL), &c->routes[1]);
    attrs_finish(&attrs);
    attrs_add(&attrs, "Modality", "CT");
    attrs_add(&attrs, "SliceThickness", "1.0");
    CU_ASSERT_PTR_EQUAL(conf_match(c, &attrs, CONF_VALUES_HIDDEN, out), &c->routes[0]);
    fclose(out);
    CU_ASSERT_STRING_EQUAL(why, "route \"thin\": Modality is absent, wanted CT\n"
                                "route \"any CT\": Modality is absent, wanted CT\n"
                                "route \"thin\": SliceThickness is absent, wanted < 2\n"
                                "route \"any CT\": every condition holds\n"
                                "route \"thin\": every condition holds\n");
    free(why);
    attrs_finish(&attrs);
    conf_destroy(c);
}

static void explanation_holds_no_control_characters(void)
{
    struct conf *c = load(PEERS ROUTES);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    struct attrs attrs = {0};
    attrs_add(&attrs, "Modality", "M\n\x1b[1mR");
    char *why = NULL;
    size_t size;
    FILE *out = open_memstream(&why, &size);
    CU_ASSERT_PTR_NULL(conf_match(c, &attrs, CONF_VALUES_HIDDEN, out));
    fclose(out);
    CU_ASSERT_STRING_EQUAL(why, "route \"a\": Modality is \"M??[1mR\", wanted CT\n");
    free(why);
    attrs_finish(&attrs);
    conf_destroy(c);
}

// The line that conf_match() writes about one attribute.
static void check_reason(const struct conf *c, const struct attrs *attrs, enum conf_values values,
                         const char *wanted)
{
    char *why = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&why, &size);
    CU_ASSERT_PTR_NULL(conf_match(c, attrs, values, out));
    fclose(out);
    CU_ASSERT_STRING_EQUAL(why, wanted);
    free(why);
}

static void values_that_identify_are_shown_only_to_who_asks(void)
{
    struct conf *c = load(PEERS "routes:\n- {name: a, when: {PatientID: 'TEST*'}, run: calcium}\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    struct attrs attrs = {0};
    check_reason(c, &attrs, CONF_VALUES_HIDDEN, "route \"a\": PatientID is absent, wanted TEST*\n");
    attrs_add(&attrs, "PatientID", "19500101-1234");
    check_reason(c, &attrs, CONF_VALUES_HIDDEN, "route \"a\": PatientID does not match\n");
    check_reason(c, &attrs, CONF_VALUES_SHOWN,
                 "route \"a\": PatientID is \"19500101-1234\", wanted TEST*\n");
    attrs_finish(&attrs);
    conf_destroy(c);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, "test");
    static const struct check_case cases[] = {
        {"example_loads_and_means_what_it_says", example_loads_and_means_what_it_says},
        {"example_shows_the_defaults", example_shows_the_defaults},
        {"every_key_is_in_the_example", every_key_is_in_the_example},
        {"every_key_is_in_the_manual_as_the_table_has_it",
         every_key_is_in_the_manual_as_the_table_has_it},
        {"an_address_is_of_a_network", an_address_is_of_a_network},
        {"identity_is_derived_from_the_ae_title", identity_is_derived_from_the_ae_title},
        {"results_and_returns_have_defaults", results_and_returns_have_defaults},
        {"defaults_follow_smaller_limits", defaults_follow_smaller_limits},
        {"ae_titles_lose_their_padding", ae_titles_lose_their_padding},
        {"peers_are_found_by_exact_title", peers_are_found_by_exact_title},
        {"broken_files_report_every_error_at_once", broken_files_report_every_error_at_once},
        {"unreadable_file_is_an_io_error", unreadable_file_is_an_io_error},
        {"too_large_file_is_refused", too_large_file_is_refused},
        {"hostile_shapes_are_bounded", hostile_shapes_are_bounded},
        {"errors_are_shown_up_to_a_limit", errors_are_shown_up_to_a_limit},
        {"control_characters_are_refused", control_characters_are_refused},
        {"printed_configuration_reads_back_the_same", printed_configuration_reads_back_the_same},
        {"first_route_that_matches_wins", first_route_that_matches_wins},
        {"a_route_may_run_several_analyses", a_route_may_run_several_analyses},
        {"each_analysis_of_a_route_needs_a_result_and_each_option_an_analysis",
         each_analysis_of_a_route_needs_a_result_and_each_option_an_analysis},
        {"conf_load_a_route_may_ask_for_absence", a_route_may_ask_for_absence},
        {"a_time_zone_is_an_offset_or_none", a_time_zone_is_an_offset_or_none},
        {"values_that_identify_are_shown_only_to_who_asks",
         values_that_identify_are_shown_only_to_who_asks},
        {"explanation_holds_no_control_characters", explanation_holds_no_control_characters},
    };
    return check_main("conf", cases, sizeof cases / sizeof cases[0]);
}
