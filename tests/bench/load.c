// C-STORE load: bench_load [-a associations] [-n objects] [-s columns] [-c CALLING] PORT CALLED
// Sends generated CT slices to 127.0.0.1, each with a UID of its own, dealt evenly to associations
// that run at the same time. No DICOM toolkit: what is measured is the server. Prints one line of
// JSON; exit status 1 unless every object was answered 0000.
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "tests/net/helper_peer.h"

#define ASSOCIATIONS_MAX 64
#define OBJECTS_MAX      100000
#define ANSWER_TIMEOUT_S 120
#define UID_ROOM         32 // every SOP Instance UID has this many characters

struct load {
    uint16_t port;
    const char *calling, *called;
    unsigned associations, objects;
    struct bytes slice; // the data set, with room for a UID at uid_at
    size_t uid_at;
    unsigned long run; // makes UIDs unlike those of other runs
    double *latency;   // [objects] seconds, -1: not answered 0000
};

struct sender {
    struct load *load;
    unsigned number;
    pthread_t thread;
    double setup_s; // negative: no association
};

static pthread_barrier_t ready;

static void add_text(struct bytes *b, unsigned group, unsigned element, const char *vr,
                     unsigned long run, const char *prefix)
{
    char text[128];
    snprintf(text, sizeof text, "%s%lu", prefix, run);
    element_text(b, group, element, vr, text);
}

static void add_us(struct bytes *b, unsigned group, unsigned element, unsigned value)
{
    const uint8_t bytes[10] = {(uint8_t)group,
                               (uint8_t)(group >> 8),
                               (uint8_t)element,
                               (uint8_t)(element >> 8),
                               'U',
                               'S',
                               2,
                               0,
                               (uint8_t)value,
                               (uint8_t)(value >> 8)};
    bytes_add(b, bytes, sizeof bytes);
}

static void make_slice(struct load *l, unsigned columns)
{
    static const char room[UID_ROOM + 1] = "00000000000000000000000000000000";
    struct bytes *b = &l->slice;
    element_text(b, 0x0008, 0x0005, "CS", "ISO_IR 100");
    element_text(b, 0x0008, 0x0008, "CS", "ORIGINAL\\PRIMARY\\AXIAL");
    element_text(b, 0x0008, 0x0016, "UI", CT_IMAGE);
    element_text(b, 0x0008, 0x0018, "UI", room);
    l->uid_at = b->size - UID_ROOM;
    element_text(b, 0x0008, 0x0020, "DA", "20260101");
    element_text(b, 0x0008, 0x0060, "CS", "CT");
    element_text(b, 0x0008, 0x103e, "LO", "Load 1.0");
    element_text(b, 0x0010, 0x0010, "PN", "Load^Generated");
    element_text(b, 0x0010, 0x0020, "LO", "LOAD");
    element_text(b, 0x0018, 0x0050, "DS", "1.0");
    element_text(b, 0x0018, 0x0060, "DS", "120");
    add_text(b, 0x0020, 0x000d, "UI", l->run, "1.2.826.0.1.3680043.10.1.1.");
    add_text(b, 0x0020, 0x000e, "UI", l->run, "1.2.826.0.1.3680043.10.1.2.");
    element_text(b, 0x0020, 0x0011, "IS", "1");
    element_text(b, 0x0020, 0x0013, "IS", "1");
    element_text(b, 0x0020, 0x0032, "DS", "-200\\-200\\0");
    element_text(b, 0x0020, 0x0037, "DS", "1\\0\\0\\0\\1\\0");
    add_us(b, 0x0028, 0x0002, 1);
    element_text(b, 0x0028, 0x0004, "CS", "MONOCHROME2");
    add_us(b, 0x0028, 0x0010, columns);
    add_us(b, 0x0028, 0x0011, columns);
    element_text(b, 0x0028, 0x0030, "DS", "0.78125\\0.78125");
    add_us(b, 0x0028, 0x0100, 16);
    add_us(b, 0x0028, 0x0101, 12);
    add_us(b, 0x0028, 0x0102, 11);
    add_us(b, 0x0028, 0x0103, 0);
    element_text(b, 0x0028, 0x1052, "DS", "-1024");
    element_text(b, 0x0028, 0x1053, "DS", "1");
    element_words(b, 0x7fe0, 0x0010, (size_t)columns * columns * 2);
}

