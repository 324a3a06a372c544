// The core's end of associations: what it records, and what it clears up after one that is gone.
#include "node/core/intake.h"
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "node/core/arrivals.h"
#include "node/core/collections.h"
#include "node/core/earlier.h"
#include "node/core/jobs.h"
#include "node/proc/inflight.h"
#include "node/proc/msg.h"
#include "tests/check.h"

#define ROUND_S 0.05 // of the loop, when nothing comes

static const char *const yaml = "peers:\n- {ae_title: CT, host: 127.0.0.1, port: 1, find: false}\n"
                                "- {ae_title: MR, host: 127.0.0.1, port: 1, quota_mib: 1}\n"
                                "routes:\n- {name: r, when: {Modality: MG}, run: calcium}\n";
static struct core core;
static struct msg m;

static void core_open(void)
{
    static int count;
    char path[4200];
    size_t errors;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/a.yaml", check_scratch());
    CU_ASSERT_TRUE_FATAL(fs_write_file(path, yaml, strlen(yaml), &err));
    core = (struct core){.conf = conf_load(path, NULL, stderr, &errors, &err)};
    CU_ASSERT_PTR_NOT_NULL_FATAL(core.conf);
    snprintf(path, sizeof path, "%s/data%d", check_scratch(), count++);
    CU_ASSERT_TRUE_FATAL(datadir_open(&core.dir, path, true, &err));
    snprintf(path, sizeof path, "%s/state.db", core.dir.path);
    core.state = state_open(path, &err);
    core.loop = loop_create();
    core.inflight = inflight_create(4, &err);
    CU_ASSERT_FATAL(core.state && core.loop && core.inflight);
    core.jobs = jobs_create(&core, &err);
    core.earlier = earlier_create(&core, &err);
    core.collections = collections_create(&core, &err);
    core.arrivals = arrivals_create(&core, &err);
    core.intake = intake_create(&core, &err);
    CU_ASSERT_FATAL(core.jobs && core.collections && core.arrivals && core.intake);
}

static void core_close(void)
{
    intake_destroy(core.intake);
    arrivals_destroy(core.arrivals);
    collections_destroy(core.collections);
    earlier_destroy(core.earlier);
    jobs_destroy(core.jobs);
    loop_destroy(core.loop);
    inflight_destroy(core.inflight);
    state_close(core.state);
    datadir_close(&core.dir);
    conf_destroy(core.conf);
}

static void rounds(int count)
{
    for (int i = 0; i < count; i++) {
        loop_run(core.loop, clock_steady() + ROUND_S);
        intake_flush(core.intake);
    }
}

static const char *below(const char *name)
{
    static char path[5000];
    snprintf(path, sizeof path, "%s/%s", core.dir.path, name);
    return path;
}

// An association that has said who it is.
static int client_of(const char *calling)
{
    struct msg_hello hello = {.called = "ANODE", .address = "127.0.0.1"};
    snprintf(hello.calling, sizeof hello.calling, "%s", calling);
    int fd = msg_connect(core.dir.dirfd, NULL);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_TRUE(msg_send(fd, MSG_HELLO, &hello, NULL, 0, NULL));
    return fd;
}

static int client(void)
{
    return client_of("CT");
}

static uint64_t bytes_said = 5; // of the files of records

// The n-th instance of a series in a file of that name, which is there.
static void say_record(int fd, uint32_t n, const char *name)
{
    struct attrs attrs = {0};
    struct msg_record r = {.number = 1,
                           .id = {.study_instance_uid = "1.2",
                                  .series_instance_uid = "1.2.3",
                                  .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                  .transfer_syntax_uid = "1.2.840.10008.1.2.1",
                                  .modality = "CT"},
                           .bytes = bytes_said,
                           .digest = {(uint8_t)n}};
    snprintf(r.id.sop_instance_uid, sizeof r.id.sop_instance_uid, "1.2.3.%u", n);
    snprintf(r.path, sizeof r.path, "%s", name);
    CU_ASSERT_TRUE(fs_write_file(below(name), "12345", 5, NULL));
    attrs_add(&attrs, "PatientID", "P");
    CU_ASSERT_TRUE(msg_send(fd, MSG_RECORD, &r, attrs.packed, attrs.size, NULL));
    attrs_finish(&attrs);
}

static int answer_to(int fd)
{
    if (msg_receive(fd, &m, NULL) != MSG_GOT || m.kind != MSG_VERDICT)
        return -1;
    return (int)((const struct msg_verdict *)m.body)->answer;
}

