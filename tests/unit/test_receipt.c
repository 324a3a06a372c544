// Files that say themselves what they are: node/proc/receipt.h, and what is made of them at start
// (node/core/retain.h); the files that wait for them (node/proc/shelf.h).
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "node/core/retain.h"
#include "node/core/state.h"
#include "node/proc/receipt.h"
#include "node/proc/shelf.h"
#include "tests/check.h"

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }

enum { DATA = 100000 }; // bytes of a data set

static struct core core;
static char names[64][DATADIR_NAME]; // of files made here
static size_t made;

static void core_open(void)
{
    static int count;
    char folder[PATH_MAX], path[PATH_MAX];
    struct err err = {0};
    snprintf(folder, sizeof folder, "%s/node-%d", check_scratch(), count++);
    CU_ASSERT_TRUE_FATAL(datadir_open(&core.dir, folder, true, &err));
    CU_ASSERT_TRUE_FATAL(datadir_path(&core.dir, "state.db", path, &err));
    core.state = state_open(path, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(core.state);
    made = 0;
}

static void core_close(void)
{
    state_close(core.state);
    datadir_close(&core.dir);
}

static const char *below(const char *name)
{
    static char path[PATH_MAX];
    CU_ASSERT_TRUE_FATAL(datadir_path(&core.dir, name, path, NULL));
    return path;
}

// Writes a file with its receipt; content fills the data set. Returns its name.
static const char *receive(const char *uid, int content, double at, size_t attrs_size)
{
    static uint8_t file[META_ROOM + DATA];
    const struct meta meta = {"1.2.840.10008.5.1.4.1.1.2", uid, "1.2.840.10008.1.2.1", "ANODE",
                              "CT"};
    struct receipt r = {.id = {.study_instance_uid = "1.2",
                               .series_instance_uid = "1.2.3",
                               .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                               .transfer_syntax_uid = "1.2.840.10008.1.2.1",
                               .modality = "CT"},
                        .instance_number = 7,
                        .bytes = sizeof file,
                        .calling = "CT1",
                        .address = "10.0.0.1",
                        .at = at};
    char key[32], value[1001];
    snprintf(r.id.sop_instance_uid, UID_SIZE, "%s", uid);
    attrs_add(&r.attrs, "PatientID", "ID7");
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = 0;
    for (int i = 0; r.attrs.size < attrs_size; i++) {
        snprintf(key, sizeof key, "Key%d", i);
        CU_ASSERT_TRUE_FATAL(attrs_add(&r.attrs, key, value));
    }
    CU_ASSERT_EQUAL_FATAL(meta_add_room(file, meta_write(&meta, file)), META_ROOM);
    memset(file + META_ROOM, content, DATA);
    struct digest *d = digest_create();
    digest_add(d, file + META_ROOM, DATA);
    digest_end(d, r.digest);
    digest_destroy(d);
    CU_ASSERT_EQUAL(receipt_pack(&r, file), attrs_size == 0);
    attrs_finish(&r.attrs);
    char *name = names[made++];
    CU_ASSERT_TRUE_FATAL(datadir_new_name(name, NULL));
    CU_ASSERT_TRUE_FATAL(fs_write_file(below(name), file, sizeof file, NULL));
    return name;
}

static enum receipt_found look(const char *name, struct receipt *out)
{
    struct err err = {0};
    const enum receipt_found found = receipt_read(&core.dir, name, out, &err);
    CU_ASSERT_EQUAL(found == RECEIPT_FAILED, err.code != ERR_NONE);
    return found;
}

static void a_receipt_says_what_was_received(void)
{
    struct receipt r;
    core_open();
    CU_ASSERT_EQUAL_FATAL(look(receive("1.2.3.4", 5, 1000.25, 0), &r), RECEIPT_WHOLE);
    CU_ASSERT_STRING_EQUAL(r.id.sop_instance_uid, "1.2.3.4");
    CU_ASSERT_STRING_EQUAL(r.id.study_instance_uid, "1.2");
    CU_ASSERT_STRING_EQUAL(r.id.modality, "CT");
    CU_ASSERT_STRING_EQUAL(r.calling, "CT1");
    CU_ASSERT_STRING_EQUAL(r.address, "10.0.0.1");
    CU_ASSERT_EQUAL(r.instance_number, 7);
    CU_ASSERT_EQUAL(r.bytes, META_ROOM + DATA);
    CU_ASSERT_EQUAL(r.at, 1000.25);
    CU_ASSERT_STRING_EQUAL(attrs_get(&r.attrs, "PatientID"), "ID7");
    attrs_finish(&r.attrs);
    CU_ASSERT_EQUAL(look(receive("1.2.3.5", 5, 1000, 4000), &r), RECEIPT_NONE); // had no room
    CU_ASSERT_EQUAL(look("series/00/none.dcm", &r), RECEIPT_FAILED);
    core_close();
}

// Any byte that a power cut has taken is noticed, those of the head before the receipt, too.
static void a_receipt_is_for_the_whole_file(void)
{
    static const off_t places[] = {0,
                                   130,
                                   300,
                                   META_ROOM_AT,
                                   META_ROOM_AT + 20,
                                   META_ROOM_AT + 200,
                                   META_ROOM - 1,
                                   META_ROOM,
                                   META_ROOM + DATA / 2,
                                   META_ROOM + DATA - 1};
    struct receipt r;
    core_open();
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *name = receive("1.2.3.4", 5, 1000, 0);
        const int fd = open(below(name), O_RDWR);
        uint8_t byte = 0;
        CU_ASSERT_EQUAL(pread(fd, &byte, 1, places[i]), 1);
        byte ^= 1;
        CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, places[i]), 1);
        close(fd);
        CU_ASSERT_EQUAL(look(name, &r), RECEIPT_NONE);
    }
    static const off_t sizes[] = {
        0, 100, META_ROOM - 1, META_ROOM, META_ROOM + DATA - 1, META_ROOM + DATA + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *name = receive("1.2.3.4", 5, 1000, 0);
        CU_ASSERT_EQUAL(truncate(below(name), sizes[i]), 0);
        CU_ASSERT_EQUAL(look(name, &r), RECEIPT_NONE);
    }
    core_close();
}