// Exactly UID_ROOM characters, since only the number changes in the prepared slice.
static void object_uid(const struct load *l, unsigned object, char out[UID_ROOM + 1])
{
    snprintf(out, UID_ROOM + 1, "1.2.826.9.1%010lu.1%09u", l->run % 10000000000ul,
             object % 1000000000u);
}

// The largest PDU that the acceptor takes, from the body of its A-ASSOCIATE-AC.
static size_t largest_pdu(const struct bytes *ac)
{
    for (size_t at = 68; at + 4 <= ac->size;) {
        const uint8_t *item = ac->data + at;
        size_t length = (size_t)item[2] << 8 | item[3];
        if (item[0] == 0x50) { // user information: its items are inside
            at += 4;
            continue;
        }
        if (item[0] == 0x51 && at + 8 <= ac->size) {
            size_t max =
                (size_t)item[4] << 24 | (size_t)item[5] << 16 | (size_t)item[6] << 8 | item[7];
            return max == 0 || max > 131072 ? 131072 : max;
        }
        at += 4 + length;
    }
    return 16384;
}

static bool send_parts(struct peer *p, struct iovec *parts, int count)
{
    while (count) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
        ssize_t n = sendmsg(p->fd, &message, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        size_t sent = (size_t)n;
        for (; count && sent >= parts->iov_len; count--)
            sent -= parts++->iov_len;
        if (count) {
            parts->iov_base = (char *)parts->iov_base + sent;
            parts->iov_len -= sent;
        }
    }
    return true;
}

