#include "node/core/series.h"
#include <stdio.h>
#include <string.h>

const char *series_verdict_name(enum series_verdict v)
{
    static const char *const names[] = {
        [SERIES_RECEIVING] = "receiving",   [SERIES_COMPLETE] = "complete",
        [SERIES_QUIET] = "quiet",           [SERIES_INCOMPLETE] = "incomplete",
        [SERIES_WAITED] = "waited longest",
    };
    return names[v];
}

static void describe_source(const struct series_evidence *e, char out[160])
{
    if (e->answer == SERIES_ANSWERED && (unsigned long)e->source_count < e->have)
        snprintf(out, 160, "source has %ld: fewer than are here, which proves nothing",
                 e->source_count);
    else if (e->answer == SERIES_ANSWERED)
        snprintf(out, 160, "source has %ld", e->source_count);
    else if (e->answer == SERIES_NO_ANSWER)
        snprintf(out, 160, "source gives no count (%s)", e->no_answer);
    else if (e->answer == SERIES_ASKING && e->source_count > 0)
        snprintf(out, 160, "source had %ld and is being asked again", e->source_count);
    else if (e->answer == SERIES_ASKING)
        snprintf(out, 160, "source is being asked");
    else
        snprintf(out, 160, e->can_ask ? "source not asked" : "source cannot be asked");
}

static void series_tell(const struct series_evidence *e, struct series_decision *out)
{
    char source[160];
    describe_source(e, source);
    snprintf(
        out->evidence, sizeof out->evidence,
        "%lu instances, %.120s, quiet for %.1f s, %.1f s since the first, %u associations open%s",
        e->have, source, e->now - e->last, e->now - e->first, e->open,
        e->interrupted ? ", one ended without release" : "");
}

void series_describe(const struct series_evidence *e, enum series_verdict v, char out[160])
{
    char source[160];
    describe_source(e, source);
    snprintf(out, 160, "%s, %lu instances, %.84s%s", series_verdict_name(v), e->have, source,
             e->interrupted && v != SERIES_COMPLETE ? ", interrupted" : "");
}

static double earlier_time(double a, double b)
{
    return a < b ? a : b;
}

// The next question: after each silence, again while the source has more than we do.
static double next_question(const struct series_rules *rules, const struct series_evidence *e)
{
    double silence = e->open == 0 ? rules->short_quiet_s : rules->quiet_s;
    if (e->answer == SERIES_NOT_ASKED || e->asked < e->last)
        return e->last + silence;
    return e->asked + rules->quiet_s;
}

static bool source_has_more(const struct series_evidence *e)
{
    return e->answer == SERIES_ANSWERED && (unsigned long)e->source_count > e->have;
}

// Asked again while the last answer that came still holds against what is here.
static bool source_had_more(const struct series_evidence *e)
{
    return e->answer == SERIES_ASKING && e->source_count > 0 &&
           (unsigned long)e->source_count > e->have;
}

// How long nothing must come where nothing confirms that all is here.
static double unconfirmed_quiet_s(const struct series_rules *rules, const struct series_evidence *e)
{
    return e->interrupted && rules->interrupted_s > rules->quiet_s ? rules->interrupted_s
                                                                   : rules->quiet_s;
}

static void series_judge(const struct series_rules *rules, const struct series_evidence *e,
                         struct series_decision *out)
{
    double end = e->first + rules->longest_wait_s;
    if (e->now >= end) {
        bool more = source_has_more(e) || source_had_more(e);
        out->verdict = more ? SERIES_INCOMPLETE : SERIES_WAITED;
        if (e->now >= e->last + unconfirmed_quiet_s(rules, e) && !more)
            out->verdict = SERIES_QUIET;
        return;
    }
    out->wake = end;
    if (e->answer == SERIES_ASKING)
        return; // the answer, or its time-out, is an event
    bool fresh = e->answer != SERIES_NOT_ASKED && e->asked >= e->last;
    // a source that has fewer does not know the series, or not yet
    bool confirmed =
        fresh && e->answer == SERIES_ANSWERED && (unsigned long)e->source_count == e->have;
    double quiet_end = e->last + (!confirmed     ? unconfirmed_quiet_s(rules, e)
                                  : e->open == 0 ? rules->short_quiet_s
                                                 : rules->quiet_s);
    if (e->can_ask && (!fresh || source_has_more(e))) {
        double question = next_question(rules, e);
        // What comes late need not be fetched.
        bool fetch = fresh && e->can_fetch && e->now >= e->last + rules->quiet_s;
        if (e->now >= question || fetch) {
            out->ask = true;
            out->fetch = fetch;
            return;
        }
        if (fresh && e->can_fetch)
            question = earlier_time(question, e->last + rules->quiet_s);
        out->wake = earlier_time(out->wake, question);
        return; // asked first, judged afterwards
    }
    if (e->now >= quiet_end) {
        out->verdict = confirmed ? SERIES_COMPLETE : SERIES_QUIET;
        return;
    }
    out->wake = earlier_time(out->wake, quiet_end);
}

void series_decide(const struct series_rules *rules, const struct series_evidence *e,
                   struct series_decision *out)
{
    memset(out, 0, sizeof *out);
    out->verdict = SERIES_RECEIVING;
    series_judge(rules, e, out);
    series_tell(e, out);
}
