// scu_* with DCMTK's and Orthanc's servers and with acceptors that misbehave.
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "dimse/read/object.h"
#include "dimse/net/scp.h"
#include "dimse/net/scu.h"
#include "base/fs.h"
#include "tests/check.h"
#include "tests/made.h"
#include "tests/net/helper_peer.h"
#include "tests/net/helper_server.h"

#define RLE       "1.2.840.10008.1.2.5"
#define FILES_MAX 200

static struct scu_peer to(uint16_t port, const char *called)
{
    return (struct scu_peer){.host = "127.0.0.1",
                             .port = port,
                             .called = called,
                             .calling = "ANODE",
                             .connect_timeout_s = NEVER_S,
                             .dimse_timeout_s = NEVER_S,
                             .max_pdu = 131072};
}

struct batch {
    struct scu_file files[FILES_MAX];
    char paths[FILES_MAX][512];
    struct scu_outcome outcomes[FILES_MAX];
    size_t count, answered;
};

static void batch_add(struct batch *b, const char *path, const char *sop_class,
                      const char *instance, const char *syntax)
{
    struct scu_file *f = &b->files[b->count];
    CU_ASSERT_FATAL(strlen(path) < sizeof b->paths[0]);
    memcpy(b->paths[b->count], path, strlen(path) + 1);
    f->path = b->paths[b->count++];
    snprintf(f->id.sop_class_uid, sizeof f->id.sop_class_uid, "%s", sop_class);
    snprintf(f->id.sop_instance_uid, sizeof f->id.sop_instance_uid, "%s", instance);
    snprintf(f->id.transfer_syntax_uid, sizeof f->id.transfer_syntax_uid, "%s", syntax);
}

static void batch_add_ct(struct batch *b, const char *instance, size_t pixels)
{
    batch_add(b, dataset_file(CT_IMAGE, instance, pixels), CT_IMAGE, instance, EXPLICIT_LE);
}

// In the order of the files.
static void on_outcome(void *ctx, size_t index, const struct scu_outcome *outcome)
{
    struct batch *b = ctx;
    CU_ASSERT_EQUAL(index, b->answered);
    b->outcomes[index] = *outcome;
    b->answered++;
}

static bool batch_send(struct batch *b, uint16_t port, const char *called, struct err *err)
{
    struct scu_peer peer = to(port, called);
    return scu_store(&peer, b->files, b->count, on_outcome, b, err);
}

static void printed(bool ok, const struct err *err)
{
    if (!ok)
        printf("    %s: %s\n", err_code_name(err->code), err->text);
    CU_ASSERT(ok);
}

static void echo_and_its_rejections(void)
{
    struct server s;
    struct err err = {0};
    server_start(&s, &(struct server_options){0});
    struct scu_peer peer = to(s.port, "ANODE");
    printed(scu_echo(&peer, &err), &err);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(server_expect(&s, "end"), "end ok none stored=0 refused=0 released=1"));
    peer.called = "NOBODY";
    CU_ASSERT_FALSE(scu_echo(&peer, &err));
    CU_ASSERT_EQUAL(err.code, ERR_NET);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "1/1/7: called AE title not recognised"));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "127.0.0.1"));
    peer.called = "ANODE";
    peer.calling = "STRANGER";
    CU_ASSERT_FALSE(scu_echo(&peer, &err));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "1/1/3: calling AE title not recognised"));
    server_stop(&s);
}

static void files_arrive_as_they_are(void)
{
    static struct batch b;
    struct server s;
    struct err err = {0};
    server_start(&s, &(struct server_options){0});
    struct bytes data = dataset(CT_IMAGE, "1.2.3.1", 300000);
    b = (struct batch){0};
    batch_add_ct(&b, "1.2.3.1", 300000);
    printed(batch_send(&b, s.port, "ANODE", &err), &err);
    CU_ASSERT_EQUAL(b.answered, 1);
    CU_ASSERT_EQUAL(b.outcomes[0].fate, SCU_SENT);
    CU_ASSERT_EQUAL(b.outcomes[0].status, 0);
    CU_ASSERT(file_holds(server_file(&s), &data));
    CU_ASSERT_PTR_NOT_NULL(strstr(server_expect(&s, "end"), "stored=1 refused=0 released=1"));
    bytes_free(&data);
    server_stop(&s);
}

