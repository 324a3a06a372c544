// What an association does with the verdicts of the core: only one on the very instance that was
// asked about is believed. The peer and the core are the test's.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "dimse/read/object.h"
#include "node/core/checks.h"
#include "node/proc/association.h"
#include "node/proc/msg.h"
#include "tests/check.h"
#include "tests/net/helper_peer.h"

struct scene {
    struct datadir dir;
    struct conf *conf;
    int core_listener, core; // the core's ends
    pid_t association;
    struct peer peer;
};

static const char *const yaml = "peers:\n  - {ae_title: TESTER, host: 127.0.0.1, port: 104}\n"
                                "limits: {min_free_mib: 1}\n"
                                "routes:\n  - {name: all, when: {Modality: CT}, run: calcium}\n";
static struct msg m;

static struct conf *configure(const char *folder)
{
    char path[PATH_MAX];
    size_t errors = 0;
    struct err err = {0};
    CU_ASSERT_TRUE_FATAL(fs_join(path, folder, "anode.yaml", &err));
    CU_ASSERT_TRUE_FATAL(fs_write_file(path, yaml, strlen(yaml), &err));
    struct conf *conf = conf_load(path, &node_checks, stderr, &errors, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    return conf;
}

static pid_t start_association(const struct scene *s, int listener)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct guest_activity activity = {0};
        struct association a = {.conf = s->conf,
                                .dir = &s->dir,
                                .fd = accept(listener, NULL, NULL),
                                .address = "127.0.0.1",
                                .activity = &activity};
        peer_exit(association_run(&a, -1));
    }
    return child;
}

static void scene_open(struct scene *s)
{
    const struct peer_context context = {1, CT_IMAGE, {EXPLICIT_LE}};
    char folder[PATH_MAX];
    static unsigned number;
    uint16_t port;
    struct err err = {0};
    *s = (struct scene){.association = -1};
    snprintf(folder, sizeof folder, "%s/node-%u", check_scratch(), number++);
    CU_ASSERT_TRUE_FATAL(datadir_open(&s->dir, folder, true, &err));
    s->conf = configure(folder);
    s->core_listener = msg_listen(s->dir.dirfd, &err);
    int listener = peer_listen(&port);
    CU_ASSERT_FATAL(s->core_listener >= 0 && listener >= 0);
    s->association = start_association(s, listener);
    CU_ASSERT_TRUE_FATAL(peer_connect(&s->peer, port));
    CU_ASSERT_EQUAL_FATAL(peer_associate(&s->peer, "TESTER", "ANODE", &context, 1), 2);
    close(listener);
    struct pollfd ready = {s->core_listener, POLLIN, 0};
    CU_ASSERT_EQUAL_FATAL(poll(&ready, 1, HANG_S * 1000), 1);
    s->core = accept(s->core_listener, NULL, NULL);
    const struct timeval within = {.tv_sec = HANG_S};
    CU_ASSERT_FATAL(s->core >= 0 &&
                    setsockopt(s->core, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within) == 0);
    CU_ASSERT_EQUAL(msg_receive(s->core, &m, NULL), MSG_GOT);
    CU_ASSERT_EQUAL(m.kind, MSG_GUEST); // before it has read a byte
    CU_ASSERT_EQUAL(msg_receive(s->core, &m, NULL), MSG_GOT);
    CU_ASSERT_EQUAL(m.kind, MSG_HELLO);
}

static void scene_close(struct scene *s)
{
    int status = -1;
    peer_close(&s->peer);
    CU_ASSERT_EQUAL(waitpid(s->association, &status, 0), s->association);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(s->core);
    close(s->core_listener);
    datadir_close(&s->dir);
    conf_destroy(s->conf);
}

