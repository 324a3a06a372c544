#include "node/proc/fetcher.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/log.h"
#include "dimse/net/fetch.h"
#include "dimse/read/report.h"
#include "node/job/priors.h"
#include "node/proc/cage.h"
#include "node/proc/msg.h"
#include "node/proc/reach.h"

#define SERIES_FIRST 9000 // Series Number of reports, plus 10 a slot (compute/stages/stage.h)
#define TEXT_MOST    (MSG_MAX - 1024) // of all that is found, with room for the head of the packet

struct basket { // what has been fetched
    const struct fetcher *fetcher;
    struct arena *arena;
    struct prior list[FETCH_REPORTS_MAX];
    size_t count;
};

// One report. What is none of ours, or of another analysis, is of no use.
static void basket_add(void *ctx, const uint8_t *data, size_t size, const char *transfer_syntax)
{
    struct basket *b = ctx;
    struct err err = {0};
    if (b->count == FETCH_REPORTS_MAX)
        return;
    struct prior *p = &b->list[b->count];
    if (!report_read_data(data, size, transfer_syntax, b->arena, p, &err) ||
        strcmp(p->stage, b->fetcher->stage->name) != 0) {
        if (err.code)
            log_info("job=%lld report not read: %s", (long long)b->fetcher->job, err.text);
        return;
    }
    b->count++;
}

// The text, with as many measurements of each as a packet holds: the totals stand first. malloc'd.
static char *basket_text(struct basket *b)
{
    char *text = priors_text(b->list, b->count);
    for (size_t most = PRIOR_NUMBERS_MAX / 2; text && strlen(text) > TEXT_MOST; most /= 2) {
        free(text);
        for (size_t i = 0; i < b->count; i++)
            b->list[i].number_count =
                b->list[i].number_count < most ? b->list[i].number_count : most;
        b->count -= most == 0 && b->count > 0;
        text = priors_text(b->list, b->count);
    }
    return text;
}

// What results say of a search that failed: always the same words, as their UIDs depend on them.
static const char *failure_note(enum err_code code)
{
    switch (code) {
    case ERR_UNSUPPORTED:
        return "the source has no C-FIND and C-GET of reports";
    case ERR_TIMEOUT:
        return "the source did not answer in time";
    case ERR_INPUT:
        return "not searched for: no Patient ID, or one with a wildcard";
    default:
        return "the source refused the question, or broke off";
    }
}

static const char *attribute(const struct attrs *head, const char *keyword)
{
    const char *value = attrs_get(head, keyword);
    return value ? value : "";
}

static bool fetch_into(struct basket *b, const struct scu_peer *peer, struct err *err)
{
    const struct fetcher *f = b->fetcher;
    const struct fetch_query query = {.patient_id = attribute(f->head, "PatientID"),
                                      .study_instance_uid = attribute(f->head, "StudyInstanceUID"),
                                      .study_date = attribute(f->head, "StudyDate"),
                                      .series_number = SERIES_FIRST + 10L * f->stage->slot,
                                      .bytes_most = REPORT_BYTES_MAX};
    return fetch_reports(peer, &query, basket_add, b, err);
}

int fetcher_run(void *ctx, int channel)
{
    struct basket b = {.fetcher = ctx, .arena = arena_create()};
    struct msg_priors m = {.job = b.fetcher->job};
    const struct fetcher *f = b.fetcher;
    const uint32_t seconds = (uint32_t)fmax(1, ceil(f->conf->earlier_wait_s));
    struct scu_peer peer;
    struct err err = {0};
    bool ok = reach_init(&peer, f->conf, f->peer, f->tls, seconds, seconds, &err);
    reach_tell(&peer, f->conf, &channel);
    ok = ok && (b.arena || err_set(&err, ERR_NOMEM, "no memory")) &&
         cage_enter(CAGE_SENDER, f->conf, NULL, NULL, &err) && fetch_into(&b, &peer, &err);
    reach_finish(&peer);
    // What came before it broke off counts not: another time it might be more.
    b.count = ok ? b.count : 0;
    char *text = basket_text(&b);
    if (!ok)
        snprintf(m.note, sizeof m.note, "%s", failure_note(err.code));
    else if (b.count == 0)
        snprintf(m.note, sizeof m.note, "none at the source");
    snprintf(m.text, sizeof m.text, "%.200s", ok ? "" : err.text);
    ok = text && msg_send(channel, MSG_PRIORS, &m, text, strlen(text) + 1, NULL);
    free(text);
    arena_destroy(b.arena);
    return ok ? 0 : 2;
}
