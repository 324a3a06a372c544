#include "dimse/net/tls.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include "base/log.h"

#define FILE_MAX       ((off_t)1 << 20)
#define CHAIN_MAX      8     // certificates between one and its root
#define READ_BUFFER    65536 // bytes taken from the socket at a time: several records
#define SECONDS_A_DAY  86400.0
#define SECURITY_LEVEL 2 // OpenSSL: 112 bits, RSA of 2048

// RFC 9325 4.2; those of TLS 1.3 are OpenSSL's own, all authenticated.
static const char ciphers_12[] =
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

struct tls {
    SSL_CTX *ctx;
    enum tls_side side;
    double days_left;
};

struct tls_session {
    SSL *ssl;
    bool broken; // nothing more may be done with it
};

static bool file_copy(int from, int to, const char *path, struct err *err)
{
    char block[4096];
    ssize_t n;
    bool ok = true;
    while (ok && (n = read(from, block, sizeof block)) != 0)
        ok = n > 0 && write(to, block, (size_t)n) == n;
    const int number = errno;
    OPENSSL_cleanse(block, sizeof block);
    return ok || err_errno(err, number, "%s", path);
}

static bool file_check(int fd, enum tls_file file, const char *path, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_errno(err, errno, "%s", path);
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
        return err_set(err, ERR_CONFIG, "%s is no plain file of at most 1 MiB", path);
    if (file == TLS_KEY && (st.st_mode & S_IRWXO))
        return err_set(err, ERR_CONFIG,
                       "everybody on this machine can read or change %s (mode %04o): chmod o= it",
                       path, (unsigned)st.st_mode & 07777U);
    return true;
}

static int file_open(enum tls_file file, const char *path, struct err *err)
{
    const int from = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int copy = -1;
    if (from < 0) {
        err_errno(err, errno, "%s", path);
        return -1;
    }
    if (file_check(from, file, path, err)) {
        copy = memfd_create("tls", MFD_CLOEXEC);
        if (copy < 0)
            err_errno(err, errno, "%s", path);
        else if (!file_copy(from, copy, path, err)) {
            close(copy);
            copy = -1;
        }
    }
    close(from);
    return copy;
}

bool tls_files_open(struct tls_files *files, const char *const paths[TLS_FILES],
                    enum tls_file *culprit, struct err *err)
{
    for (int i = 0; i < TLS_FILES; i++)
        files->fds[i] = -1;
    for (int i = 0; i < TLS_FILES; i++) {
        if (culprit)
            *culprit = (enum tls_file)i;
        if (*paths[i] && (files->fds[i] = file_open((enum tls_file)i, paths[i], err)) < 0) {
            tls_files_close(files);
            return false;
        }
    }
    return true;
}

void tls_files_close(struct tls_files *files)
{
    for (int i = 0; i < TLS_FILES; i++) {
        if (files->fds[i] >= 0)
            close(files->fds[i]);
        files->fds[i] = -1;
    }
}

// What OpenSSL says, which keeps a list for each thread.
static bool tls_fail(struct err *err, enum err_code code, const char *what)
{
    const unsigned long number = ERR_peek_last_error();
    const char *reason = number ? ERR_reason_error_string(number) : NULL;
    ERR_clear_error();
    return err_set(err, code, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
}

// The contents as a BIO of secure memory, or NULL.
static BIO *contents_open(int fd, struct err *err)
{
    char block[4096];
    BIO *bio = BIO_new(BIO_s_secmem());
    off_t at = 0;
    ssize_t n = 0;
    bool ok = bio && fd >= 0;
    while (ok && (n = pread(fd, block, sizeof block, at)) > 0) {
        ok = BIO_write(bio, block, (int)n) == n;
        at += n;
    }
    OPENSSL_cleanse(block, sizeof block);
    if (ok && n == 0)
        return bio;
    BIO_free(bio);
    err_set(err, bio ? ERR_IO : ERR_NOMEM, "its contents cannot be read");
    return NULL;
}

static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
    (void)buf, (void)size, (void)writing;
    *(bool *)ctx = true;
    return -1;
}