// Megabytes do not fit in the peer's window: DCMTK takes a short write for an error.
static void large_objects_wait_for_the_peers_window(void)
{
    static struct batch b;
    struct server s;
    struct err err = {0};
    server_start(&s, &(struct server_options){0});
    b = (struct batch){0};
    for (int i = 0; i < 4; i++)
        batch_add_ct(&b, "1.2.3.1", 8000000);
    printed(batch_send(&b, s.port, "ANODE", &err), &err);
    CU_ASSERT_EQUAL(b.answered, 4);
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(b.outcomes[i].fate, SCU_SENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(server_expect(&s, "end"), "stored=4 refused=0 released=1"));
    CU_ASSERT_EQUAL(server_files(&s), 4);
    server_stop(&s);
}

static void what_the_peer_refuses_is_told_and_the_rest_is_sent(void)
{
    static struct batch b;
    struct server s;
    struct err err = {0};
    server_start(&s,
                 &(struct server_options){.commit = SCP_OUT_OF_RESOURCES, .comment = "full disk"});
    b = (struct batch){0};
    batch_add_ct(&b, "1.2.3.1", 1000);
    batch_add(&b, "/nonexistent/file.dcm", CT_IMAGE, "1.2.3.2", EXPLICIT_LE);
    batch_add(&b, b.paths[0], CT_IMAGE, "1.2.3.9", EXPLICIT_LE); // not what it holds
    batch_add(&b, b.paths[0], "1.2.3.4.5", "1.2.3.1", EXPLICIT_LE);
    batch_add_ct(&b, "1.2.3.5", 1000);
    printed(batch_send(&b, s.port, "ANODE", &err), &err);
    CU_ASSERT_EQUAL(b.answered, 5);
    CU_ASSERT_EQUAL(b.outcomes[0].fate, SCU_REFUSED);
    CU_ASSERT_EQUAL(b.outcomes[0].status, 0xa700);
    CU_ASSERT_STRING_EQUAL(b.outcomes[0].text, "full_disk");
    CU_ASSERT_EQUAL(b.outcomes[1].fate, SCU_BAD_FILE);
    CU_ASSERT_NOT_EQUAL(b.outcomes[1].text[0], 0);
    CU_ASSERT_EQUAL(b.outcomes[2].fate, SCU_BAD_FILE);
    CU_ASSERT_EQUAL(b.outcomes[3].fate, SCU_NO_CONTEXT);
    CU_ASSERT_EQUAL(b.outcomes[4].fate, SCU_REFUSED);
    server_stop(&s);
}

// Which answers stay (PS3.4 B.2.3, PS3.7 C), which may pass, and that 0111 means "is there".
static void answers_that_stay_are_told_from_those_that_pass(void)
{
    static const struct {
        uint16_t status;
        enum scu_fate fate;
    } table[] = {{0x0111, SCU_SENT},     {0xb000, SCU_SENT},     {0xb007, SCU_SENT},
                 {0xa700, SCU_REFUSED},  {0xa702, SCU_REFUSED},  {0x0110, SCU_REFUSED},
                 {0xa900, SCU_REJECTED}, {0xa9ff, SCU_REJECTED}, {0xc000, SCU_REJECTED},
                 {0xc123, SCU_REJECTED}, {0x0117, SCU_REJECTED}, {0x0122, SCU_REJECTED},
                 {0x0124, SCU_REJECTED}, {0x0212, SCU_REJECTED}};
    static struct batch b;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct server s;
        struct err err = {0};
        server_start(&s, &(struct server_options){.commit = (enum scp_status)table[i].status});
        b = (struct batch){0};
        batch_add_ct(&b, "1.2.3.1", 1000);
        printed(batch_send(&b, s.port, "ANODE", &err), &err);
        CU_ASSERT_EQUAL(b.outcomes[0].fate, table[i].fate);
        CU_ASSERT_EQUAL(b.outcomes[0].status, table[i].status);
        server_stop(&s);
    }
}

