// scp_serve() with DCMTK's tools as peers and with one that misbehaves.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "dimse/read/object.h"
#include "dimse/net/scp.h"
#include "tests/check.h"
#include "tests/net/helper_peer.h"
#include "tests/net/helper_server.h"

#define RLE      "1.2.840.10008.1.2.5"
#define DEFLATED "1.2.840.10008.1.2.1.99"

static const struct peer_context ct = {1, CT_IMAGE, {EXPLICIT_LE}};

static const char *port_text(const struct server *s)
{
    static char text[8];
    snprintf(text, sizeof text, "%u", s->port);
    return text;
}

// A peer with an accepted CT context on a server.
static void connected(struct server *s, struct peer *p)
{
    CU_ASSERT_FATAL(peer_connect(p, s->port));
    CU_ASSERT_EQUAL_FATAL(peer_associate(p, "TESTER", "ANODE", &ct, 1), 2);
}

static void ends_clean(struct server *s, const char *end)
{
    const char *event = server_expect(s, "end");
    if (!strstr(event, end)) {
        printf("    %s\n", event);
        CU_FAIL("the association ended otherwise");
    }
    CU_ASSERT_STRING_EQUAL(server_expect(s, "exit"), "exit 0");
}

static void echoscu_gets_an_answer(void)
{
    if (!tool_there("echoscu"))
        return;
    struct server s;
    server_start(&s, &(struct server_options){0});
    const char *argv[] = {"echoscu", "-aec", "ANODE", "127.0.0.1", port_text(&s), NULL};
    CU_ASSERT_EQUAL(tool_run(argv), 0);
    ends_clean(&s, "end ok none stored=0 refused=0 released=1 rejected=0 calling=ECHOSCU");
    server_stop(&s);
}

static void storescu_stores_bit_preserving_with_what_is_needed_to_know_it(void)
{
    if (!tool_there("storescu"))
        return;
    struct server s;
    server_start(&s, &(struct server_options){0});
    struct bytes data = dataset(CT_IMAGE, "1.2.3.4", 300000);
    const char *path = dataset_file(CT_IMAGE, "1.2.3.4", 300000);
    const char *argv[] = {"storescu",  "-aec",        "ANODE", "-xe",
                          "127.0.0.1", port_text(&s), path,    NULL};
    CU_ASSERT_EQUAL(tool_run(argv), 0);
    char expected[512], hex[2 * DIGEST_SIZE + 1];
    uint8_t sum[DIGEST_SIZE];
    struct digest *d = digest_create();
    digest_add(d, data.data, data.size);
    digest_end(d, sum);
    digest_destroy(d);
    digest_hex(sum, hex);
    const char *event = server_expect(&s, "commit 1.2.3.4 0000");
    snprintf(expected, sizeof expected,
             "class=" CT_IMAGE " ts=" EXPLICIT_LE " study=1.2.3.100 series=1.2.3.200 "
             "modality=CT/CT number=7 bytes=");
    CU_ASSERT_PTR_NOT_NULL(strstr(event, expected));
    CU_ASSERT_PTR_NOT_NULL(strstr(event, hex));
    CU_ASSERT(file_holds(server_file(&s), &data));
    ends_clean(&s, "end ok none stored=1 refused=0 released=1");
    if (tool_there("dcmdump")) {
        const char *dump[] = {"dcmdump", server_file(&s), NULL};
        CU_ASSERT_EQUAL(tool_run(dump), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(tool_output(), "=LittleEndianExplicit"));
        CU_ASSERT_PTR_NOT_NULL(strstr(tool_output(), "[STORESCU]"));
    }
    bytes_free(&data);
    server_stop(&s);
}

static void dcmsend_delivers_compressed_files_as_they_are(void)
{
    if (!tool_there("dcmsend") || !tool_there("dcmcrle"))
        return;
    struct server s;
    char rle[8192];
    server_start(&s, &(struct server_options){0});
    const char *path = dataset_file(CT_IMAGE, "1.2.3.5", 32768);
    snprintf(rle, sizeof rle, "%s/rle.dcm", check_scratch());
    const char *compress[] = {"dcmcrle", path, rle, NULL};
    CU_ASSERT_EQUAL(tool_run(compress), 0);
    const char *argv[] = {"dcmsend",   "-aec",        "ANODE", "--decompress-never",
                          "127.0.0.1", port_text(&s), rle,     NULL};
    CU_ASSERT_EQUAL(tool_run(argv), 0);
    const char *event = server_expect(&s, "commit");
    CU_ASSERT_PTR_NOT_NULL(strstr(event, "ts=" RLE " "));
    ends_clean(&s, "stored=1 refused=0 released=1");
    server_stop(&s);
}

static void deflated_and_big_endian_data_sets_are_understood(void)
{
    static const char *const kinds[][2] = {
        {"+td", DEFLATED}, {"+tb", "1.2.840.10008.1.2.2"}, {"+ti", IMPLICIT_LE}};
    static const char *const proposals[] = {"-xd", "-xb", "-xi"};
    if (!tool_there("dcmconv") || !tool_there("storescu"))
        return;
    for (int i = 0; i < 3; i++) {
        struct server s;
        char converted[8192], expected[128];
        server_start(&s, &(struct server_options){0});
        const char *path = dataset_file(CT_IMAGE, "1.2.3.6", 40000);
        snprintf(converted, sizeof converted, "%s/converted.dcm", check_scratch());
        const char *convert[] = {"dcmconv", kinds[i][0], path, converted, NULL};
        CU_ASSERT_EQUAL(tool_run(convert), 0);
        const char *argv[] = {"storescu",  "-aec",        "ANODE",   proposals[i],
                              "127.0.0.1", port_text(&s), converted, NULL};
        CU_ASSERT_EQUAL(tool_run(argv), 0);
        snprintf(expected, sizeof expected, "ts=%s study=1.2.3.100 series=1.2.3.200", kinds[i][1]);
        CU_ASSERT_PTR_NOT_NULL(strstr(server_expect(&s, "commit 1.2.3.6"), expected));
        ends_clean(&s, "stored=1");
        server_stop(&s);
    }
}

