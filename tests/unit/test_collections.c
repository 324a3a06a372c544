// Series of a study on their way to one job: the core's parts without its processes.
#include "node/core/collections.h"
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "node/core/earlier.h"
#include "node/core/jobs.h"
#include "node/core/route.h"
#include "tests/check.h"

static const struct stage_accept cc[] = {{"ViewPosition", "CC"}, {0}},
                                 mlo[] = {{"ViewPosition", "MLO"}, {0}},
                                 spot[] = {{"ViewPosition", "SPOT"}, {0}},
                                 cine[] = {{"ViewPosition", "CINE"}, {0}};
static const struct stage_input_spec inputs[] = {
    {.name = "cc", .count = INPUT_ONE, .accepts = cc},
    {.name = "mlo", .count = INPUT_ONE, .accepts = mlo},
    {.name = "spot", .count = INPUT_OPTIONAL, .accepts = spot},
};
static const struct stage_input_spec phases[] = {
    {.name = "cine", .count = INPUT_MANY, .accepts = cine}};
static const struct stage views = {.name = "views",
                                   .title = "Views",
                                   .version = "1",
                                   .slot = 90,
                                   .scope = SCOPE_STUDY,
                                   .inputs = inputs,
                                   .input_count = 3};
static const struct stage cines = {.name = "cines",
                                   .title = "Cines",
                                   .version = "1",
                                   .slot = 91,
                                   .scope = SCOPE_STUDY,
                                   .inputs = phases,
                                   .input_count = 1};

static const struct stage_accept any[] = {{"Modality", "MG"}, {0}};
static const struct stage_input_spec whole[] = {
    {.name = "image", .count = INPUT_ONE, .accepts = any}};
static const struct stage density = {.name = "density",
                                     .title = "Density",
                                     .version = "3",
                                     .slot = 92,
                                     .scope = SCOPE_SERIES,
                                     .inputs = whole,
                                     .input_count = 1};

static const struct stage_accept reports[] = {{"Modality", "SR"}, {0}};
static const struct stage_input_spec gathered[] = {
    {.name = "reports", .count = INPUT_MANY, .accepts = reports, .reports = true}};
static const struct stage gathers = {.name = "gathers",
                                     .title = "Gathers",
                                     .version = "1",
                                     .slot = 93,
                                     .scope = SCOPE_STUDY,
                                     .inputs = gathered,
                                     .input_count = 1};

static struct core core;
static char database[4200];

static struct conf *load_conf(const char *run)
{
    char path[4200], *report = NULL;
    char text[1024];
    size_t size, errors;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/a.yaml", check_scratch());
    snprintf(text, sizeof text,
             "completion: {quiet_s: 0.1, short_quiet_s: 0.1, study_wait_s: 1}\n"
             "peers: [{ae_title: PA;CS, host: pacs, port: 104}]\n"
             "routes:\n- {name: r, priority: 5, when: {Modality: MG}, run: [%s]}\n",
             run);
    CU_ASSERT_TRUE_FATAL(fs_write_file(path, text, strlen(text), &err));
    FILE *out = open_memstream(&report, &size);
    struct conf *conf = conf_load(path, NULL, out, &errors, &err);
    fclose(out);
    if (!conf)
        printf("%s\n", report);
    free(report);
    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    return conf;
}

