// The state database: what each function of node/core/state.h promises, on a real file.
#include "node/core/state.h"
#include <limits.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "tests/check.h"

enum { OUTCOME_SIZE = 32 };

static char path[PATH_MAX];

static struct state *fresh(void)
{
    static int count;
    snprintf(path, sizeof path, "%s/state-%d.db", check_scratch(), count++);
    struct err err = {0};
    struct state *s = state_open(path, &err);
    if (!s)
        printf("%s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    return s;
}

// An instance of series 1.2.<series>; its digest follows from content.
static struct state_instance instance(const char *sop, const char *series, uint8_t content,
                                      struct attrs *attrs)
{
    static char file[64];
    static unsigned count;
    snprintf(file, sizeof file, "series/00/%u.dcm", count++);
    struct state_instance in = {.id = {.study_instance_uid = "1.2",
                                       .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                       .transfer_syntax_uid = "1.2.840.10008.1.2.1",
                                       .modality = "CT"},
                                .bytes = 1000,
                                .path = file,
                                .calling = "CT1",
                                .address = "10.0.0.1",
                                .at = 1000,
                                .attrs = attrs};
    snprintf(in.id.sop_instance_uid, UID_SIZE, "%s", sop);
    snprintf(in.id.series_instance_uid, UID_SIZE, "1.2.%s", series);
    memset(in.digest, content, sizeof in.digest);
    return in;
}

static struct attrs patient(const char *id, const char *description)
{
    struct attrs a = {0};
    attrs_add(&a, "PatientID", id);
    attrs_add(&a, "SeriesDescription", description);
    return a;
}

// Records an instance and returns what became of it; *series is its series.
static enum state_record put(struct state *s, const char *sop, const char *series, uint8_t content,
                             const char *patient_id, int64_t *id)
{
    struct attrs a = patient(patient_id, sop);
    struct state_instance in = instance(sop, series, content, &a);
    struct state_recorded out;
    struct err err = {0};
    bool ok = state_record(s, &in, "quarantine/x.dcm", &out, &err);
    if (!ok)
        printf("%s\n", err.text);
    CU_ASSERT_TRUE(ok);
    if (id)
        *id = out.series;
    attrs_finish(&a);
    return out.what;
}

static bool copy_series(void *ctx, const struct state_series *row)
{
    struct state_series *out = ctx;
    *out = *row; // numbers only: the texts go with the row
    return true;
}

static struct state_series series_row(struct state *s, int64_t id)
{
    struct state_series row = {0};
    CU_ASSERT_TRUE(state_get_series(s, id, copy_series, &row, NULL));
    return row;
}

static int64_t add_job(struct state *s, int64_t series, const char *key)
{
    uint8_t digest[DIGEST_SIZE];
    int64_t id = -1, last = 0;
    CU_ASSERT_TRUE(state_series_digest(s, series, digest, &last, NULL));
    struct state_input input = {.series = series, .last_instance = last};
    struct state_job job = {.route = "r",
                            .stage = "calcium",
                            .version = "1",
                            .parameters = "{\"a\":1}",
                            .results = 7,
                            .destinations = "CT1\\PACS",
                            .key = key,
                            .created_at = 1001};
    CU_ASSERT_TRUE(state_add_job(s, &job, &input, 1, &id, NULL));
    return id;
}

// A job of a study with one series in each slot.
static int64_t add_study_job(struct state *s, const int64_t *series, size_t count, const char *key,
                             int64_t priority)
{
    struct state_input inputs[4] = {{0}};
    int64_t id = -1;
    for (size_t i = 0; i < count; i++)
        inputs[i] =
            (struct state_input){.slot = (int)i, .series = series[i], .last_instance = INT64_MAX};
    struct state_job job = {.scope = JOB_OF_STUDY,
                            .stage = "views",
                            .parameters = "{}",
                            .key = key,
                            .evidence = "all",
                            .priority = priority};
    CU_ASSERT_TRUE(state_add_job(s, &job, inputs, count, &id, NULL));
    return id;
}

// The texts of a row live as long as the call: those of the copy are not to be read.
static bool copy_job(void *ctx, const struct state_job *row)
{
    *(struct state_job *)ctx = *row;
    return false;
}

static bool copy_outcome(void *ctx, const struct state_job *row)
{
    snprintf(ctx, OUTCOME_SIZE, "%s", row->outcome);
    return false;
}

// Claims for worker "n/0".
static struct state_job claim(struct state *s, double now)
{
    struct state_claim c = {.worker = "n/0", .now = now, .lease_s = 60};
    struct state_job job = {0};
    int64_t id = -1;
    CU_ASSERT_TRUE(state_claim_job(s, &c, &id, copy_job, &job, NULL));
    CU_ASSERT_EQUAL(id, job.id);
    return job;
}

static bool claimable(struct state *s, double now)
{
    struct state_claim c = {.worker = "n/0", .now = now, .lease_s = 60};
    bool found = false;
    CU_ASSERT_TRUE(state_claimable(s, &c, &found, NULL));
    return found;
}

static struct state_job get_job(struct state *s, int64_t id)
{
    struct state_job job = {0};
    CU_ASSERT_TRUE(state_get_job(s, id, copy_job, &job, NULL));
    return job;
}

static void add_object(struct state *s, int64_t job, const char *to, const char *kind, int rank,
                       const char *uid)
{
    char file[64];
    snprintf(file, sizeof file, "outbox/%lld/1/%s.dcm", (long long)job, kind);
    struct state_object o = {.job = job,
                             .destination = to,
                             .rank = rank,
                             .path = file,
                             .object = {.sop_class_uid = "1.2.3",
                                        .series_instance_uid = "1.2.4",
                                        .study_instance_uid = "1.2",
                                        .transfer_syntax_uid = "1.2.5"}};
    snprintf(o.object.kind, sizeof o.object.kind, "%s", kind);
    snprintf(o.object.sop_instance_uid, UID_SIZE, "%s", uid);
    struct err err = {0};
    CU_ASSERT_TRUE(state_add_object(s, &o, &err));
}

#define KINDS_SIZE 256

static bool join_kinds(void *ctx, const struct state_object *row)
{
    char *kinds = ctx;
    const size_t used = strlen(kinds);
    return snprintf(kinds + used, KINDS_SIZE - used, "%s ", row->object.kind) > 0;
}

static const char *due(struct state *s, const char *to, double now)
{
    static char kinds[KINDS_SIZE];
    kinds[0] = 0;
    CU_ASSERT_TRUE(state_each_due(s, to, now, 100, join_kinds, kinds, NULL));
    return kinds;
}

struct moment {
    const char *destination;
    double at;
};

static bool note_moment(void *ctx, const char *destination, double next_at)
{
    struct moment *m = ctx;
    if (strcmp(destination, m->destination) == 0)
        m->at = next_at;
    return true;
}

// When the first object for a destination is due; -1: none is.
static double due_at(struct state *s, const char *to)
{
    struct moment m = {to, -1};
    CU_ASSERT_TRUE(state_each_destination(s, note_moment, &m, NULL));
    return m.at;
}

static void state_open_refuses_what_is_no_database_of_ours(void)
{
    struct err err = {0};
    struct state *s = fresh();
    state_close(s);
    sqlite3 *db;
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    CU_ASSERT_PTR_NULL(state_open(path, &err));
    CU_ASSERT_EQUAL(err.code, ERR_DATABASE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "99"));
    snprintf(path, sizeof path, "%s/text.db", check_scratch());
    CU_ASSERT_TRUE(
        fs_write_file(path, "this is no database, it is a text of some length", 48, NULL));
    CU_ASSERT_PTR_NULL(state_open(path, &err));
    CU_ASSERT_EQUAL(err.code, ERR_DATABASE);
    CU_ASSERT_PTR_NULL(state_open("/nonexistent/state.db", &err));
}

static void state_record_tells_the_same_from_another(void)
{
    struct state *s = fresh();
    int64_t id = 0;
    CU_ASSERT_EQUAL(put(s, "1.2.3.1", "1", 1, "P", &id), RECORD_STORED);
    CU_ASSERT_EQUAL(put(s, "1.2.3.2", "1", 2, "P", NULL), RECORD_STORED);
    CU_ASSERT_EQUAL(put(s, "1.2.3.1", "1", 1, "P", NULL), RECORD_DUPLICATE);
    CU_ASSERT_EQUAL(put(s, "1.2.3.1", "1", 9, "P", NULL), RECORD_CONFLICT);
    CU_ASSERT_EQUAL(put(s, "1.2.3.1", "1", 9, "P", NULL), RECORD_CONFLICTED);
    CU_ASSERT_EQUAL(series_row(s, id).instances, 2);
    state_close(s);
}

static void state_record_keeps_patients_and_studies_apart(void)
{
    struct state *s = fresh();
    int64_t one = 0, two = 0, three = 0;
    put(s, "1.2.3.1", "1", 1, "P", &one);
    put(s, "1.2.3.2", "1", 2, "Q", &two); // the same Series Instance UID, another patient
    CU_ASSERT_NOT_EQUAL(one, two);
    struct attrs a = patient("P", "x");
    struct state_instance in = instance("1.2.3.3", "1", 3, &a);
    struct state_recorded out;
    memcpy(in.id.study_instance_uid, "1.3", 4);
    CU_ASSERT_TRUE(state_record(s, &in, "q", &out, NULL));
    three = out.series;
    CU_ASSERT_TRUE(three != one && three != two);
    attrs_finish(&a);
    state_close(s);
}