// Sends a request and returns result, source and reason of the rejection as 0xRRSSrr; 0: none.
static unsigned rejection(struct server *s, const char *calling, const char *called,
                          const char *application)
{
    struct peer p;
    struct bytes rq = peer_request(calling, called, application, &ct, 1), answer = {0};
    unsigned code = 0;
    CU_ASSERT_FATAL(peer_connect(&p, s->port));
    CU_ASSERT(peer_send(&p, rq.data, rq.size));
    if (peer_receive(&p, &answer) == 3 && answer.size == 4)
        code = (unsigned)answer.data[1] << 16 | (unsigned)answer.data[2] << 8 | answer.data[3];
    peer_close(&p);
    bytes_free(&rq);
    bytes_free(&answer);
    return code;
}

static void wrong_titles_and_contexts_are_rejected_with_their_reason(void)
{
    struct server s;
    server_start(&s, &(struct server_options){0});
    CU_ASSERT_EQUAL(rejection(&s, "TESTER", "NOBODY", NULL), 0x010107);
    ends_clean(&s, "end ok none stored=0 refused=0 released=0 rejected=1 calling=TESTER");
    CU_ASSERT_EQUAL(rejection(&s, "STRANGER", "ANODE", NULL), 0x010103);
    ends_clean(&s, "rejected=1");
    CU_ASSERT_EQUAL(rejection(&s, "TESTER", "", NULL), 0x010107);
    ends_clean(&s, "rejected=1");
    CU_ASSERT_EQUAL(rejection(&s, "", "ANODE", NULL), 0x010103);
    ends_clean(&s, "rejected=1");
    CU_ASSERT_EQUAL(rejection(&s, "TESTER", "ANODE", "1.2.3.4.5"), 0x010102);
    ends_clean(&s, "rejected=1");
    server_stop(&s);
}

static void titles_lose_their_padding(void)
{
    struct server s;
    struct peer p;
    server_start(&s, &(struct server_options){0});
    CU_ASSERT_FATAL(peer_connect(&p, s.port));
    CU_ASSERT_EQUAL(peer_associate(&p, "  TESTER", " ANODE", &ct, 1), 2);
    CU_ASSERT_STRING_EQUAL(server_expect(&s, "admit"), "admit TESTER ANODE");
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    ends_clean(&s, "released=1");
    server_stop(&s);
}

static void each_context_gets_its_own_answer(void)
{
    static const struct peer_context contexts[] = {
        {1, "1.2.3.4.5.6", {EXPLICIT_LE}},            // no SOP class of ours
        {3, CT_IMAGE, {"1.2.840.10008.1.2.4.100"}},   // MPEG2: not decoded
        {5, CT_IMAGE, {"1.2.3.9", RLE, IMPLICIT_LE}}, // the first one that is
        {7, VERIFICATION, {IMPLICIT_LE}},
        {9, "1.2.840.10008.5.1.4.1.1.66.4", {EXPLICIT_LE}}, // SEG
    };
    static const uint8_t results[] = {3, 4, 0, 0, 0};
    struct server s;
    struct peer p;
    server_start(&s, &(struct server_options){0});
    struct bytes rq = peer_request("TESTER", "ANODE", NULL, contexts, 5), ac = {0};
    CU_ASSERT_FATAL(peer_connect(&p, s.port));
    CU_ASSERT(peer_send(&p, rq.data, rq.size));
    CU_ASSERT_EQUAL_FATAL(peer_receive(&p, &ac), 2);
    int seen = 0;
    for (size_t at = 68; at + 4 <= ac.size;) { // items behind the fixed part
        const uint8_t *item = ac.data + at;
        size_t length = (size_t)item[2] << 8 | item[3];
        if (item[0] == 0x21) {
            int index = item[4] / 2;
            CU_ASSERT_EQUAL(item[6], results[index]);
            if (index == 2)
                CU_ASSERT_NSTRING_EQUAL((const char *)item + 12, RLE, strlen(RLE));
            seen++;
        }
        at += 4 + length;
    }
    CU_ASSERT_EQUAL(seen, 5);
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    bytes_free(&rq);
    bytes_free(&ac);
    ends_clean(&s, "released=1");
    server_stop(&s);
}