// The only file in folder, "" when there is none.
static const char *only_file(const char *folder)
{
    static char path[8192];
    DIR *dir = opendir(folder);
    path[0] = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] != '.')
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    }
    if (dir)
        closedir(dir);
    return path;
}

#define SR_3D "1.2.840.10008.5.1.4.1.1.88.34"

// A report with one content item, and a predecessor of its own kind.
static const char *report_file(const char *value_type)
{
    struct made_file f, item = {.syntax = EXPLICIT_LE}, reference = item, series = item,
                        study = item;
    made_ct(&f, EXPLICIT_LE, "1.2.3.7", 0);
    made_set(&f, 0x00080016, "UI", SR_3D);
    made_set(&f, 0x00080060, "CS", "SR");
    made_set(&reference, 0x00081150, "UI", SR_3D);
    made_set(&reference, 0x00081155, "UI", "1.2.3.6");
    made_nest(&series, 0x00081199, &reference);
    made_nest(&study, 0x00081115, &series);
    made_nest(&f, 0x0040a360, &study);
    made_set(&item, 0x0040a010, "CS", "CONTAINS");
    made_set(&item, 0x0040a040, "CS", value_type);
    made_nest(&f, 0x0040a730, &item);
    const char *path = made_write(&f, "report.dcm");
    made_finish(&f);
    return path;
}

// A peer that takes only one SOP class, as DCMTK names it; its process, or 0.
static int start_peer_of(const char *sop_class, const char *folder, uint16_t port)
{
    char config[4096], text[512], number[8];
    snprintf(config, sizeof config, "%s/profile.cfg", check_scratch());
    int n = snprintf(text, sizeof text,
                     "[[TransferSyntaxes]]\n[Plain]\nTransferSyntax1 = LittleEndianExplicit\n"
                     "TransferSyntax2 = LittleEndianImplicit\n[[PresentationContexts]]\n[Only]\n"
                     "PresentationContext1 = %s\\Plain\n[[Profiles]]\n[Default]\n"
                     "PresentationContexts = Only\n",
                     sop_class);
    CU_ASSERT_FATAL(mkdir(folder, 0700) == 0 && fs_write_file(config, text, (size_t)n, NULL));
    snprintf(number, sizeof number, "%u", port);
    const char *argv[] = {"storescp", "-xf", config, "Default", "-od", folder, number, NULL};
    int pid = tool_start(argv);
    CU_ASSERT_FATAL(peer_wait(port));
    return pid;
}