struct rows {
    char text[512]; // "uid path bytes\n"...
};

static bool note_row(void *ctx, const char *uid, const char *path, int64_t bytes)
{
    struct rows *rows = ctx;
    const size_t used = strlen(rows->text);
    snprintf(rows->text + used, sizeof rows->text - used, "%s %s %lld\n", uid, path,
             (long long)bytes);
    return true;
}

static void rows_are_made_again(void)
{
    struct rows rows = {{0}}, again = {{0}};
    char expected[512];
    struct err err = {0};
    core_open();
    const char *late = receive("1.2.3.4", 6, 1001, 0), *first = receive("1.2.3.4", 5, 1000, 0);
    const char *twice = receive("1.2.3.4", 5, 1002, 0), *mute = receive("1.2.3.5", 5, 1000, 4000);
    const char *alone = receive("1.2.3.6", 5, 1003, 0);
    char quarantine[DATADIR_NAME], empty[DATADIR_NAME];
    CU_ASSERT_TRUE(datadir_quarantine_name(late, quarantine, NULL));
    CU_ASSERT_TRUE(datadir_new_name(empty, NULL));
    CU_ASSERT_TRUE(fs_write_file(below(empty), "", 0, NULL));
    CU_ASSERT_TRUE_FATAL(retain_reconcile(&core, &err));
    CU_ASSERT_TRUE(state_each_file(core.state, note_row, &rows, NULL));
    snprintf(expected, sizeof expected, "1.2.3.4 %s %d\n1.2.3.6 %s %d\n", first, META_ROOM + DATA,
             alone, META_ROOM + DATA);
    CU_ASSERT_STRING_EQUAL(rows.text, expected);
    CU_ASSERT(datadir_exists(&core.dir, first) && datadir_exists(&core.dir, alone));
    CU_ASSERT(datadir_exists(&core.dir, quarantine) && !datadir_exists(&core.dir, late));
    CU_ASSERT_FALSE(datadir_exists(&core.dir, twice));
    CU_ASSERT_FALSE(datadir_exists(&core.dir, mute));
    CU_ASSERT_FALSE(datadir_exists(&core.dir, empty));
    CU_ASSERT_TRUE(retain_reconcile(&core, &err)); // changes nothing more
    CU_ASSERT_TRUE(state_each_file(core.state, note_row, &again, NULL));
    CU_ASSERT_STRING_EQUAL(again.text, expected);
    core_close();
}

static void a_lost_file_is_replaced_by_one_without_a_row(void)
{
    struct rows rows = {{0}};
    char expected[512];
    struct err err = {0};
    core_open();
    const char *first = receive("1.2.3.4", 5, 1000, 0);
    CU_ASSERT_TRUE_FATAL(retain_reconcile(&core, &err));
    CU_ASSERT_EQUAL(truncate(below(first), 10), 0);
    const char *second = receive("1.2.3.4", 5, 1001, 0);
    CU_ASSERT_TRUE_FATAL(retain_reconcile(&core, &err));
    CU_ASSERT_TRUE(state_each_file(core.state, note_row, &rows, NULL));
    snprintf(expected, sizeof expected, "1.2.3.4 %s %d\n", second, META_ROOM + DATA);
    CU_ASSERT_STRING_EQUAL(rows.text, expected);
    CU_ASSERT_FALSE(datadir_exists(&core.dir, first));
    core_close();
}

