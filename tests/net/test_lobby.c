// Connections before their association request: who says nothing costs nobody anything.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "dimse/net/tls.h"
#include "node/proc/lobby.h"
#include "tests/check.h"
#include "tests/net/helper_peer.h"

#define PATIENCE_S 15

struct scene {
    struct lobby *lobby;
    int listening;
    uint16_t port;
    bool refuse;                // what welcome() says
    struct lobby_caller caller; // the last one that was offered
    size_t offered;
    const char *wanted; // a name of the last one's certificate
    bool was_wanted;
};

static void scene_open(struct scene *s)
{
    *s = (struct scene){.lobby = lobby_create(PATIENCE_S, LOBBY_DICOM)};
    s->listening = peer_listen(&s->port);
    CU_ASSERT_FATAL(s->lobby && s->listening >= 0);
}

static void scene_close(struct scene *s)
{
    lobby_destroy(s->lobby);
    close(s->listening);
}

// A peer that connects.
static struct peer visit_from(struct scene *s, const char *address, double now)
{
    struct peer p;
    CU_ASSERT_TRUE_FATAL(peer_connect(&p, s->port));
    int fd = accept(s->listening, NULL, NULL);
    CU_ASSERT_FATAL(fd >= 0);
    lobby_enter(s->lobby, fd, address, NULL, now);
    return p;
}

static struct peer visit(struct scene *s, double now)
{
    return visit_from(s, "127.0.0.1", now);
}

static bool welcome(void *ctx, const struct lobby_caller *caller)
{
    struct scene *s = ctx;
    s->caller = *caller;
    s->offered++;
    s->was_wanted = s->wanted && caller->identity && tls_identity_is(caller->identity, s->wanted);
    return !s->refuse;
}

// One turn of the listener; waits for something to happen, or not.
static void turn(struct scene *s, double now, bool wait)
{
    struct pollfd fds[LOBBY_MAX];
    const size_t count = lobby_watch(s->lobby, fds);
    const int ready = poll(fds, count, wait ? HANG_S * 1000 : 0);
    CU_ASSERT_FATAL(ready >= (wait ? 1 : 0));
    lobby_mind(s->lobby, fds, count, now, welcome, s);
}

static struct bytes request(void)
{
    const struct peer_context context = {1, CT_IMAGE, {EXPLICIT_LE}};
    return peer_request("TESTER", "ANODE", NULL, &context, 1);
}

static void ask(struct peer *p)
{
    struct bytes rq = request();
    CU_ASSERT_TRUE(peer_send(p, rq.data, rq.size));
    bytes_free(&rq);
}

static int answer(struct peer *p, struct bytes *body)
{
    *body = (struct bytes){0};
    return peer_receive(p, body);
}

static void a_whole_request_is_offered_with_its_names(void)
{
    struct scene s;
    scene_open(&s);
    struct peer p = visit(&s, 0);
    CU_ASSERT_EQUAL(lobby_count(s.lobby), 1);
    CU_ASSERT_EQUAL(lobby_wait_ms(s.lobby, 1), (PATIENCE_S - 1) * 1000);
    turn(&s, 0, false);
    CU_ASSERT_EQUAL(s.offered, 0);
    ask(&p);
    turn(&s, 0, true);
    CU_ASSERT_EQUAL(s.offered, 1);
    CU_ASSERT_STRING_EQUAL(s.caller.calling, "TESTER");
    CU_ASSERT_STRING_EQUAL(s.caller.called, "ANODE");
    CU_ASSERT_STRING_EQUAL(s.caller.address, "127.0.0.1");
    CU_ASSERT_EQUAL(lobby_count(s.lobby), 0);
    CU_ASSERT_EQUAL(lobby_wait_ms(s.lobby, 1), -1);
    peer_close(&p);
    scene_close(&s);
}