static void a_report_goes_as_what_the_peer_supports(void)
{
    static const struct {
        const char *sop_class, *value_type, *text; // text of the outcome
        enum scu_fate fate;
    } table[] = {
        {"Comprehensive3DSRStorage", "SCOORD3D", "", SCU_SENT},
        {"ComprehensiveSRStorage", "SCOORD", "as Comprehensive SR Storage: the peer does not",
         SCU_SENT},
        {"EnhancedSRStorage", "TEXT", "as Enhanced SR Storage: the peer does not", SCU_SENT},
        {"ComprehensiveSRStorage", "SCOORD3D",
         "the peer does not support Comprehensive 3D SR Storage", SCU_NO_CONTEXT},
        {"CTImageStorage", "TEXT", "the peer does not support Comprehensive 3D SR Storage",
         SCU_NO_CONTEXT},
    };
    static struct batch b;
    if (!tool_there("storescp") || !tool_there("dcmdump"))
        return;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char folder[4096], named[64];
        struct err err = {0};
        uint16_t port = peer_free_port();
        snprintf(folder, sizeof folder, "%s/reports-%zu", check_scratch(), i);
        int pid = start_peer_of(table[i].sop_class, folder, port);
        b = (struct batch){0};
        batch_add(&b, report_file(table[i].value_type), SR_3D, "1.2.3.7", EXPLICIT_LE);
        printed(batch_send(&b, port, "STORESCP", &err), &err);
        tool_stop(pid);
        CU_ASSERT_EQUAL(b.outcomes[0].fate, table[i].fate);
        CU_ASSERT_NSTRING_EQUAL(b.outcomes[0].text, table[i].text, strlen(table[i].text));
        if (table[i].fate != SCU_SENT)
            continue;
        const char *dump[] = {"dcmdump", "+P",        "0008,0016",       "+P", "0008,0018",
                              "+P",      "0008,1155", only_file(folder), NULL};
        CU_ASSERT_EQUAL(tool_run(dump), 0);
        snprintf(named, sizeof named, "=%s", table[i].sop_class);
        CU_ASSERT_PTR_NOT_NULL(strstr(tool_output(), named));
        // what stands for it is another instance, and its predecessor stands in likewise
        CU_ASSERT_EQUAL(strstr(tool_output(), "[1.2.3.7]") != NULL, i == 0);
        CU_ASSERT_EQUAL(strstr(tool_output(), "[1.2.3.6]") != NULL, i == 0);
        CU_ASSERT_EQUAL(strstr(tool_output(), "[2.25.") != NULL, i > 0);
    }
}

static void more_contexts_than_one_association_has_take_several(void)
{
    static struct batch b;
    struct server s;
    struct err err = {0};
    char path[4096], sop_class[65];
    server_start(&s, &(struct server_options){0});
    b = (struct batch){0};
    batch_add_ct(&b, "1.2.3.1", 1000);
    snprintf(path, sizeof path, "%s", b.paths[0]);
    for (int i = 0; i < 150; i++) {
        snprintf(sop_class, sizeof sop_class, "1.2.3.9.%d", i);
        batch_add(&b, path, sop_class, "1.2.3.1", EXPLICIT_LE);
    }
    batch_add_ct(&b, "1.2.3.2", 1000);
    printed(batch_send(&b, s.port, "ANODE", &err), &err);
    CU_ASSERT_EQUAL(b.answered, 152);
    CU_ASSERT_EQUAL(b.outcomes[0].fate, SCU_SENT);
    CU_ASSERT_EQUAL(b.outcomes[100].fate, SCU_NO_CONTEXT);
    CU_ASSERT_EQUAL(b.outcomes[151].fate, SCU_SENT);
    // 152 SOP classes of two contexts each: three associations.
    for (int i = 0; i < 3; i++)
        CU_ASSERT_PTR_NOT_NULL(strstr(server_expect(&s, "end"), "released=1"));
    server_stop(&s);
}