// Three orders of arrival, one answer.
static void state_has_one_answer_for_every_order_of_arrival(void)
{
    static const char *const orders[3][3] = {{"1.2.3.1", "1.2.3.2", "1.2.3.3"},
                                             {"1.2.3.3", "1.2.3.1", "1.2.3.2"},
                                             {"1.2.3.3", "1.2.3.2", "1.2.3.1"}};
    uint8_t first[DIGEST_SIZE] = {0};
    for (int o = 0; o < 3; o++) {
        struct state *s = fresh();
        struct attrs a = {0};
        uint8_t digest[DIGEST_SIZE];
        int64_t id = 0, last = 0;
        for (int i = 0; i < 3; i++)
            put(s, orders[o][i], "1", (uint8_t)orders[o][i][6], "P", &id);
        CU_ASSERT_TRUE(state_series_attrs(s, id, &a, NULL));
        CU_ASSERT_STRING_EQUAL(attrs_get(&a, "SeriesDescription"), "1.2.3.1");
        attrs_finish(&a);
        CU_ASSERT_TRUE(state_series_digest(s, id, digest, &last, NULL));
        CU_ASSERT_EQUAL(last, 3);
        if (o == 0)
            memcpy(first, digest, sizeof first);
        CU_ASSERT_EQUAL(memcmp(digest, first, sizeof first), 0);
        state_close(s);
    }
}

// Routing goes by what most instances say, and those that are no slices have no vote.
static void state_series_attrs_are_those_of_most_instances(void)
{
    static const struct {
        const char *type, *rows, *description, *contrast;
    } slices[] = {{"ORIGINAL\\PRIMARY\\LOCALIZER", "512", "Topo", NULL},
                  {"DERIVED\\SECONDARY", NULL, "Dose", NULL},
                  {"DERIVED\\SECONDARY", NULL, "Dose", NULL},
                  {"ORIGINAL\\PRIMARY\\AXIAL", "512", "CaSc", "Iomeprol"},
                  {"ORIGINAL\\PRIMARY\\AXIAL", "512", "CaSc", NULL},
                  {"ORIGINAL\\PRIMARY\\AXIAL", "512", "CaSc", NULL},
                  {"ORIGINAL\\PRIMARY\\LOCALIZER", "512", "Topo", NULL}};
    struct state *s = fresh();
    int64_t id = 0;
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++) {
        char uid[] = "1.2.3.1";
        uid[6] = (char)('1' + i);
        struct attrs a = patient("P", slices[i].description), out = {0};
        attrs_add(&a, "ImageType", slices[i].type);
        if (slices[i].rows)
            attrs_add(&a, "Rows", slices[i].rows);
        if (slices[i].contrast)
            attrs_add(&a, "ContrastBolusAgent", slices[i].contrast);
        struct state_instance in = instance(uid, "1", (uint8_t)i, &a);
        struct state_recorded recorded;
        CU_ASSERT_TRUE_FATAL(state_record(s, &in, "quarantine/00/x.dcm", &recorded, NULL));
        id = recorded.series;
        CU_ASSERT_TRUE(state_series_attrs(s, id, &out, NULL));
        CU_ASSERT_STRING_EQUAL(attrs_get(&out, "SeriesDescription"), i == 0  ? "Topo"
                                                                     : i < 3 ? "Dose"
                                                                             : "CaSc");
        CU_ASSERT_EQUAL(attrs_get(&out, "ContrastBolusAgent") != NULL, i == 3 || i == 4);
        attrs_finish(&out);
        attrs_finish(&a);
    }
    state_close(s);
}

static void state_owner_knows_whose_file_it_is(void)
{
    struct state *s = fresh();
    struct attrs a = patient("P", "x");
    struct state_instance in = instance("1.2.3.1", "1", 1, &a);
    struct state_recorded out;
    enum state_owner owner;
    CU_ASSERT_TRUE(state_record(s, &in, "quarantine/a", &out, NULL));
    char file[64];
    snprintf(file, sizeof file, "%s", in.path);
    in.digest[0] = 77;
    in.path = "series/00/other";
    CU_ASSERT_TRUE(state_record(s, &in, "quarantine/other", &out, NULL));
    CU_ASSERT_EQUAL(out.what, RECORD_CONFLICT);
    CU_ASSERT_TRUE(state_owner(s, file, "quarantine/x", &owner, NULL));
    CU_ASSERT_EQUAL(owner, OWNER_INSTANCE);
    CU_ASSERT_TRUE(state_owner(s, "series/00/other", "quarantine/other", &owner, NULL));
    CU_ASSERT_EQUAL(owner, OWNER_QUARANTINE);
    CU_ASSERT_TRUE(state_owner(s, "series/00/z", "quarantine/z", &owner, NULL));
    CU_ASSERT_EQUAL(owner, OWNER_NONE);
    int jobs = -1;
    CU_ASSERT_TRUE(state_replace_file(s, "1.2.3.1", "series/00/new", 1000, &jobs, NULL));
    CU_ASSERT_EQUAL(jobs, 0);
    CU_ASSERT_TRUE(state_owner(s, file, "quarantine/x", &owner, NULL));
    CU_ASSERT_EQUAL(owner, OWNER_NONE);
    attrs_finish(&a);
    state_close(s);
}

// Of what is written together, one that fails takes nothing else with it.
static void state_part_of_a_transaction_fails_alone(void)
{
    struct state *s = fresh();
    struct attrs a = patient("P", "x");
    struct state_recorded out;
    struct err err = {0};
    CU_ASSERT_TRUE(state_begin(s, NULL));
    for (int i = 0; i < 4; i++) {
        char sop[16];
        snprintf(sop, sizeof sop, "1.2.3.%d", i);
        struct state_instance in = instance(sop, "1", (uint8_t)i, &a);
        in.path = i == 2 ? "series/00/same-0" : i == 0 ? "series/00/same-0" : in.path;
        CU_ASSERT_TRUE(state_part_begin(s, NULL));
        bool ok = state_record(s, &in, "q", &out, &err);
        CU_ASSERT_EQUAL(ok, i != 2); // two instances in one file
        CU_ASSERT_TRUE(state_part_end(s, ok, NULL));
    }
    CU_ASSERT_TRUE(state_commit(s, NULL));
    CU_ASSERT_EQUAL(series_row(s, out.series).instances, 3); // the count is undone, too
    CU_ASSERT_FALSE(state_part_end(s, true, &err));          // outside of a transaction
    CU_ASSERT_EQUAL(err.code, ERR_DATABASE);
    attrs_finish(&a);
    state_close(s);
}

static bool list_quarantined(void *ctx, const struct state_quarantined *row)
{
    char *text = ctx;
    snprintf(text + strlen(text), 200 - strlen(text), "%s %s %s %.0f %lld;", row->sop_instance_uid,
             row->path, row->calling, row->at, (long long)row->bytes);
    return true;
}

static bool list_path(void *ctx, const char *file)
{
    char *text = ctx;
    snprintf(text + strlen(text), 200 - strlen(text), "%s;", file);
    return true;
}

static void state_quarantine_has_an_age_and_a_limit(void)
{
    struct state *s = fresh();
    struct attrs a = patient("P", "x");
    struct state_recorded out;
    char text[200] = "";
    for (uint8_t i = 0; i < 5; i++) {
        struct state_instance in = instance("1.2.3.1", "1", i, &a);
        char file[32];
        snprintf(file, sizeof file, "quarantine/%u", i);
        in.at = 100.0 * i;
        in.bytes = 1000u * i;
        CU_ASSERT_TRUE(state_record(s, &in, file, &out, NULL));
        CU_ASSERT_EQUAL(out.what, i ? RECORD_CONFLICT : RECORD_STORED);
    }
    CU_ASSERT_TRUE(state_each_quarantined(s, 2, list_quarantined, text, NULL));
    CU_ASSERT_STRING_EQUAL(text,
                           "1.2.3.1 quarantine/4 CT1 400 4000;1.2.3.1 quarantine/3 CT1 300 3000;");
    text[0] = 0;
    CU_ASSERT_TRUE(state_trim_quarantine(s, 0, 1000000, list_path, text, NULL));
    CU_ASSERT_STRING_EQUAL(text, "");
    CU_ASSERT_TRUE(state_trim_quarantine(s, 200, 1000000, list_path, text, NULL));
    CU_ASSERT_STRING_EQUAL(text, "quarantine/1;"); // too old
    text[0] = 0;
    CU_ASSERT_TRUE(state_trim_quarantine(s, 0, 8000, list_path, text, NULL));
    CU_ASSERT_STRING_EQUAL(text, "quarantine/2;"); // 4000, 7000, 9000
    text[0] = 0;
    CU_ASSERT_TRUE(state_trim_quarantine(s, 0, 1, list_path, text, NULL));
    CU_ASSERT_STRING_EQUAL(text, "quarantine/3;"); // the newest stays
    text[0] = 0;
    CU_ASSERT_TRUE(state_each_quarantined(s, 0, list_quarantined, text, NULL));
    CU_ASSERT_STRING_EQUAL(text, "1.2.3.1 quarantine/4 CT1 400 4000;");
    attrs_finish(&a);
    state_close(s);
}

static bool copy_bytes(void *ctx, const char *sop_instance_uid, const char *file, int64_t bytes)
{
    (void)sop_instance_uid, (void)file;
    *(int64_t *)ctx = bytes;
    return true;
}