// Also those that are younger than the library below.
static void every_syntax_that_is_accepted_is_received(void)
{
    enum { MOST = 32 };
    struct peer_context contexts[MOST] = {{0}};
    size_t count = 0;
    for (const char *const *uid = object_transfer_syntaxes(); *uid && count < MOST; uid++) {
        if (strcmp(*uid, DEFLATED) != 0) { // which this data set is not
            contexts[count] = (struct peer_context){(uint8_t)(2 * count + 1), CT_IMAGE, {*uid}};
            count++;
        }
    }
    struct server s;
    struct peer p;
    struct bytes data = dataset(CT_IMAGE, "1.2.3.4", 1000);
    server_start(&s, &(struct server_options){0});
    CU_ASSERT_FATAL(peer_connect(&p, s.port));
    CU_ASSERT_EQUAL_FATAL(peer_associate(&p, "TESTER", "ANODE", contexts, count), 2);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(peer_store(&p, contexts[i].id, CT_IMAGE, "1.2.3.4", &data), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(server_expect(&s, "commit"), contexts[i].syntaxes[0]));
    }
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    char end[32];
    snprintf(end, sizeof end, "stored=%zu refused=0", count);
    ends_clean(&s, end);
    bytes_free(&data);
    server_stop(&s);
}

static void uids_unlike_the_commands_are_refused_and_the_next_object_is_stored(void)
{
    struct server s;
    struct peer p;
    struct bytes data = dataset(CT_IMAGE, "1.2.3.4", 1000);
    server_start(&s, &(struct server_options){0});
    connected(&s, &p);
    CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, "1.2.3.5", &data), 0xa900);
    server_expect(&s, "open");
    CU_ASSERT_STRING_EQUAL(server_event(&s), "discard");
    CU_ASSERT_EQUAL(server_files(&s), 0);
    CU_ASSERT_EQUAL(peer_store(&p, 1, "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4", &data), 0xa900);
    CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, "1.2.3.4", &data), 0);
    CU_ASSERT(file_holds(server_file(&s), &data));
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    ends_clean(&s, "stored=1 refused=2 released=1");
    bytes_free(&data);
    server_stop(&s);
}

static void a_uid_that_is_a_path_never_reaches_the_disk(void)
{
    static const char *const uids[] = {"../x", "a/../../b", "1..2", ".1", "1.2.", "1.2.x"};
    struct server s;
    struct peer p;
    server_start(&s, &(struct server_options){0});
    connected(&s, &p);
    for (size_t i = 0; i < sizeof uids / sizeof *uids; i++) {
        struct bytes data = dataset(CT_IMAGE, uids[i], 1000);
        CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, uids[i], &data), 0x0117);
        bytes_free(&data);
    }
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    server_expect(&s, "admit");
    CU_ASSERT_NSTRING_EQUAL(server_event(&s), "end", 3); // the handler was never asked for a file
    CU_ASSERT_EQUAL(server_files(&s), 0);
    server_stop(&s);
}

static void garbage_truncated_and_empty_data_sets_are_refused(void)
{
    struct server s;
    struct peer p;
    struct bytes whole = dataset(CT_IMAGE, "1.2.3.4", 5000), garbage = {0}, nested = {0};
    server_start(&s, &(struct server_options){0});
    connected(&s, &p);
    for (unsigned i = 0; i < 4000; i++)
        bytes_add(&garbage, &(uint8_t){(uint8_t)(i * i * 31 + i / 7)}, 1);
    for (int i = 0; i < 5000; i++) // sequences in items in sequences
        bytes_add(&nested, "\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff",
                  20);
    CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, "1.2.3.4", &garbage), 0xc000);
    CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, "1.2.3.4", &nested), 0xc000);
    CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, "1.2.3.4", &(struct bytes){0}), 0xc000);
    for (size_t cut = 2; cut < whole.size; cut += cut < 400 ? 34 : 1200) {
        struct bytes part = {whole.data, whole.size - cut, 0};
        CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, "1.2.3.4", &part), 0xc000);
    }
    CU_ASSERT_EQUAL(server_files(&s), 0);
    CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, "1.2.3.4", &whole), 0);
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    ends_clean(&s, "stored=1");
    bytes_free(&whole);
    bytes_free(&garbage);
    bytes_free(&nested);
    server_stop(&s);
}

// What storage elsewhere takes: elements of no known VR, implicit ones among explicit ones, a data
// set in another encoding than negotiated, trailing zeros, an end in the middle of nothing.
static void a_data_set_that_others_read_is_stored(void)
{
    static const char intro[] = "\x08\0\x16\0UI\x1a\0"
                                "1.2.840.10008.5.1.4.1.1.2\0"
                                "\x08\0\x18\0UI\x08\0"
                                "1.2.3.4\0";
    static const char implicit_intro[] = "\x08\0\x16\0\x1a\0\0\0"
                                         "1.2.840.10008.5.1.4.1.1.2\0"
                                         "\x08\0\x18\0\x08\0\0\0"
                                         "1.2.3.4\0"
                                         "\x20\0\x0d\0\x06\0\0\0"
                                         "1.2.3\0"
                                         "\x20\0\x0e\0\x06\0\0\0"
                                         "1.2.4\0";
    static const char rest[] = "\x20\0\x0d\0UI\x06\0"
                               "1.2.3\0"
                               "\x20\0\x0e\0UI\x06\0"
                               "1.2.4\0";
    static const struct {
        const char *start, *middle, *end;
        size_t start_size, middle_size, end_size;
    } table[] = {
#define ROW(start, middle, end)                                                                    \
    {start, middle, end, sizeof(start) - 1, sizeof(middle) - 1, sizeof(end) - 1}
        ROW(intro, "\x10\0\x20\0??\2\0P1", rest),
        ROW(intro, "\x10\0\x20\0\2\0\0\0P1", rest),
        ROW(intro, "\x10\0\x20\0  \0\0\2\0\0\0P1", rest),
        ROW(implicit_intro, "", ""),
        ROW(intro, rest, "\xe0\x7f\x10\0OW\0\0\2\0\0\0ab\0\0\0\0\0\0\0\0"),
        ROW(intro, "\x10\0\x20\0LO\2\0P1\xfe\xff\xdd\xe0\0\0\0\0", rest),
#undef ROW
    };
    struct server s;
    struct peer p;
    server_start(&s, &(struct server_options){0});
    connected(&s, &p);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct bytes data = {0};
        bytes_add(&data, table[i].start, table[i].start_size);
        bytes_add(&data, table[i].middle, table[i].middle_size);
        bytes_add(&data, table[i].end, table[i].end_size);
        CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, "1.2.3.4", &data), 0);
        bytes_free(&data);
    }
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    ends_clean(&s, "stored=6");
    server_stop(&s);
}

