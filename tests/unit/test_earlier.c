// Earlier results of a job: who is asked, how long a job waits, and that what it was given stays.
#include "node/core/earlier.h"
#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "node/core/jobs.h"
#include "tests/check.h"

#define HANG_S 300 // of a wait that ends long before on any machine
#define WAIT_S 1.5 // of a job for its earlier results

static struct core core;
static unsigned hanging; // port of a source that takes connections and never says a word

static void core_open(void)
{
    static int databases;
    char path[4200], yaml[600];
    snprintf(yaml, sizeof yaml,
             "node: {cage: off}\ncompletion: {earlier_wait_s: %g}\npeers:\n"
             "- {ae_title: CT, host: 127.0.0.1, port: 1}\n"
             "- {ae_title: GONE, host: 127.0.0.1, port: 1, earlier: true}\n"
             "- {ae_title: HANG, host: 127.0.0.1, port: %u, earlier: true}\n"
             "routes:\n- {name: r, when: {Modality: CT}, run: calcium}\n",
             WAIT_S, hanging);
    size_t errors;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/a.yaml", check_scratch());
    CU_ASSERT_TRUE_FATAL(fs_write_file(path, yaml, strlen(yaml), &err));
    core = (struct core){.conf = conf_load(path, NULL, stderr, &errors, &err)};
    CU_ASSERT_PTR_NOT_NULL_FATAL(core.conf);
    snprintf(path, sizeof path, "%s/data", check_scratch());
    CU_ASSERT_TRUE_FATAL(datadir_open(&core.dir, path, true, &err));
    snprintf(path, sizeof path, "%s/state-%d.db", check_scratch(), databases++);
    core.state = state_open(path, &err);
    core.loop = loop_create();
    CU_ASSERT_FATAL(core.state && core.loop);
    core.jobs = jobs_create(&core, &err);
    core.earlier = earlier_create(&core, &err);
    CU_ASSERT_FATAL(core.jobs && core.earlier);
}

static void core_close(void)
{
    earlier_destroy(core.earlier);
    jobs_destroy(core.jobs);
    loop_destroy(core.loop);
    state_close(core.state);
    datadir_close(&core.dir);
    conf_destroy(core.conf);
    while (waitpid(-1, NULL, 0) > 0) // one that was killed
        ;
}

// A job of a series that source has sent.
static int64_t add_job(const char *source)
{
    static unsigned number;
    char path[64], key[32];
    struct attrs attrs = {0};
    struct state_recorded out;
    number++;
    snprintf(path, sizeof path, "series/00/%u.dcm", number);
    snprintf(key, sizeof key, "k%u", number);
    attrs_add(&attrs, "PatientID", "P");
    attrs_add(&attrs, "StudyInstanceUID", "1.2");
    struct state_instance in = {.id = {.study_instance_uid = "1.2",
                                       .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                       .transfer_syntax_uid = "1.2.840.10008.1.2.1",
                                       .modality = "CT"},
                                .path = path,
                                .calling = source,
                                .address = "",
                                .at = clock_wall(),
                                .attrs = &attrs};
    snprintf(in.id.series_instance_uid, UID_SIZE, "1.2.%u", number);
    snprintf(in.id.sop_instance_uid, UID_SIZE, "1.2.%u.1", number);
    CU_ASSERT_TRUE_FATAL(state_record(core.state, &in, "quarantine/x.dcm", &out, NULL));
    attrs_finish(&attrs);
    int64_t id = 0;
    struct state_input input = {.series = out.series, .last_instance = 1000};
    struct state_job job = {.route = "r",
                            .stage = "calcium",
                            .version = "1",
                            .parameters = "{}",
                            .key = key,
                            .created_at = clock_wall()};
    CU_ASSERT_TRUE_FATAL(
        state_begin(core.state, NULL) && state_add_job(core.state, &job, &input, 1, &id, NULL) &&
        earlier_want(core.earlier, id, source, NULL) && state_commit(core.state, NULL));
    earlier_wake(core.earlier);
    return id;
}

static bool copy_given(void *ctx, const char *list, const char *note)
{
    snprintf(ctx, 256, "%s|%s", list, note);
    return true;
}