// A damaged file is known to be so until the same instance comes again; then what had ended without
// a result runs again, once nothing that it takes is damaged.
static void state_damage_is_mended_by_the_same_instance(void)
{
    struct state *s = fresh();
    struct attrs a = patient("P", "x");
    struct state_recorded out;
    int64_t series = 0, bytes = 0;
    char first[64], second[64];
    bool found = false;
    int jobs = -1;
    struct state_instance in = instance("1.2.3.1", "1", 1, &a);
    CU_ASSERT_TRUE(state_record(s, &in, "q", &out, NULL));
    series = out.series;
    snprintf(first, sizeof first, "%s", in.path);
    in = instance("1.2.3.2", "1", 2, &a);
    CU_ASSERT_TRUE(state_record(s, &in, "q", &out, NULL));
    snprintf(second, sizeof second, "%s", in.path);
    int64_t good = add_job(s, series, "good"), bad = add_job(s, series, "bad");
    CU_ASSERT_TRUE(state_job_end(s, good, JOB_DONE, "done", "", "", 0, 0, 9, NULL));
    CU_ASSERT_TRUE(state_job_end(s, bad, JOB_DONE, "not evaluable", "changed", "", 0, 0, 9, NULL));
    CU_ASSERT_TRUE(state_file_damaged(s, first, &found, NULL) && found);
    CU_ASSERT_TRUE(state_file_damaged(s, second, &found, NULL) && found);
    CU_ASSERT_TRUE(state_file_damaged(s, "series/00/none", &found, NULL) && !found);
    CU_ASSERT_TRUE(state_each_file(s, copy_bytes, &bytes, NULL));
    CU_ASSERT_EQUAL(bytes, FILE_DAMAGED);
    CU_ASSERT_TRUE(state_record(s, &in, "q", &out, NULL));
    CU_ASSERT_EQUAL(out.what, RECORD_DUPLICATE);
    CU_ASSERT_EQUAL(out.bytes, FILE_DAMAGED);
    CU_ASSERT_TRUE(state_replace_file(s, "1.2.3.2", "series/00/n2", 1000, &jobs, NULL));
    CU_ASSERT_EQUAL(jobs, 0); // the first one is still damaged
    CU_ASSERT_TRUE(state_replace_file(s, "1.2.3.1", "series/00/n1", 1000, &jobs, NULL));
    CU_ASSERT_EQUAL(jobs, 1);
    CU_ASSERT_EQUAL(get_job(s, bad).state, JOB_QUEUED);
    CU_ASSERT_EQUAL(get_job(s, good).state, JOB_DONE);
    CU_ASSERT_TRUE(state_record(s, &in, "q", &out, NULL));
    CU_ASSERT_EQUAL(out.bytes, 1000);
    attrs_finish(&a);
    state_close(s);
}

static void state_series_receives_again_after_its_end(void)
{
    struct state *s = fresh();
    int64_t id = 0;
    put(s, "1.2.3.1", "1", 1, "P", &id);
    CU_ASSERT_TRUE(state_series_end(s, id, "routed", "complete", "all", "r", "why", NULL));
    CU_ASSERT_EQUAL(series_row(s, id).runs, 1);
    struct state_series row = {0};
    CU_ASSERT_TRUE(state_each_series(s, SERIES_ARRIVING, 0, copy_series, &row, NULL));
    CU_ASSERT_EQUAL(row.id, 0);
    put(s, "1.2.3.2", "1", 2, "P", NULL);
    CU_ASSERT_TRUE(state_each_series(s, SERIES_ARRIVING, 0, copy_series, &row, NULL));
    CU_ASSERT_EQUAL(row.id, id);
    CU_ASSERT_EQUAL(row.instances, 2);
    state_close(s);
}

static void state_does_no_job_twice(void)
{
    struct state *s = fresh();
    int64_t series = 0;
    put(s, "1.2.3.1", "1", 1, "P", &series);
    CU_ASSERT_EQUAL(add_job(s, series, "k1"), 1);
    CU_ASSERT_EQUAL(add_job(s, series, "k1"), 0);
    CU_ASSERT_EQUAL(add_job(s, series, "k2"), 2);
    state_close(s);
}

static bool join_file(void *ctx, const struct state_file *row)
{
    char *seen = ctx;
    size_t len = strlen(seen);
    snprintf(seen + len, 64 - len, "%d%d%c ", row->slot, row->position, row->digest[0]);
    return true;
}

static void state_job_keeps_the_instances_it_was_made_of(void)
{
    struct state *s = fresh();
    int64_t series = 0;
    char seen[64] = "";
    put(s, "1.2.3.2", "1", 'b', "P", &series);
    put(s, "1.2.3.1", "1", 'a', "P", NULL);
    int64_t job = add_job(s, series, "k1");
    put(s, "1.2.3.0", "1", 'c', "P", NULL); // late
    CU_ASSERT_TRUE(state_each_job_file(s, job, join_file, seen, NULL));
    CU_ASSERT_STRING_EQUAL(seen, "00a 00b "); // in the order of SOP Instance UIDs
    state_close(s);
}

static bool join_input(void *ctx, const struct state_input *row)
{
    char *seen = ctx;
    size_t len = strlen(seen);
    snprintf(seen + len, 64 - len, "%d%d%s%s ", row->slot, row->position, row->modality,
             row->series_instance_uid + 4);
    return true;
}

static void state_job_of_a_study_has_its_series_in_slots(void)
{
    struct state *s = fresh();
    int64_t series[2] = {0}, id = -1;
    char seen[64] = "";
    put(s, "1.2.3.2", "2", 'b', "P", &series[1]);
    put(s, "1.2.3.1", "1", 'a', "P", &series[0]);
    struct state_input inputs[] = {
        {.slot = 1, .position = 1, .series = series[0], .last_instance = 9},
        {.slot = 0, .series = series[1], .last_instance = 9}};
    struct state_job job = {.scope = JOB_OF_STUDY, .stage = "views", .key = "k"};
    CU_ASSERT_TRUE(state_add_job(s, &job, inputs, 2, &id, NULL));
    CU_ASSERT_TRUE(state_each_input(s, id, join_input, seen, NULL));
    CU_ASSERT_STRING_EQUAL(seen, "00CT2 11CT1 ");
    seen[0] = 0;
    CU_ASSERT_TRUE(state_each_job_file(s, id, join_file, seen, NULL));
    CU_ASSERT_STRING_EQUAL(seen, "00b 11a ");
    CU_ASSERT_EQUAL(get_job(s, id).scope, JOB_OF_STUDY);
    CU_ASSERT_EQUAL(get_job(s, id).series, series[0]); // the first that was given
    CU_ASSERT_EQUAL(get_job(s, id).run, 1);
    job.key = "k2";
    CU_ASSERT_TRUE(state_add_job(s, &job, inputs, 2, &id, NULL));
    CU_ASSERT_EQUAL(get_job(s, id).run, 2);
    state_close(s);
}