static void a_data_set_without_study_or_series_is_refused(void)
{
    struct server s;
    struct peer p;
    struct bytes data = {0};
    server_start(&s, &(struct server_options){0});
    element_text(&data, 0x0008, 0x0016, "UI", CT_IMAGE);
    element_text(&data, 0x0008, 0x0018, "UI", "1.2.3.4");
    element_text(&data, 0x0020, 0x000d, "UI", "1.2.3.100");
    element_text(&data, 0x0020, 0x000e, "UI", "1.2/3");
    connected(&s, &p);
    CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, "1.2.3.4", &data), 0xc000);
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    ends_clean(&s, "stored=0 refused=1");
    bytes_free(&data);
    server_stop(&s);
}

static void large_elements_before_the_uids_hide_nothing(void)
{
    struct server s;
    struct peer p;
    struct bytes data = {0}, rest = dataset(CT_IMAGE, "1.2.3.4", 200);
    server_start(&s, &(struct server_options){0});
    // The two SOP UIDs, a private megabyte, the rest.
    size_t uids = 8 + strlen(CT_IMAGE) + strlen(CT_IMAGE) % 2 + 8 + 8;
    bytes_add(&data, rest.data, uids);
    element_words(&data, 0x0009, 0x1010, 1 << 20);
    bytes_add(&data, rest.data + uids, rest.size - uids);
    connected(&s, &p);
    CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, "1.2.3.4", &data), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(server_expect(&s, "commit"), "series=1.2.3.200"));
    CU_ASSERT(file_holds(server_file(&s), &data));
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    ends_clean(&s, "stored=1");
    bytes_free(&data);
    bytes_free(&rest);
    server_stop(&s);
}

static void a_full_disk_is_answered_a700_at_once_and_the_association_lives(void)
{
    static const size_t sizes[] = {100, 5000, 300000}; // one PDV, the last PDV, many
    struct server s;
    struct peer p;
    server_start(&s, &(struct server_options){.disk = DISK_FULL});
    connected(&s, &p);
    for (size_t i = 0; i < 3; i++) {
        struct bytes data = dataset(CT_IMAGE, "1.2.3.4", sizes[i]);
        double start = seconds_now();
        CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, "1.2.3.4", &data), 0xa700);
        CU_ASSERT(seconds_now() - start < HANG_S);
        server_expect(&s, "open");
        CU_ASSERT_STRING_EQUAL(server_event(&s), "discard");
        bytes_free(&data);
    }
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    ends_clean(&s, "end ok none stored=0 refused=3 released=1");
    server_stop(&s);
}

static void no_file_and_too_large_are_answered_a700(void)
{
    struct server s;
    struct peer p;
    char comment[65];
    struct bytes data = dataset(CT_IMAGE, "1.2.3.4", 100000);
    server_start(&s, &(struct server_options){.disk = DISK_OPEN_FAILS});
    connected(&s, &p);
    CU_ASSERT(peer_store_command(&p, 1, CT_IMAGE, "1.2.3.4"));
    CU_ASSERT(peer_pdv(&p, 1, 2, data.data, data.size < 16000 ? data.size : 16000));
    CU_ASSERT_EQUAL(peer_status(&p, comment), 0xa700);
    CU_ASSERT_STRING_EQUAL(comment, "no space left"); // and not our folder's name
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    ends_clean(&s, "refused=1 released=1");
    server_stop(&s);
    server_start(&s, &(struct server_options){.config.max_object_bytes = 50000});
    connected(&s, &p);
    CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, "1.2.3.4", &data), 0xa700);
    CU_ASSERT_EQUAL(server_files(&s), 0);
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    ends_clean(&s, "refused=1 released=1");
    bytes_free(&data);
    server_stop(&s);
}

// Room that is there at the beginning may be gone: what was written goes before the peer is
// through.
static void room_is_looked_after_while_an_object_comes(void)
{
    struct server s;
    struct peer p;
    char comment[65];
    const size_t pixels = 4 << 20;
    server_start(&s, &(struct server_options){.disk = DISK_FILLS});
    CU_ASSERT_TRUE_FATAL(peer_connect(&p, s.port));
    const struct peer_context context = {1, CT_IMAGE, {EXPLICIT_LE}};
    CU_ASSERT_EQUAL_FATAL(peer_associate(&p, "TESTER", "ANODE", &context, 1), 2);
    struct bytes data = dataset(CT_IMAGE, "1.2.3.9", pixels);
    CU_ASSERT_TRUE(peer_store_command(&p, 1, CT_IMAGE, "1.2.3.9"));
    for (size_t at = 0; at < data.size; at += 16384) {
        const size_t size = data.size - at < 16384 ? data.size - at : 16384;
        CU_ASSERT_TRUE(peer_pdv(&p, 1, at + size == data.size ? 2 : 0, data.data + at, size));
    }
    CU_ASSERT_EQUAL(peer_status(&p, comment), SCP_OUT_OF_RESOURCES);
    CU_ASSERT_STRING_EQUAL(comment, "no space left");
    const long long size =
        strtoll(server_expect(&s, "room none at ") + strlen("room none at "), NULL, 10);
    CU_ASSERT(size > 1 << 20 && size < 3 << 20);
    CU_ASSERT_STRING_EQUAL(server_expect(&s, "discard"), "discard 0");
    // The association goes on, and so does the next one.
    CU_ASSERT_TRUE(peer_release(&p));
    peer_close(&p);
    CU_ASSERT_EQUAL(server_files(&s), 0);
    bytes_free(&data);
    server_stop(&s);
}

