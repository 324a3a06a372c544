#include "node/proc/sender.h"
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "node/proc/cage.h"
#include "node/proc/child.h"
#include "dimse/net/commit.h"
#include "node/proc/msg.h"
#include "node/proc/reach.h"

// A PACS takes some 25 ms a MB, one object after the other over one association, and has a
// processor for each: what takes longer than a new association by far is worth one.
#define SHARE_LEAST (8u << 20) // bytes of images

// What was stored, and is to be confirmed before it counts: shared by all processes.
struct stored {
    bool is;
    struct scu_outcome outcome;
};

// Files that go over one association.
struct batch {
    const struct sender *sender;
    const struct scu_peer *peer;
    int channel;
    struct scu_file *files;
    size_t *index; // in those of the sender
    size_t count;
    uint64_t bytes;
    bool *answered;        // [files of the sender] shared by all processes
    struct stored *stored; // the same; NULL: an answer is enough
    struct child child;
};

static void sender_tell(const struct batch *b, size_t n, const struct scu_outcome *outcome)
{
    struct msg_outcome m = {
        .row = b->sender->rows[n], .fate = (uint32_t)outcome->fate, .status = outcome->status};
    snprintf(m.text, sizeof m.text, "%s", outcome->text);
    if (!msg_send(b->channel, MSG_OUTCOME, &m, NULL, 0, NULL))
        _exit(2); // the core is gone: what is sent from here on would be sent again
}

static void on_outcome(void *ctx, size_t index, const struct scu_outcome *outcome)
{
    const struct batch *b = ctx;
    const size_t n = b->index[index];
    if (b->stored && outcome->fate == SCU_SENT)
        b->stored[n] = (struct stored){true, *outcome};
    else
        sender_tell(b, n, outcome);
    b->answered[n] = true;
}

// A report that came by way of the core.
static bool sender_next_report(void *ctx, int wait_ms, struct commit_report *report)
{
    static struct msg m;
    const struct batch *b = ctx;
    struct pollfd p = {b->channel, POLLIN, 0};
    if (poll(&p, 1, wait_ms) <= 0)
        return false;
    const enum msg_arrival arrival = msg_receive(b->channel, &m, NULL);
    if (arrival == MSG_END)
        _exit(2);
    if (arrival != MSG_GOT || m.kind != MSG_COMMITTED)
        return false;
    memcpy(report, m.body, sizeof *report);
    return true;
}

static bool confirm_items(struct batch *b, struct confirm_item *items, size_t count,
                          struct err *err)
{
    const struct confirm_source source = {sender_next_report, b};
    const unsigned wait_s = (unsigned)ceil(b->sender->conf->commit_wait_s);
    struct err why = {.code = ERR_UNSUPPORTED};
    if (strcmp(b->sender->peer->confirm, "commit") == 0 &&
        confirm_by_commitment(b->peer, items, count, wait_s, &source, &why))
        return true;
    if (why.code != ERR_UNSUPPORTED)
        return err_set(err, why.code, "%s", why.text);
    return confirm_by_find(b->peer, items, count, err);
}

// Asks the destination whether it keeps what it has, and tells the core what became of each.
static void confirm_stored(struct batch *b)
{
    const size_t room = b->sender->count;
    struct confirm_item *items = calloc(room + 1, sizeof *items);
    size_t *places = calloc(room + 1, sizeof *places), count = 0;
    struct err err = {0};
    for (size_t n = 0; items && places && n < room; n++) {
        const struct scu_outcome *o = &b->stored[n].outcome;
        if (!b->stored[n].is)
            continue;
        items[count].id = b->sender->files[n].id;
        memcpy(items[count].id.sop_class_uid, o->sop_class_uid, UID_SIZE);
        memcpy(items[count].id.sop_instance_uid, o->sop_instance_uid, UID_SIZE);
        places[count++] = n;
    }
    log_action("destination=%s confirming", b->sender->peer->name);
    const bool ok = count > 0 && confirm_items(b, items, count, &err);
    for (size_t i = 0; i < count; i++) {
        struct scu_outcome outcome = b->stored[places[i]].outcome;
        if (!ok || items[i].verdict != CONFIRM_KEPT) {
            outcome.fate = SCU_REFUSED;
            outcome.status = 0;
            snprintf(outcome.text, sizeof outcome.text, "stored, and not confirmed: %.90s",
                     !ok                ? err.text
                     : items[i].text[0] ? items[i].text
                                        : "the destination says nothing of it");
        }
        sender_tell(b, places[i], &outcome);
    }
    free(items);
    free(places);
}

static bool send_batch(struct batch *b, struct err *err)
{
    return scu_store(b->peer, b->files, b->count, on_outcome, b, err);
}

// like: what it has in common with all others.
static bool batch_init(struct batch *b, const struct batch *like)
{
    *b = *like;
    b->files = calloc(b->sender->count + 1, sizeof *b->files);
    b->index = calloc(b->sender->count + 1, sizeof *b->index);
    return b->files && b->index;
}

static void batch_finish(struct batch *b)
{
    free(b->files);
    free(b->index);
}

