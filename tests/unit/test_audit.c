// The audit trail of the core: node/core/audit.h, node/core/audit_message.h.
#include "node/core/audit.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "dimse/net/scu.h"
#include "tests/check.h"

#define TEXT(s) ((char *)(uintptr_t)(s)) // conf has its texts from an arena
#define HANG_S  60

static const struct audit_source source = {"ANODE", "host", 7};

static char *said(const struct audit_event *event)
{
    char *text = audit_message(&source, event);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    return text;
}

static void message_holds_what_peers_say_without_breaking(void)
{
    char *text = said(&(struct audit_event){.kind = AUDIT_STRANGER,
                                            .outcome = AUDIT_MINOR,
                                            .at = 1e9 + 0.25,
                                            .peer = "<&\"'>\x01\n",
                                            .address = "::1",
                                            .text = "\xff\xc3\xa4\xef\xbf\xbf"});
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "<84>1 2001-09-09T01:46:40.250Z host anode 7 "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "UserID=\"&#60;&#38;&#34;&#39;&#62;??\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, ">?\xc3\xa4?</EventOutcomeDescription>"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "value=\"/8Ok77+/\""));
    CU_ASSERT_PTR_NULL(strchr(text, '\n'));
    free(text);
    // Nobody is known, and a machine without a name.
    const struct audit_source nameless = {"ANODE", "", 7};
    text = audit_message(&nameless, &(struct audit_event){.peer = "", .address = "", .text = ""});
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "Z - anode 7 DICOM+RFC3881 - \xef\xbb\xbf<?xml"));
    free(text);
}

static void message_of_a_question_holds_it_whole(void)
{
    uint8_t query[49] = {1, 2, 0xff}; // one more than is encoded at a time
    query[48] = 0xfe;
    char *text = said(&(struct audit_event){.kind = AUDIT_QUERY,
                                            .peer = "PACS",
                                            .address = "192.0.2.1",
                                            .text = "",
                                            .sop_class = "1.2.840.10008.5.1.4.1.2.2.1",
                                            .transfer_syntax = "1.2",
                                            .query = query,
                                            .query_size = sizeof query});
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "<85>1 "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "<EventID csd-code=\"110112\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "ID=\"1.2.840.10008.5.1.4.1.2.2.1\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "<ParticipantObjectQuery>AQL/AAAA"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "AAAA/g==</ParticipantObjectQuery>"
                                        "<ParticipantObjectDetail type=\"TransferSyntax\" "
                                        "value=\"MS4y\"/></ParticipantObjectIdentification>"));
    CU_ASSERT_PTR_NULL(strstr(text, "ParticipantObjectName"));
    free(text);
}

struct place {
    char file[PATH_MAX];
    struct conf conf;
    struct core core;
};

static void place_make(struct place *p)
{
    *p = (struct place){.core = {.tls = {{-1, -1, -1, -1}}}};
    snprintf(p->file, sizeof p->file, "%s/audit.log", check_scratch());
    p->conf = (struct conf){.ae_title = TEXT("ANODE"),
                            .cage = TEXT("off"),
                            .audit_file = p->file,
                            .audit_host = TEXT("")};
    p->core.conf = &p->conf;
    p->core.loop = loop_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(p->core.loop);
    p->core.audit = audit_create(&p->core, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p->core.audit);
}

static void place_clear(struct place *p)
{
    audit_destroy(p->core.audit);
    while (waitpid(-1, NULL, 0) > 0) // its clerks
        ;
    loop_destroy(p->core.loop);
    unlink(p->file);
}

static int64_t status_of(const struct place *p, const char *key)
{
    json_t *o = audit_status(p->core.audit);
    const int64_t value = json_integer_value(json_object_get(o, key));
    json_decref(o);
    return value;
}

// Until nothing waits. Returns how many clerks have ended meanwhile.
static int place_settle(struct place *p)
{
    const double until = clock_steady() + HANG_S;
    int ended = 0, status;
    while (!audit_idle(p->core.audit)) {
        CU_ASSERT_FATAL(clock_steady() < until);
        audit_tick(p->core.audit);
        loop_run(p->core.loop, clock_steady() + 0.05);
        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0; ended++)
            CU_ASSERT(audit_reaped(p->core.audit, pid, status));
    }
    return ended;
}

static void count_lines(const char *path, const char *wanted, int *all, int *found)
{
    size_t size;
    char *text = fs_read_file(path, 64 << 20, &size, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    *all = *found = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        *all += 1;
        *found += strstr(line, wanted) != NULL;
    }
    free(text);
}