static void a_peer_with_implicit_only_gets_everything_uncompressed(void)
{
    static struct batch b;
    char port[8], folder[4096], rle[8192];
    struct err err = {0};
    if (!tool_there("storescp") || !tool_there("dcmcrle") || !tool_there("dcmdump"))
        return;
    snprintf(rle, sizeof rle, "%s/rle.dcm", check_scratch());
    struct bytes data = dataset(CT_IMAGE, "1.2.3.1", 32768);
    const char *compress[] = {"dcmcrle", dataset_file(CT_IMAGE, "1.2.3.1", 32768), rle, NULL};
    CU_ASSERT_EQUAL(tool_run(compress), 0);
    for (int compressed = 0; compressed < 2; compressed++) {
        uint16_t number = peer_free_port();
        snprintf(port, sizeof port, "%u", number);
        snprintf(folder, sizeof folder, "%s/storescp-%d", check_scratch(), compressed);
        CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0700), 0);
        const char *argv[] = {"storescp", "+xi", "-od", folder, port, NULL};
        int pid = tool_start(argv);
        CU_ASSERT_FATAL(peer_wait(number));
        b = (struct batch){0};
        if (compressed)
            batch_add(&b, rle, CT_IMAGE, "1.2.3.1", RLE);
        if (!compressed)
            batch_add_ct(&b, "1.2.3.1", 32768);
        printed(batch_send(&b, number, "STORESCP", &err), &err);
        CU_ASSERT_EQUAL(b.outcomes[0].fate, SCU_SENT);
        tool_stop(pid);
        size_t size = 0;
        char *file = fs_read_file(only_file(folder), 1 << 20, &size, NULL);
        CU_ASSERT_PTR_NOT_NULL_FATAL(file);
        CU_ASSERT(size > 32768 &&
                  memcmp(file + size - 32768, data.data + data.size - 32768, 32768) == 0);
        free(file);
        const char *dump[] = {"dcmdump", only_file(folder), NULL};
        CU_ASSERT_EQUAL(tool_run(dump), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(tool_output(), "=LittleEndianImplicit"));
    }
    bytes_free(&data);
}

enum script {
    SILENT,
    DRIPPING,
    ACCEPTS_THEN_SILENT,
    ACCEPTS_THEN_ABORTS,
    ACCEPTS_THEN_DRIPS,
    ENDS
};

static void play(enum script script, int connection)
{
    struct peer p = {connection};
    struct bytes ac = peer_acceptance(1, IMPLICIT_LE), body = {0};
    if (script == DRIPPING) {
        for (size_t i = 0; i < ac.size && peer_send(&p, ac.data + i, 1); i++)
            poll(NULL, 0, 100);
    } else if (script != SILENT && script != ENDS) {
        peer_receive(&p, &body);
        peer_send(&p, ac.data, ac.size);
        peer_receive(&p, &body);
        if (script == ACCEPTS_THEN_ABORTS)
            peer_send(&p, "\7\0\0\0\0\4\0\0\0\0", 10);
        for (int i = 0; script == ACCEPTS_THEN_DRIPS && i < 100; i++) {
            if (!peer_send(&p, i < 6 ? &"\4\0\0\0\1\0"[i] : "", 1))
                break;
            poll(NULL, 0, 100);
        }
    }
    if (script != ENDS && script != ACCEPTS_THEN_ABORTS)
        while (peer_receive(&p, &body) > 0)
            ;
    bytes_free(&ac);
    bytes_free(&body);
}

static void peers_that_stall_end_in_time(void)
{
    static const struct {
        enum script script;
        enum err_code code;
    } scripts[] = {{SILENT, ERR_TIMEOUT},
                   {DRIPPING, ERR_TIMEOUT},
                   {ACCEPTS_THEN_SILENT, ERR_TIMEOUT},
                   {ACCEPTS_THEN_ABORTS, ERR_NET},
                   {ACCEPTS_THEN_DRIPS, ERR_TIMEOUT},
                   {ENDS, ERR_NET}};
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        uint16_t port;
        struct err err = {0};
        int listener = peer_listen(&port);
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            int connection = accept(listener, NULL, NULL);
            play(scripts[i].script, connection);
            close(connection);
            peer_exit(0);
        }
        close(listener);
        struct scu_peer peer = to(port, "ANY");
        peer.connect_timeout_s = 1;
        peer.dimse_timeout_s = 1;
        double start = seconds_now();
        CU_ASSERT_FALSE(scu_echo(&peer, &err));
        CU_ASSERT(seconds_now() - start < HANG_S);
        CU_ASSERT_EQUAL(err.code, scripts[i].code);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
}

