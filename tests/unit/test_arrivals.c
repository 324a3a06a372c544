// Questions to the source of a series: the core's part of them, with a source that is not there.
#include "node/core/arrivals.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "node/core/collections.h"
#include "node/core/jobs.h"
#include "tests/check.h"

#define DESCRIPTORS 128
#define HANG_S      300 // of a wait that ends long before on any machine

static const char *const yaml =
    "completion: {quiet_s: 3600, short_quiet_s: 0.1, longest_wait_s: 7200}\n"
    "peers: [{ae_title: CT, host: 127.0.0.1, port: 1, find: true}]\n"
    "routes:\n- {name: r, when: {Modality: MG}, run: calcium}\n";
static struct core core;

static void core_open(void)
{
    char path[4200];
    size_t errors;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/a.yaml", check_scratch());
    CU_ASSERT_TRUE_FATAL(fs_write_file(path, yaml, strlen(yaml), &err));
    core = (struct core){.conf = conf_load(path, NULL, stderr, &errors, &err)};
    CU_ASSERT_PTR_NOT_NULL_FATAL(core.conf);
    snprintf(path, sizeof path, "%s/data", check_scratch());
    CU_ASSERT_TRUE_FATAL(datadir_open(&core.dir, path, true, &err));
    snprintf(path, sizeof path, "%s/state.db", check_scratch());
    core.state = state_open(path, &err);
    core.loop = loop_create();
    CU_ASSERT_FATAL(core.state && core.loop);
    core.jobs = jobs_create(&core, &err);
    core.collections = collections_create(&core, &err);
    core.arrivals = arrivals_create(&core, &err);
    CU_ASSERT_FATAL(core.jobs && core.collections && core.arrivals);
}

static void core_close(void)
{
    arrivals_destroy(core.arrivals);
    collections_destroy(core.collections);
    jobs_destroy(core.jobs);
    loop_destroy(core.loop);
    state_close(core.state);
    datadir_close(&core.dir);
    conf_destroy(core.conf);
    while (waitpid(-1, NULL, 0) > 0) // an asker that was killed
        ;
}

// The n-th instance of the one series. Returns the series.
static int64_t arrive(unsigned n)
{
    char path[64];
    struct attrs attrs = {0};
    struct state_recorded out;
    snprintf(path, sizeof path, "series/00/%u.dcm", n);
    attrs_add(&attrs, "PatientID", "P");
    attrs_add(&attrs, "Modality", "CT");
    struct state_instance in = {.id = {.study_instance_uid = "1.2",
                                       .series_instance_uid = "1.2.3",
                                       .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                       .transfer_syntax_uid = "1.2.840.10008.1.2.1",
                                       .modality = "CT"},
                                .path = path,
                                .calling = "CT",
                                .address = "",
                                .at = clock_wall(),
                                .attrs = &attrs};
    snprintf(in.id.sop_instance_uid, UID_SIZE, "1.2.3.%u", n + 1);
    memset(in.digest, (int)n, sizeof in.digest);
    CU_ASSERT_TRUE_FATAL(state_record(core.state, &in, "quarantine/x.dcm", &out, NULL));
    attrs_finish(&attrs);
    arrivals_instance(core.arrivals, out.series);
    return out.series;
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
    core_open();
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

int main(void)
{
    static const struct check_case cases[] = {
        {"a_question_that_cannot_be_asked_is_not_counted",
         a_question_that_cannot_be_asked_is_not_counted},
    };
    log_init(LOG_LEVEL_INFO, "anode");
    return check_main("arrivals", cases, sizeof cases / sizeof *cases);
}