static void what_the_handler_says_is_answered(void)
{
    struct server s;
    struct peer p;
    char comment[65];
    struct bytes data = dataset(CT_IMAGE, "1.2.3.4", 1000);
    server_start(&s, &(struct server_options){.commit = SCP_DUPLICATE, .comment = "other content"});
    connected(&s, &p);
    CU_ASSERT(peer_store_command(&p, 1, CT_IMAGE, "1.2.3.4"));
    CU_ASSERT(peer_pdv(&p, 1, 2, data.data, data.size));
    CU_ASSERT_EQUAL(peer_status(&p, comment), 0x0111);
    CU_ASSERT_STRING_EQUAL(comment, "other content");
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    ends_clean(&s, "stored=0 refused=1 released=1");
    bytes_free(&data);
    server_stop(&s);
}

static void an_instance_that_nobody_decides_on_aborts_the_association(void)
{
    struct server s;
    struct peer p;
    struct bytes data = dataset(CT_IMAGE, "1.2.3.4", 1000), answer = {0};
    server_start(&s, &(struct server_options){.commit = SCP_NO_ANSWER, .comment = "no verdict"});
    connected(&s, &p);
    CU_ASSERT(peer_store_command(&p, 1, CT_IMAGE, "1.2.3.4"));
    CU_ASSERT(peer_pdv(&p, 1, 2, data.data, data.size));
    CU_ASSERT_EQUAL(peer_receive(&p, &answer), 7); // A-ABORT, and no C-STORE-RSP before it
    peer_close(&p);
    ends_clean(&s, "end bad timeout stored=0 refused=0 released=0 rejected=0 calling=TESTER: no "
                   "verdict");
    CU_ASSERT_EQUAL(server_files(&s), 1); // the handler's, and not discarded
    bytes_free(&data);
    bytes_free(&answer);
    server_stop(&s);
}

// The server gives up, not before a second has passed since start.
static void gives_up(struct server *s, double start)
{
    ends_clean(s, "end bad timeout");
    double took = seconds_now() - start;
    if (took < 1)
        printf("    gave up after %.2f s\n", took);
    CU_ASSERT(took >= 1);
}

static void silent_peers_are_dropped_in_time(void)
{
    struct server s;
    struct peer p;
    struct bytes rq = peer_request("TESTER", "ANODE", NULL, &ct, 1);
    server_start(&s,
                 &(struct server_options){.config = {.acse_timeout_s = 1, .dimse_timeout_s = 1}});
    double start = seconds_now();
    CU_ASSERT_FATAL(peer_connect(&p, s.port)); // says nothing
    gives_up(&s, start);
    peer_close(&p);
    start = seconds_now();
    CU_ASSERT_FATAL(peer_connect(&p, s.port)); // half a request
    CU_ASSERT(peer_send(&p, rq.data, rq.size / 2));
    gives_up(&s, start);
    peer_close(&p);
    start = seconds_now();
    connected(&s, &p); // an association, then nothing
    gives_up(&s, start);
    peer_close(&p);
    start = seconds_now();
    connected(&s, &p); // half an object
    CU_ASSERT(peer_store_command(&p, 1, CT_IMAGE, "1.2.3.4"));
    CU_ASSERT(peer_pdv(&p, 1, 0, "\x08\0\x16\0UI\x1a\0", 8));
    gives_up(&s, start);
    CU_ASSERT_EQUAL(server_files(&s), 0);
    peer_close(&p);
    bytes_free(&rq);
    server_stop(&s);
}

// Sends a byte every 50 ms until the peer closes, at most for HANG_S.
static void drip(struct peer *p, const uint8_t *data, size_t size)
{
    double end = seconds_now() + HANG_S;
    for (size_t i = 0; seconds_now() < end; i++) {
        struct pollfd f = {p->fd, POLLIN, 0};
        if (!peer_send(p, data + i % size, 1) || poll(&f, 1, 50) > 0)
            return;
    }
}