static void one_record_of_a_group_fails_alone(void)
{
    static const char *const names[] = {"series/00/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dcm",
                                        "series/00/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.dcm",
                                        "series/00/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dcm",
                                        "series/00/cccccccccccccccccccccccccccccc.dcm"};
    int fds[4];
    core_open();
    for (int i = 0; i < 4; i++)
        fds[i] = client();
    rounds(1); // all are connected: what they say next comes in one round
    for (uint32_t i = 0; i < 4; i++)
        say_record(fds[i], i + 1, names[i]); // two instances in one file
    rounds(1);
    int stored = 0, refused = 0;
    for (int i = 0; i < 4; i++) {
        const int answer = answer_to(fds[i]);
        stored += answer == ANSWER_STORED;
        refused += answer == ANSWER_OUT_OF_RESOURCES;
        close(fds[i]);
    }
    CU_ASSERT_EQUAL(stored, 3);
    CU_ASSERT_EQUAL(refused, 1);
    rounds(2);
    core_close();
}

// What a killed association leaves: its drafts, and a file that is recorded or not.
static void what_a_killed_association_leaves_goes_at_once(void)
{
    char drafts[DATADIR_NAME], draft[DATADIR_NAME + 8];
    core_open();
    datadir_drafts_name(getpid(), drafts);
    for (int recorded = 0; recorded < 2; recorded++) {
        const char *name = recorded ? "series/7f/0123456789abcdef0123456789abcd.dcm"
                                    : "series/7f/fedcba9876543210fedcba98765432.dcm";
        struct inflight_place *place = inflight_enter(core.inflight);
        CU_ASSERT_PTR_NOT_NULL_FATAL(place);
        CU_ASSERT_TRUE(fs_make_folders(below(drafts), NULL));
        snprintf(draft, sizeof draft, "%s/half", drafts);
        CU_ASSERT_TRUE(fs_write_file(below(draft), "1", 1, NULL));
        int fd = client();
        inflight_note(place, INFLIGHT_FILES - 1, name);
        CU_ASSERT_TRUE(fs_write_file(below(name), "12345", 5, NULL));
        rounds(1);
        if (recorded)
            say_record(fd, 9, name); // killed before the answer
        CU_ASSERT_EQUAL(access(below(name), F_OK), 0);
        close(fd);
        rounds(3);
        CU_ASSERT_EQUAL(access(below(name), F_OK) == 0, recorded);
        CU_ASSERT_NOT_EQUAL(access(below(drafts), F_OK), 0);
    }
    core_close();
}

// One that was taken over may note what it likes.
static void an_association_names_no_file_of_others(void)
{
    static const char *const names[] = {"state.db",
                                        "outbox",
                                        "series/00",
                                        "series/00/../../lock",
                                        "series/00/a.dcm",
                                        "series/00/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.dcm.",
                                        "quarantine/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.dcm"};
    core_open();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CU_ASSERT_FALSE(datadir_is_new_name(names[i]));
        if (access(below(names[i]), F_OK) != 0)
            CU_ASSERT_TRUE_FATAL(fs_write_file(below(names[i]), "12345", 5, NULL));
        struct inflight_place *place = inflight_enter(core.inflight);
        CU_ASSERT_PTR_NOT_NULL_FATAL(place);
        int fd = client();
        inflight_note(place, 0, names[i]);
        rounds(1);
        close(fd);
        rounds(3);
        CU_ASSERT_EQUAL(access(below(names[i]), F_OK), 0);
    }
    core_close();
}

static void an_association_gives_no_commands(void)
{
    const struct msg_control control = {.verb = VERB_JOBS};
    core_open();
    for (int guest = 0; guest < 2; guest++) {
        int fd = msg_connect(core.dir.dirfd, NULL);
        CU_ASSERT_TRUE(!guest || msg_send(fd, MSG_GUEST, NULL, NULL, 0, NULL));
        CU_ASSERT_TRUE(msg_send(fd, MSG_CONTROL, &control, NULL, 0, NULL));
        rounds(3);
        const enum msg_arrival arrival = msg_receive(fd, &m, NULL);
        CU_ASSERT_EQUAL(arrival == MSG_GOT && m.kind == MSG_TEXT, !guest);
        CU_ASSERT_EQUAL(arrival == MSG_END, guest);
        close(fd);
    }
    core_close();
}