static bool ignore_path(void *ctx, const char *path)
{
    (void)path;
    ++*(int *)ctx;
    return true;
}

// A power cut may bring the file of a forgotten instance back, as unlink() is not synced.
static void forgotten_files_do_not_come_back(void)
{
    struct rows rows = {{0}};
    int paths = 0, gone = 0;
    struct err err = {0};
    core_open();
    const char *name = receive("1.2.3.4", 5, 1000, 0);
    CU_ASSERT_TRUE_FATAL(retain_reconcile(&core, &err));
    CU_ASSERT_TRUE(state_begin(core.state, &err));
    CU_ASSERT_TRUE(state_forget_series(core.state, 1, ignore_path, &paths, &err));
    CU_ASSERT_TRUE(state_commit(core.state, &err));
    CU_ASSERT_EQUAL(paths, 1);
    CU_ASSERT_TRUE(datadir_exists(&core.dir, name)); // as if it had come back
    CU_ASSERT_TRUE(state_each_gone(core.state, ignore_path, &gone, &err));
    CU_ASSERT_EQUAL(gone, 1);
    CU_ASSERT_TRUE_FATAL(retain_reconcile(&core, &err));
    CU_ASSERT_TRUE(state_each_file(core.state, note_row, &rows, NULL));
    CU_ASSERT_STRING_EQUAL(rows.text, "");
    CU_ASSERT_FALSE(datadir_exists(&core.dir, name));
    gone = 0;
    CU_ASSERT_TRUE(state_each_gone(core.state, ignore_path, &gone, &err));
    CU_ASSERT_EQUAL(gone, 0);
    core_close();
}

static int64_t size_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (int64_t)st.st_size : -1;
}

static void a_shelf_has_files_that_wait(void)
{
    struct shelf shelf;
    char kept[40][DATADIR_NAME], drafts[PATH_MAX];
    struct err err = {0};
    core_open();
    struct inflight *f = inflight_create(1, NULL);
    snprintf(drafts, sizeof drafts, "%s", below("drafts"));
    shelf_init(&shelf, &core.dir, drafts, inflight_enter(f));
    for (int i = 0; i < 40; i++) {
        struct shelf_file *file = shelf_take(&shelf, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(file);
        CU_ASSERT_TRUE(datadir_is_new_name(file->name));
        CU_ASSERT_EQUAL(datadir_file_bytes(&core.dir, file->name), 0);
        CU_ASSERT_EQUAL(write(file->fd, "12345", 5), 5);
        shelf_put_back(&shelf, file);
        CU_ASSERT_PTR_EQUAL(shelf_take(&shelf, &err), file); // the same again, from its beginning
        CU_ASSERT_EQUAL(size_of(file->fd), 0);
        CU_ASSERT_EQUAL(write(file->fd, "123", 3), 3);
        CU_ASSERT_EQUAL(datadir_file_bytes(&core.dir, file->name), 3);
        snprintf(kept[i], sizeof kept[i], "%s", file->name);
        if (i % 2)
            shelf_keep(&shelf, file);
        else
            shelf_remove(&shelf, file);
    }
    char noted[INFLIGHT_FILES][DATADIR_NAME];
    size_t waiting = 0;
    CU_ASSERT_TRUE(inflight_left(f, getpid(), noted)); // what waits can be found by others
    for (size_t i = 0; i < INFLIGHT_FILES; i++)
        waiting += noted[i][0] != 0;
    CU_ASSERT_EQUAL(waiting, 1 + 2 + 4 + 8 + 16 + 16 - 40);
    shelf_finish(&shelf);
    for (size_t i = 0; i < INFLIGHT_FILES; i++)
        CU_ASSERT(!noted[i][0] || !datadir_exists(&core.dir, noted[i]));
    for (int i = 0; i < 40; i++)
        CU_ASSERT_EQUAL(datadir_exists(&core.dir, kept[i]), i % 2);
    snprintf(drafts, sizeof drafts, "%s", below("nowhere"));
    CU_ASSERT_PTR_NULL(shelf_take(&shelf, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    inflight_destroy(f);
    core_close();
}

int main(void)
{
    static const struct check_case cases[] = {
        CASE(a_receipt_says_what_was_received),
        CASE(a_receipt_is_for_the_whole_file),
        CASE(rows_are_made_again),
        CASE(a_lost_file_is_replaced_by_one_without_a_row),
        CASE(forgotten_files_do_not_come_back),
        CASE(a_shelf_has_files_that_wait),
    };
    return check_main("receipt", cases, sizeof cases / sizeof *cases);
}