static void a_dead_port_is_an_error_of_the_network(void)
{
    static struct batch b;
    struct err err = {0};
    b = (struct batch){0};
    batch_add_ct(&b, "1.2.3.1", 1000);
    CU_ASSERT_FALSE(batch_send(&b, peer_free_port(), "ANODE", &err));
    CU_ASSERT_EQUAL(err.code, ERR_NET);
    CU_ASSERT_EQUAL(b.answered, 0);
    long count = 5;
    struct scu_peer peer = to(peer_free_port(), "ANODE");
    CU_ASSERT_FALSE(scu_find_series_count(&peer, "1.2", "1.3", &count, &err));
    CU_ASSERT_EQUAL(count, -1);
}

static void a_peer_without_find_is_told(void)
{
    struct server s;
    struct err err = {0};
    long count;
    server_start(&s, &(struct server_options){0});
    struct scu_peer peer = to(s.port, "ANODE");
    CU_ASSERT_FALSE(scu_find_series_count(&peer, "1.2", "1.3", &count, &err));
    CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(server_expect(&s, "end"), "released=1"));
    err = (struct err){0};
    CU_ASSERT_FALSE(scu_move_series(&peer, "1.2", "1.3", &err));
    CU_ASSERT_EQUAL(err.code, ERR_UNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(server_expect(&s, "end"), "released=1"));
    server_stop(&s);
}

static void on_question(void *ctx, const struct scu_question *question)
{
    unsigned *count = ctx;
    ++*count;
    CU_ASSERT_STRING_EQUAL(question->sop_class_uid, "1.2.840.10008.5.1.4.1.2.2.1");
    CU_ASSERT_STRING_EQUAL(question->transfer_syntax_uid, "1.2.840.10008.1.2.1");
    const char *uid = *count == 1 ? "UI\x0a\0001.2.3.200" : "UI\x0a\0001.2.3.201";
    CU_ASSERT_PTR_NOT_NULL(memmem(question->data, question->size, uid, 13));
    CU_ASSERT_PTR_NOT_NULL(memmem(question->data, question->size, "CS\x06\0SERIES", 10));
}

// Stores three instances and asks for their number.
static void count_after_store(uint16_t port, const char *called, long expected)
{
    static struct batch b;
    struct err err = {0};
    long count = 0;
    unsigned questions = 0;
    struct scu_peer peer = to(port, called);
    peer.on_question = on_question;
    peer.question_ctx = &questions;
    b = (struct batch){0};
    batch_add_ct(&b, "1.2.3.1", 1000);
    batch_add_ct(&b, "1.2.3.2", 1000);
    batch_add_ct(&b, "1.2.3.3", 1000);
    printed(batch_send(&b, port, called, &err), &err);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(b.outcomes[i].fate, SCU_SENT);
    printed(scu_find_series_count(&peer, "1.2.3.100", "1.2.3.200", &count, &err), &err);
    CU_ASSERT_EQUAL(count, expected);
    printed(scu_find_series_count(&peer, "1.2.3.100", "1.2.3.201", &count, &err), &err);
    CU_ASSERT_EQUAL(count, -1);
    CU_ASSERT_EQUAL(questions, 2);
    // It does not know us as a destination: dcmqrscp says so (A801, PS3.4 C.4.2.1.5), Orthanc
    // aborts.
    CU_ASSERT_FALSE(scu_move_series(&peer, "1.2.3.100", "1.2.3.200", &err));
    CU_ASSERT_EQUAL(err.code, ERR_NET);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "C-MOVE: "));
}

static void a_peer_that_does_not_say_the_count(void)
{
    char config[4096], folder[4096], text[8192], port[8];
    if (!tool_there("dcmqrscp"))
        return;
    uint16_t number = peer_free_port();
    snprintf(folder, sizeof folder, "%s/archive", check_scratch());
    snprintf(config, sizeof config, "%s/dcmqrscp.cfg", check_scratch());
    snprintf(port, sizeof port, "%u", number);
    int n = snprintf(text, sizeof text,
                     "NetworkTCPPort = %u\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
                     "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
                     "AETable BEGIN\nARCHIVE %s RW (10, 100mb) ANY\nAETable END\n",
                     number, folder);
    CU_ASSERT_FATAL(mkdir(folder, 0700) == 0 && fs_write_file(config, text, (size_t)n, NULL));
    const char *argv[] = {"dcmqrscp", "-c", config, port, NULL};
    int pid = tool_start(argv);
    CU_ASSERT_FATAL(peer_wait(number));
    count_after_store(number, "ARCHIVE", -1); // it has no such attribute
    tool_stop(pid);
}

