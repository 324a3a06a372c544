// What core and worker write for each other: node/job/order.h.
#include "node/job/order.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fs.h"
#include "tests/check.h"

static char path[PATH_MAX];

static const char *fresh_path(void)
{
    static int count;
    snprintf(path, sizeof path, "%s/%d.json", check_scratch(), count++);
    return path;
}

static const char *path_of(const char *text)
{
    fresh_path();
    CU_ASSERT_TRUE(fs_write_file(path, text, strlen(text), NULL));
    return path;
}

static struct order example(struct order_file *files)
{
    files[0] = (struct order_file){0, 0, "series/00/a.dcm", "1.2.7", "1.2.8", {1, 2, 3}};
    files[1] = (struct order_file){1, 2, "series/00/b.dcm", "1.2.9", "1.2.8", {0xff}};
    return (struct order){
        .job = 7,
        .stage = "calcium",
        .parameters = "{\"threshold\":0.1}",
        .results = 5,
        .outcome = "not evaluable",
        .reason = "said; \"so\"",
        .remark = "cut; off",
        .evidence = "8 instances",
        .priors = "[{\"stage\":\"calcium\"}]",
        .prior_note = "none at the source",
        .has_predecessor = true,
        .predecessor = {"sr", "1.2", "1.2.3", "1.2.4", "1.2.5", "1.2.6"},
        .files = files,
        .file_count = 2,
    };
}

static void order_is_read_as_it_was_written(void)
{
    struct order_file files[2];
    struct order in = example(files), out;
    struct arena *arena = arena_create();
    CU_ASSERT_TRUE(attrs_add(&in.head, "PatientName", "M\xc3\xbcller^\xe5\xb1\xb1"));
    CU_ASSERT_TRUE(attrs_add(&in.head, "StudyInstanceUID", "1.2"));
    CU_ASSERT_TRUE(order_write(&in, fresh_path(), NULL));
    CU_ASSERT_TRUE_FATAL(order_read(path, arena, &out, NULL));
    CU_ASSERT_EQUAL(out.job, 7);
    CU_ASSERT_STRING_EQUAL(out.stage, in.stage);
    CU_ASSERT_EQUAL(out.results, 5);
    CU_ASSERT_STRING_EQUAL(out.outcome, in.outcome);
    CU_ASSERT_STRING_EQUAL(out.reason, in.reason);
    CU_ASSERT_STRING_EQUAL(out.remark, in.remark);
    CU_ASSERT_STRING_EQUAL(out.evidence, in.evidence);
    CU_ASSERT_STRING_EQUAL(out.priors, in.priors);
    CU_ASSERT_STRING_EQUAL(out.prior_note, in.prior_note);
    CU_ASSERT_TRUE(out.has_predecessor);
    CU_ASSERT_EQUAL(memcmp(&out.predecessor, &in.predecessor, sizeof in.predecessor), 0);
    CU_ASSERT_STRING_EQUAL(attrs_get(&out.head, "PatientName"), "M\xc3\xbcller^\xe5\xb1\xb1");
    CU_ASSERT_STRING_EQUAL(attrs_get(&out.head, "StudyInstanceUID"), "1.2");
    CU_ASSERT_EQUAL_FATAL(out.file_count, 2);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(out.files[i].slot, files[i].slot);
        CU_ASSERT_EQUAL(out.files[i].position, files[i].position);
        CU_ASSERT_STRING_EQUAL(out.files[i].path, files[i].path);
        CU_ASSERT_STRING_EQUAL(out.files[i].sop_instance_uid, files[i].sop_instance_uid);
        CU_ASSERT_STRING_EQUAL(out.files[i].sop_class_uid, files[i].sop_class_uid);
        CU_ASSERT_EQUAL(memcmp(out.files[i].digest, files[i].digest, DIGEST_SIZE), 0);
    }
    order_finish(&in);
    order_finish(&out);
    arena_destroy(arena);
}