static void state_add_job_reports_inputs_that_cannot_be(void)
{
    struct state *s = fresh();
    int64_t one = 0, two = 0, id = 7;
    struct err err = {0};
    put(s, "1.2.3.1", "1", 1, "P", &one);
    put(s, "1.2.3.2", "2", 2, "Q", &two); // another patient
    struct state_input inputs[] = {{.series = one}, {.slot = 1, .series = two}};
    struct state_job job = {.scope = JOB_OF_STUDY, .stage = "views", .key = "k"};
    CU_ASSERT_FALSE(state_add_job(s, &job, inputs, 0, &id, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    CU_ASSERT_FALSE(state_add_job(s, &job, inputs, 2, &id, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    CU_ASSERT_EQUAL(id, 0);
    inputs[0].series = 99;
    CU_ASSERT_FALSE(state_add_job(s, &job, inputs, 1, &id, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    CU_ASSERT_FALSE(claimable(s, 1)); // nothing is left of them
    state_close(s);
}

static void state_claim_waits_for_earlier_jobs_that_share_an_input(void)
{
    struct state *s = fresh();
    int64_t one = 0, two = 0;
    double at = -1;
    put(s, "1.2.3.1", "1", 1, "P", &one);
    put(s, "1.2.3.2", "2", 2, "P", &two);
    int64_t a = add_job(s, one, "a"), b = add_job(s, one, "b"), c = add_job(s, two, "c");
    CU_ASSERT_EQUAL(claim(s, 1).id, a);
    CU_ASSERT_EQUAL(claim(s, 1).id, c); // b has the series of a
    CU_ASSERT_FALSE(claimable(s, 1));
    CU_ASSERT_TRUE(state_job_requeue(s, a, REQUEUE_ATTEMPT, 50, "no luck", NULL));
    CU_ASSERT_EQUAL(claim(s, 49).id, 0);
    // b is due since ever, but nothing is to be done before a is due
    CU_ASSERT_TRUE(state_next_job_time(s, 49, &at, NULL));
    CU_ASSERT_DOUBLE_EQUAL(at, 50, 0);
    CU_ASSERT_TRUE(state_next_job_time(s, 50, &at, NULL));
    CU_ASSERT_DOUBLE_EQUAL(at, 0, 0);
    struct state_job job = claim(s, 50);
    CU_ASSERT_EQUAL(job.id, a);
    CU_ASSERT_EQUAL(job.attempts, 2);
    CU_ASSERT_EQUAL(job.tries, 2);
    CU_ASSERT_TRUE(state_job_end(s, a, JOB_DONE, "done", "", "gpu", 1, 2, 60, NULL));
    CU_ASSERT_EQUAL(claim(s, 60).id, b);
    // Another analysis of the same series does not wait.
    int64_t both[] = {one, two};
    int64_t d = add_study_job(s, both, 2, "d", 0), e = add_study_job(s, both + 1, 1, "e", 0);
    CU_ASSERT_EQUAL(claim(s, 60).id, d);
    CU_ASSERT_EQUAL(claim(s, 60).id, 0);
    CU_ASSERT_TRUE(state_job_end(s, d, JOB_DONE, "done", "", "gpu", 1, 2, 60, NULL));
    CU_ASSERT_EQUAL(claim(s, 60).id, e);
    state_close(s);
}

static void state_claim_takes_the_highest_priority_then_the_oldest(void)
{
    struct state *s = fresh();
    int64_t series[4] = {0};
    put(s, "1.2.3.1", "1", 1, "P", &series[0]);
    put(s, "1.2.3.2", "2", 2, "P", &series[1]);
    put(s, "1.2.3.3", "3", 3, "P", &series[2]);
    put(s, "1.2.3.4", "4", 4, "P", &series[3]);
    int64_t low = add_study_job(s, &series[0], 1, "a", -1);
    int64_t old = add_study_job(s, &series[1], 1, "b", 5);
    int64_t later = add_study_job(s, &series[2], 1, "c", 5);
    int64_t plain = add_study_job(s, &series[3], 1, "d", 0);
    CU_ASSERT_EQUAL(claim(s, 1).id, old);
    CU_ASSERT_EQUAL(claim(s, 1).id, later);
    CU_ASSERT_EQUAL(claim(s, 1).id, plain);
    CU_ASSERT_EQUAL(claim(s, 1).id, low);
    CU_ASSERT_EQUAL(claim(s, 1).id, 0);
    CU_ASSERT_STRING_EQUAL(job_state_name(get_job(s, old).state), "running");
    state_close(s);
}

static void state_claim_keeps_last_attempts_for_who_wants_them(void)
{
    struct state *s = fresh();
    int64_t series = 0, id = 0;
    struct state_job job = {0};
    struct state_claim most = {.worker = "n/0", .now = 1, .attempts_below = 1};
    struct state_claim last = {.worker = "n/1", .now = 1, .attempts_from = 1};
    char outcome[OUTCOME_SIZE] = "";
    put(s, "1.2.3.1", "1", 1, "P", &series);
    int64_t a = add_job(s, series, "a");
    CU_ASSERT_TRUE(state_claim_job(s, &last, &id, copy_job, &job, NULL));
    CU_ASSERT_EQUAL(id, 0);
    CU_ASSERT_TRUE(state_claim_job(s, &most, &id, copy_job, &job, NULL));
    CU_ASSERT_EQUAL(id, a);
    CU_ASSERT_TRUE(state_job_requeue(s, a, REQUEUE_ATTEMPT, 0, "", NULL));
    CU_ASSERT_TRUE(state_claim_job(s, &most, &id, copy_job, &job, NULL));
    CU_ASSERT_EQUAL(id, 0);
    CU_ASSERT_TRUE(state_claim_job(s, &last, &id, copy_job, &job, NULL));
    CU_ASSERT_EQUAL(id, a);
    // What only needs a report belongs to everybody, and its attempts are counted apart.
    CU_ASSERT_TRUE(state_job_refuse(s, a, "failed", "it broke", NULL));
    CU_ASSERT_TRUE(state_claim_job(s, &most, &id, copy_job, &job, NULL));
    CU_ASSERT_EQUAL(id, a);
    job = get_job(s, a);
    CU_ASSERT_EQUAL(job.attempts, 2);
    CU_ASSERT_EQUAL(job.refusals, 1);
    CU_ASSERT_TRUE(state_get_job(s, a, copy_outcome, outcome, NULL));
    CU_ASSERT_STRING_EQUAL(outcome, "failed");
    state_close(s);
}

static void state_requeue_gives_an_attempt_back_when_it_does_not_count(void)
{
    struct state *s = fresh();
    int64_t series = 0;
    int count = 0;
    put(s, "1.2.3.1", "1", 1, "P", &series);
    int64_t id = add_job(s, series, "a");
    claim(s, 1);
    CU_ASSERT_TRUE(state_job_requeue(s, id, REQUEUE_STOP, 0, "", NULL));
    CU_ASSERT_EQUAL(get_job(s, id).attempts, 0);
    CU_ASSERT_EQUAL(get_job(s, id).tries, 1);
    for (int i = 1; i <= 3; i++) { // no space left, three times
        claim(s, 1);
        CU_ASSERT_TRUE(state_job_requeue(s, id, REQUEUE_WAIT, 0, "full", NULL));
        CU_ASSERT_EQUAL(get_job(s, id).attempts, 0);
        CU_ASSERT_EQUAL(get_job(s, id).waits, i);
    }
    claim(s, 1);
    CU_ASSERT_TRUE(state_job_requeue(s, id, REQUEUE_ATTEMPT, 0, "crash", NULL));
    CU_ASSERT_EQUAL(get_job(s, id).attempts, 1);
    CU_ASSERT_EQUAL(get_job(s, id).waits, 0);
    claim(s, 1);
    CU_ASSERT_TRUE(state_jobs_recover(s, "n/", 1, &count, NULL));
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_EQUAL(get_job(s, id).state, JOB_QUEUED);
    CU_ASSERT_EQUAL(get_job(s, id).attempts, 1);
    for (int i = 0; i < 20;
         i++) { // a job that takes the node down each time does not go on for ever
        claim(s, 1);
        CU_ASSERT_TRUE(state_jobs_recover(s, "n/", 1, &count, NULL));
    }
    CU_ASSERT_TRUE(get_job(s, id).attempts >= 10);
    state_close(s);
}

static void state_recovers_only_ones_own_and_what_has_no_lease(void)
{
    struct state *s = fresh();
    int64_t series[3] = {0}, ids[3] = {0};
    static const char *const workers[] = {"n/0", "m/0", "n/1"};
    int count = 0;
    for (int i = 0; i < 3; i++) {
        struct state_claim c = {.worker = workers[i], .now = 100, .lease_s = 60};
        char sop[16], number[8];
        struct state_job job;
        snprintf(sop, sizeof sop, "1.2.3.%d", i);
        snprintf(number, sizeof number, "%d", i);
        put(s, sop, number, (uint8_t)i, "P", &series[i]);
        add_job(s, series[i], sop);
        CU_ASSERT_TRUE(state_claim_job(s, &c, &ids[i], copy_job, &job, NULL));
        CU_ASSERT_DOUBLE_EQUAL(get_job(s, ids[i]).lease_until, 160, 0);
    }
    CU_ASSERT_TRUE(state_jobs_renew(s, "m/", 300, NULL));
    CU_ASSERT_TRUE(state_jobs_recover(s, "n/0", 150, &count, NULL));
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_EQUAL(get_job(s, ids[0]).state, JOB_QUEUED);
    CU_ASSERT_TRUE(state_jobs_recover(s, "x/", 200, &count, NULL)); // the lease of n/1 is over
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_EQUAL(get_job(s, ids[1]).state, JOB_RUNNING);
    CU_ASSERT_EQUAL(get_job(s, ids[2]).state, JOB_QUEUED);
    state_close(s);
}

static void state_jobs_run_again_when_asked(void)
{
    struct state *s = fresh();
    int64_t series[2] = {0};
    int count = 0;
    put(s, "1.2.3.1", "1", 1, "P", &series[0]);
    put(s, "1.2.3.2", "2", 2, "P", &series[1]);
    int64_t a = add_job(s, series[0], "a"), b = add_job(s, series[1], "b");
    claim(s, 1);
    claim(s, 1);
    CU_ASSERT_TRUE(state_job_refuse(s, a, "failed", "it broke", NULL));
    CU_ASSERT_TRUE(state_job_end(s, a, JOB_FAILED, "failed", "", "", 0, 0, 9, NULL));
    CU_ASSERT_TRUE(state_job_end(s, b, JOB_DONE, "done", "", "", 0, 0, 9, NULL));
    CU_ASSERT_TRUE(state_failed_jobs_again(s, &count, NULL));
    CU_ASSERT_EQUAL(count, 1);
    struct state_job job = get_job(s, a);
    CU_ASSERT_EQUAL(job.state, JOB_QUEUED);
    CU_ASSERT_EQUAL(job.attempts, 0);
    CU_ASSERT_EQUAL(claim(s, 10).id, a);
    CU_ASSERT_TRUE(state_job_again(s, b, NULL));
    CU_ASSERT_EQUAL(claim(s, 10).id, b);
    state_close(s);
}

static void state_outbox_is_ordered_and_remembers_retries(void)
{
    struct state *s = fresh();
    int64_t series = 0;
    struct state_outbox_count box;
    put(s, "1.2.3.1", "1", 1, "P", &series);
    int64_t job = add_job(s, series, "a");
    add_object(s, job, "PACS", "sr", 6, "1.9.1");
    add_object(s, job, "PACS", "sc", 1, "1.9.2");
    add_object(s, job, "PACS", "gsps", 5, "1.9.3");
    add_object(s, job, "CT1", "sr", 6, "1.9.1");
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 10), "sc gsps sr ");
    CU_ASSERT_TRUE(state_object_sent(s, 2, 11, "", NULL));
    CU_ASSERT_TRUE(state_object_retry(s, 3, 11, 20, "refused", NULL));
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 19), ""); // the SR waits for what goes before it
    CU_ASSERT_STRING_EQUAL(due(s, "CT1", 19), "sr ");
    CU_ASSERT_DOUBLE_EQUAL(due_at(s, "PACS"), 20, 0);
    CU_ASSERT_DOUBLE_EQUAL(due_at(s, "CT1"), 0, 0);
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 20), "gsps sr ");
    CU_ASSERT_TRUE(state_object_retry(s, 1, 11, 30, "refused", NULL));
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 20), "gsps ");
    CU_ASSERT_DOUBLE_EQUAL(due_at(s, "PACS"), 20, 0);
    CU_ASSERT_TRUE(state_object_fail(s, 1, 21, "never", NULL));
    CU_ASSERT_TRUE(state_count_outbox(s, "PACS", &box, NULL));
    CU_ASSERT_EQUAL(box.pending, 1);
    CU_ASSERT_EQUAL(box.sent, 1);
    CU_ASSERT_EQUAL(box.failed, 1);
    CU_ASSERT_STRING_EQUAL(box.reason, "refused");
    CU_ASSERT_DOUBLE_EQUAL(box.oldest_pending, 11, 0);
    int again = 0;
    CU_ASSERT_TRUE(state_objects_discard(s, job, NULL));
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 1000), "");
    CU_ASSERT_TRUE(state_objects_again(s, job, &again, NULL));
    CU_ASSERT_EQUAL(again, 4);
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 0), "sc gsps sr ");
    state_close(s);
}