static void batch_add(struct batch *b, size_t n, uint64_t bytes)
{
    b->files[b->count] = b->sender->files[n];
    b->index[b->count++] = n;
    b->bytes += bytes;
}

// Images are what nothing else of a delivery has to come before.
static bool is_image(const struct scu_file *f)
{
    return strcmp(f->id.kind, "sc") == 0 || strcmp(f->id.kind, "pmap") == 0 ||
           strcmp(f->id.kind, "mpr") == 0;
}

static uint64_t file_bytes(const struct scu_file *f)
{
    struct stat st;
    return stat(f->path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

// Shares the images out, each to who has least so far. Returns how many associations are worth it.
static size_t share_images(const struct sender *s, struct batch *parts, size_t most)
{
    uint64_t all = 0;
    for (size_t n = 0; n < s->count; n++)
        all += is_image(&s->files[n]) ? file_bytes(&s->files[n]) : 0;
    if (all < SHARE_LEAST)
        return 0;
    for (size_t n = 0; n < s->count; n++) {
        size_t to = 0;
        for (size_t p = 1; is_image(&s->files[n]) && p < most; p++)
            to = parts[p].bytes < parts[to].bytes ? p : to;
        if (is_image(&s->files[n]))
            batch_add(&parts[to], n, file_bytes(&s->files[n]));
    }
    return most;
}

// A process beside this one, with a cage of its own. What it does not get answered is sent after
// it.
static int send_beside(void *ctx, int channel)
{
    struct batch *b = ctx;
    struct err err = {0};
    (void)channel;
    log_action("destination=%s", b->sender->peer->name);
    if (cage_enter(CAGE_SENDER, b->sender->conf, b->sender->dir, NULL, &err) && send_batch(b, &err))
        return 0;
    log_info("an association beside the first one ended: %s", err.text);
    return 1;
}

static void start_beside(struct batch *b)
{
    const int keep[] = {b->channel, b->sender->dir->dirfd, b->sender->dir->lockfd};
    const struct child_options options = {.role = "sender", .keep = keep, .keep_count = 3};
    struct err err = {0};
    if (b->count > 0 && !child_start(&b->child, &options, send_beside, b, &err))
        log_info("one association less: %s", err.text);
}

// Images first, by several associations where they are large, then the rest, in its order.
static bool send_all(const struct sender *s, struct batch *parts, struct batch *rest,
                     struct err *err)
{
    const size_t count = s->peer->associations;
    const size_t shared = count > 1 ? share_images(s, parts, count) : 0;
    for (size_t p = 1; p < shared; p++)
        start_beside(&parts[p]);
    bool ok = cage_enter(CAGE_SENDER, s->conf, s->dir, NULL, err) &&
              (shared == 0 || send_batch(&parts[0], err));
    for (size_t p = 1; p < shared; p++) {
        if (parts[p].child.pid)
            waitpid(parts[p].child.pid, NULL, 0);
    }
    for (size_t n = 0; n < s->count; n++) {
        if (!rest->answered[n])
            batch_add(rest, n, 0);
    }
    return ok && (rest->count == 0 || send_batch(rest, err));
}

static bool deliver_files(const struct batch *like, struct err *err)
{
    struct batch parts[PEER_ASSOCIATIONS_MAX] = {0}, rest = {0};
    bool room = batch_init(&rest, like);
    for (size_t p = 0; room && p < PEER_ASSOCIATIONS_MAX; p++)
        room = batch_init(&parts[p], like);
    const bool ok = room ? send_all(like->sender, parts, &rest, err)
                         : err_set(err, ERR_NOMEM, "no memory to send");
    for (size_t p = 0; p < PEER_ASSOCIATIONS_MAX; p++)
        batch_finish(&parts[p]);
    batch_finish(&rest);
    return ok;
}

// Memory that processes share, zero; NULL: none.
static void *share(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

int sender_run(void *ctx, int channel)
{
    const struct sender *s = ctx;
    const struct conf *conf = s->conf;
    struct scu_peer peer;
    struct batch like = {.sender = s, .peer = &peer, .channel = channel, .child = {.fd = -1}};
    const bool confirm = strcmp(s->peer->confirm, "off") != 0;
    struct err err = {0};
    struct msg_sent sent = {0};
    log_action("destination=%s", s->peer->name);
    like.answered = share(s->count * sizeof(bool) + 1);
    like.stored = confirm ? share((s->count + 1) * sizeof *like.stored) : NULL;
    if (!like.answered || (confirm && !like.stored))
        err_set(&err, ERR_NOMEM, "no memory to send");
    else if (reach_init(&peer, conf, s->peer, s->tls, conf->connect_timeout_s,
                        conf->dimse_timeout_s, &err)) {
        sent.ok = deliver_files(&like, &err);
        if (like.stored)
            confirm_stored(&like); // also where an association broke: what is stored is
        reach_finish(&peer);
    }
    snprintf(sent.text, sizeof sent.text, "%s", err.text);
    return msg_send(channel, MSG_SENT, &sent, NULL, 0, NULL) ? 0 : 2;
}