static void put32(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

// The slice under this UID, in PDUs as large as they may be. The UID is put between what is before
// and after it, since all senders share the slice.
static bool send_slice(const struct load *l, struct peer *p, size_t max_pdu, char *uid)
{
    size_t size = l->slice.size, most = (max_pdu - 6) & ~(size_t)1;
    for (size_t at = 0; at < size;) {
        size_t n = size - at < most ? size - at : most, uid_end = l->uid_at + UID_ROOM;
        uint8_t head[12] = {4};
        struct iovec parts[4] = {{head, sizeof head}};
        int count = 1;
        put32(head + 2, n + 6);
        put32(head + 6, n + 2);
        head[10] = 1;
        head[11] = at + n == size ? 2 : 0;
        if (at == 0 && n > uid_end) {
            parts[count++] = (struct iovec){l->slice.data, l->uid_at};
            parts[count++] = (struct iovec){uid, UID_ROOM};
            parts[count++] = (struct iovec){l->slice.data + uid_end, n - uid_end};
        } else {
            parts[count++] = (struct iovec){l->slice.data + at, n};
        }
        if (!send_parts(p, parts, count))
            return false;
        at += n;
    }
    return true;
}

static size_t associate(const struct load *l, struct peer *p)
{
    static const struct peer_context ct = {1, CT_IMAGE, {EXPLICIT_LE}};
    struct timeval timeout = {ANSWER_TIMEOUT_S, 0};
    struct bytes ac = {0};
    size_t max = 0;
    if (!peer_connect(p, l->port))
        return 0;
    setsockopt(p->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    struct bytes rq = peer_request(l->calling, l->called, NULL, &ct, 1);
    if (peer_send(p, rq.data, rq.size) && peer_receive(p, &ac) == 2)
        max = largest_pdu(&ac);
    bytes_free(&rq);
    bytes_free(&ac);
    return max < 1024 ? 0 : max; // the UID must be in the first PDU
}

static void *send_share(void *argument)
{
    struct sender *s = argument;
    struct load *l = s->load;
    struct peer p;
    double start = seconds_now();
    size_t max_pdu = associate(l, &p);
    s->setup_s = max_pdu ? seconds_now() - start : -1;
    pthread_barrier_wait(&ready); // all associations are there, and the clock starts
    pthread_barrier_wait(&ready);
    for (unsigned i = s->number; max_pdu && i < l->objects; i += l->associations) {
        char uid[UID_ROOM + 1];
        object_uid(l, i, uid);
        start = seconds_now();
        if (!peer_store_command(&p, 1, CT_IMAGE, uid) || !send_slice(l, &p, max_pdu, uid))
            break;
        int status = peer_status(&p, NULL);
        if (status < 0)
            break;
        if (status == 0)
            l->latency[i] = seconds_now() - start;
    }
    pthread_barrier_wait(&ready); // the last answer
    if (max_pdu)
        peer_release(&p);
    peer_close(&p);
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int report(struct load *l, const struct sender *senders, double seconds)
{
    unsigned failed = 0, refused = 0;
    qsort(l->latency, l->objects, sizeof *l->latency, by_value); // what failed comes first
    while (failed < l->objects && l->latency[failed] < 0)
        failed++;
    for (unsigned i = 0; i < l->associations; i++)
        refused += senders[i].setup_s < 0;
    unsigned ok = l->objects - failed;
    const double *good = l->latency + failed;
    printf("{\"associations\": %u, \"refused\": %u, \"objects\": %u, \"ok\": %u, \"bytes\": %zu, "
           "\"seconds\": %.6f, \"p50_ms\": %.4f, \"p99_ms\": %.4f, \"max_ms\": %.4f, \"cpu_s\": "
           "%.4f}\n",
           l->associations, refused, l->objects, ok, l->slice.size, seconds,
           ok ? 1e3 * good[ok / 2] : 0, ok ? 1e3 * good[(size_t)ok * 99 / 100] : 0,
           ok ? 1e3 * good[ok - 1] : 0, cpu_seconds());
    return failed ? 1 : 0;
}

static int run(struct load *l)
{
    struct sender senders[ASSOCIATIONS_MAX] = {0};
    l->latency = malloc(l->objects * sizeof *l->latency);
    if (!l->latency || pthread_barrier_init(&ready, NULL, l->associations + 1))
        return 2;
    for (unsigned i = 0; i < l->objects; i++)
        l->latency[i] = -1;
    for (unsigned i = 0; i < l->associations; i++) {
        senders[i] = (struct sender){.load = l, .number = i};
        if (pthread_create(&senders[i].thread, NULL, send_share, &senders[i]))
            return 2;
    }
    pthread_barrier_wait(&ready);
    double start = seconds_now();
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&ready);
    double seconds = seconds_now() - start;
    for (unsigned i = 0; i < l->associations; i++)
        pthread_join(senders[i].thread, NULL);
    int status = report(l, senders, seconds);
    free(l->latency);
    pthread_barrier_destroy(&ready);
    return status;
}

int main(int argc, char **argv)
{
    struct load l = {.calling = "LOAD", .associations = 1, .objects = 300};
    unsigned columns = 512;
    for (int option; (option = getopt(argc, argv, "a:n:s:c:")) != -1;) {
        const char *text = optarg ? optarg : "";
        unsigned long value = strtoul(text, NULL, 10);
        if (option == 'a' && value >= 1 && value <= ASSOCIATIONS_MAX)
            l.associations = (unsigned)value;
        else if (option == 'n' && value >= 1 && value <= OBJECTS_MAX)
            l.objects = (unsigned)value;
        else if (option == 's' && value >= 16 && value <= 4096)
            columns = (unsigned)value;
        else if (option == 'c' && strlen(text) <= 16)
            l.calling = text;
        else
            return 2;
    }
    if (argc - optind != 2) {
        fprintf(
            stderr,
            "bench_load [-a associations] [-n objects] [-s columns] [-c CALLING] PORT CALLED\n");
        return 2;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    l.run = (unsigned long)now.tv_sec % 10000000 * 1000 + (unsigned long)(now.tv_nsec / 1000000);
    l.port = (uint16_t)strtoul(argv[optind], NULL, 10);
    l.called = argv[optind + 1];
    make_slice(&l, columns);
    int status = run(&l);
    bytes_free(&l.slice);
    return status;
}
