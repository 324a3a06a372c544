// What a received file says itself: which instance it is, from whom and when, how long it is and
// the digest of its data set. With it a file is its own record: once it is on stable media the
// instance is acknowledged, and the row in the database may follow later, or be made from it at
// start. It stands in the room of the head (dimse/read/meta.h), in the layout of struct
// receipt_head: version 1, byte order of the machine. Process: association writes, core reads.
// Thread-safety: none needed, no state.
#pragma once
#include "base/attrs.h"
#include "base/err.h"
#include "base/identity.h"
#include "base/uid.h"
#include "dimse/read/meta.h"
#include "node/proc/datadir.h"

struct receipt {
    struct instance_id id;
    int32_t instance_number;
    uint64_t bytes; // of the file
    uint8_t digest[DIGEST_SIZE];
    char calling[17], address[64];
    double at;          // seconds since 1970
    struct attrs attrs; // of the data set
};

// Fills the room of the head of a file, of which the rest is there and covered, too. False: the
// attributes do not fit, and the file cannot speak for itself.
bool receipt_pack(const struct receipt *r, uint8_t head[META_ROOM]);

enum receipt_found {
    RECEIPT_WHOLE,  // the file is what *out says, to the last bit; attrs_finish(&out->attrs)
    RECEIPT_NONE,   // it has none, or is not what it says
    RECEIPT_FAILED, // ERR_IO, ERR_NOMEM
};

// Reads the whole file of that name below the data folder.
enum receipt_found receipt_read(const struct datadir *d, const char *name, struct receipt *out,
                                struct err *err);
