#include "tests/net/helper_server.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/check.h"
#include "tests/net/helper_peer.h"

// In the association's process.
struct keeper {
    const struct server_options *options;
    const char *folder;
    int events, fd, files, asked;
    char path[8192];
};

static void tell(int events, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(int events, const char *format, ...)
{
    char *line = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&line, format, args);
    va_end(args);
    if (n >= 0)
        line[n] = '\n'; // in the place of the final 0: a line is one write()
    if (n < 0 || write(events, line, (size_t)n + 1) < 0)
        _exit(3);
    free(line);
}

static int keeper_admit(void *ctx, const char *calling, const char *called)
{
    struct keeper *k = ctx;
    tell(k->events, "admit %s %s", calling, called);
    if (strcmp(called, "ANODE") != 0)
        return 7;
    return strcmp(calling, "STRANGER") == 0 ? 3 : 0;
}

static int keeper_open(void *ctx, struct err *err)
{
    struct keeper *k = ctx;
    tell(k->events, "open");
    if (k->options->disk == DISK_OPEN_FAILS) {
        err_set(err, ERR_FULL, "no room in /some/folder");
        return -1;
    }
    if (k->options->disk == DISK_FULL)
        snprintf(k->path, sizeof k->path, "/dev/full");
    else
        snprintf(k->path, sizeof k->path, "%s/%d-%d.dcm", k->folder, (int)getpid(), k->files++);
    k->fd = open(k->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return k->fd;
}

static bool keeper_room(void *ctx, struct err *err)
{
    struct keeper *k = ctx;
    struct stat st;
    k->asked++;
    if (k->options->disk != DISK_FILLS || k->asked < 2)
        return true;
    tell(k->events, "room none at %lld", fstat(k->fd, &st) == 0 ? (long long)st.st_size : -1);
    return err_set(err, ERR_FULL, "no room in /some/folder");
}

static enum scp_status keeper_commit(void *ctx, const struct scp_instance *in, char comment[65])
{
    struct keeper *k = ctx;
    char hex[2 * DIGEST_SIZE + 1];
    const char *modality = attrs_get(in->attrs, "Modality");
    close(k->fd);
    digest_hex(in->digest, hex);
    tell(k->events,
         "commit %s %04x class=%s ts=%s study=%s series=%s modality=%s/%s number=%d "
         "bytes=%llu digest=%s",
         in->id.sop_instance_uid, k->options->commit, in->id.sop_class_uid,
         in->id.transfer_syntax_uid, in->id.study_instance_uid, in->id.series_instance_uid,
         in->id.modality, modality ? modality : "", in->instance_number,
         (unsigned long long)in->bytes, hex);
    snprintf(comment, 65, "%s", k->options->comment ? k->options->comment : "");
    return k->options->commit;
}

static void keeper_discard(void *ctx)
{
    struct keeper *k = ctx;
    struct stat st;
    const long long size = fstat(k->fd, &st) == 0 ? (long long)st.st_size : -1;
    close(k->fd);
    if (k->options->disk != DISK_FULL)
        unlink(k->path);
    if (k->options->disk == DISK_FILLS || k->options->sizes)
        tell(k->events, "discard %lld", size);
    else
        tell(k->events, "discard");
}

static void serve_one(const struct server *s, const struct server_options *options, int events,
                      int connection)
{
    struct keeper k = {.options = options, .folder = s->folder, .events = events, .fd = -1};
    struct scp_handler handler = {&k,          keeper_admit,  keeper_open,
                                  keeper_room, keeper_commit, keeper_discard};
    struct scp_config config = options->config;
    struct scp_summary summary;
    struct err err = {0};
    config.fd = connection;
    config.peer_address = "127.0.0.1";
    config.max_pdu = config.max_pdu ? config.max_pdu : 131072;
    config.dimse_timeout_s = config.dimse_timeout_s ? config.dimse_timeout_s : NEVER_S;
    config.acse_timeout_s = config.acse_timeout_s ? config.acse_timeout_s : NEVER_S;
    config.max_object_bytes = config.max_object_bytes ? config.max_object_bytes : 1u << 30;
    config.application_version = "ANODE TEST";
    bool ok = scp_serve(&config, &handler, &summary, &err);
    tell(events, "end %s %s stored=%u refused=%u released=%d rejected=%d calling=%s: %s",
         ok ? "ok" : "bad", err_code_name(err.code), summary.stored, summary.refused,
         summary.released, summary.rejected, summary.calling, err.text);
}

static _Noreturn void serve(const struct server *s, const struct server_options *options,
                            int listener, int events)
{
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0)
            _exit(3);
        pid_t child = fork();
        if (child == 0) {
            close(listener);
            serve_one(s, options, events, connection);
            peer_exit(0); // with the leak check, without the scratch folder's end
        }
        close(connection);
        int status = 0;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        tell(events, "exit %d", status);
    }
}

void server_start(struct server *s, const struct server_options *options)
{
    int pipes[2];
    static int number;
    memset(s, 0, sizeof *s);
    snprintf(s->folder, sizeof s->folder, "%s/server-%d", check_scratch(), number++);
    int listener = peer_listen(&s->port);
    if (pipe2(pipes, O_CLOEXEC) || mkdir(s->folder, 0700)) {
        perror("server");
        exit(2);
    }
    fflush(NULL);
    s->pid = fork();
    if (s->pid < 0) {
        perror("fork");
        exit(2);
    }
    if (s->pid == 0)
        serve(s, options, listener, pipes[1]);
    close(listener);
    close(pipes[1]);
    s->events = pipes[0];
}

const char *server_event(struct server *s)
{
    static char line[8192];
    for (;;) {
        char *end = memchr(s->buffer, '\n', s->used);
        if (end) {
            size_t n = (size_t)(end - s->buffer);
            memcpy(line, s->buffer, n);
            line[n] = 0;
            s->used -= n + 1;
            memmove(s->buffer, end + 1, s->used);
            return line;
        }
        struct pollfd p = {s->events, POLLIN, 0};
        if (poll(&p, 1, HANG_S * 1000) <= 0)
            return "";
        ssize_t n = read(s->events, s->buffer + s->used, sizeof s->buffer - s->used);
        if (n <= 0)
            return "";
        s->used += (size_t)n;
    }
}

const char *server_expect(struct server *s, const char *prefix)
{
    for (;;) {
        const char *event = server_event(s);
        if (strncmp(event, prefix, strlen(prefix)) == 0)
            return event;
        if (!*event) {
            printf("    no event \"%s\"\n", prefix);
            CU_FAIL("an event did not come");
            return "";
        }
    }
}

static int folder_walk(const struct server *s, char *path, size_t size)
{
    DIR *dir = opendir(s->folder);
    int count = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        count++;
        snprintf(path, size, "%s/%s", s->folder, e->d_name);
    }
    if (dir)
        closedir(dir);
    return count;
}

int server_files(const struct server *s)
{
    char path[8192];
    return folder_walk(s, path, sizeof path);
}

const char *server_file(const struct server *s)
{
    static char path[8192];
    return folder_walk(s, path, sizeof path) == 1 ? path : "";
}

void server_stop(struct server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    close(s->events);
}
