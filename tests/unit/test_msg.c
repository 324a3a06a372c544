// Packets between the processes: what goes in comes out, what is no message is refused.
#include "node/proc/msg.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fs.h"
#include "tests/check.h"

static struct msg m;

static void pair(int fds[2])
{
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
}

static void unpair(int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static void msg_carries_body_and_tail(void)
{
    struct msg_record record = {.instance_number = -7, .bytes = 1ULL << 40, .path = "series/ab/c"};
    const char tail[] = "Modality\0CT"; // with a zero byte inside
    int fds[2];
    pair(fds);
    CU_ASSERT_TRUE(msg_send(fds[0], MSG_RECORD, &record, tail, sizeof tail, NULL));
    CU_ASSERT_EQUAL_FATAL(msg_receive(fds[1], &m, NULL), MSG_GOT);
    CU_ASSERT_EQUAL(m.kind, MSG_RECORD);
    const struct msg_record *got = m.body;
    CU_ASSERT_EQUAL(got->instance_number, record.instance_number);
    CU_ASSERT_EQUAL(got->bytes, record.bytes);
    CU_ASSERT_STRING_EQUAL(got->path, record.path);
    CU_ASSERT_STRING_EQUAL(got->id.sop_instance_uid, "");
    CU_ASSERT_EQUAL(m.tail_size, sizeof tail);
    CU_ASSERT_EQUAL(memcmp(m.tail, tail, sizeof tail), 0);
    unpair(fds);
}

static void msg_carries_an_empty_tail(void)
{
    int fds[2];
    pair(fds);
    CU_ASSERT_TRUE(msg_send(fds[0], MSG_TEXT, NULL, NULL, 0, NULL));
    CU_ASSERT_EQUAL_FATAL(msg_receive(fds[1], &m, NULL), MSG_GOT);
    CU_ASSERT_EQUAL(m.kind, MSG_TEXT);
    CU_ASSERT_EQUAL(m.tail_size, 0);
    unpair(fds);
}

static void msg_tells_nothing_yet_from_the_end(void)
{
    int fds[2];
    pair(fds);
    CU_ASSERT_EQUAL(msg_receive(fds[1], &m, NULL), MSG_NONE);
    close(fds[0]);
    CU_ASSERT_EQUAL(msg_receive(fds[1], &m, NULL), MSG_END);
    close(fds[1]);
}

static void msg_send_says_when_nobody_reads(void)
{
    static char tail[32768];
    struct err err = {0};
    int fds[2];
    bool ok = true;
    pair(fds);
    for (int i = 0; i < 1000 && ok; i++)
        ok = msg_send(fds[0], MSG_TEXT, NULL, tail, sizeof tail, &err);
    CU_ASSERT_FALSE(ok);
    CU_ASSERT_EQUAL(err.code, ERR_TIMEOUT);
    close(fds[1]);
    CU_ASSERT_FALSE(msg_send(fds[0], MSG_TEXT, NULL, tail, 1, &err));
    CU_ASSERT_EQUAL(err.code, ERR_NET);
    close(fds[0]);
}

static void msg_send_refuses_what_does_not_fit(void)
{
    static char tail[MSG_MAX];
    struct err err = {0};
    int fds[2];
    pair(fds);
    CU_ASSERT_FALSE(msg_send(fds[0], MSG_TEXT, NULL, tail, sizeof tail, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    unpair(fds);
}

static void expect_broken(const void *packet, size_t size)
{
    struct err err = {0};
    int fds[2];
    pair(fds);
    CU_ASSERT_EQUAL(send(fds[0], packet, size, 0), (ssize_t)size);
    CU_ASSERT_EQUAL(msg_receive(fds[1], &m, &err), MSG_BROKEN);
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    unpair(fds);
}

static void msg_receive_refuses_what_is_no_message(void)
{
    static union {
        uint64_t head[2];
        char bytes[MSG_MAX + 1];
    } packet;
    expect_broken(&packet, 1);             // shorter than a head
    expect_broken(&packet, sizeof packet); // longer than any; kind 0
    packet.head[0] = MSG_HELLO;
    expect_broken(&packet, 16);                                // no body
    expect_broken(&packet, 16 + sizeof(struct msg_hello) + 1); // a tail where none belongs
    packet.head[0] = MSG_GUEST + 1;
    expect_broken(&packet, 16);
    packet.head[0] = UINT64_MAX;
    expect_broken(&packet, 16);
}

static void msg_receive_refuses_a_text_without_end(void)
{
    struct {
        uint64_t head[2];
        struct msg_hello hello;
    } packet = {.head = {MSG_HELLO}};
    memset(packet.hello.called, 'A', sizeof packet.hello.called);
    expect_broken(&packet, 16 + sizeof packet.hello);
}

// A path far longer than sun_path holds.
static void msg_listen_and_connect_meet_below_a_long_path(void)
{
    char folder[PATH_MAX];
    int n = snprintf(folder, sizeof folder, "%s", check_scratch());
    for (int i = 0; i < 20; i++)
        n += snprintf(folder + n, sizeof folder - (size_t)n, "/a-folder-of-thirty-characters-");
    CU_ASSERT_TRUE_FATAL(fs_make_folders(folder, NULL));
    int dir = open(folder, O_RDONLY | O_DIRECTORY);
    int listening = msg_listen(dir, NULL);
    CU_ASSERT_TRUE_FATAL(listening >= 0);
    struct stat st;
    CU_ASSERT_EQUAL(fstatat(dir, "anode.sock", &st, 0), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    int one = msg_connect(dir, NULL);
    CU_ASSERT_TRUE_FATAL(one >= 0);
    int other = accept(listening, NULL, NULL);
    struct msg_hello hello = {.calling = "CT1"};
    CU_ASSERT_TRUE(msg_send(one, MSG_HELLO, &hello, NULL, 0, NULL));
    CU_ASSERT_EQUAL(msg_receive(other, &m, NULL), MSG_GOT);
    close(one);
    close(other);
    close(listening);
    struct err err = {0};
    CU_ASSERT_EQUAL(msg_connect(dir, &err), -1); // the name is there, nobody listens
    CU_ASSERT_EQUAL(err.code, ERR_NET);
    listening = msg_listen(dir, NULL); // takes the place of the old one
    CU_ASSERT_TRUE(listening >= 0);
    close(listening);
    close(dir);
}

static const struct check_case cases[] = {
    {"msg_carries_body_and_tail", msg_carries_body_and_tail},
    {"msg_carries_an_empty_tail", msg_carries_an_empty_tail},
    {"msg_tells_nothing_yet_from_the_end", msg_tells_nothing_yet_from_the_end},
    {"msg_send_says_when_nobody_reads", msg_send_says_when_nobody_reads},
    {"msg_send_refuses_what_does_not_fit", msg_send_refuses_what_does_not_fit},
    {"msg_receive_refuses_what_is_no_message", msg_receive_refuses_what_is_no_message},
    {"msg_receive_refuses_a_text_without_end", msg_receive_refuses_a_text_without_end},
    {"msg_listen_and_connect_meet_below_a_long_path",
     msg_listen_and_connect_meet_below_a_long_path},
};

int main(void)
{
    return check_main("msg", cases, sizeof cases / sizeof cases[0]);
}
