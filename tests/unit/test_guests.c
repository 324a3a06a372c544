// Who of the peers gets a place, and whose is given away.
#include <stdio.h>
#include <string.h>
#include "node/proc/guests.h"
#include "tests/check.h"

#define LONG_MS 60000

static struct lobby_caller peer_named(const char *calling, const char *address)
{
    struct lobby_caller caller = {.fd = -1};
    snprintf(caller.calling, sizeof caller.calling, "%s", calling);
    snprintf(caller.address, sizeof caller.address, "%s", address);
    return caller;
}

static enum guest_room room_for(const struct guests *g, const char *calling, const char *address,
                                uint32_t now_ms, struct guest **leaves)
{
    const struct lobby_caller caller = peer_named(calling, address);
    return guests_room(g, &caller, now_ms, leaves);
}

static struct guest *enter(struct guests *g, const char *calling, const char *address,
                           uint32_t now_ms)
{
    static pid_t pid = 1000;
    const struct lobby_caller caller = peer_named(calling, address);
    struct guest *guest = guests_add(g, &caller, now_ms);
    CU_ASSERT_PTR_NOT_NULL_FATAL(guest);
    guest->pid = ++pid;
    return guest;
}

static void open_guests(struct guests *g, size_t most, size_t most_of_peer)
{
    CU_ASSERT_TRUE_FATAL(guests_init(g, most, most_of_peer));
}

static void a_peer_is_an_ae_title_at_an_address(void)
{
    struct guests g;
    struct guest *leaves;
    open_guests(&g, 64, 2);
    struct guest *first = enter(&g, "CT", "10.0.0.1", 0);
    enter(&g, "CT", "10.0.0.1", 0);
    CU_ASSERT_EQUAL(room_for(&g, "CT", "10.0.0.1", 0, &leaves), GUEST_PEER_FULL);
    CU_ASSERT_PTR_NULL(leaves);
    CU_ASSERT_EQUAL(room_for(&g, "MR", "10.0.0.1", 0, &leaves), GUEST_WELCOME);
    CU_ASSERT_EQUAL(room_for(&g, "CT", "10.0.0.2", 0, &leaves), GUEST_WELCOME);
    CU_ASSERT_PTR_EQUAL(guests_find(&g, first->pid), first);
    guests_remove(first);
    CU_ASSERT_EQUAL(guests_count(&g), 1);
    CU_ASSERT_EQUAL(room_for(&g, "CT", "10.0.0.1", 0, &leaves), GUEST_WELCOME);
    CU_ASSERT_PTR_NULL(leaves);
    guests_finish(&g);
}

static void a_quarter_is_kept_for_peers_that_have_none(void)
{
    struct guests g;
    struct guest *leaves;
    open_guests(&g, 8, 8);
    for (int i = 0; i < 6; i++) {
        CU_ASSERT_EQUAL(room_for(&g, "CT", "10.0.0.1", 0, &leaves), GUEST_WELCOME);
        enter(&g, "CT", "10.0.0.1", 0);
    }
    CU_ASSERT_EQUAL(room_for(&g, "CT", "10.0.0.1", 0, &leaves), GUEST_ALL_FULL);
    CU_ASSERT_EQUAL(room_for(&g, "MR", "10.0.0.1", 0, &leaves), GUEST_WELCOME);
    enter(&g, "MR", "10.0.0.1", 0);
    CU_ASSERT_EQUAL(room_for(&g, "MR", "10.0.0.1", 0, &leaves), GUEST_ALL_FULL);
    CU_ASSERT_EQUAL(room_for(&g, "US", "10.0.0.1", 0, &leaves), GUEST_WELCOME);
    enter(&g, "US", "10.0.0.1", 0);
    CU_ASSERT_EQUAL(room_for(&g, "XA", "10.0.0.1", 0, &leaves), GUEST_ALL_FULL);
    guests_finish(&g);
}

static void the_one_silent_longest_gives_its_place_away(void)
{
    struct guests g;
    struct guest *leaves;
    open_guests(&g, 64, 3);
    enter(&g, "CT", "10.0.0.1", 2000);
    struct guest *longest = enter(&g, "CT", "10.0.0.1", 1000);
    enter(&g, "CT", "10.0.0.1", 3000);
    enter(&g, "MR", "10.0.0.1", 0); // another peer
    CU_ASSERT_EQUAL(room_for(&g, "CT", "10.0.0.1", 1499, &leaves), GUEST_PEER_FULL);
    CU_ASSERT_EQUAL(room_for(&g, "CT", "10.0.0.1", 1500, &leaves), GUEST_WELCOME);
    CU_ASSERT_PTR_EQUAL(leaves, longest);
    leaves->leaving = true; // it is no longer counted, nor chosen again
    CU_ASSERT_EQUAL(room_for(&g, "CT", "10.0.0.1", 1500, &leaves), GUEST_WELCOME);
    CU_ASSERT_PTR_NULL(leaves);
    guests_finish(&g);
}