static void dripping_peers_are_dropped_in_time(void)
{
    struct server s;
    struct peer p;
    struct bytes rq = peer_request("TESTER", "ANODE", NULL, &ct, 1);
    server_start(&s, &(struct server_options){.config = {.acse_timeout_s = 1,
                                                         .dimse_timeout_s = NEVER_S,
                                                         .min_bytes_per_s = 1000}});
    double start = seconds_now();
    CU_ASSERT_FATAL(peer_connect(&p, s.port)); // the request
    drip(&p, rq.data, rq.size);
    peer_close(&p);
    ends_clean(&s, "end bad timeout");
    connected(&s, &p); // a command
    // One element as long as the command set has room for.
    drip(&p, (const uint8_t *)"\4\0\0\0\x40\0\0\0\x3f\xfc\1\3\0\0\0\0\xf2\x3f\0\0", 20);
    peer_close(&p);
    ends_clean(&s, "too slow");
    connected(&s, &p); // an object
    CU_ASSERT(peer_store_command(&p, 1, CT_IMAGE, "1.2.3.4"));
    server_expect(&s, "open");
    drip(&p, (const uint8_t *)"\4\0\0\1\0\0\0\0\xff\xfc\1\0", 12);
    peer_close(&p);
    CU_ASSERT_STRING_EQUAL(server_event(&s), "discard");
    ends_clean(&s, "too slow");
    CU_ASSERT(seconds_now() - start < HANG_S);
    CU_ASSERT_EQUAL(server_files(&s), 0);
    bytes_free(&rq);
    server_stop(&s);
}

static void a_slow_but_steady_peer_is_served(void)
{
    struct server s;
    struct peer p;
    struct bytes data = dataset(CT_IMAGE, "1.2.3.4", 20000);
    server_start(
        &s, &(struct server_options){
                .config = {.acse_timeout_s = 1, .dimse_timeout_s = 5, .min_bytes_per_s = 2000}});
    connected(&s, &p);
    CU_ASSERT(peer_store_command(&p, 1, CT_IMAGE, "1.2.3.4"));
    for (size_t at = 0; at < data.size; at += 1000) { // about 10 kB/s for 2 s
        size_t n = data.size - at < 1000 ? data.size - at : 1000;
        CU_ASSERT(peer_pdv(&p, 1, at + n == data.size ? 2 : 0, data.data + at, n));
        poll(NULL, 0, 100);
    }
    CU_ASSERT_EQUAL(peer_status(&p, NULL), 0);
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    ends_clean(&s, "stored=1");
    bytes_free(&data);
    server_stop(&s);
}

static void malformed_pdus_end_the_association_at_once(void)
{
    static const struct {
        const char *bytes;
        size_t size;
    } before[] =
        {
            {"\1\0\xff\xff\xff\xff\0\1\0\0", 10},
            {"\1\0\x40\0\0\0\0\1", 8},
            {"\1\0\0\0\0\0", 6},
            {"GET / HTTP/1.0\r\n\r\n", 18},
            {"\x16\3\1\2\0\1\0\1\xfc", 9},
            {"\4\0\0\0\0\4\0\0\0\0", 10},
            {"\7\0\0\0\0\4\0\0\0\0", 10},
        },
      inside[] = {
          {"\4\0\xff\xff\xff\xff\0\1\0\0", 10},     // PDU of 4 GiB - 1
          {"\4\0\0\2\0\1\0\1\0\0", 10},             // longer than announced
          {"\4\0\0\0\0\6\xff\xff\xff\xff\1\3", 12}, // PDV of 4 GiB - 1
          {"\4\0\0\0\0\4\0\0\0\0", 10},             // PDV of no bytes
          {"\4\0\0\0\0\6\0\0\0\2\x63\3", 12},       // unknown context
          {"\x99\0\0\0\0\0", 6},
          {"\4\0\0\0\0\x0a\0\0\0\6\1\3\xde\xad\xbe\xef", 16}, // garbage command
          {"\1\0\0\0\0\4\0\0\0\0", 10},
      };
    struct server s;
    struct peer p;
    struct bytes answer = {0};
    server_start(&s, &(struct server_options){0});
    double start = seconds_now();
    for (size_t i = 0; i < sizeof before / sizeof *before + sizeof inside / sizeof *inside; i++) {
        size_t j = i - sizeof before / sizeof *before;
        bool early = i < sizeof before / sizeof *before;
        if (early)
            CU_ASSERT_FATAL(peer_connect(&p, s.port));
        if (!early)
            connected(&s, &p);
        CU_ASSERT(peer_send(&p, early ? before[i].bytes : inside[j].bytes,
                            early ? before[i].size : inside[j].size));
        int type = peer_receive(&p, &answer);
        CU_ASSERT(type == 7 || type == 0 || type == 3); // A-ABORT, the end, or a rejection
        peer_close(&p);
        ends_clean(&s, "released=0");
    }
    CU_ASSERT(seconds_now() - start < HANG_S);
    CU_ASSERT_EQUAL(server_files(&s), 0);
    bytes_free(&answer);
    server_stop(&s);
}

static void a_command_of_sequences_in_sequences_ends_its_association(void)
{
    static const char down[] = "\0\0\x11\x11\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff";
    struct server s;
    struct bytes nested = {0};
    server_start(&s, &(struct server_options){0});
    for (int i = 0; i < 1000; i++)
        bytes_add(&nested, down, sizeof down - 1);
    for (int pdus = 1; pdus <= 40; pdus *= 40) {
        struct peer p;
        connected(&s, &p);
        for (int i = 0; i < pdus; i++) // the server may have had enough before the last one
            peer_pdv(&p, 1, i + 1 == pdus ? 3 : 1, nested.data, nested.size);
        ends_clean(&s, "end bad net");
        peer_close(&p);
    }
    bytes_free(&nested);
    server_stop(&s);
}

