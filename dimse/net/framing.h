// Is a data set whole? Walks the lengths of a data set while it streams past, in constant memory,
// and keeps a copy of its small public top-level elements: enough to know the instance by without
// parsing it a second time. Parses untrusted input. Sources: PS3.5 7.1 (elements), 7.5 (sequences),
// A.4 (encapsulated pixel data), A.5 (deflated).
// Process: association. Thread-safety: one thread an object.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FRAMING_DEPTH       32     // sequences and items inside each other
#define FRAMING_HEAD_MAX    262144 // bytes of all elements kept
#define FRAMING_ELEMENT_MAX 16384  // bytes of one of them, with its header

struct framing; // opaque

// max_bytes: of the data set, inflated if deflated. NULL: no memory.
struct framing *framing_create(const char *transfer_syntax, uint64_t max_bytes);
void framing_destroy(struct framing *f);

// Private elements of up to 1024 bytes are kept, too. Before the first bytes.
void framing_keep_private(struct framing *f);

// Goes on with the next bytes. false once the data set is known to be broken; what follows is
// ignored.
bool framing_add(struct framing *f, const void *data, size_t size);

// Whether that is since Pixel Data says that it is longer than a data set may be.
bool framing_claims_too_much(const struct framing *f);

// No more bytes come.
//   ERR_INPUT says what is wrong: truncated, no data set, nested too deep, ...; ERR_NOMEM
bool framing_end(struct framing *f, struct err *err);

// Small public top-level elements before Pixel Data, each whole, in *transfer_syntax (that of the
// data set; Explicit VR Little Endian when deflated). Valid until framing_destroy().
const void *framing_head(const struct framing *f, size_t *size, const char **transfer_syntax);

#ifdef __cplusplus
}
#endif
