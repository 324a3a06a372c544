#include "tests/net/helper_peer.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "dimse/read/meta.h"
#include "base/fs.h"
#include "tests/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

_Noreturn void peer_exit(int status)
{
#if defined(__SANITIZE_ADDRESS__)
    if (__lsan_do_recoverable_leak_check())
        status = 23;
#endif
    fflush(NULL);
    _exit(status);
}

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void bytes_free(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}

void bytes_add(struct bytes *b, const void *data, size_t size)
{
    if (b->size + size >= b->room) {
        b->room = 2 * (b->size + size) + 64;
        b->data = realloc(b->data, b->room);
        if (!b->data)
            abort();
    }
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void add8(struct bytes *b, unsigned v)
{
    uint8_t c = (uint8_t)v;
    bytes_add(b, &c, 1);
}

static void add16_le(struct bytes *b, unsigned v)
{
    add8(b, v);
    add8(b, v >> 8);
}

static void add32_le(struct bytes *b, size_t v)
{
    add16_le(b, (unsigned)(v & 0xffff));
    add16_le(b, (unsigned)(v >> 16));
}

static void add16_be(struct bytes *b, size_t v)
{
    add8(b, (unsigned)(v >> 8));
    add8(b, (unsigned)v);
}

static void add32_be(struct bytes *b, size_t v)
{
    add16_be(b, v >> 16);
    add16_be(b, v & 0xffff);
}

void element_text(struct bytes *b, unsigned group, unsigned element, const char *vr,
                  const char *text)
{
    size_t length = strlen(text), padded = length + length % 2;
    add16_le(b, group);
    add16_le(b, element);
    bytes_add(b, vr, 2);
    add16_le(b, (unsigned)padded);
    bytes_add(b, text, length);
    if (padded != length)
        add8(b, vr[0] == 'U' ? 0 : ' ');
}

static void element_us(struct bytes *b, unsigned group, unsigned element, unsigned value)
{
    add16_le(b, group);
    add16_le(b, element);
    bytes_add(b, "US", 2);
    add16_le(b, 2);
    add16_le(b, value);
}

void element_words(struct bytes *b, unsigned group, unsigned element, size_t size)
{
    add16_le(b, group);
    add16_le(b, element);
    bytes_add(b, "OW\0\0", 4);
    add32_le(b, size);
    for (size_t i = 0; i < size; i++)
        add8(b, (unsigned)(i * 7 + i / 251));
}

struct bytes dataset(const char *sop_class_uid, const char *sop_instance_uid, size_t pixels)
{
    struct bytes b = {0};
    size_t columns = 64, rows = pixels / 2 / columns;
    element_text(&b, 0x0008, 0x0016, "UI", sop_class_uid);
    element_text(&b, 0x0008, 0x0018, "UI", sop_instance_uid);
    element_text(&b, 0x0008, 0x0060, "CS", "CT");
    element_text(&b, 0x0010, 0x0010, "PN", "Test^Network");
    element_text(&b, 0x0010, 0x0020, "LO", "N1");
    element_text(&b, 0x0020, 0x000d, "UI", "1.2.3.100");
    element_text(&b, 0x0020, 0x000e, "UI", "1.2.3.200");
    element_text(&b, 0x0020, 0x0013, "IS", "7");
    element_us(&b, 0x0028, 0x0002, 1);
    element_text(&b, 0x0028, 0x0004, "CS", "MONOCHROME2");
    element_us(&b, 0x0028, 0x0010, (unsigned)rows);
    element_us(&b, 0x0028, 0x0011, (unsigned)columns);
    element_us(&b, 0x0028, 0x0100, 16);
    element_us(&b, 0x0028, 0x0101, 16);
    element_us(&b, 0x0028, 0x0102, 15);
    element_us(&b, 0x0028, 0x0103, 0);
    element_words(&b, 0x7fe0, 0x0010, rows * columns * 2);
    return b;
}

const char *dataset_file(const char *sop_class_uid, const char *sop_instance_uid, size_t pixels)
{
    static char path[PATH_MAX];
    static int number;
    uint8_t head[META_MAX];
    struct meta meta = {sop_class_uid, sop_instance_uid, EXPLICIT_LE, "ANODE TEST", "TESTER"};
    struct bytes b = {0}, data = dataset(sop_class_uid, sop_instance_uid, pixels);
    bytes_add(&b, head, meta_write(&meta, head));
    bytes_add(&b, data.data, data.size);
    snprintf(path, sizeof path, "%s/sent-%d.dcm", check_scratch(), number++);
    CU_ASSERT_FATAL(fs_write_file(path, b.data, b.size, NULL));
    bytes_free(&b);
    bytes_free(&data);
    return path;
}

bool file_holds(const char *path, const struct bytes *data)
{
    size_t size = 0, offset = 0;
    char *file = fs_read_file(path, 1u << 30, &size, NULL);
    bool same = false;
    if (file && size > 144 && memcmp(file + 128, "DICM", 4) == 0) {
        offset = 144 + ((size_t)(uint8_t)file[140] | (size_t)(uint8_t)file[141] << 8);
        same = size == offset + data->size && memcmp(file + offset, data->data, data->size) == 0;
    }
    free(file);
    return same;
}

bool peer_connect(struct peer *p, uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return connect(p->fd, (struct sockaddr *)&to, sizeof to) == 0;
}

void peer_close(struct peer *p)
{
    close(p->fd);
    p->fd = -1;
}

void peer_reset(struct peer *p)
{
    struct linger now = {1, 0};
    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    peer_close(p);
}

bool peer_send(struct peer *p, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size) {
        ssize_t n = send(p->fd, at, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static void add_item(struct bytes *b, unsigned type, const void *data, size_t size)
{
    add8(b, type);
    add8(b, 0);
    add16_be(b, size);
    bytes_add(b, data, size);
}

static void add_title(struct bytes *b, const char *title)
{
    char padded[17];
    snprintf(padded, sizeof padded, "%-16s", title);
    bytes_add(b, padded, 16);
}

struct bytes peer_request(const char *calling, const char *called, const char *application,
                          const struct peer_context *contexts, size_t count)
{
    static const uint8_t zeros[32];
    struct bytes body = {0}, pdu = {0}, user = {0}, max = {0};
    if (!application)
        application = "1.2.840.10008.3.1.1.1";
    add16_be(&body, 1);
    add16_be(&body, 0);
    add_title(&body, called);
    add_title(&body, calling);
    bytes_add(&body, zeros, 32);
    add_item(&body, 0x10, application, strlen(application));
    for (size_t i = 0; i < count; i++) {
        struct bytes item = {0};
        add8(&item, contexts[i].id);
        bytes_add(&item, zeros, 3);
        add_item(&item, 0x30, contexts[i].abstract, strlen(contexts[i].abstract));
        for (int s = 0; s < 3 && contexts[i].syntaxes[s]; s++)
            add_item(&item, 0x40, contexts[i].syntaxes[s], strlen(contexts[i].syntaxes[s]));
        add_item(&body, 0x20, item.data, item.size);
        bytes_free(&item);
    }
    add32_be(&max, 16384);
    add_item(&user, 0x51, max.data, max.size);
    add_item(&user, 0x52, "1.2.3.4", 7);
    add_item(&body, 0x50, user.data, user.size);
    add8(&pdu, 1);
    add8(&pdu, 0);
    add32_be(&pdu, body.size);
    bytes_add(&pdu, body.data, body.size);
    bytes_free(&max);
    bytes_free(&user);
    bytes_free(&body);
    return pdu;
}

struct bytes peer_acceptance(uint8_t context, const char *syntax)
{
    static const char application[] = "1.2.840.10008.3.1.1.1";
    static const uint8_t zeros[32];
    struct bytes body = {0}, pdu = {0}, item = {0}, user = {0};
    add16_be(&body, 1);
    add16_be(&body, 0);
    add_title(&body, "CALLED");
    add_title(&body, "CALLING");
    bytes_add(&body, zeros, 32);
    add_item(&body, 0x10, application, sizeof application - 1);
    add8(&item, context);
    bytes_add(&item, zeros, 3);
    add_item(&item, 0x40, syntax, strlen(syntax));
    add_item(&body, 0x21, item.data, item.size);
    add_item(&user, 0x51, "\0\0\x40\0", 4);
    add_item(&user, 0x52, "1.2.3.4", 7);
    add_item(&body, 0x50, user.data, user.size);
    add8(&pdu, 2);
    add8(&pdu, 0);
    add32_be(&pdu, body.size);
    bytes_add(&pdu, body.data, body.size);
    bytes_free(&item);
    bytes_free(&user);
    bytes_free(&body);
    return pdu;
}

int peer_listen(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 16) ||
        getsockname(listener, (struct sockaddr *)&address, &size)) {
        perror("listen");
        exit(2);
    }
    *port = ntohs(address.sin_port);
    return listener;
}

uint16_t peer_free_port(void)
{
    uint16_t port;
    close(peer_listen(&port));
    return port;
}

bool peer_wait(uint16_t port)
{
    for (double end = seconds_now() + HANG_S; seconds_now() < end; poll(NULL, 0, 10)) {
        struct peer p;
        bool there = peer_connect(&p, port);
        peer_close(&p);
        if (there)
            return true;
    }
    return false;
}

static bool receive_all(struct peer *p, void *to, size_t size, bool *ended)
{
    uint8_t *at = to;
    double end = seconds_now() + HANG_S;
    *ended = false;
    while (size) {
        struct pollfd f = {p->fd, POLLIN, 0};
        int left = (int)((end - seconds_now()) * 1000);
        if (left <= 0 || poll(&f, 1, left) <= 0)
            return false;
        ssize_t n = recv(p->fd, at, size, 0);
        if (n <= 0) {
            *ended = true;
            return false;
        }
        at += n;
        size -= (size_t)n;
    }
    return true;
}

int peer_receive(struct peer *p, struct bytes *body)
{
    uint8_t head[6];
    bool ended;
    bytes_free(body);
    if (!receive_all(p, head, sizeof head, &ended))
        return ended ? 0 : -1;
    size_t size = (size_t)head[2] << 24 | (size_t)head[3] << 16 | (size_t)head[4] << 8 | head[5];
    body->data = malloc(size + 1);
    body->size = size;
    if (!body->data || !receive_all(p, body->data, size, &ended))
        return ended ? 0 : -1;
    return head[0];
}

int peer_associate(struct peer *p, const char *calling, const char *called,
                   const struct peer_context *contexts, size_t count)
{
    struct bytes rq = peer_request(calling, called, NULL, contexts, count), answer = {0};
    int type = peer_send(p, rq.data, rq.size) ? peer_receive(p, &answer) : 0;
    bytes_free(&rq);
    bytes_free(&answer);
    return type;
}

bool peer_pdv(struct peer *p, uint8_t context, unsigned flags, const void *data, size_t size)
{
    struct bytes b = {0};
    add8(&b, 4);
    add8(&b, 0);
    add32_be(&b, size + 6);
    add32_be(&b, size + 2);
    add8(&b, context);
    add8(&b, flags);
    bytes_add(&b, data, size);
    bool ok = peer_send(p, b.data, b.size);
    bytes_free(&b);
    return ok;
}

// An element of a command set: Implicit VR Little Endian.
static void command_text(struct bytes *b, unsigned element, const char *text)
{
    size_t length = strlen(text), padded = length + length % 2;
    add32_le(b, (size_t)element << 16);
    add32_le(b, padded);
    bytes_add(b, text, length);
    if (padded != length)
        add8(b, 0);
}

static void command_us(struct bytes *b, unsigned element, unsigned value)
{
    add32_le(b, (size_t)element << 16);
    add32_le(b, 2);
    add16_le(b, value);
}

bool peer_store_command(struct peer *p, uint8_t context, const char *sop_class_uid,
                        const char *sop_instance_uid)
{
    struct bytes set = {0}, all = {0};
    command_text(&set, 0x0002, sop_class_uid);
    command_us(&set, 0x0100, 0x0001);
    command_us(&set, 0x0110, 1);
    command_us(&set, 0x0700, 0);
    command_us(&set, 0x0800, 1);
    command_text(&set, 0x1000, sop_instance_uid);
    add32_le(&all, 0);
    add32_le(&all, 4);
    add32_le(&all, set.size);
    bytes_add(&all, set.data, set.size);
    bool ok = peer_pdv(p, context, 3, all.data, all.size);
    bytes_free(&set);
    bytes_free(&all);
    return ok;
}

int peer_status(struct peer *p, char comment[65])
{
    struct bytes body = {0};
    int status = -1;
    if (comment)
        comment[0] = 0;
    if (peer_receive(p, &body) == 4 && body.size > 6) {
        for (size_t i = 6; i + 8 <= body.size;) {
            const uint8_t *e = body.data + i;
            size_t element = (size_t)e[2] | (size_t)e[3] << 8;
            size_t length = (size_t)e[4] | (size_t)e[5] << 8 | (size_t)e[6] << 16;
            if (i + 8 + length > body.size)
                break;
            if (element == 0x0900)
                status = e[8] | e[9] << 8;
            if (element == 0x0902 && comment)
                snprintf(comment, 65, "%.*s", (int)length - (length && e[7 + length] == ' '),
                         (const char *)e + 8);
            i += 8 + length;
        }
    }
    bytes_free(&body);
    return status;
}

int peer_store(struct peer *p, uint8_t context, const char *sop_class_uid,
               const char *sop_instance_uid, const struct bytes *data)
{
    if (!peer_store_command(p, context, sop_class_uid, sop_instance_uid))
        return -1;
    for (size_t at = 0;;) {
        size_t n = data->size - at < 16370 ? data->size - at : 16370;
        bool last = at + n == data->size;
        if (!peer_pdv(p, context, last ? 2 : 0, data->data + at, n))
            return -1;
        at += n;
        if (last)
            return peer_status(p, NULL);
    }
}

bool peer_release(struct peer *p)
{
    const uint8_t rq[10] = {5, 0, 0, 0, 0, 4, 0, 0, 0, 0};
    struct bytes body = {0};
    bool ok = peer_send(p, rq, sizeof rq) && peer_receive(p, &body) == 6;
    bytes_free(&body);
    return ok;
}

static const char *tool_log(void)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/tool.log", check_scratch());
    return path;
}

int tool_start(const char *const argv[])
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int out = open(tool_log(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(out, 1);
        dup2(out, 2);
        setenv("TCP_NODELAY", "1", 1);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return child;
}

void tool_stop(int pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

int tool_run(const char *const argv[])
{
    int status = 0;
    pid_t child = tool_start(argv);
    for (double end = seconds_now() + HANG_S; seconds_now() < end;) {
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        poll(NULL, 0, 2);
    }
    tool_stop(child);
    return -1;
}

const char *tool_output(void)
{
    static char *text;
    free(text);
    text = fs_read_file(tool_log(), 1 << 20, NULL, NULL);
    return text ? text : "";
}

bool tool_there(const char *name)
{
    char copy[4096], path[PATH_MAX];
    const char *list = getenv("PATH");
    snprintf(copy, sizeof copy, "%s:/usr/sbin", list ? list : "/usr/bin");
    for (char *save, *dir = strtok_r(copy, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
        snprintf(path, sizeof path, "%s/%s", dir, name);
        if (access(path, X_OK) == 0)
            return true;
    }
    printf("    %s is not installed: part of this case is left out\n", name);
    return false;
}
