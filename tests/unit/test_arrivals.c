// Questions to the source of a series: the core's part of them, with a source that is not there.
#include "node/core/arrivals.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "node/core/collections.h"
#include "node/core/earlier.h"
#include "node/core/jobs.h"
#include "tests/check.h"

#define DESCRIPTORS 128
#define HANG_S      300 // of a wait that ends long before on any machine

#define NEVER_QUIET "quiet_s: 3600, short_quiet_s: 0.1, longest_wait_s: 7200"

static struct core core;
static unsigned hanging; // port of a source that takes connections and never says a word

// completion: that part of the configuration.
static void core_open(const char *completion)
{
    static int databases;
    char path[4200], yaml[600];
    snprintf(yaml, sizeof yaml,
             "completion: {%s}\npeers:\n- {ae_title: CT, host: 127.0.0.1, port: 1, find: true}\n"
             "- {ae_title: HANG, host: 127.0.0.1, port: %u, find: true}\n"
             "routes:\n- {name: r, when: {Modality: MG}, run: calcium}\n",
             completion, hanging);
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
    core.collections = collections_create(&core, &err);
    core.arrivals = arrivals_create(&core, &err);
    CU_ASSERT_FATAL(core.jobs && core.collections && core.arrivals);
}

static void core_close(void)
{
    arrivals_destroy(core.arrivals);
    collections_destroy(core.collections);
    earlier_destroy(core.earlier);
    jobs_destroy(core.jobs);
    loop_destroy(core.loop);
    state_close(core.state);
    datadir_close(&core.dir);
    conf_destroy(core.conf);
    while (waitpid(-1, NULL, 0) > 0) // an asker that was killed
        ;
}

// The n-th instance of a series of its source. Returns the series.
static int64_t arrive_from(const char *source, const char *series_instance_uid, unsigned n)
{
    char path[64];
    struct attrs attrs = {0};
    struct state_recorded out;
    static unsigned files;
    snprintf(path, sizeof path, "series/00/%u.dcm", files++);
    attrs_add(&attrs, "PatientID", "P");
    attrs_add(&attrs, "Modality", "CT");
    struct state_instance in = {.id = {.study_instance_uid = "1.2",
                                       .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                       .transfer_syntax_uid = "1.2.840.10008.1.2.1",
                                       .modality = "CT"},
                                .path = path,
                                .calling = source,
                                .address = "",
                                .at = clock_wall(),
                                .attrs = &attrs};
    snprintf(in.id.series_instance_uid, UID_SIZE, "%s", series_instance_uid);
    snprintf(in.id.sop_instance_uid, UID_SIZE, "%.50s.%u", series_instance_uid, n + 1);
    memset(in.digest, (int)n, sizeof in.digest);
    CU_ASSERT_TRUE_FATAL(state_record(core.state, &in, "quarantine/x.dcm", &out, NULL));
    attrs_finish(&attrs);
    arrivals_instance(core.arrivals, out.series);
    return out.series;
}

static int64_t arrive(unsigned n)
{
    return arrive_from("CT", "1.2.3", n);
}

// Lets time pass until the evidence of a series says so.
static bool comes_to(int64_t series, const char *wanted)
{
    char evidence[256] = "";
    for (double end = clock_steady() + HANG_S; clock_steady() < end;) {
        double next = arrivals_tick(core.arrivals);
        arrivals_evidence(core.arrivals, series, evidence);
        if (strstr(evidence, wanted))
            return true;
        loop_run(core.loop, fmin(next, end));
    }
    printf("    %s\n", evidence);
    return false;
}

// A start that failed was counted as a question that ended, of which there had been none: the count
// went below zero, to more than may be asked at a time, and no source was asked until a restart.
static void a_question_that_cannot_be_asked_is_not_counted(void)
{
    const struct rlimit few = {DESCRIPTORS, DESCRIPTORS};
    int taken[DESCRIPTORS], count = 0;
    core_open(NEVER_QUIET);
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &few), 0);
    const int64_t series = arrive(0);
    while (count < DESCRIPTORS && (taken[count] = dup(0)) >= 0)
        count++;
    CU_ASSERT_FATAL(count > 0);
    close(taken[--count]); // a channel needs two
    // Also: the source is asked short_quiet_s after the first instance, not quiet_s.
    CU_ASSERT_TRUE(comes_to(series, "source gives no count (channel of asker"));
    while (count > 0)
        close(taken[--count]);
    arrive(1);
    CU_ASSERT_TRUE(comes_to(series, "source is being asked"));
    core_close();
}

static bool copy_evidence(void *ctx, const struct state_series *row)
{
    snprintf(ctx, 256, "%s|%s", row->state, row->evidence);
    return false;
}

// Lets time pass until the run of a series is over; then what decided it, after its state. Returns
// how long that took.
static double comes_to_an_end(int64_t series, char evidence[256])
{
    const double start = clock_steady();
    char receiving[256] = "?";
    while (receiving[0] && clock_steady() < start + HANG_S) {
        double next = arrivals_tick(core.arrivals);
        arrivals_evidence(core.arrivals, series, receiving);
        if (receiving[0])
            loop_run(core.loop, fmin(next, start + HANG_S));
    }
    CU_ASSERT_TRUE(state_get_series(core.state, series, copy_evidence, evidence, NULL));
    return clock_steady() - start;
}

