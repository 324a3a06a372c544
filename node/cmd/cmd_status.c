// anode status, anode jobs: ask the running core, show what it says.
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "dimse/read/object.h"
#include "node/cmd/cmd.h"
#include "node/cmd/cmd_common.h"
#include "node/proc/datadir.h"
#include "node/proc/msg.h"

#define ANSWER_WITHIN_S 30
#define LIST_MAX        20 // newest entries in the text form

struct question {
    const char *conf;
    bool json;
    struct msg_control control;
};

// Asks the node of data_dir. The answer as text, malloc'd; NULL with *err.
static char *ask(const char *data_dir, const struct msg_control *control, struct err *err)
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

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_number_value(json_object_get(object, key));
}

static const char *when(const json_t *object, const char *key, char out[32])
{
    time_t at = (time_t)number_of(object, key);
    struct tm local;
    snprintf(out, 32, "-");
    if (at > 0 && localtime_r(&at, &local))
        strftime(out, 32, "%Y-%m-%d %H:%M:%S", &local);
    return out;
}

static void print_job(const json_t *job)
{
    char at[32];
    printf("  %-5lld %-10s %-10s %-14s %s  %s%s%s\n", number_of(job, "id"), text_of(job, "stage"),
           text_of(job, "state"), text_of(job, "verdict"), when(job, "created_at", at),
           text_of(job, "route"), *text_of(job, "reason") ? ": " : "", text_of(job, "reason"));
}

static void print_jobs(const json_t *jobs)
{
    size_t i;
    json_t *job;
    printf("  %-5s %-10s %-10s %-14s %-19s  route: reason\n", "job", "analysis", "state", "verdict",
           "since");
    json_array_foreach(jobs, i, job)
    {
        if (i < LIST_MAX)
            print_job(job);
    }
    if (json_array_size(jobs) > LIST_MAX)
        printf("  ... %zu more\n", json_array_size(jobs) - LIST_MAX);
}

static void print_series(const json_t *list)
{
    size_t i;
    json_t *one;
    char at[32];
    json_array_foreach(list, i, one)
    {
        if (i == LIST_MAX)
            break;
        printf("  %s  %s from %s, %s, %lld instances\n", text_of(one, "series"),
               text_of(one, "modality"), text_of(one, "source"), when(one, "last_at", at),
               number_of(one, "instances"));
        printf("    %s%s%s%s%s: %s\n", text_of(one, "state"), *text_of(one, "route") ? " " : "",
               text_of(one, "route"), *text_of(one, "completeness") ? ", " : "",
               text_of(one, "completeness"), text_of(one, "evidence"));
        if (strcmp(text_of(one, "state"), "no route") == 0)
            printf("    no route: %s\n", text_of(one, "why"));
    }
}

static void print_peers(const json_t *list)
{
    size_t i;
    json_t *one;
    char at[32];
    json_array_foreach(list, i, one)
    {
        const json_t *box = json_object_get(one, "outbox"), *seen = json_object_get(one, "seen");
        printf("  %-16s %s:%lld  last seen %s, outbox: %lld pending, %lld sent, %lld failed%s%s\n",
               text_of(one, "ae_title"), text_of(one, "host"), number_of(one, "port"),
               when(seen, "last_at", at), number_of(box, "pending"), number_of(box, "sent"),
               number_of(box, "failed"), *text_of(box, "trouble") ? "; " : "",
               text_of(box, "trouble"));
    }
}

static void print_status(const json_t *all)
{
    char at[32];
    printf("anode %s: %s on port %lld, pid %lld since %s%s, data in %s\n", text_of(all, "anode"),
           text_of(all, "ae_title"), number_of(all, "port"), number_of(all, "pid"),
           when(all, "started_at", at),
           json_is_true(json_object_get(all, "draining")) ? ", stopping" : "",
           text_of(all, "data_dir"));
    printf("peers\n");
    print_peers(json_object_get(all, "peers"));
    printf("series, newest first\n");
    print_series(json_object_get(all, "series"));
    printf("jobs, newest first\n");
    print_jobs(json_object_get(all, "jobs"));
    long long kept =
        number_of(json_object_get(json_object_get(all, "counts"), "quarantine"), "kept");
    if (kept > 0)
        printf("quarantine: %lld instances contradict one of the same UID\n", kept);
}