static void state_gives_a_destination_that_is_away_one_clock(void)
{
    struct state *s = fresh();
    int64_t series = 0;
    put(s, "1.2.3.1", "1", 1, "P", &series);
    int64_t job = add_job(s, series, "a");
    add_object(s, job, "PACS", "sc", 1, "1.9.1");
    add_object(s, job, "PACS", "sr", 6, "1.9.2");
    add_object(s, job, "CT1", "sr", 6, "1.9.2");
    CU_ASSERT_TRUE(state_object_retry(s, 2, 11, 40, "refused", NULL));
    CU_ASSERT_TRUE(state_destination_waits(s, "PACS", 20, "away", NULL));
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 19), "");
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 20), "sc "); // what waits longer goes on to
    CU_ASSERT_STRING_EQUAL(due(s, "CT1", 0), "sr ");
    CU_ASSERT_TRUE(state_destination_goes(s, "PACS", NULL));
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 0), "sc sr ");
    CU_ASSERT_TRUE(state_object_sent(s, 1, 11, "", NULL));
    CU_ASSERT_TRUE(state_destination_waits(s, "PACS", 20, "away", NULL));
    CU_ASSERT_TRUE(state_destination_goes(s, "PACS", NULL));
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 0), "sr "); // what was sent stays so
    state_close(s);
}

static void state_adds_an_object_of_known_uid_only_once(void)
{
    struct state *s = fresh();
    int64_t series = 0;
    put(s, "1.2.3.1", "1", 1, "P", &series);
    int64_t job = add_job(s, series, "a");
    add_object(s, job, "PACS", "sr", 6, "1.9.1");
    CU_ASSERT_TRUE(state_object_sent(s, 1, 11, "", NULL));
    add_object(s, job, "PACS", "sr", 6, "1.9.1"); // made again: to be sent again
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 1000), "sr ");
    state_close(s);
}

static bool copy_uid(void *ctx, const struct state_object *row)
{
    memcpy(ctx, row->object.sop_instance_uid,
           strlen(row->object.sop_instance_uid) + 1); // 65 bytes of room
    return false;
}

static void state_predecessor_is_the_last_report_of_the_series(void)
{
    struct state *s = fresh();
    int64_t series = 0, other = 0;
    char uid[65] = "";
    put(s, "1.2.3.1", "1", 1, "P", &series);
    put(s, "1.2.3.2", "2", 2, "P", &other);
    int64_t a = add_job(s, series, "a"), x = add_job(s, other, "x"), b = add_job(s, series, "b");
    CU_ASSERT_TRUE(state_predecessor(s, b, copy_uid, uid, NULL));
    CU_ASSERT_STRING_EQUAL(uid, "");
    add_object(s, a, "PACS", "sr", 6, "1.9.1");
    add_object(s, a, "PACS", "sc", 1, "1.9.2");
    add_object(s, x, "PACS", "sr", 6, "1.9.3"); // of another series
    CU_ASSERT_TRUE(state_predecessor(s, b, copy_uid, uid, NULL));
    CU_ASSERT_STRING_EQUAL(uid, "1.9.1");
    CU_ASSERT_TRUE(state_object_fail(s, 1, 5, "refused for good", NULL)); // never sent
    uid[0] = 0;
    CU_ASSERT_TRUE(state_predecessor(s, b, copy_uid, uid, NULL));
    CU_ASSERT_STRING_EQUAL(uid, "");
    CU_ASSERT_TRUE(state_object_sent(s, 1, 6, "", NULL));
    CU_ASSERT_TRUE(state_predecessor(s, b, copy_uid, uid, NULL));
    CU_ASSERT_STRING_EQUAL(uid, "1.9.1");
    // Of a study: also where the later job has one series more.
    int64_t both[] = {other, series};
    int64_t m = add_study_job(s, both, 1, "m", 0), n = add_study_job(s, both, 2, "n", 0);
    add_object(s, m, "PACS", "sr", 6, "1.9.7");
    CU_ASSERT_TRUE(state_predecessor(s, n, copy_uid, uid, NULL));
    CU_ASSERT_STRING_EQUAL(uid, "1.9.7");
    add_object(s, n, "PACS", "sr", 6, "1.9.8"); // it runs again
    CU_ASSERT_TRUE(state_predecessor(s, n, copy_uid, uid, NULL));
    CU_ASSERT_STRING_EQUAL(uid, "1.9.8");
    CU_ASSERT_TRUE(state_add_report(s, n, "1.9.1", NULL)); // what gathers says the same each time
    CU_ASSERT_TRUE(state_predecessor(s, n, copy_uid, uid, NULL));
    CU_ASSERT_STRING_EQUAL(uid, "1.9.7");
    state_close(s);
}

static bool note_path(void *ctx, const char *file)
{
    (void)file;
    ++*(int *)ctx;
    return true;
}

static bool note_id(void *ctx, int64_t id)
{
    *(int64_t *)ctx = id;
    return true;
}

static void state_expires_only_what_is_finished_and_old(void)
{
    struct state *s = fresh();
    int64_t series = 0, found = 0;
    int files = 0;
    put(s, "1.2.3.1", "1", 1, "P", &series);
    CU_ASSERT_TRUE(state_expired(s, 5000, note_id, &found, NULL));
    CU_ASSERT_EQUAL(found, 0); // receiving
    int64_t job = add_job(s, series, "a");
    CU_ASSERT_TRUE(state_series_end(s, series, "routed", "quiet", "", "r", "", NULL));
    CU_ASSERT_TRUE(state_expired(s, 5000, note_id, &found, NULL));
    CU_ASSERT_EQUAL(found, 0); // the job waits
    CU_ASSERT_TRUE(state_job_end(s, job, JOB_DONE, "done", "", "", 0, 0, 2000, NULL));
    add_object(s, job, "PACS", "sr", 6, "1.9.1");
    CU_ASSERT_TRUE(state_expired(s, 5000, note_id, &found, NULL));
    CU_ASSERT_EQUAL(found, 0); // the result waits
    CU_ASSERT_TRUE(state_object_sent(s, 1, 3000, "", NULL));
    CU_ASSERT_TRUE(state_expired(s, 2500, note_id, &found, NULL));
    CU_ASSERT_EQUAL(found, 0); // not yet old
    CU_ASSERT_TRUE(state_expired(s, 5000, note_id, &found, NULL));
    CU_ASSERT_EQUAL(found, series);
    CU_ASSERT_TRUE(state_begin(s, NULL));
    CU_ASSERT_TRUE(state_forget_series(s, series, note_path, &files, NULL));
    CU_ASSERT_TRUE(state_commit(s, NULL));
    CU_ASSERT_EQUAL(files, 2); // one instance, one folder of results
    CU_ASSERT_EQUAL(series_row(s, series).id, 0);
    CU_ASSERT_EQUAL(put(s, "1.2.3.1", "1", 1, "P", NULL), RECORD_STORED);
    state_close(s);
}

static void state_keeps_series_as_long_as_one_that_shares_a_job(void)
{
    struct state *s = fresh();
    int64_t series[2] = {0}, found = 0;
    int files = 0;
    put(s, "1.2.3.1", "1", 1, "P", &series[0]); // at 1000
    put(s, "1.2.3.2", "2", 2, "P", &series[1]);
    int64_t job = add_study_job(s, series, 2, "a", 0);
    CU_ASSERT_TRUE(state_job_end(s, job, JOB_DONE, "done", "", "", 0, 0, 1000, NULL));
    CU_ASSERT_TRUE(state_series_end(s, series[0], "routed", "quiet", "", "r", "", NULL));
    CU_ASSERT_TRUE(state_expired(s, 5000, note_id, &found, NULL));
    CU_ASSERT_EQUAL(found, 0); // the other one is receiving
    CU_ASSERT_TRUE(state_series_end(s, series[1], "routed", "quiet", "", "r", "", NULL));
    CU_ASSERT_TRUE(state_expired(s, 5000, note_id, &found, NULL));
    CU_ASSERT_EQUAL(found, series[1]); // and the first one
    CU_ASSERT_TRUE(state_forget_series(s, series[0], note_path, &files, NULL));
    CU_ASSERT_EQUAL(get_job(s, job).id, 0);
    CU_ASSERT_EQUAL(files, 2);
    CU_ASSERT_TRUE(state_forget_series(s, series[1], note_path, &files, NULL));
    CU_ASSERT_EQUAL(files, 3);
    state_close(s);
}