// Whoever is welcome reads the request itself: no byte of it is gone, and any byte wakes it.
static void a_request_stays_in_the_socket(void)
{
    struct scene s;
    scene_open(&s);
    struct peer p = visit(&s, 0);
    struct pollfd fds[LOBBY_MAX];
    CU_ASSERT_EQUAL(lobby_watch(s.lobby, fds), 1);
    const int copy = dup(fds[0].fd); // as a process that is forked has one
    struct bytes rq = request();
    unsigned char got[4096];
    ask(&p);
    turn(&s, 0, true);
    CU_ASSERT_FATAL(rq.size < sizeof got);
    CU_ASSERT_EQUAL(recv(copy, got, sizeof got, 0), (ssize_t)rq.size);
    CU_ASSERT_EQUAL(memcmp(got, rq.data, rq.size), 0);
    struct pollfd one = {copy, POLLIN, 0};
    CU_ASSERT_TRUE(peer_send(&p, "x", 1));
    CU_ASSERT_EQUAL(poll(&one, 1, HANG_S * 1000), 1);
    bytes_free(&rq);
    close(copy);
    peer_close(&p);
    scene_close(&s);
}

static void a_request_in_pieces_is_offered_when_it_is_whole(void)
{
    struct scene s;
    scene_open(&s);
    struct peer p = visit(&s, 0);
    struct bytes rq = request();
    const size_t cuts[] = {3, 6, 41, rq.size - 1, rq.size};
    size_t sent = 0;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        CU_ASSERT_EQUAL(s.offered, 0);
        CU_ASSERT_TRUE(peer_send(&p, rq.data + sent, cuts[i] - sent));
        sent = cuts[i];
        turn(&s, 0, sent == 6 || sent == rq.size);
    }
    CU_ASSERT_EQUAL(s.offered, 1);
    bytes_free(&rq);
    peer_close(&p);
    scene_close(&s);
}

static void who_finds_no_room_is_rejected_as_transient(void)
{
    struct scene s;
    struct bytes said;
    scene_open(&s);
    s.refuse = true;
    struct peer p = visit(&s, 0);
    ask(&p);
    turn(&s, 0, true);
    CU_ASSERT_EQUAL(s.offered, 1);
    CU_ASSERT_TRUE(peer_send(&p, "more", 4)); // on its way when it was answered
    CU_ASSERT_EQUAL(answer(&p, &said), 3);
    CU_ASSERT_EQUAL_FATAL(said.size, 4);
    CU_ASSERT_EQUAL(memcmp(said.data, "\0\2\3\2", 4), 0);
    bytes_free(&said);
    CU_ASSERT_EQUAL(answer(&p, &said), 0); // an end, and no reset
    bytes_free(&said);
    CU_ASSERT_EQUAL(lobby_count(s.lobby), 1); // until it closes
    turn(&s, 0, true);
    peer_close(&p);
    turn(&s, 0, true);
    CU_ASSERT_EQUAL(lobby_count(s.lobby), 0);
    CU_ASSERT_EQUAL(s.offered, 1);
    scene_close(&s);
}

static void what_is_no_request_is_aborted(void)
{
    static const struct {
        const char *bytes;
        size_t size;
    } others[] = {{"GET / HTTP/1.0\r\n\r\n", 18},
                  {"\4\0\0\0\0\4\0\0\0\0", 10},       // P-DATA-TF
                  {"\1\0\0\0\0\4\0\1\0\0", 10},       // too short to name anybody
                  {"\26\3\1\0\300\1\0\0\274\3", 10}}; // TLS on a plain port
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct scene s;
        struct bytes said;
        scene_open(&s);
        struct peer p = visit(&s, 0);
        CU_ASSERT_TRUE(peer_send(&p, others[i].bytes, others[i].size));
        turn(&s, 0, true);
        CU_ASSERT_EQUAL(answer(&p, &said), 7);
        CU_ASSERT_EQUAL_FATAL(said.size, 4);
        CU_ASSERT_EQUAL(memcmp(said.data, "\0\0\2\1", 4), 0);
        bytes_free(&said);
        peer_close(&p);
        turn(&s, 0, true);
        CU_ASSERT_EQUAL(lobby_count(s.lobby), 0);
        CU_ASSERT_EQUAL(s.offered, 0);
        scene_close(&s);
    }
}