static void a_place_can_be_had_alone(void)
{
    struct inflight *f = inflight_create(3, NULL);
    char names[INFLIGHT_FILES][DATADIR_NAME];
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    const pid_t child = fork();
    if (child == 0) {
        struct inflight_place *place = inflight_enter(f), *other = inflight_enter(f);
        inflight_alone(f, place);
        inflight_note(place, 1, "series/00/a.dcm");
        inflight_note(other, 1, "series/00/b.dcm"); // is no memory any more
        _exit(0);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
    CU_ASSERT_TRUE(inflight_left(f, child, names));
    CU_ASSERT_STRING_EQUAL(names[1], "series/00/a.dcm");
    inflight_destroy(f);
}

// One that ends in order has nothing to be cleared up.
static void a_goodbye_leaves_all_as_it_is(void)
{
    char drafts[DATADIR_NAME];
    struct msg_goodbye bye = {.released = 1};
    core_open();
    datadir_drafts_name(getpid(), drafts);
    CU_ASSERT_TRUE(fs_make_folders(below(drafts), NULL));
    int fd = client();
    CU_ASSERT_TRUE(msg_send(fd, MSG_GOODBYE, &bye, NULL, 0, NULL));
    close(fd);
    rounds(3);
    CU_ASSERT_EQUAL(access(below(drafts), F_OK), 0);
    core_close();
}

static int record_and_answer(int fd, uint32_t n)
{
    char name[DATADIR_NAME];
    snprintf(name, sizeof name, "series/01/%030u.dcm", n);
    say_record(fd, n, name);
    rounds(1);
    return answer_to(fd);
}

// What a peer has here is bounded, also after a restart, and costs no other peer anything.
static void a_peer_keeps_to_its_quota(void)
{
    core_open();
    bytes_said = 600000;
    int mr = client_of("MR"), ct = client();
    rounds(1);
    CU_ASSERT_EQUAL(record_and_answer(mr, 1), ANSWER_STORED);
    CU_ASSERT_EQUAL(record_and_answer(mr, 2), ANSWER_OVER_QUOTA);
    CU_ASSERT_EQUAL(record_and_answer(ct, 3), ANSWER_STORED);
    CU_ASSERT_EQUAL(record_and_answer(ct, 4), ANSWER_STORED);
    bytes_said = 400000;
    CU_ASSERT_EQUAL(record_and_answer(mr, 5), ANSWER_STORED); // what was refused takes nothing
    bytes_said = 1000;
    CU_ASSERT_EQUAL(record_and_answer(mr, 5), ANSWER_STORED); // again: the first one was "lost"
    close(mr);
    rounds(2);
    intake_destroy(core.intake);
    core.intake = intake_create(&core, NULL);
    mr = client_of("MR");
    rounds(1);
    bytes_said = 600000;
    CU_ASSERT_EQUAL(record_and_answer(mr, 6), ANSWER_OVER_QUOTA);
    bytes_said = 5;
    close(mr);
    close(ct);
    core_close();
}

static void places_are_given_and_taken_back(void)
{
    struct inflight *f = inflight_create(2, NULL);
    char names[INFLIGHT_FILES][DATADIR_NAME];
    struct inflight_place *a = inflight_enter(f), *b = inflight_enter(f);
    CU_ASSERT_FATAL(a && b && a != b);
    CU_ASSERT_PTR_NULL(inflight_enter(f));
    inflight_note(NULL, 0, "series/00/x.dcm");
    inflight_leave(NULL);
    inflight_note(a, 3, "series/00/a.dcm");
    inflight_leave(b);
    CU_ASSERT_TRUE(inflight_left(f, getpid(), names));
    CU_ASSERT_STRING_EQUAL(names[3], "series/00/a.dcm");
    CU_ASSERT_FALSE(inflight_left(f, getpid(), names));
    CU_ASSERT_STRING_EQUAL(names[3], "");
    b = inflight_enter(f);
    CU_ASSERT_TRUE(inflight_left(f, getpid(), names));
    CU_ASSERT_STRING_EQUAL(names[3], ""); // nothing of who was there before
    inflight_destroy(f);
    inflight_destroy(NULL);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"one_record_of_a_group_fails_alone", one_record_of_a_group_fails_alone},
        {"what_a_killed_association_leaves_goes_at_once",
         what_a_killed_association_leaves_goes_at_once},
        {"an_association_names_no_file_of_others", an_association_names_no_file_of_others},
        {"an_association_gives_no_commands", an_association_gives_no_commands},
        {"a_place_can_be_had_alone", a_place_can_be_had_alone},
        {"a_goodbye_leaves_all_as_it_is", a_goodbye_leaves_all_as_it_is},
        {"a_peer_keeps_to_its_quota", a_peer_keeps_to_its_quota},
        {"places_are_given_and_taken_back", places_are_given_and_taken_back},
    };
    log_init(LOG_LEVEL_INFO, "anode");
    return check_main("intake", cases, sizeof cases / sizeof *cases);
}