static void mutated_requests_harm_nobody(void)
{
    struct server s;
    struct bytes answer = {0};
    unsigned seed = 7;
    server_start(&s,
                 &(struct server_options){.config = {.acse_timeout_s = 1, .dimse_timeout_s = 1}});
    for (int i = 0; i < 200; i++) {
        struct peer p;
        struct bytes rq = peer_request("TESTER", "ANODE", NULL, &ct, 1);
        for (int m = 0; m < 3; m++) {
            seed = seed * 1103515245 + 12345;
            rq.data[6 + (seed >> 8) % (rq.size - 6)] = (uint8_t)(seed >> 24);
        }
        CU_ASSERT_FATAL(peer_connect(&p, s.port));
        CU_ASSERT(peer_send(&p, rq.data, rq.size));
        int type = peer_receive(&p, &answer);
        CU_ASSERT(type == 2 || type == 3 || type == 7 || type == 0);
        peer_close(&p);
        bytes_free(&rq);
        CU_ASSERT_STRING_EQUAL(server_expect(&s, "exit"), "exit 0");
    }
    bytes_free(&answer);
    server_stop(&s);
}

static void an_object_cut_short_by_the_peer_is_discarded(void)
{
    const uint8_t abort_pdu[10] = {7, 0, 0, 0, 0, 4, 0, 0, 0, 0};
    struct server s;
    server_start(&s, &(struct server_options){0});
    for (int how = 0; how < 3; how++) { // A-ABORT, end, reset
        struct peer p;
        connected(&s, &p);
        CU_ASSERT(peer_store_command(&p, 1, CT_IMAGE, "1.2.3.4"));
        CU_ASSERT(peer_pdv(&p, 1, 0, "\x08\0\x16\0UI\x1a\0", 8));
        server_expect(&s, "open");
        if (how == 0)
            CU_ASSERT(peer_send(&p, abort_pdu, sizeof abort_pdu));
        if (how == 2)
            peer_reset(&p);
        else
            peer_close(&p);
        CU_ASSERT_STRING_EQUAL(server_event(&s), "discard");
        ends_clean(&s, "end bad net stored=0 refused=0 released=0");
        CU_ASSERT_EQUAL(server_files(&s), 0);
    }
    server_stop(&s);
}

static void a_flooding_peer_is_cut_off(void)
{
    static uint8_t zeros[16000];
    struct server s;
    struct peer p;
    server_start(&s, &(struct server_options){.config = {.max_object_bytes = 100000}});
    connected(&s, &p);
    CU_ASSERT(peer_store_command(&p, 1, CT_IMAGE, "1.2.3.4"));
    long sent = 0;
    while (peer_pdv(&p, 1, 0, zeros, sizeof zeros) && sent < 100000000)
        sent += (long)sizeof zeros;
    CU_ASSERT(sent < 100000000);
    peer_close(&p);
    ends_clean(&s, "end bad net");
    CU_ASSERT_EQUAL(server_files(&s), 0);
    server_stop(&s);
}

// Sends pieces for as long as they are taken, at most 200 MB. Returns the bytes.
static long pour(struct peer *p, struct bytes *piece)
{
    long sent = 0;
    while (sent < 200000000 && peer_pdv(p, 1, 0, piece->data, piece->size))
        sent += (long)piece->size;
    return sent;
}

// What is lost is not received to its end: broken at byte 0 or in the middle of what was sound, or
// too large. The association goes on where not much more comes.
static void what_is_lost_is_not_received_to_its_end(void)
{
    struct bytes piece = {0}, first[4] = {{0}};
    uint8_t content[16000];
    static const char *const ends[] = {
        "data set: broken, and the peer goes on with it",
        "data set: broken, and the peer goes on with it",
        "data set: broken, and the peer goes on with it",
        "data set: larger than allowed, and the peer goes on with it",
    };
    static const struct peer_context contexts[] = {{1, CT_IMAGE, {EXPLICIT_LE}},
                                                   {1, CT_IMAGE, {DEFLATED}}};
    memset(content, 0xff, sizeof content);
    bytes_add(&piece, content, sizeof content);
    for (int i = 0; i < 1000; i++)
        bytes_add(&first[0], "\xff", 1);
    first[1] = dataset(CT_IMAGE, "1.2.3.4", 0);
    first[1].size -= 12; // the header of Pixel Data
    bytes_add(&first[1], "\x10\0\x10\0\xff\xff\xff\xff\xff\xff\xff\xff", 12);
    bytes_add(&first[2], "\xff\xff\xff\xff\xff\xff\xff\xff", 8); // no deflate stream
    first[3] = dataset(CT_IMAGE, "1.2.3.4", 0);
    first[3].size -= 12;
    bytes_add(&first[3], "\xe0\x7f\x10\0OW\0\0\xfe\xff\xff\xff", 12);
    for (int i = 0; i < 4; i++) {
        struct server s;
        struct peer p;
        server_start(
            &s, &(struct server_options){.config = {.max_object_bytes = 50000000}, .sizes = true});
        CU_ASSERT_FATAL(peer_connect(&p, s.port));
        CU_ASSERT_EQUAL_FATAL(peer_associate(&p, "TESTER", "ANODE", &contexts[i == 2], 1), 2);
        CU_ASSERT(peer_store_command(&p, 1, CT_IMAGE, "1.2.3.4"));
        CU_ASSERT(peer_pdv(&p, 1, 0, first[i].data, first[i].size));
        const long sent = pour(&p, &piece);
        CU_ASSERT(sent < 40000000); // with what lies in buffers
        peer_close(&p);
        const char *event = server_expect(&s, "discard");
        CU_ASSERT_STRING_EQUAL(event, "discard 0"); // the blocks were given back at once
        event = server_expect(&s, "end bad net");
        CU_ASSERT_PTR_NOT_NULL(strstr(event, ends[i]));
        CU_ASSERT_EQUAL(server_files(&s), 0);
        server_stop(&s);
        bytes_free(&first[i]);
    }
    bytes_free(&piece);
}

