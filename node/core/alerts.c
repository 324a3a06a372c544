#include "node/core/alerts.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "node/job/json.h"
#include "node/proc/child.h"
#include "node/proc/herald.h"

#define KNOWN_MAX 64 // of which it is known when they were told last; the oldest goes
#define DISK_S    10 // between two looks at the disk

struct note {
    enum alert alert;
    char subject[80], text[256];
    double at;       // wall clock
    unsigned before; // that were not told
};

struct known { // of one alert about one thing
    enum alert alert;
    char subject[80];
    double told_at; // steady clock
    unsigned untold;
};

struct alerts {
    struct core *core;
    struct note waiting[ALERTS_WAITING]; // the oldest first
    size_t count, lost;
    struct known known[KNOWN_MAX];
    size_t known_count;
    struct child herald;
    double herald_end, disk_at; // steady clock
};

static const char *const alert_names[] = {"dead_letter", "job_failed", "disk_full",
                                          "destination_down", "destination_up"};

static bool alerts_wanted(const struct alerts *a)
{
    return a->core->conf->alert_command.count > 0;
}

// Its place, or that of the one which was told longest ago.
static struct known *alerts_known(struct alerts *a, enum alert alert, const char *subject)
{
    struct known *oldest = &a->known[0];
    for (size_t i = 0; i < a->known_count; i++) {
        struct known *k = &a->known[i];
        if (k->alert == alert && strcmp(k->subject, subject) == 0)
            return k;
        if (k->told_at < oldest->told_at)
            oldest = k;
    }
    struct known *place = a->known_count < KNOWN_MAX ? &a->known[a->known_count++] : oldest;
    *place = (struct known){.alert = alert, .told_at = -INFINITY};
    snprintf(place->subject, sizeof place->subject, "%s", subject);
    return place;
}

void alerts_raise(struct alerts *a, enum alert alert, const char *subject, const char *text)
{
    if (!alerts_wanted(a))
        return;
    char name[sizeof a->known[0].subject];
    snprintf(name, sizeof name, "%.79s", subject);
    struct known *known = alerts_known(a, alert, name);
    const double now = clock_steady();
    if (now - known->told_at < a->core->conf->alert_pause_s) {
        known->untold++;
        return;
    }
    if (a->count == ALERTS_WAITING) {
        a->lost++;
        log_warn("alert=%s subject=%s not told: %d others wait", alert_names[a->waiting[0].alert],
                 a->waiting[0].subject, ALERTS_WAITING);
        memmove(a->waiting, a->waiting + 1, --a->count * sizeof a->waiting[0]);
    }
    struct note *note = &a->waiting[a->count++];
    *note = (struct note){.alert = alert, .at = clock_wall(), .before = known->untold};
    memcpy(note->subject, name, sizeof note->subject);
    snprintf(note->text, sizeof note->text, "%.255s", text);
    known->told_at = now;
    known->untold = 0;
}

static char *note_text(const struct note *note, const char *ae_title)
{
    bool ok = true;
    json_t *o = json_object();
    json_put_text(o, "schema", "anode.alert/1", &ok);
    json_put_text(o, "anode", ANODE_VERSION, &ok);
    json_put_text(o, "ae_title", ae_title, &ok);
    json_put_text(o, "alert", alert_names[note->alert], &ok);
    json_put_number(o, "at", note->at, &ok);
    json_put_text(o, "subject", note->subject, &ok);
    json_put_text(o, "text", note->text, &ok);
    json_put_integer(o, "not_told", note->before, &ok);
    char *text = ok ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

static void alerts_start(struct alerts *a)
{
    struct core *core = a->core;
    struct err err = {0};
    const struct note *note = &a->waiting[0];
    char *text = note_text(note, core->conf->ae_title);
    struct herald herald = {.conf = core->conf, .dir = &core->dir, .text = text};
    const struct child_options options = {.role = "herald"};
    if (!text || !child_start(&a->herald, &options, herald_run, &herald, &err))
        log_error("alert=%s subject=%s not told: %s", alert_names[note->alert], note->subject,
                  text ? err.text : "no memory");
    else
        log_info("alert=%s subject=%s told", alert_names[note->alert], note->subject);
    a->herald_end = clock_steady() + core->conf->alert_timeout_s;
    free(text);
    memmove(a->waiting, a->waiting + 1, --a->count * sizeof a->waiting[0]);
}

static void alerts_look_at_disk(struct alerts *a)
{
    uint64_t free_mib = 0;
    char text[128];
    if (!datadir_free_mib(&a->core->dir, &free_mib, NULL) ||
        free_mib >= a->core->conf->min_free_mib)
        return;
    snprintf(text, sizeof text, "%llu MiB free, limits.min_free_mib is %u: instances are refused",
             (unsigned long long)free_mib, a->core->conf->min_free_mib);
    alerts_raise(a, ALERT_DISK_FULL, a->core->dir.path, text);
}

double alerts_tick(struct alerts *a)
{
    const double now = clock_steady();
    if (a->herald.pid && now >= a->herald_end) {
        log_warn("alerts.command takes longer than alerts.timeout_s: ended");
        kill(-a->herald.pid, SIGKILL);
        kill(a->herald.pid, SIGKILL); // where it has no group yet
        a->herald_end = now + 1;
    }
    if (alerts_wanted(a) && now >= a->disk_at) {
        alerts_look_at_disk(a);
        a->disk_at = now + DISK_S;
    }
    if (!a->herald.pid && a->count && !a->core->draining)
        alerts_start(a);
    const double next = a->herald.pid ? a->herald_end : a->count ? now + 1 : INFINITY;
    return alerts_wanted(a) ? fmin(next, a->disk_at) : next;
}

bool alerts_reaped(struct alerts *a, pid_t pid, int status)
{
    if (!a->herald.pid || pid != a->herald.pid)
        return false;
    kill(-pid, SIGKILL); // what it has left behind
    child_forget(&a->herald);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        log_warn("alerts.command ended with status %d", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        log_warn("alerts.command ended by signal %d", WTERMSIG(status));
    return true;
}

struct alerts *alerts_create(struct core *core, struct err *err)
{
    struct alerts *a = calloc(1, sizeof *a);
    if (!a) {
        err_set(err, ERR_NOMEM, "no memory");
        return NULL;
    }
    a->core = core;
    a->herald.fd = -1;
    return a;
}

void alerts_destroy(struct alerts *a)
{
    if (a && a->herald.pid)
        kill(-a->herald.pid, SIGKILL);
    free(a);
}
