// anode status, anode jobs: ask the running core, show what it says.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "base/near.h"
#include "base/text.h"
#include "dimse/read/object.h"
#include "node/cmd/cmd.h"
#include "node/cmd/cmd_common.h"
#include "node/core/checks.h"
#include "node/job/json.h"
#include "node/proc/datadir.h"
#include "node/proc/msg.h"

#define ANSWER_WITHIN_S 30
#define LIST_MAX        20   // newest entries in the text form
#define STATUS_TEXT_MAX 4096 // bytes of a text that is shown

// Asks the node of data_dir. The answer as text, malloc'd; NULL with *err.
static char *status_ask(const char *data_dir, const struct msg_control *control, struct err *err)
{
    static struct msg m;
    struct datadir dir;
    char *text = NULL;
    size_t size = 0;
    if (!datadir_open(&dir, data_dir, false, err))
        return NULL;
    int fd = msg_connect(dir.dirfd, err);
    FILE *out = fd >= 0 ? open_memstream(&text, &size) : NULL;
    const struct timeval within = {.tv_sec = ANSWER_WITHIN_S};
    bool ok = out && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within) == 0 &&
              msg_send(fd, MSG_CONTROL, control, NULL, 0, err);
    while (ok) {
        enum msg_arrival arrival = msg_receive(fd, &m, err);
        ok = (arrival == MSG_GOT && m.kind == MSG_TEXT) ||
             err_set(err, ERR_NET, "the node does not answer");
        if (!ok || m.tail_size == 0)
            break;
        fwrite(m.tail, 1, m.tail_size, out);
    }
    if (out && fclose(out) != 0)
        ok = err_set(err, ERR_NOMEM, "no memory for the answer");
    if (fd >= 0)
        close(fd);
    datadir_close(&dir);
    if (!ok) {
        free(text);
        text = NULL;
    }
    return text;
}

static const char *status_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static long long status_number(const json_t *object, const char *key)
{
    return (long long)json_number_value(json_object_get(object, key));
}

static const char *status_time(const json_t *object, const char *key, char out[32])
{
    time_t at = (time_t)status_number(object, key);
    struct tm local;
    snprintf(out, 32, "-");
    if (at > 0 && localtime_r(&at, &local))
        strftime(out, 32, "%Y-%m-%d %H:%M:%S", &local);
    return out;
}

static void status_print_job(const json_t *job)
{
    char at[32];
    printf("  %-5lld %-10s %-10s %-14s %s  %s%s%s\n", status_number(job, "id"),
           status_text(job, "stage"), status_text(job, "state"), status_text(job, "verdict"),
           status_time(job, "created_at", at), status_text(job, "route"),
           *status_text(job, "reason") ? ": " : "", status_text(job, "reason"));
}

static void status_print_jobs(const json_t *jobs)
{
    size_t i;
    json_t *job;
    printf("  %-5s %-10s %-10s %-14s %-19s  route: reason\n", "job", "analysis", "state", "verdict",
           "since");
    json_array_foreach(jobs, i, job)
    {
        if (i < LIST_MAX)
            status_print_job(job);
    }
    if (json_array_size(jobs) > LIST_MAX)
        printf("  ... %zu more\n", json_array_size(jobs) - LIST_MAX);
}

// Why no route takes a series: a line a route.
static void status_print_reasons(const char *why)
{
    char shown[STATUS_TEXT_MAX];
    do {
        size_t length = strcspn(why, "\n");
        char line[STATUS_TEXT_MAX];
        snprintf(line, sizeof line, "%.*s", (int)length, why);
        printf("    no route: %s\n", text_shown(line, shown, sizeof shown));
        why += length + (why[length] == '\n');
    } while (*why);
}

static void status_print_series(const json_t *list)
{
    size_t i;
    json_t *one;
    char at[32];
    json_array_foreach(list, i, one)
    {
        if (i == LIST_MAX)
            break;
        printf("  %s  %s from %s, %s, %lld instances\n", status_text(one, "series"),
               status_text(one, "modality"), status_text(one, "source"),
               status_time(one, "last_at", at), status_number(one, "instances"));
        printf("    %s%s%s%s%s: %s\n", status_text(one, "state"),
               *status_text(one, "route") ? " " : "", status_text(one, "route"),
               *status_text(one, "completeness") ? ", " : "", status_text(one, "completeness"),
               status_text(one, "evidence"));
        if (strcmp(status_text(one, "state"), "no route") == 0)
            status_print_reasons(status_text(one, "why"));
    }
}