// A C-STORE-RQ whose SOP Instance UID has another length than any may have.
static bool store_command_with(struct peer *p, size_t digits)
{
    char uid[80] = "1.2.";
    struct bytes command = {0};
    for (size_t i = strlen(uid); i < digits; i++)
        uid[i] = '3';
    static const char head[] = "\0\0\x02\0\x1a\0\0\0" CT_IMAGE "\0"
                               "\0\0\0\1\2\0\0\0\1\0"
                               "\0\0\x10\1\2\0\0\0\7\0"
                               "\0\0\0\7\2\0\0\0\0\0"
                               "\0\0\0\x08\2\0\0\0\1\0";
    bytes_add(&command, head, sizeof head - 1);
    const uint8_t instance[8] = {0, 0, 0, 0x10, (uint8_t)((digits + 1) & ~1u)};
    if (digits > 0) {
        bytes_add(&command, instance, 8);
        bytes_add(&command, uid, (digits + 1) & ~(size_t)1);
    }
    bool ok = peer_pdv(p, 1, 3, command.data, command.size);
    bytes_free(&command);
    return ok;
}

static void a_uid_that_is_too_long_or_missing_is_answered_0117(void)
{
    static const size_t digits[] = {65, 66, 78, 0};
    struct server s;
    struct peer p;
    char comment[65];
    struct bytes data = dataset(CT_IMAGE, "1.2.3.4", 5000);
    server_start(&s, &(struct server_options){0});
    connected(&s, &p);
    for (size_t i = 0; i < sizeof digits / sizeof *digits; i++) {
        CU_ASSERT(store_command_with(&p, digits[i]));
        CU_ASSERT(peer_pdv(&p, 1, 2, data.data, data.size));
        CU_ASSERT_EQUAL(peer_status(&p, comment), 0x0117);
        CU_ASSERT_STRING_EQUAL(comment, "SOP Instance UID is malformed");
    }
    CU_ASSERT_EQUAL(peer_store(&p, 1, CT_IMAGE, "1.2.3.4", &data), 0); // and nothing else suffers
    CU_ASSERT(peer_release(&p));
    peer_close(&p);
    ends_clean(&s, "end ok none stored=1 refused=4 released=1");
    CU_ASSERT_EQUAL(server_files(&s), 1);
    bytes_free(&data);
    server_stop(&s);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"echoscu gets an answer", echoscu_gets_an_answer},
        {"storescu stores bit-preserving, with what is needed to know it",
         storescu_stores_bit_preserving_with_what_is_needed_to_know_it},
        {"dcmsend delivers compressed files as they are",
         dcmsend_delivers_compressed_files_as_they_are},
        {"deflated and big endian data sets are understood",
         deflated_and_big_endian_data_sets_are_understood},
        {"wrong titles and contexts are rejected with their reason",
         wrong_titles_and_contexts_are_rejected_with_their_reason},
        {"titles lose their padding", titles_lose_their_padding},
        {"each context gets its own answer", each_context_gets_its_own_answer},
        {"every syntax that is accepted is received", every_syntax_that_is_accepted_is_received},
        {"UIDs unlike the command's are refused, and the next object is stored",
         uids_unlike_the_commands_are_refused_and_the_next_object_is_stored},
        {"a UID that is a path never reaches the disk",
         a_uid_that_is_a_path_never_reaches_the_disk},
        {"garbage, truncated and empty data sets are refused",
         garbage_truncated_and_empty_data_sets_are_refused},
        {"a data set that others read is stored", a_data_set_that_others_read_is_stored},
        {"a data set without study or series is refused",
         a_data_set_without_study_or_series_is_refused},
        {"large elements before the UIDs hide nothing",
         large_elements_before_the_uids_hide_nothing},
        {"a full disk is answered A700 at once and the association lives",
         a_full_disk_is_answered_a700_at_once_and_the_association_lives},
        {"no file and too large are answered A700", no_file_and_too_large_are_answered_a700},
        {"room is looked after while an object comes", room_is_looked_after_while_an_object_comes},
        {"what the handler says is answered", what_the_handler_says_is_answered},
        {"an instance that nobody decides on aborts the association",
         an_instance_that_nobody_decides_on_aborts_the_association},
        {"silent peers are dropped in time", silent_peers_are_dropped_in_time},
        {"dripping peers are dropped in time", dripping_peers_are_dropped_in_time},
        {"a slow but steady peer is served", a_slow_but_steady_peer_is_served},
        {"malformed PDUs end the association at once", malformed_pdus_end_the_association_at_once},
        {"a command of sequences in sequences ends its association",
         a_command_of_sequences_in_sequences_ends_its_association},
        {"mutated requests harm nobody", mutated_requests_harm_nobody},
        {"an object cut short by the peer is discarded",
         an_object_cut_short_by_the_peer_is_discarded},
        {"a flooding peer is cut off", a_flooding_peer_is_cut_off},
        {"what is lost is not received to its end", what_is_lost_is_not_received_to_its_end},
        {"a UID that is too long or missing is answered 0117",
         a_uid_that_is_too_long_or_missing_is_answered_0117},
    };
    struct err err;
    if (!object_init(&err) || !scp_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("association", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
