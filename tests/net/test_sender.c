// A delivery as the core starts it: over how many associations, in which order, and that each
// answer is told.
#include "node/proc/sender.h"
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "node/proc/child.h"
#include "node/proc/msg.h"
#include "tests/check.h"
#include "tests/net/helper_peer.h"
#include "tests/net/helper_server.h"

enum { FILES = 5, LARGE = 5 << 20, SMALL = 1000 };

static struct scu_file files[FILES];
static char paths[FILES][512];
static const int64_t rows[FILES] = {11, 12, 13, 14, 15};

static void add_file(int n, const char *kind, size_t pixels)
{
    char uid[65];
    snprintf(uid, sizeof uid, "1.2.3.%d", n + 1);
    snprintf(paths[n], sizeof paths[n], "%s", dataset_file(CT_IMAGE, uid, pixels));
    files[n] = (struct scu_file){.path = paths[n]};
    snprintf(files[n].id.kind, sizeof files[n].id.kind, "%s", kind);
    snprintf(files[n].id.sop_class_uid, sizeof files[n].id.sop_class_uid, "%s", CT_IMAGE);
    snprintf(files[n].id.sop_instance_uid, sizeof files[n].id.sop_instance_uid, "%s", uid);
    snprintf(files[n].id.transfer_syntax_uid, sizeof files[n].id.transfer_syntax_uid, "%s",
             EXPLICIT_LE);
}

// Three images, a segmentation and a report.
static void make_files(size_t pixels)
{
    static const char *const kinds[FILES] = {"sc", "sc", "pmap", "seg", "sr"};
    for (int n = 0; n < FILES; n++)
        add_file(n, kinds[n], n < 3 ? pixels : SMALL);
}

// Delivers them. Each row is answered once, as sent.
static void deliver(uint16_t port, uint32_t associations)
{
    static char host[] = "127.0.0.1", name[] = "ANODE", off[] = "off", title[] = "CT";
    const struct conf conf = {.ae_title = title,
                              .cage = off,
                              .connect_timeout_s = NEVER_S,
                              .dimse_timeout_s = NEVER_S,
                              .max_pdu = 131072};
    const struct conf_peer peer = {.name = name,
                                   .host = host,
                                   .port = port,
                                   .associations = associations,
                                   .confirm = (char[]){"off"}};
    const struct datadir dir = {.dirfd = -1, .lockfd = -1};
    struct sender sender = {
        .conf = &conf, .dir = &dir, .peer = &peer, .files = files, .rows = rows, .count = FILES};
    const struct child_options options = {.role = "sender", .channel = true};
    static struct msg m;
    struct child child;
    struct err err = {0};
    int told[FILES] = {0};
    CU_ASSERT_FATAL(child_start(&child, &options, sender_run, &sender, &err));
    while (msg_receive(child.fd, &m, &err) == MSG_GOT && m.kind == MSG_OUTCOME) {
        const struct msg_outcome *o = m.body;
        CU_ASSERT_FATAL(o->row >= rows[0] && o->row <= rows[FILES - 1]);
        CU_ASSERT_EQUAL(o->fate, SCU_SENT);
        told[o->row - rows[0]]++;
    }
    CU_ASSERT_EQUAL_FATAL(m.kind, MSG_SENT);
    const struct msg_sent *sent = m.body;
    if (!sent->ok)
        printf("    %s\n", sent->text);
    CU_ASSERT_TRUE_FATAL(sent->ok);
    for (int n = 0; n < FILES; n++)
        CU_ASSERT_EQUAL(told[n], 1);
    close(child.fd);
    waitpid(child.pid, NULL, 0);
}

// How many associations there were until the report came, which comes last.
static int count_associations(struct server *s)
{
    int admitted = 0, ended = 0, stored = 0;
    while (stored < FILES || ended < admitted) {
        const char *event = server_event(s);
        if (!*event) {
            CU_FAIL("the deliveries do not end");
            break;
        }
        admitted += strncmp(event, "admit ", 6) == 0;
        ended += strncmp(event, "end ", 4) == 0;
        if (strncmp(event, "commit ", 7) != 0)
            continue;
        stored++;
        CU_ASSERT_EQUAL(strncmp(event, "commit 1.2.3.4 ", 15) == 0, stored == FILES - 1);
        CU_ASSERT_EQUAL(strncmp(event, "commit 1.2.3.5 ", 15) == 0, stored == FILES);
    }
    return admitted;
}

static int associations_of(size_t pixels, uint32_t most)
{
    const struct server_options options = {0};
    struct server s;
    server_start(&s, &options);
    make_files(pixels);
    deliver(s.port, most);
    const int count = count_associations(&s);
    CU_ASSERT_EQUAL(server_files(&s), FILES);
    server_stop(&s);
    return count;
}

static void large_images_share_associations_before_the_rest(void)
{
    CU_ASSERT_EQUAL(associations_of(LARGE, 2), 3); // two side by side, then one
    CU_ASSERT_EQUAL(associations_of(LARGE, 4), 4); // no more than there are images
}

static void what_is_small_or_asked_to_takes_one(void)
{
    CU_ASSERT_EQUAL(associations_of(SMALL, 2), 1);
    CU_ASSERT_EQUAL(associations_of(LARGE, 1), 1);
}

// storescp serves one association after the other.
static void a_peer_of_one_association_gets_all(void)
{
    uint16_t port = peer_free_port();
    char number[8];
    snprintf(number, sizeof number, "%u", port);
    if (!tool_there("storescp")) {
        printf("    left out: no storescp\n");
        return;
    }
    const char *const argv[] = {"storescp", "--ignore", number, NULL};
    const int pid = tool_start(argv);
    CU_ASSERT_FATAL(peer_wait(port));
    make_files(LARGE);
    deliver(port, 2);
    tool_stop(pid);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, "test");
    static const struct check_case cases[] = {
        {"large_images_share_associations_before_the_rest",
         large_images_share_associations_before_the_rest},
        {"what_is_small_or_asked_to_takes_one", what_is_small_or_asked_to_takes_one},
        {"a_peer_of_one_association_gets_all", a_peer_of_one_association_gets_all},
    };
    return check_main("sender", cases, sizeof cases / sizeof cases[0]);
}