static void status_print_peers(const json_t *list)
{
    size_t i;
    json_t *one;
    char at[32];
    json_array_foreach(list, i, one)
    {
        const json_t *box = json_object_get(one, "outbox"), *seen = json_object_get(one, "seen");
        printf("  %-16s %s:%lld  last seen %s, outbox: %lld pending, %lld sent, %lld failed%s%s\n",
               status_text(one, "ae_title"), status_text(one, "host"), status_number(one, "port"),
               status_time(seen, "last_at", at), status_number(box, "pending"),
               status_number(box, "sent"), status_number(box, "failed"),
               *status_text(box, "trouble") ? "; " : "", status_text(box, "trouble"));
    }
}

static void status_print_workers(const json_t *list)
{
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one)
    {
        printf("  %lld on %s: %s", status_number(one, "number"), status_text(one, "device"),
               status_text(one, "state"));
        if (status_number(one, "job") > 0)
            printf(" job %lld for %lld s", status_number(one, "job"),
                   status_number(one, "seconds"));
        printf("%s%s\n", *status_text(one, "trouble") ? "; " : "", status_text(one, "trouble"));
    }
    if (json_array_size(list) == 0)
        printf("  none\n");
}

static void status_print_audit(const json_t *audit)
{
    const long long waiting = status_number(audit, "waiting"), lost = status_number(audit, "lost");
    const char *trouble = status_text(audit, "trouble");
    if (waiting || lost || *trouble)
        printf("audit trail: %lld written, %lld wait, %lld lost%s%s\n",
               status_number(audit, "written"), waiting, lost, *trouble ? "; " : "", trouble);
}

static void status_print_node(const json_t *all)
{
    char at[32];
    printf("anode %s: %s on port %lld, pid %lld since %s%s, data in %s\n",
           status_text(all, "anode"), status_text(all, "ae_title"), status_number(all, "port"),
           status_number(all, "pid"), status_time(all, "started_at", at),
           json_is_true(json_object_get(all, "draining")) ? ", stopping" : "",
           status_text(all, "data_dir"));
    if (*status_text(all, "trouble"))
        printf("no analysis at the moment: %s\n", status_text(all, "trouble"));
    status_print_audit(json_object_get(all, "audit"));
    printf("workers\n");
    status_print_workers(json_object_get(all, "workers"));
    printf("peers\n");
    status_print_peers(json_object_get(all, "peers"));
    printf("series, newest first\n");
    status_print_series(json_object_get(all, "series"));
    printf("jobs, newest first\n");
    status_print_jobs(json_object_get(all, "jobs"));
    long long kept =
        status_number(json_object_get(json_object_get(all, "counts"), "quarantine"), "kept");
    if (kept > 0)
        printf("quarantine: %lld instances contradict one of the same UID\n", kept);
}

static void status_print_objects(const json_t *list)
{
    size_t i;
    json_t *one;
    char at[32];
    json_array_foreach(list, i, one)
        printf("  %-5s to %-16s %-9s attempts %lld, sent %s%s%s\n", status_text(one, "kind"),
               status_text(one, "destination"), status_text(one, "state"),
               status_number(one, "attempts"), status_time(one, "sent_at", at),
               *status_text(one, "reason") ? ": " : "", status_text(one, "reason"));
}