static void order_write_reports_its_errors(void)
{
    struct order_file files[2];
    struct order o = example(files);
    struct err err = {0};
    CU_ASSERT_TRUE(order_write(&o, fresh_path(), NULL));
    CU_ASSERT_FALSE(order_write(&o, path, &err)); // it is there
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    o.parameters = "threshold=1";
    CU_ASSERT_FALSE(order_write(&o, fresh_path(), &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    if (access("/dev/full", W_OK) == 0) { // ENOSPC for each write
        o.parameters = "{}";
        CU_ASSERT_EQUAL(symlink("/dev/full", fresh_path()), 0);
        CU_ASSERT_FALSE(order_write(&o, path, &err)); // O_EXCL: a link is not followed
        CU_ASSERT_EQUAL(err.code, ERR_IO);
    }
}

static void order_read_refuses_what_is_no_order(void)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"schema\":\"anode.order/0\"}",
        "{\"schema\":\"anode.order/1\"}",
        "{\"schema\":\"anode.order/1\",\"job\":1,\"stage\":\"s\",\"parameters\":{},\"results\":1,"
        "\"outcome\":\"\",\"reason\":\"\",\"remark\":\"\",\"evidence\":\"\",\"priors\":[],"
        "\"prior_note\":\"\",\"head\":{},"
        "\"files\":[{\"slot\":0,\"position\":0,\"path\":\"p\",\"digest\":\"00\"}]}",
        "{\"schema\":\"anode.order/1\",\"job\":1,\"stage\":\"s\",\"parameters\":[],\"results\":1,"
        "\"outcome\":\"\",\"reason\":\"\",\"remark\":\"\",\"evidence\":\"\",\"priors\":[],"
        "\"prior_note\":\"\",\"head\":{},"
        "\"files\":[]}",
        "{\"schema\":\"anode.order/1\",\"job\":1,\"stage\":\"s\",\"parameters\":{},\"results\":1,"
        "\"outcome\":\"\",\"reason\":\"\",\"remark\":\"\",\"evidence\":\"\",\"priors\":[],"
        "\"prior_note\":\"\",\"head\":{\"a\":1},"
        "\"files\":[]}",
        "{\"schema\":\"anode.order/1\",\"job\":1,\"stage\":\"s\",\"parameters\":{},\"results\":1,"
        "\"outcome\":\"\",\"reason\":\"\",\"remark\":\"\",\"evidence\":\"\",\"priors\":{},"
        "\"prior_note\":\"\",\"head\":{},\"files\":[]}",
    };
    struct arena *arena = arena_create();
    struct order o;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err = {0};
        CU_ASSERT_FALSE(order_read(path_of(bad[i]), arena, &o, &err));
        CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
        order_finish(&o);
    }
    struct err err = {0};
    CU_ASSERT_FALSE(order_read(fresh_path(), arena, &o, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    order_finish(&o);
    arena_destroy(arena);
}

static void results_are_read_as_they_were_written(void)
{
    struct order_object in[100] = {{{{0}}}}, *out = NULL;
    size_t count = 0;
    for (int i = 0; i < 100; i++) {
        in[i] = (struct order_object){
            .id = {"sc", "1.2", "1.2.3", "1.2.4", "1.2.5", "1.2.6"}, .product = "cine", .rank = i};
        snprintf(in[i].file, sizeof in[i].file, "page-%d.dcm", i);
    }
    CU_ASSERT_TRUE(order_write_results(fresh_path(), 3, in, 100, NULL));
    CU_ASSERT_TRUE(order_read_results(path, 3, &out, &count, NULL));
    CU_ASSERT_EQUAL_FATAL(count, 100);
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(memcmp(&in[i].id, &out[i].id, sizeof in[i].id), 0);
        CU_ASSERT_STRING_EQUAL(in[i].product, out[i].product);
        CU_ASSERT_STRING_EQUAL(in[i].file, out[i].file);
        CU_ASSERT_EQUAL(in[i].rank, out[i].rank);
    }
    free(out);
    CU_ASSERT_TRUE(order_write_results(fresh_path(), 3, NULL, 0, NULL));
    CU_ASSERT_TRUE(order_read_results(path, 3, &out, &count, NULL));
    CU_ASSERT_EQUAL(count, 0);
    free(out);
}