static void print_objects(const json_t *list)
{
    size_t i;
    json_t *one;
    char at[32];
    json_array_foreach(list, i, one) printf(
        "  %-5s to %-16s %-9s attempts %lld, sent %s%s%s\n", text_of(one, "kind"),
        text_of(one, "destination"), text_of(one, "state"), number_of(one, "attempts"),
        when(one, "sent_at", at), *text_of(one, "reason") ? ": " : "", text_of(one, "reason"));
}

static void print_parameters(json_t *parameters)
{
    char *text = json_dumps(parameters, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    printf("  parameters: %s\n", text ? text : "");
    free(text);
}

static void print_answer(const json_t *answer)
{
    const char *schema = text_of(answer, "schema");
    if (strncmp(schema, "anode.status/", strlen("anode.status/")) == 0) {
        print_status(answer);
    } else if (strncmp(schema, "anode.jobs/", strlen("anode.jobs/")) == 0) {
        print_jobs(json_object_get(answer, "jobs"));
    } else {
        printf("job %lld of series %s, run %lld\n", number_of(answer, "id"),
               text_of(answer, "series"), number_of(answer, "run"));
        print_job(answer);
        print_parameters(json_object_get(answer, "parameters"));
        printf("  device: %s\n", text_of(answer, "device"));
        print_objects(json_object_get(answer, "objects"));
    }
}

static int show(const struct question *q, const char *text)
{
    json_t *answer = json_loads(text, 0, NULL);
    const char *error = text_of(answer, "error");
    int status = answer ? 0 : 2;
    if (*error) {
        fprintf(stderr, "anode: %s\n", error);
        status = strcmp(text_of(answer, "code"), "input") == 0 ? 1 : 2;
    } else if (q->json) {
        json_dumpf(answer, stdout, JSON_INDENT(1));
        printf("\n");
    } else {
        print_answer(answer);
    }
    json_decref(answer);
    return status;
}

static int put(const struct question *q)
{
    struct err err = {0};
    int status;
    if (!object_init(&err)) { // the configuration names DICOM attributes
        fprintf(stderr, "anode: %s\n", err.text);
        return 2;
    }
    struct conf *conf = cmd_load_conf(q->conf, &status);
    if (conf) {
        char *text = ask(conf->data_dir, &q->control, &err);
        if (text)
            status = show(q, text);
        else
            fprintf(stderr, "anode: no node runs with data_dir %s: %s\n", conf->data_dir, err.text);
        if (!text)
            status = 2;
        free(text);
        conf_destroy(conf);
    }
    object_quit();
    return status;
}

static bool parse(int argc, char **argv, struct question *q, const char *usage)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {0}};
    int option;
    q->conf = CMD_CONF_DEFAULT;
    while ((option = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
        if (option == 'c')
            q->conf = optarg;
        else if (option == 'j')
            q->json = true;
        else
            break;
    }
    if (option == -1)
        return true;
    fprintf(stderr, "usage: anode %s %s\n", argv[0], usage);
    return false;
}

int cmd_status(int argc, char **argv)
{
    static const char usage[] = "[-c FILE] [--json]";
    struct question q = {.control = {.verb = VERB_STATUS}};
    if (!parse(argc, argv, &q, usage))
        return 1;
    if (optind < argc) {
        fprintf(stderr, "usage: anode status %s\n", usage);
        return 1;
    }
    return put(&q);
}

int cmd_jobs(int argc, char **argv)
{
    static const char usage[] = "[-c FILE] [--json] [show|retry|discard ID]";
    static const char *const verbs[] = {
        [VERB_SHOW] = "show", [VERB_RETRY] = "retry", [VERB_DISCARD] = "discard"};
    struct question q = {.control = {.verb = VERB_JOBS}};
    if (!parse(argc, argv, &q, usage))
        return 1;
    if (optind == argc)
        return put(&q);
    char *end = NULL;
    for (uint32_t v = VERB_SHOW; optind + 2 == argc && v <= VERB_DISCARD; v++) {
        if (strcmp(argv[optind], verbs[v]) == 0)
            q.control.verb = v;
    }
    errno = 0;
    if (q.control.verb != VERB_JOBS)
        q.control.id = strtoll(argv[optind + 1], &end, 10);
    if (q.control.verb == VERB_JOBS || errno || !end || *end || q.control.id <= 0) {
        fprintf(stderr, "usage: anode jobs %s\n", usage);
        return 1;
    }
    return put(&q);
}
