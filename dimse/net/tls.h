// TLS on a connection, by OpenSSL itself: DCMTK's own layer reads blocking and without a limit of
// time. Both sides show a certificate and check that of the other (mutual authentication). What is
// offered follows BCP 195 (RFC 8996, RFC 9325; PS3.15 B.12): TLS 1.2 and 1.3, key exchange with
// forward secrecy, authenticated encryption only; no renegotiation, compression or resumption.
// Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/uid.h"

#ifdef __cplusplus
extern "C" {
#endif

enum tls_file {
    TLS_CERTIFICATE, // PEM: ours, then those between it and its root
    TLS_KEY,         // PEM: that of the first certificate, without a passphrase
    TLS_CA,          // PEM: whose signature makes a certificate of a peer good, or that certificate
    TLS_CRL,         // PEM: lists of revoked certificates; may be absent
    TLS_FILES
};

// The contents of the files behind descriptors that no file name leads to (memfd_create(2)), so
// that a process has them only where it keeps the descriptors: a key that stands in memory would be
// in that of each child. -1: none.
struct tls_files {
    int fds[TLS_FILES];
};

// Reads paths ("" none). Process: one that may read them. *culprit (may be NULL): the file that the
// error is about.
//   ERR_CONFIG a key that everybody on the machine can read, no plain file, larger than 1 MiB
//   ERR_IO, ERR_NOMEM
bool tls_files_open(struct tls_files *files, const char *const paths[TLS_FILES],
                    enum tls_file *culprit, struct err *err);
// Closes them; {-1, ...} is fine.
void tls_files_close(struct tls_files *files);

enum tls_side { TLS_ACCEPTOR, TLS_REQUESTOR };

struct tls; // what all connections of a side share

// only_13: TLS 1.3 or nothing. NULL:
//   ERR_CONFIG a file is no PEM, the key is not that of the certificate, or is encrypted, the
//   certificate is not valid yet or no longer, or weaker than 112 bits (RSA 2048)
//   ERR_NOMEM
struct tls *tls_create(const struct tls_files *files, enum tls_side side, bool only_13,
                       enum tls_file *culprit, struct err *err);
void tls_destroy(struct tls *tls);
// Days until our certificate expires.
double tls_days_left(const struct tls *tls);

#define TLS_NAMES 8   // of a certificate that are looked at
#define TLS_NAME  254 // bytes of one, with its end

// Who a peer is by its certificate, which was found to be good.
struct tls_identity {
    uint8_t sha256[DIGEST_SIZE]; // of the certificate (DER)
    uint32_t name_count;
    char names[TLS_NAMES][TLS_NAME]; // DNS names (subjectAltName), without one the common name
    char subject[128];               // for logs: printable ASCII
};

// Whether a certificate is the one wanted: its SHA-256 as 64 hexadecimal digits, with colons or
// without, or one of its names; upper and lower case alike.
bool tls_identity_is(const struct tls_identity *identity, const char *wanted);

struct tls_session;

// On a connected non-blocking socket, which stays the caller's. host: a requestor wants it to be a
// name or address in the peer's certificate; NULL: the caller looks at the identity.
//   NULL: ERR_NOMEM
struct tls_session *tls_session_create(struct tls *tls, int fd, const char *host, struct err *err);
// Does not close the socket. NULL is fine.
void tls_session_destroy(struct tls_session *s);

enum tls_step {
    TLS_DONE,
    TLS_WANTS_READ, // again when the socket can be read
    TLS_WANTS_WRITE,
    TLS_CLOSED, // the peer has ended it
    TLS_FAILED, // *err (ERR_NET) says why
};

enum tls_step tls_session_handshake(struct tls_session *s, struct err *err);
// *got, *put: bytes, when TLS_DONE; at least one.
enum tls_step tls_session_read(struct tls_session *s, void *buf, size_t size, size_t *got,
                               struct err *err);
enum tls_step tls_session_write(struct tls_session *s, const void *buf, size_t size, size_t *put,
                                struct err *err);
// Bytes that are here already and that poll() does not see?
bool tls_session_has_more(const struct tls_session *s);
// Tells the peer that nothing more comes, without waiting for it.
void tls_session_close(struct tls_session *s);
// After the handshake.
void tls_session_identity(const struct tls_session *s, struct tls_identity *identity);
// "TLSv1.3 TLS_AES_256_GCM_SHA384"
void tls_session_describe(const struct tls_session *s, char *out, size_t size);

#ifdef __cplusplus
}
#endif
