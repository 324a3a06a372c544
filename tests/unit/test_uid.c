#include <stdlib.h>
#include <string.h>
#include "base/uid.h"
#include "tests/check.h"

static void digest_of(const char *text, char hex[2 * DIGEST_SIZE + 1])
{
    uint8_t sum[DIGEST_SIZE];
    struct digest *d = digest_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    digest_add(d, text, strlen(text) / 2); // in two pieces
    digest_add(d, text + strlen(text) / 2, strlen(text) - strlen(text) / 2);
    digest_end(d, sum);
    digest_destroy(d);
    digest_hex(sum, hex);
}

static void digests_are_sha256(void)
{
    char hex[2 * DIGEST_SIZE + 1]; // FIPS 180-4 examples
    digest_of("", hex);
    CU_ASSERT_STRING_EQUAL(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    digest_of("abc", hex);
    CU_ASSERT_STRING_EQUAL(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", hex);
    CU_ASSERT_STRING_EQUAL(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    digest_destroy(NULL);
}

static void texts_are_told_apart_by_their_lengths(void)
{
    static const char *const pairs[2][2] = {{"ab", "c"}, {"a", "bc"}};
    uint8_t sums[2][DIGEST_SIZE];
    for (int i = 0; i < 2; i++) {
        struct digest *d = digest_create();
        CU_ASSERT_PTR_NOT_NULL_FATAL(d);
        digest_add_text(d, pairs[i][0]);
        digest_add_text(d, pairs[i][1]);
        digest_end(d, sums[i]);
        digest_destroy(d);
    }
    CU_ASSERT_NOT_EQUAL(memcmp(sums[0], sums[1], DIGEST_SIZE), 0);
}

static void hex_reads_back_and_nothing_else_does(void)
{
    uint8_t sum[DIGEST_SIZE], back[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1];
    for (int i = 0; i < DIGEST_SIZE; i++)
        sum[i] = (uint8_t)(7 * i + 250);
    digest_hex(sum, hex);
    CU_ASSERT_TRUE(digest_from_hex(hex, back));
    CU_ASSERT_EQUAL(memcmp(sum, back, sizeof sum), 0);
    char bad[80];
    snprintf(bad, sizeof bad, "%s0", hex);
    CU_ASSERT_FALSE(digest_from_hex(bad, back));
    bad[63] = 0;
    CU_ASSERT_FALSE(digest_from_hex(bad, back));
    snprintf(bad, sizeof bad, "%s", hex);
    bad[10] = 'g';
    CU_ASSERT_FALSE(digest_from_hex(bad, back));
    CU_ASSERT_FALSE(digest_from_hex("", back));
}

// A UUID's 16 bytes as an unsigned number, without leading zeros: PS3.5 B.2 gives
// f81d4fae-7dec-11d0-a765-00a0c91e6bf6 -> 2.25.329800735698586629295641978511506172918.
static void uids_are_uuid_derived(void)
{
    static const struct {
        const char *hex, *uid;
    } rows[] = {
        {"f81d4fae7dec11d0a76500a0c91e6bf6", "2.25.329800735698586629295641978511506172918"},
        {"00000000000000000000000000000000", "2.25.0"},
        {"00000000000000000000000000000001", "2.25.1"},
        {"0000000000000000000000000000000a", "2.25.10"},
        {"ffffffffffffffffffffffffffffffff", "2.25.340282366920938463463374607431768211455"},
        {"00000000000000010000000000000000", "2.25.18446744073709551616"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char hex[2 * DIGEST_SIZE + 1], uid[65];
        uint8_t sum[DIGEST_SIZE];
        snprintf(hex, sizeof hex, "%s%032d", rows[i].hex, 0);
        CU_ASSERT_TRUE_FATAL(digest_from_hex(hex, sum));
        uid_from_digest(sum, uid);
        CU_ASSERT_STRING_EQUAL(uid, rows[i].uid);
        CU_ASSERT_TRUE(uid_is_usable(uid));
        sum[16] = 99; // only the first 128 bits count
        uid_from_digest(sum, uid);
        CU_ASSERT_STRING_EQUAL(uid, rows[i].uid);
    }
}

static void usable_uids_are_dotted_digits(void)
{
    CU_ASSERT_TRUE(uid_is_usable("1.2.840.10008.1.1"));
    CU_ASSERT_TRUE(uid_is_usable("1"));
    CU_ASSERT_TRUE(uid_is_usable("1.02.3")); // real peers send leading zeros
    static const char *const bad[] = {"",     ".",    "1.",  ".1",   "1..2", "1.2a",
                                      " 1.2", "1.2 ", "1/2", "../1", "-1",   "1.2\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_FALSE(uid_is_usable(bad[i]));
    char longest[66];
    memset(longest, '1', sizeof longest);
    longest[64] = 0;
    CU_ASSERT_TRUE(uid_is_usable(longest));
    longest[64] = '1';
    longest[65] = 0;
    CU_ASSERT_FALSE(uid_is_usable(longest));
}

int main(void)
{
    static const struct check_case cases[] = {
        {"digests_are_sha256", digests_are_sha256},
        {"texts_are_told_apart_by_their_lengths", texts_are_told_apart_by_their_lengths},
        {"hex_reads_back_and_nothing_else_does", hex_reads_back_and_nothing_else_does},
        {"uids_are_uuid_derived", uids_are_uuid_derived},
        {"usable_uids_are_dotted_digits", usable_uids_are_dotted_digits},
    };
    return check_main("uid", cases, sizeof cases / sizeof cases[0]);
}