static void who_says_nothing_leaves_in_time_or_for_others(void)
{
    struct scene s;
    struct bytes said;
    scene_open(&s);
    struct peer silent[LOBBY_MAX];
    for (size_t i = 0; i < LOBBY_MAX; i++)
        silent[i] = visit(&s, i < 2 ? 0 : 1);
    struct peer late = visit(&s, 1);
    CU_ASSERT_EQUAL(lobby_count(s.lobby), LOBBY_MAX);
    CU_ASSERT_EQUAL(answer(&silent[0], &said), 0); // the oldest has left
    bytes_free(&said);
    ask(&late);
    turn(&s, 1, true);
    CU_ASSERT_EQUAL(s.offered, 1);
    CU_ASSERT_TRUE(peer_send(&silent[1], "\1\0\0", 3)); // a beginning counts as nothing
    turn(&s, PATIENCE_S, false);
    CU_ASSERT_EQUAL(answer(&silent[1], &said), 0);
    bytes_free(&said);
    CU_ASSERT_EQUAL(lobby_count(s.lobby), LOBBY_MAX - 2);
    turn(&s, PATIENCE_S + 1, false);
    CU_ASSERT_EQUAL(lobby_count(s.lobby), 0);
    for (size_t i = 0; i < LOBBY_MAX; i++)
        peer_close(&silent[i]);
    peer_close(&late);
    scene_close(&s);
}

// One address that fills all places takes them from itself alone.
static void a_flood_takes_the_places_of_its_own_address(void)
{
    static struct peer flood[2 * LOBBY_MAX];
    struct scene s;
    scene_open(&s);
    struct peer first = visit_from(&s, "10.0.0.1", 0), last = {0};
    for (int i = 0; i < 2 * LOBBY_MAX; i++) {
        flood[i] = visit_from(&s, "10.0.0.2", 0);
        if (i == LOBBY_MAX)
            last = visit_from(&s, "2001:db8::1", 0);
    }
    CU_ASSERT_EQUAL(lobby_count(s.lobby), LOBBY_MAX);
    ask(&first);
    turn(&s, 0, true);
    CU_ASSERT_STRING_EQUAL(s.caller.address, "10.0.0.1");
    ask(&last);
    turn(&s, 0, true);
    CU_ASSERT_STRING_EQUAL(s.caller.address, "2001:db8::1");
    ask(&flood[2 * LOBBY_MAX - 1]); // and the latest of the flood is not shut out
    turn(&s, 0, true);
    CU_ASSERT_EQUAL(s.offered, 3);
    for (int i = 0; i < 2 * LOBBY_MAX; i++)
        peer_close(&flood[i]);
    peer_close(&first);
    peer_close(&last);
    scene_close(&s);
}

static void who_goes_before_its_request_is_whole_has_gone(void)
{
    for (size_t size = 0; size < 80; size += 13) {
        struct scene s;
        scene_open(&s);
        struct peer p = visit(&s, 0);
        struct bytes rq = request();
        CU_ASSERT_TRUE(size == 0 || peer_send(&p, rq.data, size));
        peer_close(&p);
        for (int turns = 0; lobby_count(s.lobby) > 0 && turns < 3; turns++)
            turn(&s, 0, true);
        CU_ASSERT_EQUAL(lobby_count(s.lobby), 0);
        CU_ASSERT_EQUAL(s.offered, 0);
        bytes_free(&rq);
        scene_close(&s);
    }
}

// A request that is larger than what is looked at, and one that claims to be.
static void a_huge_request_is_offered_with_what_is_here(void)
{
    struct scene s;
    static unsigned char huge[6 + 65536];
    scene_open(&s);
    memcpy(huge, "\1\0\0\2\0\0\0\1\0\0ANODE           TESTER          ", 42);
    struct peer p = visit(&s, 0);
    CU_ASSERT_TRUE(peer_send(&p, huge, 65535));
    turn(&s, 0, true);
    turn(&s, 0, false);
    CU_ASSERT_EQUAL(s.offered, 0);
    CU_ASSERT_TRUE(peer_send(&p, huge + 65535, 1));
    turn(&s, 0, true);
    CU_ASSERT_EQUAL(s.offered, 1);
    CU_ASSERT_STRING_EQUAL(s.caller.calling, "TESTER");
    peer_close(&p);
    scene_close(&s);
}