static void who_sends_or_sent_is_left_in_peace(void)
{
    struct guests g;
    struct guest *leaves;
    open_guests(&g, 64, 2);
    struct guest *sends = enter(&g, "CT", "10.0.0.1", 0), *sent = enter(&g, "CT", "10.0.0.1", 0);
    atomic_store(&sends->activity->receiving, 1);
    atomic_store(&sent->activity->objects, 1);
    CU_ASSERT_EQUAL(room_for(&g, "CT", "10.0.0.1", 4999, &leaves), GUEST_PEER_FULL);
    CU_ASSERT_EQUAL(room_for(&g, "CT", "10.0.0.1", 5000, &leaves), GUEST_WELCOME);
    CU_ASSERT_PTR_EQUAL(leaves, sent);
    atomic_store(&sent->activity->receiving, 1);
    CU_ASSERT_EQUAL(room_for(&g, "CT", "10.0.0.1", LONG_MS, &leaves), GUEST_PEER_FULL);
    guests_finish(&g);
}

// Where all places are taken it is the peer with the most of them that gives one away, to whom has
// fewer.
static void of_all_the_greediest_gives_its_place_away(void)
{
    struct guests g;
    struct guest *leaves;
    open_guests(&g, 4, 4);
    enter(&g, "CT", "10.0.0.1", 0);
    struct guest *greedy = enter(&g, "MR", "10.0.0.1", 10);
    enter(&g, "MR", "10.0.0.1", 20);
    struct guest *one = enter(&g, "XA", "10.0.0.1", 0);
    CU_ASSERT_EQUAL(room_for(&g, "US", "10.0.0.1", LONG_MS, &leaves), GUEST_WELCOME);
    CU_ASSERT_PTR_EQUAL(leaves, greedy);
    CU_ASSERT_EQUAL(room_for(&g, "MR", "10.0.0.1", LONG_MS, &leaves), GUEST_ALL_FULL);
    CU_ASSERT_EQUAL(room_for(&g, "CT", "10.0.0.1", LONG_MS, &leaves), GUEST_WELCOME);
    CU_ASSERT_PTR_EQUAL(leaves, greedy);
    guests_remove(greedy);
    guests_remove(one);
    enter(&g, "XA", "10.0.0.1", LONG_MS);
    enter(&g, "US", "10.0.0.1", LONG_MS);
    CU_ASSERT_EQUAL(room_for(&g, "CT", "10.0.0.1", LONG_MS, &leaves), GUEST_ALL_FULL);
    guests_finish(&g);
}

// Those that were told to end and do not: new ones are no longer taken for them.
static void who_does_not_leave_holds_its_place(void)
{
    struct guests g;
    struct guest *leaves;
    size_t entered = 0;
    open_guests(&g, 1, 1);
    for (; entered <= g.room; entered++) {
        if (room_for(&g, "CT", "10.0.0.1", LONG_MS, &leaves) != GUEST_WELCOME)
            break;
        if (leaves)
            leaves->leaving = true;
        enter(&g, "CT", "10.0.0.1", 0);
    }
    CU_ASSERT_EQUAL(entered, g.room);
    const struct lobby_caller caller = peer_named("CT", "10.0.0.1");
    CU_ASSERT_PTR_NULL(guests_add(&g, &caller, 0));
    CU_ASSERT_PTR_NULL(guests_find(&g, 1));
    guests_finish(&g);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_peer_is_an_ae_title_at_an_address", a_peer_is_an_ae_title_at_an_address},
        {"a_quarter_is_kept_for_peers_that_have_none", a_quarter_is_kept_for_peers_that_have_none},
        {"the_one_silent_longest_gives_its_place_away",
         the_one_silent_longest_gives_its_place_away},
        {"who_sends_or_sent_is_left_in_peace", who_sends_or_sent_is_left_in_peace},
        {"of_all_the_greediest_gives_its_place_away", of_all_the_greediest_gives_its_place_away},
        {"who_does_not_leave_holds_its_place", who_does_not_leave_holds_its_place},
    };
    return check_main("guests", cases, sizeof cases / sizeof *cases);
}