// Puts questions to a source that does not answer, until as many are open as may be.
static void ask_in_vain(int64_t *series, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char uid[32];
        snprintf(uid, sizeof uid, "1.2.4.%zu", i + 1);
        series[i] = arrive_from("HANG", uid, 0);
    }
    CU_ASSERT_TRUE(comes_to(series[0], "source is being asked"));
    CU_ASSERT_TRUE(comes_to(series[1], "source is being asked"));
}

static void a_source_that_hangs_delays_no_other(void)
{
    int64_t hang[6], other;
    char evidence[256];
    core_open(NEVER_QUIET ", find_timeout_s: 600");
    ask_in_vain(hang, 6);
    arrivals_evidence(core.arrivals, hang[2], evidence);
    CU_ASSERT_PTR_NOT_NULL(strstr(evidence, "source not asked")); // two at a time
    other = arrive(0);
    CU_ASSERT_TRUE(comes_to(other, "source gives no count (")); // it was asked, and has refused
    arrivals_evidence(core.arrivals, hang[2], evidence);
    CU_ASSERT_PTR_NOT_NULL(strstr(evidence, "source not asked"));
    core_close();
}

static void where_no_question_can_be_put_quiet_time_decides(void)
{
    int64_t hang[3];
    char evidence[256];
    core_open("quiet_s: 0.5, short_quiet_s: 0.1, longest_wait_s: 7200, find_timeout_s: 600");
    ask_in_vain(hang, 3);
    comes_to_an_end(hang[2], evidence);
    CU_ASSERT_PTR_NOT_NULL(strstr(evidence, "no route|1 instances, source gives no count (too many "
                                            "questions are open)"));
    core_close();
}

static void a_source_that_did_not_answer_in_time_rests(void)
{
    int64_t hang[2], later;
    core_open(NEVER_QUIET ", find_timeout_s: 0.2");
    later = arrive_from("HANG", "1.2.6", 0);
    CU_ASSERT_TRUE(comes_to(later, "source gives no count"));
    ask_in_vain(hang, 2); // once is no reason: it may have been busy
    CU_ASSERT_TRUE(comes_to(hang[0], "source gives no count"));
    later = arrive_from("HANG", "1.2.5", 0);
    CU_ASSERT_TRUE(comes_to(later, "(it did not answer in time lately)"));
    core_close();
}

// Aborted in mid-series is no silence: more is to come.
static void an_interrupted_transfer_is_waited_for_longer(void)
{
    char evidence[256];
    core_open("quiet_s: 0.2, short_quiet_s: 0.1, interrupted_quiet_s: 1.5, longest_wait_s: 7200");
    int64_t series = arrive(0);
    arrivals_join(core.arrivals, series);
    arrivals_leave(core.arrivals, series, clock_steady(), false);
    CU_ASSERT_TRUE(comes_to_an_end(series, evidence) > 1.4);
    CU_ASSERT_PTR_NOT_NULL(strstr(evidence, "one ended without release"));
    core_close();
}

// ... until it has gone on and was released: also by sending again what is here already.
static void a_transfer_that_goes_on_is_not_interrupted(void)
{
    char evidence[256];
    core_open("quiet_s: 0.2, short_quiet_s: 0.1, interrupted_quiet_s: 7200, longest_wait_s: 7200");
    int64_t series = arrive(0);
    const double before = clock_steady();
    arrivals_join(core.arrivals, series);
    arrivals_join(core.arrivals, series);
    arrivals_leave(core.arrivals, series, before, false);
    arrivals_leave(core.arrivals, series, before, true); // it was open before the other was cut off
    CU_ASSERT_TRUE(comes_to(series, "one ended without release"));
    CU_ASSERT_TRUE(arrivals_again(core.arrivals, series));
    arrivals_join(core.arrivals, series);
    arrivals_leave(core.arrivals, series, clock_steady(), true);
    comes_to_an_end(series, evidence);
    CU_ASSERT_PTR_NULL(strstr(evidence, "one ended without release"));
    CU_ASSERT_FALSE(arrivals_again(core.arrivals, series)); // nobody waits for it any more
    core_close();
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_question_that_cannot_be_asked_is_not_counted",
         a_question_that_cannot_be_asked_is_not_counted},
        {"a_source_that_hangs_delays_no_other", a_source_that_hangs_delays_no_other},
        {"where_no_question_can_be_put_quiet_time_decides",
         where_no_question_can_be_put_quiet_time_decides},
        {"a_source_that_did_not_answer_in_time_rests", a_source_that_did_not_answer_in_time_rests},
        {"an_interrupted_transfer_is_waited_for_longer",
         an_interrupted_transfer_is_waited_for_longer},
        {"a_transfer_that_goes_on_is_not_interrupted", a_transfer_that_goes_on_is_not_interrupted},
    };
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listening < 0 || bind(listening, (struct sockaddr *)&at, size) != 0 ||
        listen(listening, 64) != 0 || getsockname(listening, (struct sockaddr *)&at, &size) != 0)
        return 1;
    hanging = ntohs(at.sin_port);
    log_init(LOG_LEVEL_INFO, "anode");
    return check_main("arrivals", cases, sizeof cases / sizeof *cases);
}