// Sends an instance as far as the question to the core.
static struct msg_record ask(struct scene *s, const char *uid)
{
    struct bytes data = dataset(CT_IMAGE, uid, 1000);
    CU_ASSERT_TRUE(peer_store_command(&s->peer, 1, CT_IMAGE, uid));
    CU_ASSERT_TRUE(peer_pdv(&s->peer, 1, 2, data.data, data.size));
    bytes_free(&data);
    CU_ASSERT_EQUAL_FATAL(msg_receive(s->core, &m, NULL), MSG_GOT);
    CU_ASSERT_EQUAL_FATAL(m.kind, MSG_RECORD);
    struct msg_record record;
    memcpy(&record, m.body, sizeof record);
    CU_ASSERT_STRING_EQUAL(record.id.sop_instance_uid, uid);
    CU_ASSERT_TRUE(datadir_exists(&s->dir, record.path));
    return record;
}

static void decide(const struct scene *s, uint64_t number, enum msg_answer answer)
{
    const struct msg_verdict verdict = {.number = number, .answer = answer};
    CU_ASSERT_TRUE(msg_send(s->core, MSG_VERDICT, &verdict, NULL, 0, NULL));
}

static void verdicts_are_taken_in_their_order(void)
{
    struct scene s;
    scene_open(&s);
    struct msg_record one = ask(&s, "1.2.3.1");
    decide(&s, one.number, ANSWER_STORED);
    CU_ASSERT_EQUAL(peer_status(&s.peer, NULL), 0);
    struct msg_record two = ask(&s, "1.2.3.1");
    CU_ASSERT_NOT_EQUAL(one.number, two.number);
    decide(&s, two.number, ANSWER_DUPLICATE);
    CU_ASSERT_EQUAL(peer_status(&s.peer, NULL), 0);
    CU_ASSERT_TRUE(datadir_exists(&s.dir, one.path));
    CU_ASSERT_EQUAL(datadir_file_bytes(&s.dir, two.path), 0); // waits for another instance
    CU_ASSERT_TRUE(peer_release(&s.peer));
    CU_ASSERT_EQUAL(msg_receive(s.core, &m, NULL), MSG_GOT);
    CU_ASSERT_EQUAL(m.kind, MSG_GOODBYE);
    CU_ASSERT_FALSE(datadir_exists(&s.dir, two.path));
    CU_ASSERT_TRUE(datadir_exists(&s.dir, one.path));
    scene_close(&s);
}

// A verdict on another instance, as it comes when the core was late: "duplicate" would delete the
// only file of this one.
static void a_verdict_on_another_instance_ends_the_association(void)
{
    for (int late = 0; late < 2; late++) {
        struct scene s;
        scene_open(&s);
        struct msg_record first = ask(&s, "1.2.3.1");
        decide(&s, first.number, ANSWER_STORED);
        CU_ASSERT_EQUAL(peer_status(&s.peer, NULL), 0);
        struct msg_record record = ask(&s, "1.2.3.2");
        decide(&s, late ? first.number : record.number + 1, ANSWER_DUPLICATE);
        struct bytes answer = {0};
        CU_ASSERT_EQUAL(peer_receive(&s.peer, &answer), 7); // A-ABORT, and no C-STORE answer
        bytes_free(&answer);
        CU_ASSERT_TRUE(datadir_exists(&s.dir, first.path));
        CU_ASSERT_TRUE(datadir_exists(&s.dir, record.path));
        CU_ASSERT_EQUAL(msg_receive(s.core, &m, NULL), MSG_END); // no farewell: they may disagree
        scene_close(&s);
    }
}

static void a_core_that_ends_without_a_verdict_ends_the_association(void)
{
    struct scene s;
    scene_open(&s);
    struct msg_record record = ask(&s, "1.2.3.1");
    shutdown(s.core, SHUT_RDWR);
    struct bytes answer = {0};
    CU_ASSERT_EQUAL(peer_receive(&s.peer, &answer), 7);
    bytes_free(&answer);
    CU_ASSERT_TRUE(datadir_exists(&s.dir, record.path));
    scene_close(&s);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"verdicts_are_taken_in_their_order", verdicts_are_taken_in_their_order},
        {"a_verdict_on_another_instance_ends_the_association",
         a_verdict_on_another_instance_ends_the_association},
        {"a_core_that_ends_without_a_verdict_ends_the_association",
         a_core_that_ends_without_a_verdict_ends_the_association},
    };
    struct err err = {0};
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("verdict", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
