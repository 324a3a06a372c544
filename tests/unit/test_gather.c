#include "node/job/gather.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "dimse/read/object.h"
#include "base/fs.h"
#include "tests/check.h"
#include "tests/made.h"

#define EXPLICIT "1.2.840.10008.1.2.1"

static struct err err;

static void write_instance(const char *folder, const char *name, const char *series,
                           const char *instance, const char *device)
{
    struct made_file f;
    char path[4096];
    made_ct(&f, EXPLICIT, instance, 0);
    made_set(&f, 0x0020000e, "UI", series);
    made_set(&f, 0x0008103e, "LO", instance);
    if (device)
        made_set(&f, 0x00181002, "UI", device);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    made_write(&f, path);
    made_finish(&f);
}

static const char *scratch_folder(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", check_scratch(), name);
    CU_ASSERT_TRUE_FATAL(fs_make_folders(path, &err));
    return path;
}

static bool gather(const char *path, struct gather *g)
{
    char copy[4096];
    char *paths[] = {copy};
    snprintf(copy, sizeof copy, "%s", path);
    err = (struct err){0};
    return gather_paths(paths, 1, "1.2.99", g, &err);
}

static void groups_files_into_series(void)
{
    struct gather g;
    scratch_folder("tree/inner");
    write_instance("tree", "b", "1.2.20", "1.2.20.2", NULL);
    write_instance("tree", "a", "1.2.20", "1.2.20.1", NULL);
    write_instance("tree/inner", "c", "1.2.10", "1.2.10.1", NULL);
    made_write_bytes("tree/inner/notes.txt", "hello", 5);
    made_write_bytes("tree/empty", "", 0);
    CU_ASSERT_TRUE_FATAL(gather(scratch_folder("tree"), &g));
    CU_ASSERT_EQUAL(g.ignored, 2);
    CU_ASSERT_EQUAL_FATAL(g.count, 2);
    CU_ASSERT_STRING_EQUAL(g.series[0].series_instance_uid, "1.2.10");
    CU_ASSERT_STRING_EQUAL(g.series[0].modality, "CT");
    CU_ASSERT_EQUAL(g.series[0].file_count, 1);
    CU_ASSERT_STRING_EQUAL(g.series[1].series_instance_uid, "1.2.20");
    CU_ASSERT_EQUAL(g.series[1].file_count, 2);
    // of values that are equally frequent the first, whatever was found first
    CU_ASSERT_STRING_EQUAL(attrs_get(&g.series[1].attrs, "SeriesDescription"), "1.2.20.1");
    CU_ASSERT_FALSE(g.series[1].own);
    gather_finish(&g);
}

static void never_mixes_two_patients(void)
{
    struct gather g;
    struct made_file f;
    static const char *const who[] = {"P1", "P2", "P1"};
    scratch_folder("patients");
    for (int i = 0; i < 3; i++) {
        char uid[] = "1.2.20.1", name[] = "patients/a";
        uid[7] = (char)('1' + i);
        name[9] = (char)('a' + i);
        made_ct(&f, EXPLICIT, uid, i);
        made_set(&f, 0x0020000e, "UI", "1.2.20");
        made_set(&f, 0x00100020, "LO", who[i]);
        made_write(&f, name);
        made_finish(&f);
    }
    CU_ASSERT_TRUE_FATAL(gather(scratch_folder("patients"), &g));
    CU_ASSERT_EQUAL_FATAL(g.count, 2);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_STRING_EQUAL(g.series[i].series_instance_uid, "1.2.20");
        const char *patient = attrs_get(&g.series[i].attrs, "PatientID");
        CU_ASSERT_PTR_NOT_NULL_FATAL(patient);
        CU_ASSERT_EQUAL(g.series[i].file_count, strcmp(patient, "P1") == 0 ? 2 : 1);
    }
    CU_ASSERT_STRING_NOT_EQUAL(g.series[0].patient, g.series[1].patient);
    gather_finish(&g);
}

static void follows_links_but_no_loops(void)
{
    struct gather g;
    char link[PATH_MAX];
    const char *folder = scratch_folder("loop");
    write_instance("loop", "a", "1.2.20", "1.2.20.1", NULL);
    CU_ASSERT_TRUE(fs_join(link, folder, "self", &err));
    CU_ASSERT_EQUAL(symlink(folder, link), 0);
    CU_ASSERT_TRUE(fs_join(link, folder, "nowhere", &err));
    CU_ASSERT_EQUAL(symlink("/no/such/file", link), 0);
    CU_ASSERT_TRUE_FATAL(gather(folder, &g));
    CU_ASSERT_EQUAL_FATAL(g.count, 1);
    CU_ASSERT_EQUAL(g.series[0].file_count, 1);
    gather_finish(&g);
}

static void knows_its_own_results(void)
{
    struct gather g;
    scratch_folder("own");
    write_instance("own", "a", "1.2.20", "1.2.20.1", "1.2.99");
    CU_ASSERT_TRUE_FATAL(gather(scratch_folder("own"), &g));
    CU_ASSERT_EQUAL_FATAL(g.count, 1);
    CU_ASSERT_TRUE(g.series[0].own);
    gather_finish(&g);
}

static void a_path_that_is_not_there_is_an_error(void)
{
    struct gather g;
    CU_ASSERT_FALSE(gather("/no/such/file", &g));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    gather_finish(&g);
    CU_ASSERT_TRUE(gather(scratch_folder("nothing"), &g));
    CU_ASSERT_EQUAL(g.count, 0);
    gather_finish(&g);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"gather_paths_groups_files_into_series", groups_files_into_series},
        {"gather_paths_never_mixes_two_patients", never_mixes_two_patients},
        {"gather_paths_follows_links_but_no_loops", follows_links_but_no_loops},
        {"gather_paths_knows_its_own_results", knows_its_own_results},
        {"gather_paths_a_path_that_is_not_there_is_an_error", a_path_that_is_not_there_is_an_error},
    };
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("gather", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