static void orthanc_counts_a_series(void)
{
    char config[4096], text[8192];
    if (!tool_there("Orthanc"))
        return;
    uint16_t dicom = peer_free_port(), http = peer_free_port();
    snprintf(config, sizeof config, "%s/orthanc.json", check_scratch());
    int n = snprintf(text, sizeof text,
                     "{\"DicomPort\": %u, \"HttpPort\": %u, \"DicomAet\": \"ORTHANC\", "
                     "\"StorageDirectory\": \"%s/orthanc\", \"IndexDirectory\": \"%s/orthanc\", "
                     "\"RemoteAccessAllowed\": false, \"DicomAlwaysAllowFind\": true, "
                     "\"DicomAlwaysAllowStore\": true}\n",
                     dicom, http, check_scratch(), check_scratch());
    CU_ASSERT_FATAL(fs_write_file(config, text, (size_t)n, NULL));
    const char *argv[] = {access("/usr/sbin/Orthanc", X_OK) ? "Orthanc" : "/usr/sbin/Orthanc",
                          config, NULL};
    int pid = tool_start(argv);
    CU_ASSERT_FATAL(peer_wait(dicom));
    count_after_store(dicom, "ORTHANC", 3);
    tool_stop(pid);
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static void no_descriptor_is_left_behind(void)
{
    static struct batch b;
    struct server s;
    struct err err;
    server_start(&s, &(struct server_options){0});
    struct scu_peer good = to(s.port, "ANODE"), rejected = to(s.port, "NOBODY"),
                    dead = to(peer_free_port(), "ANODE");
    int before = open_descriptors();
    for (int i = 0; i < 20; i++) {
        b = (struct batch){0};
        batch_add_ct(&b, "1.2.3.1", 1000);
        CU_ASSERT(batch_send(&b, s.port, "ANODE", &err));
        CU_ASSERT(scu_echo(&good, &err));
        CU_ASSERT_FALSE(scu_echo(&rejected, &err));
        CU_ASSERT_FALSE(scu_echo(&dead, &err));
    }
    CU_ASSERT_EQUAL(open_descriptors(), before);
    server_stop(&s);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"echo and its rejections", echo_and_its_rejections},
        {"files arrive as they are", files_arrive_as_they_are},
        {"large objects wait for the peer's window", large_objects_wait_for_the_peers_window},
        {"what the peer refuses is told, and the rest is sent",
         what_the_peer_refuses_is_told_and_the_rest_is_sent},
        {"answers that stay are told from those that pass",
         answers_that_stay_are_told_from_those_that_pass},
        {"a report goes as what the peer supports", a_report_goes_as_what_the_peer_supports},
        {"more contexts than one association has take several",
         more_contexts_than_one_association_has_take_several},
        {"a peer with Implicit VR only gets everything uncompressed",
         a_peer_with_implicit_only_gets_everything_uncompressed},
        {"peers that stall end in time", peers_that_stall_end_in_time},
        {"a dead port is an error of the network", a_dead_port_is_an_error_of_the_network},
        {"a peer without C-FIND is told", a_peer_without_find_is_told},
        {"a peer that does not say the count", a_peer_that_does_not_say_the_count},
        {"Orthanc counts a series", orthanc_counts_a_series},
        {"no descriptor is left behind", no_descriptor_is_left_behind},
    };
    struct err err;
    if (!object_init(&err) || !scp_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("requestor", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