static void results_report_their_errors(void)
{
    struct err err = {0};
    char missing[PATH_MAX];
    snprintf(missing, sizeof missing, "%s/no/such/folder.json", check_scratch());
    CU_ASSERT_FALSE(order_write_results(missing, 3, NULL, 0, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    struct order_object *out = NULL;
    size_t count = 1;
    CU_ASSERT_FALSE(order_read_results(missing, 3, &out, &count, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    CU_ASSERT_EQUAL(count, 0);
}

static void results_refuse_what_a_worker_does_not_write(void)
{
    static const struct {
        const char *kind, *uid, *file;
    } bad[] = {
        {"sr", "1.2", "../state.db"}, {"sr", "1.2", "a/b.dcm"},   {"sr", "1.2", ""},
        {"sr", "1.2", ".hidden"},     {"mesh", "1.2", "a.dcm"},   {"", "1.2", "a.dcm"},
        {"sr", "1..2", "a.dcm"},      {"sr", "one.two", "a.dcm"}, {"sr", "", "a.dcm"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct order_object o = {.id = {"", "1.2", "1.2.3", "", "1.2.5", "1.2.6"}}, *out = NULL;
        struct err err = {0};
        size_t count = 0;
        snprintf(o.id.kind, sizeof o.id.kind, "%s", bad[i].kind);
        snprintf(o.id.sop_instance_uid, UID_SIZE, "%s", bad[i].uid);
        snprintf(o.file, sizeof o.file, "%s", bad[i].file);
        CU_ASSERT_TRUE(order_write_results(fresh_path(), 3, &o, 1, NULL));
        CU_ASSERT_FALSE(order_read_results(path, 3, &out, &count, &err));
        CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
        CU_ASSERT_PTR_NULL(out);
    }
    struct order_object *out = NULL;
    struct err err = {0};
    size_t count = 0;
    CU_ASSERT_TRUE(order_write_results(fresh_path(), 3, NULL, 0, NULL));
    CU_ASSERT_FALSE(order_read_results(path, 4, &out, &count, &err)); // of another job
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
}

static bool add_name(void *ctx, const char *file)
{
    char *names = ctx;
    snprintf(names + strlen(names), 100 - strlen(names), "%s;", file);
    return true;
}

static void damage_is_read_as_it_was_written(void)
{
    static const char *const files[] = {"series/00/a.dcm", "series/01/b.dcm"};
    char names[100] = "";
    struct err err = {0};
    CU_ASSERT_TRUE(order_write_damage(fresh_path(), 3, files, 2, &err));
    CU_ASSERT_TRUE(order_read_damage(path, 3, add_name, names, &err));
    CU_ASSERT_STRING_EQUAL(names, "series/00/a.dcm;series/01/b.dcm;");
    names[0] = 0;
    CU_ASSERT_FALSE(order_read_damage(path, 4, add_name, names, &err)); // of another job
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    CU_ASSERT_STRING_EQUAL(names, "");
    CU_ASSERT_FALSE(order_read_damage(path_of("{\"schema\":\"anode.damage/1\",\"job\":3,"
                                              "\"files\":[7]}"),
                                      3, add_name, names, &err));
    CU_ASSERT_STRING_EQUAL(names, "");
    CU_ASSERT_TRUE(order_read_damage(fresh_path(), 3, add_name, names, &err)); // none is none
    CU_ASSERT_STRING_EQUAL(names, "");
    snprintf(path, sizeof path, "%s/no/such/folder.json", check_scratch());
    CU_ASSERT_FALSE(order_write_damage(path, 3, files, 2, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
}

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
static const struct check_case cases[] = {
    CASE(order_is_read_as_it_was_written),
    CASE(order_write_reports_its_errors),
    CASE(order_read_refuses_what_is_no_order),
    CASE(results_are_read_as_they_were_written),
    CASE(damage_is_read_as_it_was_written),
    CASE(results_report_their_errors),
    CASE(results_refuse_what_a_worker_does_not_write),
};

int main(void)
{
    return check_main("order", cases, sizeof cases / sizeof cases[0]);
}