// The first record of a handshake is for a gate, whole; what is none is closed without a word.
static void by_tls_a_handshake_is_offered_and_nothing_else(void)
{
    unsigned char hello[5 + 300] = {22, 3, 1, 300 >> 8, 300 & 255}; // RFC 8446 5.1
    struct scene s;
    scene_open(&s);
    lobby_destroy(s.lobby);
    s.lobby = lobby_create(PATIENCE_S, LOBBY_TLS);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s.lobby);
    struct peer p = visit(&s, 0);
    CU_ASSERT_TRUE(peer_send(&p, hello, sizeof hello - 1));
    turn(&s, 0, true);
    turn(&s, 0, false);
    CU_ASSERT_EQUAL(s.offered, 0);
    CU_ASSERT_TRUE(peer_send(&p, hello, 1));
    turn(&s, 0, true);
    CU_ASSERT_EQUAL(s.offered, 1);
    CU_ASSERT_STRING_EQUAL(s.caller.calling, "");
    CU_ASSERT_STRING_EQUAL(s.caller.address, "127.0.0.1");
    CU_ASSERT_EQUAL(lobby_count(s.lobby), 0);
    peer_close(&p);
    p = visit(&s, 0);
    ask(&p);
    turn(&s, 0, true);
    CU_ASSERT_EQUAL(s.offered, 1);
    CU_ASSERT_EQUAL(lobby_count(s.lobby), 0);
    struct bytes body;
    CU_ASSERT_TRUE(answer(&p, &body) <= 0);
    bytes_free(&body);
    peer_close(&p);
    scene_close(&s);
}

// Who came by TLS is offered with its identity, which is its own.
static void an_identity_comes_along(void)
{
    struct scene s;
    struct tls_identity identity = {.name_count = 1, .names = {"ct.example"}};
    scene_open(&s);
    struct peer p;
    CU_ASSERT_TRUE_FATAL(peer_connect(&p, s.port));
    lobby_enter(s.lobby, accept(s.listening, NULL, NULL), "127.0.0.1", &identity, 0);
    memset(&identity, 0, sizeof identity);
    ask(&p);
    s.wanted = "CT.example";
    turn(&s, 0, true);
    CU_ASSERT_EQUAL(s.offered, 1);
    CU_ASSERT_TRUE(s.was_wanted);
    peer_close(&p);
    scene_close(&s);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_whole_request_is_offered_with_its_names", a_whole_request_is_offered_with_its_names},
        {"a_request_stays_in_the_socket", a_request_stays_in_the_socket},
        {"a_request_in_pieces_is_offered_when_it_is_whole",
         a_request_in_pieces_is_offered_when_it_is_whole},
        {"who_finds_no_room_is_rejected_as_transient", who_finds_no_room_is_rejected_as_transient},
        {"what_is_no_request_is_aborted", what_is_no_request_is_aborted},
        {"who_says_nothing_leaves_in_time_or_for_others",
         who_says_nothing_leaves_in_time_or_for_others},
        {"a_flood_takes_the_places_of_its_own_address",
         a_flood_takes_the_places_of_its_own_address},
        {"who_goes_before_its_request_is_whole_has_gone",
         who_goes_before_its_request_is_whole_has_gone},
        {"a_huge_request_is_offered_with_what_is_here",
         a_huge_request_is_offered_with_what_is_here},
        {"by_tls_a_handshake_is_offered_and_nothing_else",
         by_tls_a_handshake_is_offered_and_nothing_else},
        {"an_identity_comes_along", an_identity_comes_along},
    };
    return check_main("lobby", cases, sizeof cases / sizeof *cases);
}