static void open_core(const char *run)
{
    struct err err = {0};
    core = (struct core){.conf = load_conf(run), .state = state_open(database, &err)};
    CU_ASSERT_PTR_NOT_NULL_FATAL(core.state);
    core.jobs = jobs_create(&core, &err);
    core.earlier = earlier_create(&core, &err);
    core.collections = collections_create(&core, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(core.jobs);
    CU_ASSERT_PTR_NOT_NULL_FATAL(core.collections);
}

static void start(const char *run)
{
    static int number;
    snprintf(database, sizeof database, "%s/state-%d.db", check_scratch(), number++);
    open_core(run);
}

static void stop(void)
{
    collections_destroy(core.collections);
    earlier_destroy(core.earlier);
    jobs_destroy(core.jobs);
    state_close(core.state);
    conf_destroy(core.conf);
}

// An instance of a view arrives. Returns its series.
static int64_t arrive(const char *series, const char *sop, const char *view, const char *number)
{
    static int count;
    char path[64];
    struct attrs attrs = {0};
    struct state_recorded out;
    snprintf(path, sizeof path, "series/00/%d.dcm", count++);
    attrs_add(&attrs, "PatientID", "P");
    attrs_add(&attrs, "Modality", "MG");
    attrs_add(&attrs, "ViewPosition", view);
    attrs_add(&attrs, "SeriesNumber", number);
    struct state_instance in = {.id = {.study_instance_uid = "1.2",
                                       .sop_class_uid = "1.2.840.10008.5.1.4.1.1.1.2",
                                       .transfer_syntax_uid = "1.2.840.10008.1.2.1",
                                       .modality = "MG"},
                                .path = path,
                                .calling = "PA;CS",
                                .address = "",
                                .at = clock_wall(),
                                .attrs = &attrs};
    snprintf(in.id.sop_instance_uid, UID_SIZE, "%s", sop);
    snprintf(in.id.series_instance_uid, UID_SIZE, "%s", series);
    memset(in.digest, count, sizeof in.digest);
    CU_ASSERT_TRUE_FATAL(state_record(core.state, &in, "quarantine/x.dcm", &out, NULL));
    attrs_finish(&attrs);
    collections_wake(core.collections);
    return out.series;
}

// The series is complete, its last instance came quiet_s ago: it is routed and collected, as
// arrivals do it.
static void complete_after(int64_t series, double quiet_s)
{
    struct route_outcome outcome = {0};
    struct err err = {0};
    CU_ASSERT_TRUE_FATAL(route_series(core.conf, core.state, series, "PA;CS", &outcome, &err));
    CU_ASSERT_TRUE(state_begin(core.state, NULL));
    for (size_t i = 0; i < outcome.job_count; i++)
        CU_ASSERT_TRUE(collections_add(core.collections, series, outcome.route->name,
                                       outcome.jobs[i].stage, outcome.jobs[i].slot,
                                       "complete, 1 instances, source has 1", quiet_s, NULL));
    CU_ASSERT_TRUE(
        state_series_end(core.state, series, "routed", "complete", "", "r", outcome.why, NULL));
    CU_ASSERT_TRUE(state_commit(core.state, NULL));
    route_outcome_finish(&outcome);
    collections_wake(core.collections);
}

static void complete(int64_t series)
{
    complete_after(series, 0);
}

struct found {
    int count;
    int64_t id, run, priority;
    enum job_scope scope;
    char evidence[1024], remark[1024], key[65], destinations[32], stage[32];
};

static bool copy_job(void *ctx, const struct state_job *row)
{
    struct found *f = ctx;
    if (f->count++ > 0)
        return true; // the newest comes first
    f->id = row->id;
    f->run = row->run;
    f->priority = row->priority;
    f->scope = row->scope;
    snprintf(f->evidence, sizeof f->evidence, "%s", row->evidence);
    snprintf(f->remark, sizeof f->remark, "%s", row->remark);
    snprintf(f->key, sizeof f->key, "%s", row->key);
    snprintf(f->destinations, sizeof f->destinations, "%s", row->destinations);
    snprintf(f->stage, sizeof f->stage, "%s", row->stage);
    return true;
}

static struct found jobs(void)
{
    struct found f = {0};
    CU_ASSERT_TRUE(state_each_job(core.state, 0, copy_job, &f, NULL));
    return f;
}

// Lets time pass as the core does, until there are so many jobs; at most 20 s.
static struct found wait_jobs(int count)
{
    double end = clock_steady() + 20;
    struct found f = jobs();
    while (f.count < count && clock_steady() < end) {
        double wake = collections_tick(core.collections);
        f = jobs();
        double wait = wake - clock_steady();
        if (f.count < count && wait > 0)
            poll(NULL, 0, wait < 1 ? (int)(wait * 1000) + 1 : 1000);
    }
    CU_ASSERT_EQUAL(f.count, count);
    return f;
}

static bool list_input(void *ctx, const struct state_input *row)
{
    char *text = ctx;
    size_t used = strlen(text);
    snprintf(text + used, 256 - used, "%d.%d %s<=%lld;", row->slot, row->position,
             row->series_instance_uid, (long long)row->last_instance);
    return true;
}

static void check_inputs(int64_t job, const char *wanted)
{
    char text[256] = "";
    CU_ASSERT_TRUE(state_each_input(core.state, job, list_input, text, NULL));
    CU_ASSERT_STRING_EQUAL(text, wanted);
}

static void a_study_becomes_one_job_when_each_needed_input_is_there(void)
{
    start("views");
    complete(arrive("1.2.2", "1.2.2.1", "MLO", "2"));
    CU_ASSERT_TRUE(collections_tick(core.collections) > clock_steady());
    CU_ASSERT_EQUAL(jobs().count, 0);
    int64_t other = arrive("1.2.1", "1.2.1.1", "CC", "1");
    CU_ASSERT_TRUE(collections_tick(core.collections) > clock_steady());
    CU_ASSERT_EQUAL(jobs().count, 0); // it is still being received
    complete(other);
    struct found f = wait_jobs(1);
    CU_ASSERT_EQUAL(f.scope, JOB_OF_STUDY);
    CU_ASSERT_EQUAL(f.priority, 5);
    CU_ASSERT_STRING_EQUAL(f.stage, "views");
    CU_ASSERT_STRING_EQUAL(f.destinations, "PA;CS");
    CU_ASSERT_STRING_EQUAL(f.remark, "");
    CU_ASSERT_STRING_EQUAL(f.evidence, "cc: complete, 1 instances, source has 1; "
                                       "mlo: complete, 1 instances, source has 1; "
                                       "spot: none has come, which may be");
    check_inputs(f.id, "0.0 1.2.1<=2;1.0 1.2.2<=1;");
    CU_ASSERT_EQUAL(collections_tick(core.collections), (double)INFINITY);
    stop();
}

// The wait of a series is part of that of its study: both are for what may still begin. A node that
// starts counts from then, as nothing could come before.
static void a_study_is_quiet_since_its_last_instance(void)
{
    start("cines");
    complete_after(arrive("1.2.1", "1.2.1.1", "CINE", "1"), 60);
    wait_jobs(1);
    complete_after(arrive("1.2.3", "1.2.3.1", "CINE", "3"), 60);
    collections_tick(core.collections);
    CU_ASSERT_EQUAL(jobs().count, 2); // at once
    const int64_t coming = arrive("1.2.4", "1.2.4.1", "CINE", "4");
    complete_after(arrive("1.2.5", "1.2.5.1", "CINE", "5"), 60);
    collections_tick(core.collections);
    CU_ASSERT_EQUAL(jobs().count, 2); // one more is being received
    complete_after(coming, 60);
    collections_tick(core.collections);
    CU_ASSERT_EQUAL(jobs().count, 3);
    stop();
}

static void what_is_missing_after_the_wait_is_said(void)
{
    start("views");
    complete(arrive("1.2.1", "1.2.1.1", "CC", "1"));
    double begun = clock_steady();
    struct found f = wait_jobs(1);
    CU_ASSERT_TRUE(clock_steady() - begun > 0.9);
    CU_ASSERT_STRING_EQUAL(f.remark, "mlo: missing after 1 s");
    CU_ASSERT_STRING_EQUAL(f.evidence, "cc: complete, 1 instances, source has 1; "
                                       "mlo: missing after 1 s; "
                                       "spot: none has come, which may be");
    check_inputs(f.id, "0.0 1.2.1<=1;");
    stop();
}

static void a_late_series_makes_a_new_run_with_all_there_is(void)
{
    start("views");
    complete(arrive("1.2.1", "1.2.1.1", "CC", "1"));
    struct found first = wait_jobs(1);
    complete(arrive("1.2.2", "1.2.2.1", "MLO", "2"));
    struct found second = wait_jobs(2);
    CU_ASSERT_EQUAL(second.run, 2);
    CU_ASSERT_STRING_EQUAL(second.remark, "");
    CU_ASSERT_STRING_NOT_EQUAL(first.key, second.key);
    check_inputs(second.id, "0.0 1.2.1<=1;1.0 1.2.2<=2;");
    arrive("1.2.2", "1.2.2.1", "MLO", "2"); // again: nothing new
    stop();
}

static void of_two_series_for_one_input_the_lower_number_is_taken(void)
{
    start("views");
    complete(arrive("1.2.1", "1.2.1.1", "CC", "9"));
    complete(arrive("1.2.3", "1.2.3.1", "CC", "3"));
    complete(arrive("1.2.2", "1.2.2.1", "MLO", "4"));
    struct found f = wait_jobs(1);
    check_inputs(f.id, "0.0 1.2.3<=2;1.0 1.2.2<=3;");
    CU_ASSERT_STRING_EQUAL(f.remark,
                           "cc: series 1.2.1 left out, as another one has a lower Series Number");
    CU_ASSERT_PTR_NOT_NULL(strstr(f.evidence, "source has 1 (left out)"));
    stop();
}

static void an_input_of_many_series_takes_all_in_the_order_of_their_uids(void)
{
    start("cines");
    complete(arrive("1.2.9", "1.2.9.1", "CINE", "1"));
    complete(arrive("1.2.10", "1.2.10.1", "CINE", "2"));
    complete(arrive("1.2.3", "1.2.3.1", "CINE", "3"));
    struct found f = wait_jobs(1);
    check_inputs(f.id, "0.0 1.2.10<=2;0.1 1.2.3<=3;0.2 1.2.9<=1;");
    CU_ASSERT_STRING_EQUAL(f.remark, "");
    stop();
}

// The job ends with a report, or with none (sop NULL).
static void end_with(int64_t job, const char *sop)
{
    struct state_object o = {.job = job,
                             .object = {.sop_class_uid = "1.2", .kind = "sr"},
                             .destination = "PA;CS",
                             .path = "outbox/1/1/sr.dcm"};
    if (sop) {
        snprintf(o.object.sop_instance_uid, UID_SIZE, "%s", sop);
        CU_ASSERT_TRUE(state_add_object(core.state, &o, NULL));
    }
    CU_ASSERT_TRUE(state_job_end(core.state, job, sop ? JOB_DONE : JOB_FAILED, "", "it broke", "",
                                 0, 0, clock_wall(), NULL));
    collections_wake(core.collections);
}

static bool count_report(void *ctx, const struct state_file *row)
{
    ++*(int *)ctx;
    return *row->sop_instance_uid != 0;
}

static int reports_of(int64_t job)
{
    int count = 0;
    CU_ASSERT_TRUE(state_each_report(core.state, job, count_report, &count, NULL));
    return count;
}

static void what_gathers_reports_waits_for_the_analyses_of_its_study(void)
{
    start("gathers, views, cines");
    complete(arrive("1.2.1", "1.2.1.1", "CC", "1"));
    complete(arrive("1.2.2", "1.2.2.1", "MLO", "2"));
    struct found views_job = wait_jobs(1);
    CU_ASSERT_STRING_EQUAL(views_job.stage, "views");
    complete(arrive("1.2.9", "1.2.9.1", "CINE", "9"));
    struct found cines_job = wait_jobs(2);
    CU_ASSERT_EQUAL(collections_tick(core.collections), (double)INFINITY); // both are to run
    end_with(views_job.id, "1.9.1");
    CU_ASSERT_EQUAL(collections_tick(core.collections), (double)INFINITY);
    end_with(cines_job.id, NULL);
    stop(); // and what is to be done is done by the next one
    open_core("gathers, views, cines");
    struct found first = wait_jobs(3);
    CU_ASSERT_STRING_EQUAL(first.stage, "gathers");
    CU_ASSERT_STRING_EQUAL(first.remark,
                           "cines of series 1.2.9 is failed without a report: it broke");
    CU_ASSERT_EQUAL(reports_of(first.id), 1);
    check_inputs(first.id, "0.0 1.2.1<=1;0.1 1.2.2<=2;0.2 1.2.9<=3;");
    end_with(first.id, "1.9.2");
    CU_ASSERT_EQUAL(collections_tick(core.collections), (double)INFINITY); // not of its own report
    complete(arrive("1.2.10", "1.2.10.1", "CINE", "10"));
    struct found late = wait_jobs(4);
    CU_ASSERT_STRING_EQUAL(late.stage, "cines");
    end_with(late.id, "1.9.3");
    struct found second = wait_jobs(5);
    CU_ASSERT_EQUAL(second.run, 2);
    CU_ASSERT_STRING_EQUAL(second.remark, ""); // the late job takes the failed one's series as well
    CU_ASSERT_EQUAL(reports_of(second.id), 2);
    CU_ASSERT_EQUAL(reports_of(first.id), 1);
    end_with(second.id, "1.9.4");
    end_with(late.id, "1.9.3"); // made once more: the same report
    double end = clock_steady() + 20;
    for (double wake = 0; wake < INFINITY && clock_steady() < end; poll(NULL, 0, 10))
        wake = collections_tick(core.collections);
    CU_ASSERT_EQUAL(jobs().count, 5);
    stop();
}

static void what_is_collected_outlives_the_node(void)
{
    start("views");
    complete(arrive("1.2.1", "1.2.1.1", "CC", "1"));
    stop();
    open_core("views");
    struct err err = {0};
    json_t *list = collections_list(core.collections, &err);
    CU_ASSERT_EQUAL_FATAL(json_array_size(list), 1);
    const json_t *item = json_array_get(list, 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(item, "study")), "1.2");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(item, "route")), "r");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(item, "analysis")), "views");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(item, "evidence")),
                           "cc: complete, 1 instances, source has 1; mlo: missing after 0 s; "
                           "spot: none has come, which may be");
    json_decref(list);
    complete(arrive("1.2.2", "1.2.2.1", "MLO", "2"));
    struct found f = wait_jobs(1);
    check_inputs(f.id, "0.0 1.2.1<=1;1.0 1.2.2<=2;");
    stop();
}