static bool load_key(SSL_CTX *ctx, int fd, struct err *err)
{
    bool encrypted = false;
    BIO *bio = contents_open(fd, err);
    if (!bio)
        return false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
    BIO_free(bio);
    if (!key && encrypted) {
        ERR_clear_error();
        return err_set(err, ERR_CONFIG, "it is encrypted, and nobody is there for its passphrase");
    }
    const bool used = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;
    const bool ours = used && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    if (ours)
        return true;
    return tls_fail(err, ERR_CONFIG,
                    key ? "it is not the key of tls.certificate" : "it holds no private key (PEM)");
}

static bool check_dates(const X509 *certificate, double *days_left, struct err *err)
{
    const ASN1_TIME *from = X509_get0_notBefore(certificate),
                    *until = X509_get0_notAfter(certificate);
    int days = 0, seconds = 0;
    struct tm tm = {0};
    char text[32];
    if (!ASN1_TIME_diff(&days, &seconds, NULL, until))
        return tls_fail(err, ERR_CONFIG, "its dates cannot be read");
    *days_left = days + seconds / SECONDS_A_DAY;
    if (*days_left <= 0) {
        ASN1_TIME_to_tm(until, &tm);
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
        return err_set(err, ERR_CONFIG, "it expired on %s", text);
    }
    if (X509_cmp_current_time(from) <= 0)
        return true;
    ASN1_TIME_to_tm(from, &tm);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
    return err_set(err, ERR_CONFIG, "it is not valid before %s", text);
}

// Ours, then those between.
static bool load_certificates(struct tls *tls, int fd, struct err *err)
{
    BIO *bio = contents_open(fd, err);
    if (!bio)
        return false;
    X509 *own = PEM_read_bio_X509(bio, NULL, NULL, NULL), *next = NULL;
    bool ok = own && SSL_CTX_use_certificate(tls->ctx, own) == 1;
    if (!ok)
        tls_fail(err, ERR_CONFIG, own ? "it cannot be used" : "it holds no certificate (PEM)");
    ok = ok && check_dates(own, &tls->days_left, err);
    X509_free(own);
    while (ok && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        ok = SSL_CTX_add0_chain_cert(tls->ctx, next) == 1 ||
             tls_fail(err, ERR_CONFIG, "its chain cannot be used");
        if (!ok)
            X509_free(next);
    }
    ERR_clear_error(); // of the end of the file
    BIO_free(bio);
    return ok;
}

static bool load_ca(SSL_CTX *ctx, int fd, struct err *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    BIO *bio = contents_open(fd, err);
    if (!bio)
        return false;
    size_t count = 0;
    bool ok = true;
    for (X509 *one; ok && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)); count++) {
        ok = X509_STORE_add_cert(store, one) == 1 && SSL_CTX_add_client_CA(ctx, one) == 1;
        X509_free(one);
    }
    BIO_free(bio);
    if (!ok || count == 0)
        return tls_fail(err, ERR_CONFIG,
                        count ? "it cannot be used" : "it holds no certificate (PEM)");
    ERR_clear_error();
    // A certificate of the list is good itself, also without that of its root.
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    return true;
}

static bool load_crl(SSL_CTX *ctx, int fd, struct err *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    if (fd < 0)
        return true;
    BIO *bio = contents_open(fd, err);
    if (!bio)
        return false;
    size_t count = 0;
    bool ok = true;
    for (X509_CRL *one; ok && (one = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)); count++) {
        ok = X509_STORE_add_crl(store, one) == 1;
        X509_CRL_free(one);
    }
    BIO_free(bio);
    if (!ok || count == 0)
        return tls_fail(err, ERR_CONFIG,
                        count ? "it cannot be used"
                              : "it holds no list of revoked certificates (PEM)");
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return true;
}