static void what_is_lost_is_counted_and_said(void)
{
    struct place p;
    int all, found;
    const struct msg_hello peer = {.calling = "PACS", .address = "192.0.2.1"};
    place_make(&p);
    for (int i = 0; i < AUDIT_WAITING + 5; i++)
        audit_association(p.core.audit, AUDIT_OPENED, AUDIT_SUCCESS, &peer, "");
    // A listener that could not say it in time.
    const struct msg_refused refused = {.address = "192.0.2.2", .reason = "x", .lost = 2};
    audit_refused(p.core.audit, &refused);
    CU_ASSERT_EQUAL(status_of(&p, "waiting"), AUDIT_WAITING);
    CU_ASSERT_EQUAL(status_of(&p, "lost"), 8);
    static const char much[SCU_QUESTION_MAX + 1]; // no question that the node asks
    const struct conf_peer asked = {.name = TEXT("PACS"), .host = TEXT("pacs")};
    audit_query(p.core.audit, &asked, &(struct msg_asked){"1.2", "1.3"}, much, sizeof much);
    CU_ASSERT_EQUAL(status_of(&p, "lost"), 9);
    place_settle(&p);
    CU_ASSERT_EQUAL(status_of(&p, "written"), AUDIT_WAITING);
    audit_association(p.core.audit, AUDIT_CLOSED, AUDIT_SUCCESS, &peer, "");
    place_settle(&p);
    count_lines(p.file, "9 audit messages were lost", &all, &found);
    CU_ASSERT_EQUAL(all, AUDIT_WAITING + 2);
    CU_ASSERT_EQUAL(found, 1);
    CU_ASSERT_EQUAL(status_of(&p, "lost"), 9);
    place_clear(&p);
}

static void a_file_that_cannot_be_written_is_tried_again(void)
{
    struct place p;
    int all, found;
    place_make(&p);
    CU_ASSERT_EQUAL_FATAL(mkdir(p.file, 0700), 0);
    audit_application(p.core.audit, AUDIT_STARTED);
    audit_tick(p.core.audit);
    int status = 0;
    const pid_t pid = waitpid(-1, &status, 0);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    CU_ASSERT(audit_reaped(p.core.audit, pid, status));
    json_t *o = audit_status(p.core.audit);
    CU_ASSERT_PTR_NOT_NULL(strstr(json_string_value(json_object_get(o, "trouble")), "audit.file"));
    json_decref(o);
    CU_ASSERT_FALSE(audit_idle(p.core.audit));
    rmdir(p.file);
    CU_ASSERT_EQUAL(place_settle(&p), 0);
    count_lines(p.file, "Application Start", &all, &found);
    CU_ASSERT(all == 1 && found == 1);
    place_clear(&p);
}

// More studies than are gathered, more SOP classes than are named.
static void what_moves_is_gathered_by_study(void)
{
    struct place p;
    char uid[32];
    int all, found;
    place_make(&p);
    struct audit_transfers t = {.kind = AUDIT_RECEIVED, .peer = "PACS", .address = "192.0.2.1"};
    for (int i = 0; i <= AUDIT_TRANSFERS_MAX; i++) {
        snprintf(uid, sizeof uid, "1.2.%d", i);
        audit_moved(p.core.audit, &t, 'C', AUDIT_SUCCESS, "", uid, "ID", "1.3");
        audit_moved(p.core.audit, &t, 'C', AUDIT_SUCCESS, "", uid, "ID", "1.3");
    }
    CU_ASSERT_EQUAL(status_of(&p, "waiting"), AUDIT_TRANSFERS_MAX);
    for (int i = 0; i < AUDIT_CLASSES_MAX + 3; i++) {
        snprintf(uid, sizeof uid, "1.4.%d", i);
        audit_moved(p.core.audit, &t, 'R', AUDIT_SUCCESS, "", "1.2.0", "ID", uid);
    }
    audit_moved(p.core.audit, &t, 'R', AUDIT_SUCCESS, "", "1.2.0", "another", "1.3");
    audit_tell(p.core.audit, &t);
    CU_ASSERT_EQUAL(t.count, 0);
    place_settle(&p);
    count_lines(p.file, "<SOPClass UID=\"1.3\" NumberOfInstances=\"2\"/><", &all, &found);
    CU_ASSERT_EQUAL(all, AUDIT_TRANSFERS_MAX + 3);
    CU_ASSERT_EQUAL(found, AUDIT_TRANSFERS_MAX + 1);
    count_lines(p.file,
                "UID=\"1.4.14\" NumberOfInstances=\"1\"/><SOPClass NumberOfInstances=\"4\"/><",
                &all, &found);
    CU_ASSERT_EQUAL(found, 1);
    place_clear(&p);
}

static void nothing_is_kept_where_nobody_wants_it(void)
{
    struct place p;
    place_make(&p);
    p.conf.audit_file = TEXT("");
    audit_application(p.core.audit, AUDIT_CONFIGURED);
    audit_application(p.core.audit, AUDIT_STOPPED);
    CU_ASSERT(audit_idle(p.core.audit));
    CU_ASSERT(isinf(audit_tick(p.core.audit)));
    CU_ASSERT_EQUAL(status_of(&p, "lost"), 0);
    place_clear(&p);
}

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
static const struct check_case cases[] = {
    CASE(message_holds_what_peers_say_without_breaking),
    CASE(message_of_a_question_holds_it_whole),
    CASE(what_is_lost_is_counted_and_said),
    CASE(a_file_that_cannot_be_written_is_tried_again),
    CASE(what_moves_is_gathered_by_study),
    CASE(nothing_is_kept_where_nobody_wants_it),
};

int main(void)
{
    return check_main("audit", cases, sizeof cases / sizeof cases[0]);
}
