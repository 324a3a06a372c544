#include "node/proc/receipt.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PIECE 65536 // bytes that are read at a time

struct receipt_head { // then the packed attributes
    char mark[16];
    uint8_t check[DIGEST_SIZE]; // of all that goes before the mark, and of all that follows
    uint32_t attrs_size;
    int32_t instance_number;
    uint64_t bytes;
    double at;
    uint8_t digest[DIGEST_SIZE];
    struct instance_id id;
    char calling[17], address[64];
};

static const char mark[16] = "anode receipt 1";

_Static_assert(sizeof(struct receipt_head) == 528, "a file on the disk has this layout");
#define ATTRS_ROOM (META_ROOM - META_ROOM_AT - sizeof(struct receipt_head))

static bool check_of(const uint8_t head[META_ROOM], uint8_t out[DIGEST_SIZE])
{
    const size_t from = META_ROOM_AT + sizeof mark + DIGEST_SIZE;
    struct digest *d = digest_create();
    if (!d)
        return false;
    digest_add(d, head, META_ROOM_AT);
    digest_add(d, head + from, META_ROOM - from);
    digest_end(d, out);
    digest_destroy(d);
    return true;
}

bool receipt_pack(const struct receipt *r, uint8_t head[META_ROOM])
{
    struct receipt_head h;
    uint8_t *const room = head + META_ROOM_AT;
    if (r->attrs.size > ATTRS_ROOM)
        return false;
    memset(&h, 0, sizeof h);
    memcpy(h.mark, mark, sizeof mark);
    h.attrs_size = (uint32_t)r->attrs.size;
    h.instance_number = r->instance_number;
    h.bytes = r->bytes;
    h.at = r->at;
    memcpy(h.digest, r->digest, sizeof h.digest);
    h.id = r->id;
    memcpy(h.calling, r->calling, sizeof h.calling);
    memcpy(h.address, r->address, sizeof h.address);
    memset(room, 0, META_ROOM - META_ROOM_AT);
    memcpy(room, &h, sizeof h);
    if (r->attrs.size)
        memcpy(room + sizeof h, r->attrs.packed, r->attrs.size);
    return check_of(head, room + sizeof mark);
}

static bool ends(const char *text, size_t size)
{
    return memchr(text, 0, size) != NULL;
}

static bool id_usable(const struct instance_id *id)
{
    const char *uids[] = {id->study_instance_uid, id->series_instance_uid, id->sop_instance_uid,
                          id->sop_class_uid, id->transfer_syntax_uid};
    for (size_t i = 0; i < sizeof uids / sizeof *uids; i++) {
        if (!ends(uids[i], UID_SIZE) || !uid_is_usable(uids[i]))
            return false;
    }
    return ends(id->modality, sizeof id->modality);
}

static bool head_usable(const struct receipt_head *h, const uint8_t head[META_ROOM])
{
    uint8_t check[DIGEST_SIZE];
    return memcmp(h->mark, mark, sizeof mark) == 0 && h->attrs_size <= ATTRS_ROOM &&
           check_of(head, check) && memcmp(check, h->check, sizeof check) == 0 &&
           id_usable(&h->id) && ends(h->calling, sizeof h->calling) &&
           ends(h->address, sizeof h->address);
}

static enum receipt_found read_head(int fd, struct receipt *out, struct err *err)
{
    uint8_t head[META_ROOM];
    struct receipt_head h;
    const ssize_t n = pread(fd, head, sizeof head, 0);
    if (n < 0) {
        err_errno(err, errno, "read");
        return RECEIPT_FAILED;
    }
    if (n != (ssize_t)sizeof head)
        return RECEIPT_NONE;
    memcpy(&h, head + META_ROOM_AT, sizeof h);
    if (!head_usable(&h, head) ||
        !attrs_unpack(&out->attrs, head + META_ROOM_AT + sizeof h, h.attrs_size))
        return RECEIPT_NONE;
    out->id = h.id;
    out->instance_number = h.instance_number;
    out->bytes = h.bytes;
    out->at = h.at;
    memcpy(out->digest, h.digest, sizeof out->digest);
    memcpy(out->calling, h.calling, sizeof out->calling);
    memcpy(out->address, h.address, sizeof out->address);
    return RECEIPT_WHOLE;
}

// Whether the data set is the one of which the receipt speaks.
static enum receipt_found read_data_set(int fd, const struct receipt *r, struct err *err)
{
    uint8_t piece[PIECE], digest[DIGEST_SIZE];
    uint64_t at = META_ROOM;
    ssize_t n;
    struct digest *d = digest_create();
    if (!d) {
        err_set(err, ERR_NOMEM, "no memory");
        return RECEIPT_FAILED;
    }
    while ((n = pread(fd, piece, sizeof piece, (off_t)at)) > 0) {
        digest_add(d, piece, (size_t)n);
        at += (uint64_t)n;
    }
    if (n < 0)
        err_errno(err, errno, "read");
    digest_end(d, digest);
    digest_destroy(d);
    if (n < 0)
        return RECEIPT_FAILED;
    return at == r->bytes && memcmp(digest, r->digest, sizeof digest) == 0 ? RECEIPT_WHOLE
                                                                           : RECEIPT_NONE;
}

enum receipt_found receipt_read(const struct datadir *d, const char *name, struct receipt *out,
                                struct err *err)
{
    memset(out, 0, sizeof *out);
    const int fd = openat(d->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        err_errno(err, errno, "open %s", name);
        return RECEIPT_FAILED;
    }
    enum receipt_found found = read_head(fd, out, err);
    if (found == RECEIPT_WHOLE)
        found = read_data_set(fd, out, err);
    if (found != RECEIPT_WHOLE)
        attrs_finish(&out->attrs);
    if (found == RECEIPT_FAILED)
        err_wrap(err, "%s", name);
    close(fd);
    return found;
}