static void take_profile(SSL_CTX *ctx, bool only_13)
{
    SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
    SSL_CTX_set_min_proto_version(ctx, only_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(ctx, 0); // the newest
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_verify_depth(ctx, CHAIN_MAX);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, READ_BUFFER);
}

struct tls *tls_create(const struct tls_files *files, enum tls_side side, bool only_13,
                       enum tls_file *culprit, struct err *err)
{
    enum tls_file own;
    enum tls_file *at = culprit ? culprit : &own;
    struct tls *tls = calloc(1, sizeof *tls);
    *at = TLS_CERTIFICATE;
    if (tls) {
        tls->side = side;
        tls->ctx = SSL_CTX_new(side == TLS_ACCEPTOR ? TLS_server_method() : TLS_client_method());
    }
    if (!tls || !tls->ctx) {
        err_set(err, ERR_NOMEM, "no memory for TLS");
        tls_destroy(tls);
        return NULL;
    }
    take_profile(tls->ctx, only_13);
    bool ok = SSL_CTX_set_cipher_list(tls->ctx, ciphers_12) == 1 ||
              tls_fail(err, ERR_INTERNAL, "no cipher of TLS 1.2");
    ok = ok && load_certificates(tls, files->fds[TLS_CERTIFICATE], err);
    if (ok) {
        *at = TLS_KEY;
        ok = load_key(tls->ctx, files->fds[TLS_KEY], err);
    }
    if (ok) {
        *at = TLS_CA;
        ok = load_ca(tls->ctx, files->fds[TLS_CA], err);
    }
    if (ok) {
        *at = TLS_CRL;
        ok = load_crl(tls->ctx, files->fds[TLS_CRL], err);
    }
    if (ok)
        return tls;
    tls_destroy(tls);
    return NULL;
}

void tls_destroy(struct tls *tls)
{
    if (tls)
        SSL_CTX_free(tls->ctx);
    free(tls);
}

double tls_days_left(const struct tls *tls)
{
    return tls->days_left;
}

// ---- identity ----

bool tls_identity_is(const struct tls_identity *identity, const char *wanted)
{
    char hex[2 * DIGEST_SIZE + 1], digits[2 * DIGEST_SIZE + 1];
    size_t n = 0;
    digest_hex(identity->sha256, hex);
    const char *p = wanted;
    for (; *p && n < sizeof digits - 1; p++) {
        if (*p != ':')
            digits[n++] = (char)tolower((unsigned char)*p);
    }
    digits[n] = 0;
    if (!*p && strcmp(digits, hex) == 0)
        return true;
    for (uint32_t i = 0; i < identity->name_count; i++) {
        if (strcasecmp(identity->names[i], wanted) == 0)
            return true;
    }
    return false;
}

// A name of length bytes; one with a zero byte in it, or too long, is none.
static void identity_add(struct tls_identity *identity, const void *name, int length)
{
    if (length <= 0 || length >= TLS_NAME || identity->name_count == TLS_NAMES ||
        memchr(name, 0, (size_t)length))
        return;
    char *to = identity->names[identity->name_count++];
    memcpy(to, name, (size_t)length);
    to[length] = 0;
}

static void identity_names(struct tls_identity *identity, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            identity_add(identity, ASN1_STRING_get0_data(name->d.dNSName),
                         ASN1_STRING_length(name->d.dNSName));
    }
    GENERAL_NAMES_free(names);
    if (identity->name_count)
        return;
    const X509_NAME *subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *text = NULL;
    if (at < 0)
        return;
    const int length =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (length >= 0) {
        identity_add(identity, text, length);
        OPENSSL_free(text);
    }
}

void tls_session_identity(const struct tls_session *s, struct tls_identity *identity)
{
    memset(identity, 0, sizeof *identity);
    const X509 *certificate = SSL_get0_peer_certificate(s->ssl);
    unsigned size = DIGEST_SIZE;
    char subject[256] = "";
    if (!certificate)
        return;
    X509_digest(certificate, EVP_sha256(), identity->sha256, &size);
    identity_names(identity, certificate);
    X509_NAME_oneline(X509_get_subject_name(certificate), subject, (int)sizeof subject);
    log_value(subject, identity->subject, sizeof identity->subject);
    ERR_clear_error();
}