static void status_print_parameters(json_t *parameters)
{
    char *text = json_dumps(parameters, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    printf("  parameters: %s\n", text ? text : "");
    free(text);
}

static void status_print_quarantine(const json_t *list)
{
    size_t i;
    json_t *one;
    char at[32];
    json_array_foreach(list, i, one)
        printf("%s from %s (%s) %s, %lld bytes: %s\n  %s\n", status_text(one, "instance"),
               status_text(one, "source"), status_text(one, "address"), status_time(one, "at", at),
               status_number(one, "bytes"), status_text(one, "reason"), status_text(one, "file"));
    if (json_array_size(list) == 0)
        printf("nothing is in quarantine\n");
}

static void status_print(const json_t *answer)
{
    const char *schema = status_text(answer, "schema");
    if (strncmp(schema, "anode.status/", strlen("anode.status/")) == 0) {
        status_print_node(answer);
    } else if (strncmp(schema, "anode.jobs/", strlen("anode.jobs/")) == 0) {
        status_print_jobs(json_object_get(answer, "jobs"));
    } else if (strncmp(schema, "anode.retry/", strlen("anode.retry/")) == 0) {
        printf("%lld jobs that had failed are queued again\n", status_number(answer, "jobs"));
    } else if (strncmp(schema, "anode.quarantine/", strlen("anode.quarantine/")) == 0) {
        status_print_quarantine(json_object_get(answer, "instances"));
    } else {
        printf("job %lld of series %s, run %lld\n", status_number(answer, "id"),
               status_text(answer, "series"), status_number(answer, "run"));
        status_print_job(answer);
        status_print_parameters(json_object_get(answer, "parameters"));
        printf("  device: %s\n", status_text(answer, "device"));
        status_print_objects(json_object_get(answer, "objects"));
    }
}

// Makes the texts of an answer fit for a terminal; reasons, which have several lines, are left to
// status_print_reasons().
static void status_clean(json_t *value)
{
    const char *key, *text = json_string_value(value);
    char shown[STATUS_TEXT_MAX];
    json_t *one;
    size_t i;
    json_object_foreach(value, key, one)
    {
        if (strcmp(key, "why") != 0)
            status_clean(one);
    }
    json_array_foreach(value, i, one) status_clean(one);
    if (text && strcmp(text_shown(text, shown, sizeof shown), text) != 0)
        json_string_set(value, shown);
}

// Shows an answer of the node. Returns the exit status.
static int status_show(const char *text, bool json)
{
    json_t *answer = json_loads(text, 0, NULL);
    const char *error = status_text(answer, "error");
    int status = answer ? 0 : 2;
    if (!answer) {
        fprintf(stderr, "anode: the answer of the node cannot be read\n");
    } else if (*error) {
        fprintf(stderr, "anode: %s\n", error);
        status = strcmp(status_text(answer, "code"), "input") == 0 ? 1 : 2;
    } else if (json) {
        return cmd_print_json(answer, true, 0);
    } else {
        status_clean(answer);
        status_print(answer);
        status = cmd_flush(0);
    }
    json_decref(answer);
    return status;
}

// Puts a question to the running node and shows what it says. Returns the exit status.
static int status_put(const struct cmd_args *args, const struct msg_control *control)
{
    struct err err = {0};
    int status;
    if (!object_init(&err)) { // the configuration names DICOM attributes
        fprintf(stderr, "anode: %s\n", err.text);
        return 2;
    }
    struct conf *conf = cmd_load_conf(args, &node_checks, &status);
    if (conf) {
        char *text = status_ask(conf->data_dir, control, &err);
        if (!text)
            fprintf(stderr, "anode: no node runs with data_dir %s: %s\n", conf->data_dir, err.text);
        status = text ? status_show(text, args->json) : 2;
        free(text);
        conf_destroy(conf);
    }
    object_quit();
    return status;
}

int cmd_status(const struct cmd_args *args)
{
    return status_put(args, &(struct msg_control){.verb = VERB_STATUS});
}

int cmd_quarantine(const struct cmd_args *args)
{
    return status_put(args, &(struct msg_control){.verb = VERB_QUARANTINE});
}

// The operands of `anode jobs` make no sense. Returns the exit status.
static int jobs_refuse(const char *what, const char *word, const char *meant)
{
    fprintf(stderr, "anode jobs: %s \"%s\"", what, word);
    if (meant)
        fprintf(stderr, " (did you mean \"%s\"?)", meant);
    fprintf(stderr, "\nanode jobs --help explains it\n");
    return 1;
}

int cmd_jobs(const struct cmd_args *args)
{
    static const struct {
        const char *name;
        enum msg_verb verb;
    } verbs[] = {{"show", VERB_SHOW}, {"retry", VERB_RETRY}, {"discard", VERB_DISCARD}};
    struct msg_control control = {.verb = VERB_JOBS};
    const char *word = args->operand_count ? args->operands[0] : NULL;
    struct near near = {.word = word ? word : ""};
    if (!word && args->failed)
        return jobs_refuse("--failed stands alone with", "retry", NULL);
    if (!word)
        return status_put(args, &control);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(word, verbs[i].name) == 0)
            control.verb = verbs[i].verb;
        near_try(&near, verbs[i].name);
    }
    if (control.verb == VERB_JOBS)
        return jobs_refuse("nothing is called", word, near.best);
    if (args->failed && (control.verb != VERB_RETRY || args->operand_count > 1))
        return jobs_refuse("--failed stands alone with retry, not with",
                           args->operands[args->operand_count - 1], NULL);
    if (args->failed)
        return status_put(args, &(struct msg_control){.verb = VERB_RETRY_FAILED});
    if (args->operand_count < 2)
        return jobs_refuse("the number of a job is missing after", word, NULL);
    char *end = NULL;
    errno = 0;
    control.id = strtoll(args->operands[1], &end, 10);
    if (errno || *end || control.id <= 0)
        return jobs_refuse("not the number of a job:", args->operands[1], NULL);
    return status_put(args, &control);
}
