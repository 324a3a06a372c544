// Digests and the UIDs made of them: same input, same UID.
// Source: PS3.5 B.2 (UUID-derived UIDs, root 2.25), PS3.5 9.1 (form of a UID).
// Thread-safety: a struct digest belongs to one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DIGEST_SIZE 32 // SHA-256

struct digest; // opaque, a running SHA-256

struct digest *digest_create(void); // NULL: no memory
void digest_add(struct digest *d, const void *data, size_t len);
// Adds the length first, so that ("ab", "c") and ("a", "bc") differ.
void digest_add_text(struct digest *d, const char *text);
void digest_end(struct digest *d, uint8_t out[DIGEST_SIZE]); // once; then only digest_destroy()
void digest_destroy(struct digest *d);

void digest_hex(const uint8_t in[DIGEST_SIZE], char out[2 * DIGEST_SIZE + 1]);
bool digest_from_hex(const char *hex, uint8_t out[DIGEST_SIZE]); // exactly 64 hex digits

// "2.25." and the first 128 bits of the digest as a decimal number without leading zeros.
void uid_from_digest(const uint8_t digest[DIGEST_SIZE], char out[65]);

// 1 to 64 characters, digits and dots, no empty component. Leading zeros are let through: real
// peers send them, and a repaired UID would point at nothing.
bool uid_is_usable(const char *uid);

#ifdef __cplusplus
}
#endif