// What the job is given: "list|note"; "" where it wants none.
static const char *given(int64_t job)
{
    static char text[256];
    *text = 0;
    CU_ASSERT_TRUE(state_prior_take(core.state, job, EARLIER_LATE, copy_given, text, NULL));
    return text;
}

static bool claimable(void)
{
    bool found = false;
    const struct state_claim claim = {.worker = "w", .now = clock_wall(), .lease_s = 60};
    CU_ASSERT_TRUE(state_claimable(core.state, &claim, &found, NULL));
    return found;
}

// Lets time pass until a job can be claimed. Returns how long that took.
static double wait_claimable(void)
{
    const double start = clock_steady();
    while (!claimable() && clock_steady() < start + HANG_S) {
        int status;
        pid_t pid;
        loop_run(core.loop, fmin(earlier_tick(core.earlier), clock_steady() + 0.05));
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            earlier_reaped(core.earlier, pid);
    }
    return clock_steady() - start;
}

static void a_source_that_is_not_to_be_asked_delays_nothing(void)
{
    core_open();
    const int64_t job = add_job("CT");
    CU_ASSERT_TRUE(claimable());
    CU_ASSERT_STRING_EQUAL(given(job), "");
    core_close();
}

static void what_is_refused_is_told_at_once(void)
{
    core_open();
    const int64_t job = add_job("GONE");
    CU_ASSERT_FALSE(claimable());
    wait_claimable();
    CU_ASSERT_STRING_EQUAL(given(job), "[]|the source refused the question, or broke off");
    core_close();
}

static void a_source_that_hangs_costs_the_wait_and_then_rests(void)
{
    core_open();
    const int64_t first = add_job("HANG");
    const double took = wait_claimable();
    CU_ASSERT(took >= WAIT_S - 0.1 && took < HANG_S);
    CU_ASSERT_STRING_EQUAL(given(first), "|" EARLIER_LATE);
    // Its process is ended, and the source is left alone.
    for (double end = clock_steady() + HANG_S;
         clock_steady() < end && waitpid(-1, NULL, WNOHANG) == 0;)
        loop_run(core.loop, fmin(earlier_tick(core.earlier), clock_steady() + 0.05));
    const int64_t second = add_job("HANG");
    CU_ASSERT_TRUE(earlier_tick(core.earlier) > 0);
    CU_ASSERT_STRING_EQUAL(given(second), "|the source did not answer lately");
    core_close();
}

static void what_a_job_was_given_stays(void)
{
    core_open();
    const int64_t job = add_job("HANG"), other = add_job("HANG");
    CU_ASSERT_TRUE(state_prior_answer(core.state, job, "[1]", "", NULL));
    CU_ASSERT_TRUE(claimable());
    CU_ASSERT_STRING_EQUAL(given(job), "[1]|");
    CU_ASSERT_TRUE(state_prior_answer(core.state, job, "[2]", "late", NULL));
    CU_ASSERT_STRING_EQUAL(given(job), "[1]|");
    CU_ASSERT_STRING_EQUAL(given(other), "|" EARLIER_LATE);
    CU_ASSERT_TRUE(state_prior_answer(core.state, other, "[2]", "", NULL));
    CU_ASSERT_STRING_EQUAL(given(other), "|" EARLIER_LATE);
    core_close();
}

// A socket that takes connections, which nobody answers.
static int listen_only(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0)
        exit(EXIT_FAILURE);
    hanging = ntohs(at.sin_port);
    return fd;
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_source_that_is_not_to_be_asked_delays_nothing",
         a_source_that_is_not_to_be_asked_delays_nothing},
        {"what_is_refused_is_told_at_once", what_is_refused_is_told_at_once},
        {"a_source_that_hangs_costs_the_wait_and_then_rests",
         a_source_that_hangs_costs_the_wait_and_then_rests},
        {"what_a_job_was_given_stays", what_a_job_was_given_stays},
    };
    log_init(LOG_LEVEL_ERROR, "test");
    const int fd = listen_only();
    const int end = check_main("earlier", cases, sizeof cases / sizeof *cases);
    close(fd);
    return end;
}