static void a_route_that_is_gone_is_waited_for_no_more(void)
{
    start("views");
    complete(arrive("1.2.1", "1.2.1.1", "CC", "1"));
    stop();
    open_core("cines");
    CU_ASSERT_EQUAL(collections_tick(core.collections), (double)INFINITY);
    CU_ASSERT_EQUAL(jobs().count, 0);
    struct err err = {0};
    json_t *list = collections_list(core.collections, &err);
    CU_ASSERT_EQUAL(json_array_size(list), 0);
    json_decref(list);
    stop();
}

static void a_series_becomes_what_each_analysis_of_its_route_makes_of_it(void)
{
    start("views, density, cines");
    int64_t series = arrive("1.2.1", "1.2.1.1", "MLO", "1");
    struct route_outcome outcome = {0};
    CU_ASSERT_TRUE(route_series(core.conf, core.state, series, "PA;CS", &outcome, NULL));
    CU_ASSERT_PTR_EQUAL(outcome.route, &core.conf->routes[0]);
    CU_ASSERT_EQUAL_FATAL(outcome.job_count, 2);
    CU_ASSERT_STRING_EQUAL(outcome.jobs[0].stage->name, "views");
    CU_ASSERT_EQUAL(outcome.jobs[0].slot, 1);
    const struct route_job *job = &outcome.jobs[1];
    CU_ASSERT_STRING_EQUAL(job->job.stage, "density");
    CU_ASSERT_STRING_EQUAL(job->job.version, "3");
    CU_ASSERT_STRING_EQUAL(job->job.destinations, "PA;CS");
    CU_ASSERT_EQUAL(job->job.scope, JOB_OF_SERIES);
    CU_ASSERT_EQUAL(job->job.priority, 5);
    CU_ASSERT_EQUAL(job->input.series, series);
    CU_ASSERT_EQUAL(job->input.last_instance, 1);
    CU_ASSERT_EQUAL(strlen(job->key), 64);
    CU_ASSERT_STRING_EQUAL(outcome.why,
                           "route \"r\": every condition holds\n"
                           "views takes it as mlo\n"
                           "cines does not take it: ViewPosition is \"MLO\", wanted CINE");
    route_outcome_finish(&outcome);
    stop();
}