// An instance that comes at a time.
static void put_at(struct state *s, const char *sop, const char *series, double at)
{
    struct attrs a = patient("P", sop);
    struct state_instance in = instance(sop, series, 1, &a);
    struct state_recorded out;
    in.at = at;
    CU_ASSERT_TRUE(state_record(s, &in, "quarantine/x.dcm", &out, NULL));
    attrs_finish(&a);
}

static void state_series_knows_when_its_present_run_began(void)
{
    struct state *s = fresh();
    put_at(s, "1.2.3.1", "1", 1000);
    put_at(s, "1.2.3.2", "1", 1001);
    CU_ASSERT_EQUAL(series_row(s, 1).run_at, 1000);
    CU_ASSERT_TRUE(state_series_end(s, 1, "routed", "complete", "all", "r", "why", NULL));
    CU_ASSERT_EQUAL(series_row(s, 1).run_at, 1000);
    put_at(s, "1.2.3.3", "1", 2000);
    put_at(s, "1.2.3.4", "1", 2001);
    CU_ASSERT_EQUAL(series_row(s, 1).run_at, 2000);
    CU_ASSERT_EQUAL(series_row(s, 1).first_at, 1000);
    CU_ASSERT_TRUE(series_row(s, 1).interrupted); // whoever dies now has left it so
    CU_ASSERT_TRUE(state_series_released(s, 1, NULL));
    CU_ASSERT_FALSE(series_row(s, 1).interrupted);
    put_at(s, "1.2.3.5", "1", 2002);
    CU_ASSERT_TRUE(series_row(s, 1).interrupted);
    state_close(s);
}

struct listed { // what a walk has found, as text
    char text[512];
};