// ---- a session ----

struct tls_session *tls_session_create(struct tls *tls, int fd, const char *host, struct err *err)
{
    struct tls_session *s = calloc(1, sizeof *s);
    if (s)
        s->ssl = SSL_new(tls->ctx);
    bool ok = s && s->ssl && SSL_set_fd(s->ssl, fd) == 1;
    if (ok && host) {
        X509_VERIFY_PARAM *param = SSL_get0_param(s->ssl);
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        ok = X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 ||
             (X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
              SSL_set_tlsext_host_name(s->ssl, host) == 1);
    }
    ERR_clear_error();
    if (!ok) {
        err_set(err, ERR_NOMEM, "no memory for TLS");
        tls_session_destroy(s);
        return NULL;
    }
    if (tls->side == TLS_ACCEPTOR)
        SSL_set_accept_state(s->ssl);
    else
        SSL_set_connect_state(s->ssl);
    return s;
}

void tls_session_destroy(struct tls_session *s)
{
    if (s)
        SSL_free(s->ssl);
    free(s);
}

// What a call that returned rc wants.
static enum tls_step session_step(struct tls_session *s, int rc, const char *what, struct err *err)
{
    if (rc > 0)
        return TLS_DONE;
    const int number = errno;
    const int why = SSL_get_error(s->ssl, rc);
    if (why == SSL_ERROR_WANT_READ)
        return TLS_WANTS_READ;
    if (why == SSL_ERROR_WANT_WRITE)
        return TLS_WANTS_WRITE;
    s->broken = why != SSL_ERROR_ZERO_RETURN;
    if (why == SSL_ERROR_ZERO_RETURN)
        return TLS_CLOSED;
    const long verdict = SSL_get_verify_result(s->ssl);
    if (verdict != X509_V_OK && !SSL_is_init_finished(s->ssl))
        err_set(err, ERR_NET, "%s: the certificate of the peer is not good: %s", what,
                X509_verify_cert_error_string(verdict));
    else if (why == SSL_ERROR_SYSCALL && ERR_peek_error() == 0)
        err_set(err, ERR_NET, "%s: %s", what,
                number ? strerror(number) : "the connection was closed");
    else
        tls_fail(err, ERR_NET, what);
    ERR_clear_error();
    return TLS_FAILED;
}

enum tls_step tls_session_handshake(struct tls_session *s, struct err *err)
{
    errno = 0;
    return session_step(s, SSL_do_handshake(s->ssl), "TLS handshake", err);
}

static int at_most(size_t size)
{
    return size > (1 << 20) ? 1 << 20 : (int)size;
}

enum tls_step tls_session_read(struct tls_session *s, void *buf, size_t size, size_t *got,
                               struct err *err)
{
    errno = 0;
    const int n = SSL_read(s->ssl, buf, at_most(size));
    *got = n > 0 ? (size_t)n : 0;
    return session_step(s, n, "TLS", err);
}

enum tls_step tls_session_write(struct tls_session *s, const void *buf, size_t size, size_t *put,
                                struct err *err)
{
    errno = 0;
    const int n = SSL_write(s->ssl, buf, at_most(size));
    *put = n > 0 ? (size_t)n : 0;
    return session_step(s, n, "TLS", err);
}

bool tls_session_has_more(const struct tls_session *s)
{
    return SSL_has_pending(s->ssl) == 1;
}

void tls_session_close(struct tls_session *s)
{
    if (!s->broken && SSL_is_init_finished(s->ssl))
        SSL_shutdown(s->ssl);
    ERR_clear_error();
}

void tls_session_describe(const struct tls_session *s, char *out, size_t size)
{
    snprintf(out, size, "%s %s", SSL_get_version(s->ssl), SSL_get_cipher_name(s->ssl));
}