static void a_series_that_no_analysis_takes_has_no_route(void)
{
    start("views, cines");
    int64_t series = arrive("1.2.1", "1.2.1.1", "XCCL", "1");
    struct route_outcome outcome = {0};
    CU_ASSERT_TRUE(route_series(core.conf, core.state, series, "PA;CS", &outcome, NULL));
    CU_ASSERT_PTR_NULL(outcome.route);
    CU_ASSERT_EQUAL(outcome.job_count, 0);
    CU_ASSERT_STRING_EQUAL(
        outcome.why,
        "route \"r\": every condition holds\n"
        "views does not take it: as cc: ViewPosition is \"XCCL\", wanted CC; as mlo: ViewPosition "
        "is \"XCCL\", wanted MLO; as spot: ViewPosition is \"XCCL\", wanted SPOT\n"
        "cines does not take it: ViewPosition is \"XCCL\", wanted CINE");
    route_outcome_finish(&outcome);
    stop();
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, "test");
    stage_register(&views);
    stage_register(&cines);
    stage_register(&density);
    stage_register(&gathers);
    static const struct check_case cases[] = {
        {"a_study_becomes_one_job_when_each_needed_input_is_there",
         a_study_becomes_one_job_when_each_needed_input_is_there},
        {"a_study_is_quiet_since_its_last_instance", a_study_is_quiet_since_its_last_instance},
        {"what_is_missing_after_the_wait_is_said", what_is_missing_after_the_wait_is_said},
        {"a_late_series_makes_a_new_run_with_all_there_is",
         a_late_series_makes_a_new_run_with_all_there_is},
        {"of_two_series_for_one_input_the_lower_number_is_taken",
         of_two_series_for_one_input_the_lower_number_is_taken},
        {"an_input_of_many_series_takes_all_in_the_order_of_their_uids",
         an_input_of_many_series_takes_all_in_the_order_of_their_uids},
        {"what_gathers_reports_waits_for_the_analyses_of_its_study",
         what_gathers_reports_waits_for_the_analyses_of_its_study},
        {"what_is_collected_outlives_the_node", what_is_collected_outlives_the_node},
        {"a_route_that_is_gone_is_waited_for_no_more", a_route_that_is_gone_is_waited_for_no_more},
        {"a_series_becomes_what_each_analysis_of_its_route_makes_of_it",
         a_series_becomes_what_each_analysis_of_its_route_makes_of_it},
        {"a_series_that_no_analysis_takes_has_no_route",
         a_series_that_no_analysis_takes_has_no_route},
    };
    return check_main("collections", cases, sizeof cases / sizeof cases[0]);
}