static void list(struct listed *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void list(struct listed *l, const char *format, ...)
{
    size_t used = strlen(l->text);
    va_list args;
    va_start(args, format);
    vsnprintf(l->text + used, sizeof l->text - used, format, args);
    va_end(args);
}

static bool list_collection(void *ctx, const struct state_collection *row)
{
    list(ctx, "%lld %s %s %s %g %g;", (long long)row->id, row->study_instance_uid, row->route,
         row->stage, row->started_at, row->grown_at);
    return true;
}

static bool list_member(void *ctx, const struct state_member *row)
{
    list(ctx, "%d %s %s %s;", row->slot, row->series_instance_uid, row->source, row->evidence);
    return true;
}

static bool list_sibling(void *ctx, int64_t series)
{
    list(ctx, "%lld;", (long long)series);
    return true;
}

static void check_collections(struct state *s, const char *wanted)
{
    struct listed l = {""};
    CU_ASSERT_TRUE(state_each_collection(s, list_collection, &l, NULL));
    CU_ASSERT_STRING_EQUAL(l.text, wanted);
}

static void check_members(struct state *s, int64_t collection, const char *wanted)
{
    struct listed l = {""};
    CU_ASSERT_TRUE(state_each_member(s, collection, list_member, &l, NULL));
    CU_ASSERT_STRING_EQUAL(l.text, wanted);
}

static void state_collects_the_series_of_a_study(void)
{
    struct state *s = fresh();
    struct err err = {0};
    int64_t a = 0, b = 0, other = 0, id = 0, again = 0;
    put(s, "1.2.3.1", "1", 1, "P", &a);
    put(s, "1.2.3.2", "2", 1, "P", &b);
    put(s, "1.2.3.3", "3", 1, "Q", &other); // another patient in the same study
    check_collections(s, "");
    CU_ASSERT_TRUE(state_series_end(s, a, "routed", "complete", "all", "r", "", NULL));
    CU_ASSERT_TRUE(state_collect(s, a, "r", "views", 2, "complete", 10, 9, &id, NULL));
    CU_ASSERT_TRUE(state_collect(s, other, "r", "views", 1, "quiet", 11, 10, &again, NULL));
    CU_ASSERT_NOT_EQUAL(again, id);
    struct listed l = {""};
    CU_ASSERT_TRUE(state_each_sibling(s, id, list_sibling, &l, NULL));
    CU_ASSERT_STRING_EQUAL(l.text, "2;"); // still receiving
    CU_ASSERT_TRUE(state_collection_end(s, again, NULL));
    CU_ASSERT_TRUE(state_collect(s, b, "r", "views", 0, "quiet", 12, 11, &again, NULL));
    CU_ASSERT_EQUAL(again, id);
    CU_ASSERT_TRUE(
        state_collect(s, a, "r", "views", 1, "more", 13, 12.5, &again, NULL)); // a later run
    check_members(s, id, "0 1.2.2 CT1 quiet;1 1.2.1 CT1 more;");
    check_collections(s, "1 1.2 r views 10 12.5;");
    CU_ASSERT_TRUE(state_collection_end(s, id, NULL));
    check_collections(s, "");
    CU_ASSERT_TRUE(state_collect(s, b, "r", "views", 0, "late", 20, 11, &again, NULL));
    CU_ASSERT_EQUAL(again, id);
    check_members(s, id, "0 1.2.2 CT1 late;1 1.2.1 CT1 more;");
    check_collections(s, "1 1.2 r views 20 11;"); // it has begun anew
    CU_ASSERT_FALSE(state_collect(s, 99, "r", "views", 0, "", 21, 20, &again, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    state_close(s);
}

static bool list_report(void *ctx, const char *sop_instance_uid)
{
    list(ctx, "%s;", sop_instance_uid);
    return true;
}

static bool list_unreported(void *ctx, const struct state_unreported *row)
{
    list(ctx, "%s %s %s %s;", row->stage, row->series_instance_uid, job_state_name(row->state),
         row->reason);
    return true;
}

static bool list_gathered(void *ctx, const struct state_file *row)
{
    list(ctx, "%d %s %s;", row->position, row->sop_instance_uid, row->path);
    return true;
}

static void check_reports(struct state *s, int64_t collection, const char *wanted,
                          const char *unreported)
{
    struct listed l = {""}, u = {""};
    CU_ASSERT_TRUE(state_study_reports(s, collection, list_report, &l, NULL));
    CU_ASSERT_STRING_EQUAL(l.text, wanted);
    CU_ASSERT_TRUE(state_study_unreported(s, collection, list_unreported, &u, NULL));
    CU_ASSERT_STRING_EQUAL(u.text, unreported);
}

static void check_busy(struct state *s, int64_t collection, bool wanted)
{
    bool busy = !wanted;
    CU_ASSERT_TRUE(state_study_busy(s, collection, &busy, NULL));
    CU_ASSERT_EQUAL(busy, wanted);
}

static void end_job_at(struct state *s, int64_t job, enum job_state state, double now)
{
    CU_ASSERT_TRUE(state_job_end(s, job, state, "done", "why", "", 0, 0, now, NULL));
}

// What gathers reports begins anew when a job of its study ends, and what its job gathers is fixed
// then.
static void state_gathers_the_reports_of_a_study(void)
{
    struct state *s = fresh();
    int64_t a = 0, b = 0, other = 0, id = 0;
    put(s, "1.2.3.1", "1", 1, "P", &a);
    put(s, "1.2.3.2", "2", 1, "P", &b);
    put(s, "1.2.3.3", "3", 1, "Q", &other); // another patient in the same study
    CU_ASSERT_TRUE(state_series_end(s, other, "routed", "complete", "all", "r", "", NULL));
    CU_ASSERT_TRUE(state_series_end(s, a, "routed", "complete", "all", "r", "", NULL));
    CU_ASSERT_TRUE(state_collect(s, a, "", "views", 0, "complete", 10, 9, &id, NULL));
    const int64_t x = add_job(s, a, "x"), y = add_job(s, b, "y"), q = add_job(s, other, "q");
    check_busy(s, id, true); // b is received
    CU_ASSERT_TRUE(state_series_end(s, b, "routed", "complete", "all", "r", "", NULL));
    check_busy(s, id, true); // x, y
    check_reports(s, id, "", "");
    add_object(s, x, "PACS", "sc", 1, "1.9.1");
    add_object(s, x, "PACS", "sr", 6, "1.9.2");
    add_object(s, x, "ELSE", "sr", 6, "1.9.2");
    add_object(s, q, "PACS", "sr", 6, "1.9.3");
    check_reports(s, id, "", ""); // it may still change
    CU_ASSERT_TRUE(state_collection_end(s, id, NULL));
    end_job_at(s, q, JOB_DONE, 15);
    check_collections(s, "");
    end_job_at(s, x, JOB_DONE, 20);
    check_collections(s, "1 1.2  views 20 20;");
    end_job_at(s, y, JOB_FAILED, 30);
    check_collections(s, "1 1.2  views 20 30;");
    check_busy(s, id, false);
    check_reports(s, id, "1.9.2;", "calcium 1.2.2 failed why;");
    const int64_t series[] = {a, b}, m = add_study_job(s, series, 2, "m", 0);
    CU_ASSERT_TRUE(state_add_report(s, m, "1.9.2", NULL));
    CU_ASSERT_TRUE(state_add_report(s, m, "1.9.8", NULL)); // of which nothing is known
    struct listed l = {""};
    CU_ASSERT_TRUE(state_each_report(s, m, list_gathered, &l, NULL));
    CU_ASSERT_PTR_NOT_NULL(strstr(l.text, "0 1.9.2 outbox/"));
    CU_ASSERT_PTR_NOT_NULL(strstr(l.text, ";1 1.9.8 ;"));
    check_busy(s, id, false); // m gathers: nothing of it is gathered in turn
    CU_ASSERT_TRUE(state_collection_end(s, id, NULL));
    add_object(s, m, "PACS", "sr", 6, "1.9.7");
    end_job_at(s, m, JOB_DONE, 40);
    check_collections(s, "");
    const int64_t z = add_job(s, b, "z"); // y once more, with a report
    check_busy(s, id, true);
    add_object(s, z, "PACS", "sr", 6, "1.9.6");
    end_job_at(s, z, JOB_DONE, 50);
    check_collections(s, "1 1.2  views 50 50;");
    check_reports(s, id, "1.9.2;1.9.6;", "");
    CU_ASSERT_TRUE(state_objects_discard(s, z, NULL));
    check_reports(s, id, "1.9.2;", "calcium 1.2.2 done why;");
    state_close(s);
}

static void state_keeps_a_series_while_others_are_awaited(void)
{
    struct state *s = fresh();
    int64_t series = 0, id = 0, found = 0;
    int files = 0;
    put(s, "1.2.3.1", "1", 1, "P", &series);
    CU_ASSERT_TRUE(state_series_end(s, series, "routed", "complete", "all", "r", "", NULL));
    CU_ASSERT_TRUE(state_collect(s, series, "r", "views", 0, "complete", 10, 9, &id, NULL));
    CU_ASSERT_TRUE(state_expired(s, 5000, note_id, &found, NULL));
    CU_ASSERT_EQUAL(found, 0);
    CU_ASSERT_TRUE(state_collection_end(s, id, NULL));
    CU_ASSERT_TRUE(state_expired(s, 5000, note_id, &found, NULL));
    CU_ASSERT_EQUAL(found, series);
    CU_ASSERT_TRUE(state_forget_series(s, series, note_path, &files, NULL));
    check_members(s, id, "");
    state_close(s);
}

// What the first version wrote: a finished job with a result, a running one, one of a series that
// has been forgotten, whose number must not be given again.
static const char version_1[] =
    "CREATE TABLE series("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, series_uid TEXT NOT NULL, study_uid TEXT NOT NULL,"
    " patient TEXT NOT NULL, modality TEXT NOT NULL, source TEXT NOT NULL, address TEXT NOT NULL,"
    " state TEXT NOT NULL DEFAULT 'receiving', first_at REAL NOT NULL, last_at REAL NOT NULL,"
    " instances INTEGER NOT NULL, runs INTEGER NOT NULL DEFAULT 0,"
    " completeness TEXT NOT NULL DEFAULT '', evidence TEXT NOT NULL DEFAULT '',"
    " route TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '',"
    " attrs_uid TEXT NOT NULL, attrs BLOB NOT NULL, UNIQUE(series_uid, study_uid, patient));"
    "CREATE INDEX series_state ON series(state);"
    "CREATE TABLE instance("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, series INTEGER NOT NULL REFERENCES series(id),"
    " sop_uid TEXT NOT NULL UNIQUE, sop_class TEXT NOT NULL, transfer_syntax TEXT NOT NULL,"
    " digest BLOB NOT NULL, path TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL,"
    " number INTEGER NOT NULL, calling TEXT NOT NULL, address TEXT NOT NULL, at REAL NOT NULL);"
    "CREATE INDEX instance_series ON instance(series, sop_uid);"
    "CREATE TABLE quarantine("
    " id INTEGER PRIMARY KEY, sop_uid TEXT NOT NULL, digest BLOB NOT NULL,"
    " path TEXT NOT NULL UNIQUE, calling TEXT NOT NULL, address TEXT NOT NULL, at REAL NOT NULL,"
    " reason TEXT NOT NULL, UNIQUE(sop_uid, digest));"
    "CREATE TABLE job("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, series INTEGER NOT NULL REFERENCES series(id),"
    " run INTEGER NOT NULL, last_instance INTEGER NOT NULL, route TEXT NOT NULL,"
    " stage TEXT NOT NULL, version TEXT NOT NULL, options TEXT NOT NULL, results INTEGER NOT NULL,"
    " destinations TEXT NOT NULL, key TEXT NOT NULL UNIQUE, remark TEXT NOT NULL, state TEXT NOT "
    "NULL DEFAULT 'queued',"
    " attempts INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,"
    " not_before REAL NOT NULL DEFAULT 0, verdict TEXT NOT NULL DEFAULT '',"
    " reason TEXT NOT NULL DEFAULT '', device TEXT NOT NULL DEFAULT '',"
    " seconds REAL NOT NULL DEFAULT 0, peak INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL,"
    " started_at REAL NOT NULL DEFAULT 0, ended_at REAL NOT NULL DEFAULT 0);"
    "CREATE INDEX job_state ON job(state);"
    "CREATE INDEX job_series ON job(series);"
    "CREATE TABLE outbox("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL REFERENCES job(id),"
    " destination TEXT NOT NULL, kind TEXT NOT NULL, rank INTEGER NOT NULL, path TEXT NOT NULL,"
    " sop_class TEXT NOT NULL, sop_uid TEXT NOT NULL, series_uid TEXT NOT NULL,"
    " study_uid TEXT NOT NULL, transfer_syntax TEXT NOT NULL,"
    " state TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0,"
    " first_at REAL NOT NULL DEFAULT 0, next_at REAL NOT NULL DEFAULT 0,"
    " sent_at REAL NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '',"
    " UNIQUE(job, destination, sop_uid));"
    "CREATE INDEX outbox_due ON outbox(state, destination, next_at);"
    "CREATE INDEX outbox_path ON outbox(path);"
    "INSERT INTO series(series_uid, study_uid, patient, modality, source, address, first_at,"
    " last_at, instances, evidence, attrs_uid, attrs) VALUES('1.2.1', '1.2', 'p', 'CT', 'CT1', '',"
    " 1, 2, 1, 'all there', '1.2.3.1', x'');"
    "INSERT INTO instance(series, sop_uid, sop_class, transfer_syntax, digest, path, bytes, number,"
    " calling, address, at) VALUES(1, '1.2.3.1', '1.2', '1.2', "
    "CAST('AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' AS BLOB), 'series/00/a.dcm', 1,"
    " 1, 'CT1', '', 1);"
    "INSERT INTO series(series_uid, study_uid, patient, modality, source, address, first_at,"
    " last_at, instances, evidence, attrs_uid, attrs) VALUES('1.2.2', '1.2', 'p', 'CT', 'CT1', '',"
    " 1, 2, 1, '', '1.2.3.2', x'');"
    "INSERT INTO instance(series, sop_uid, sop_class, transfer_syntax, digest, path, bytes, number,"
    " calling, address, at) VALUES(1, '1.2.3.9', '1.2', '1.2', "
    "CAST('BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB' AS BLOB), 'series/00/b.dcm', 1,"
    " 1, 'CT1', '', 77);" // came after the jobs
    "INSERT INTO job(id, series, run, last_instance, route, stage, version, options, results,"
    " destinations, key, remark, state, attempts, tries, created_at) VALUES"
    "(1, 1, 1, 1, 'r', 'calcium', '1', 'threshold_hu=130;mode=fast;share=0.25', 7, 'PACS', 'k1',"
    " '', 'done', 1, 1, 5),"
    "(2, 1, 2, 1, 'r', 'calcium', '2', '', 7, 'PACS', 'k2', 'cut', 'running', 1, 1, 6),"
    "(9, 1, 2, 1, 'r', 'calcium', '3', '', 7, 'PACS', 'k9', '', 'done', 1, 1, 6);"
    "DELETE FROM job WHERE id = 9;"
    "INSERT INTO outbox(job, destination, kind, rank, path, sop_class, sop_uid, series_uid,"
    " study_uid, transfer_syntax, state) VALUES(1, 'PACS', 'sr', 6, 'outbox/1/1/sr.dcm', '1.2',"
    " '1.9', '1.2', '1.2', '1.2', 'sent');"
    "PRAGMA user_version = 1;";

static bool check_migrated(void *ctx, const struct state_job *row)
{
    int *seen = ctx;
    CU_ASSERT_EQUAL(row->scope, JOB_OF_SERIES);
    CU_ASSERT_STRING_EQUAL(row->series_instance_uid, "1.2.1");
    CU_ASSERT_STRING_EQUAL(row->study_instance_uid, "1.2");
    CU_ASSERT_STRING_EQUAL(row->patient, "p");
    CU_ASSERT_STRING_EQUAL(row->evidence, "all there");
    if (row->id == 1) {
        CU_ASSERT_STRING_EQUAL(row->parameters,
                               "{\"threshold_hu\":130,\"mode\":\"fast\",\"share\":0.25}");
        CU_ASSERT_EQUAL(row->state, JOB_DONE);
        CU_ASSERT_STRING_EQUAL(row->key, "k1");
    } else {
        CU_ASSERT_STRING_EQUAL(row->parameters, "{}");
        CU_ASSERT_EQUAL(row->state, JOB_RUNNING);
        CU_ASSERT_EQUAL(row->run, 2);
        CU_ASSERT_STRING_EQUAL(row->remark, "cut");
    }
    ++*seen;
    return true;
}

static void state_open_takes_over_a_database_of_version_1(void)
{
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/version-1.db", check_scratch());
    CU_ASSERT_EQUAL(sqlite3_open(path, &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, version_1, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    for (int round = 0; round < 2; round++) { // the second finds it as the first left it
        struct err err = {0};
        struct state *s = state_open(path, &err);
        if (!s)
            printf("%s\n", err.text);
        CU_ASSERT_PTR_NOT_NULL_FATAL(s);
        int seen = 0, count = 0;
        char files[64] = "", uid[65] = "";
        if (round == 0) {
            CU_ASSERT_TRUE(state_each_job(s, 0, check_migrated, &seen, NULL));
            CU_ASSERT_EQUAL(seen, 2);
            CU_ASSERT_TRUE(state_jobs_recover(s, "n/", 10, &count, NULL));
            CU_ASSERT_EQUAL(count, 1);
            CU_ASSERT_EQUAL(claim(s, 11).id, 2);
            CU_ASSERT_TRUE(state_job_end(s, 2, JOB_DONE, "done", "", "", 0, 0, 12, NULL));
        }
        CU_ASSERT_TRUE(state_each_job_file(s, 1, join_file, files, NULL));
        CU_ASSERT_STRING_EQUAL(files, "00A ");
        CU_ASSERT_TRUE(state_predecessor(s, 2, copy_uid, uid, NULL));
        CU_ASSERT_STRING_EQUAL(uid, "1.9");
        CU_ASSERT_EQUAL(series_row(s, 1).run_at, 77);
        CU_ASSERT_EQUAL(series_row(s, 2).run_at, 1);
        CU_ASSERT_FALSE(series_row(s, 2).interrupted); // nobody knows: as it was
        CU_ASSERT_EQUAL(add_job(s, 1, round ? "k11" : "k10"), round ? 11 : 10);
        add_object(s, 10 + round, "PACS", "sr", 6, "1.10"); // the reference to jobs holds
        state_close(s);
    }
}

static void state_rollback_leaves_nothing(void)
{
    struct state *s = fresh();
    int64_t id = 0;
    CU_ASSERT_TRUE(state_begin(s, NULL));
    put(s, "1.2.3.1", "1", 1, "P", &id);
    state_rollback(s);
    CU_ASSERT_EQUAL(series_row(s, id).id, 0);
    CU_ASSERT_EQUAL(put(s, "1.2.3.1", "1", 1, "P", &id), RECORD_STORED);
    state_close(s);
}

// What was committed is there after the process was killed without closing anything.
static void state_commit_survives_a_kill(void)
{
    struct state *s = fresh();
    state_close(s);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        s = state_open(path, &err);
        struct attrs a = patient("P", "x");
        struct state_instance in = instance("1.2.3.1", "1", 1, &a);
        struct state_recorded out;
        bool ok = s && state_begin(s, &err) && state_record(s, &in, "q", &out, &err) &&
                  state_commit(s, &err) && state_begin(s, &err);
        in = instance("1.2.3.2", "1", 2, &a);
        ok = ok && state_record(s, &in, "q", &out, &err); // not committed
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_EQUAL(status, 0);
    s = state_open(path, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_EQUAL(put(s, "1.2.3.1", "1", 1, "P", NULL), RECORD_DUPLICATE);
    CU_ASSERT_EQUAL(put(s, "1.2.3.2", "1", 2, "P", NULL), RECORD_STORED);
    state_close(s);
}

static bool copy_object_job(void *ctx, const struct state_object *row)
{
    *(int64_t *)ctx = row->job;
    return true;
}

// Lost results are made again: nothing of the job goes out before, and what was sent never again.
static void state_makes_lost_results_again_without_sending_twice(void)
{
    struct state *s = fresh();
    int64_t series = 0, pending = 0;
    char outcome[OUTCOME_SIZE] = "";
    put(s, "1.2.3.1", "1", 1, "P", &series);
    int64_t job = add_job(s, series, "a");
    add_object(s, job, "PACS", "sc", 1, "1.9.1");
    add_object(s, job, "PACS", "sr", 6, "1.9.2");
    CU_ASSERT_TRUE(state_job_refuse(s, job, "not evaluable", "why", NULL));
    CU_ASSERT_TRUE(state_job_end(s, job, JOB_DONE, "not evaluable", "why", "", 0, 0, 9, NULL));
    CU_ASSERT_TRUE(state_object_sent(s, 1, 11, "", NULL));
    CU_ASSERT_TRUE(state_each_pending(s, copy_object_job, &pending, NULL));
    CU_ASSERT_EQUAL(pending, job);
    CU_ASSERT_TRUE(state_job_remake(s, job, NULL));
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 1000), "");
    CU_ASSERT_EQUAL(claim(s, 10).id, job);
    CU_ASSERT_TRUE(state_get_job(s, job, copy_outcome, outcome, NULL));
    CU_ASSERT_STRING_EQUAL(outcome, "not evaluable"); // the same report, for the same reason
    add_object(s, job, "PACS", "sc", 1, "1.9.1");
    add_object(s, job, "PACS", "sr", 6, "1.9.2");
    CU_ASSERT_TRUE(state_job_end(s, job, JOB_DONE, "not evaluable", "why", "", 0, 0, 9, NULL));
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 1000), "sr ");
    claim(s, 10);
    CU_ASSERT_TRUE(state_job_again(s, job, NULL));
    CU_ASSERT_TRUE(state_job_remake(s, job, NULL)); // it is queued already: no matter
    CU_ASSERT_EQUAL(claim(s, 10).id, job);
    add_object(s, job, "PACS", "sc", 1, "1.9.1"); // by hand: all of it again
    CU_ASSERT_STRING_EQUAL(due(s, "PACS", 1000), "sc ");
    state_close(s);
}

static void state_folder_known_means_its_own_files_only(void)
{
    struct state *s = fresh();
    int64_t series = 0;
    bool known = false;
    put(s, "1.2.3.1", "1", 1, "P", &series);
    add_object(s, add_job(s, series, "a"), "PACS", "sr", 6, "1.9.1"); // outbox/1/1/sr.dcm
    CU_ASSERT_TRUE(state_folder_known(s, "outbox/1/1", &known, NULL));
    CU_ASSERT_TRUE(known);
    CU_ASSERT_TRUE(state_folder_known(s, "outbox/1/2", &known, NULL));
    CU_ASSERT_FALSE(known);
    CU_ASSERT_TRUE(state_folder_known(s, "outbox/1/10", &known, NULL));
    CU_ASSERT_FALSE(known);
    state_close(s);
}

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
static const struct check_case cases[] = {
    CASE(state_open_refuses_what_is_no_database_of_ours),
    CASE(state_record_tells_the_same_from_another),
    CASE(state_record_keeps_patients_and_studies_apart),
    CASE(state_has_one_answer_for_every_order_of_arrival),
    CASE(state_series_attrs_are_those_of_most_instances),
    CASE(state_owner_knows_whose_file_it_is),
    CASE(state_part_of_a_transaction_fails_alone),
    CASE(state_quarantine_has_an_age_and_a_limit),
    CASE(state_damage_is_mended_by_the_same_instance),
    CASE(state_series_receives_again_after_its_end),
    CASE(state_series_knows_when_its_present_run_began),
    CASE(state_collects_the_series_of_a_study),
    CASE(state_gathers_the_reports_of_a_study),
    CASE(state_keeps_a_series_while_others_are_awaited),
    CASE(state_does_no_job_twice),
    CASE(state_job_keeps_the_instances_it_was_made_of),
    CASE(state_job_of_a_study_has_its_series_in_slots),
    CASE(state_add_job_reports_inputs_that_cannot_be),
    CASE(state_claim_waits_for_earlier_jobs_that_share_an_input),
    CASE(state_claim_takes_the_highest_priority_then_the_oldest),
    CASE(state_claim_keeps_last_attempts_for_who_wants_them),
    CASE(state_requeue_gives_an_attempt_back_when_it_does_not_count),
    CASE(state_recovers_only_ones_own_and_what_has_no_lease),
    CASE(state_jobs_run_again_when_asked),
    CASE(state_outbox_is_ordered_and_remembers_retries),
    CASE(state_gives_a_destination_that_is_away_one_clock),
    CASE(state_adds_an_object_of_known_uid_only_once),
    CASE(state_makes_lost_results_again_without_sending_twice),
    CASE(state_predecessor_is_the_last_report_of_the_series),
    CASE(state_expires_only_what_is_finished_and_old),
    CASE(state_keeps_series_as_long_as_one_that_shares_a_job),
    CASE(state_open_takes_over_a_database_of_version_1),
    CASE(state_rollback_leaves_nothing),
    CASE(state_commit_survives_a_kill),
    CASE(state_folder_known_means_its_own_files_only),
};

int main(void)
{
    return check_main("state", cases, sizeof cases / sizeof cases[0]);
}
