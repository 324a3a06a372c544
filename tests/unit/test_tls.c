// Whose a certificate is, and which files of TLS are taken; tests/net/test_tls.py speaks it.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dimse/net/tls.h"
#include "base/fs.h"
#include "tests/check.h"

static const char fingerprint[] =
    "00010203:04050607:08090A0B:0C0D0E0F:10111213:14151617:18191A1B:1C1D1E1F";

static void a_certificate_is_known_by_digest_or_name(void)
{
    struct tls_identity id = {.name_count = 2, .names = {"ct1.example", "CT ONE"}};
    char digits[2 * DIGEST_SIZE + 1], longer[2 * DIGEST_SIZE + 3];
    for (int i = 0; i < DIGEST_SIZE; i++)
        id.sha256[i] = (uint8_t)i;
    digest_hex(id.sha256, digits);
    CU_ASSERT_TRUE(tls_identity_is(&id, digits));
    CU_ASSERT_TRUE(tls_identity_is(&id, fingerprint));
    CU_ASSERT_TRUE(tls_identity_is(&id, "CT1.Example"));
    CU_ASSERT_TRUE(tls_identity_is(&id, "ct one"));
    CU_ASSERT_FALSE(tls_identity_is(&id, "ct1.example.com"));
    CU_ASSERT_FALSE(tls_identity_is(&id, "ct1"));
    CU_ASSERT_FALSE(tls_identity_is(&id, ""));
    snprintf(longer, sizeof longer, "%s00", digits);
    CU_ASSERT_FALSE(tls_identity_is(&id, longer));
    digits[63] = '0';
    CU_ASSERT_FALSE(tls_identity_is(&id, digits));
    id.name_count = 1;
    CU_ASSERT_FALSE(tls_identity_is(&id, "CT ONE"));
}

static bool opens(const char *key, enum tls_file *culprit, struct err *err)
{
    const char *const paths[TLS_FILES] = {"", key, "", ""};
    struct tls_files files;
    const bool ok = tls_files_open(&files, paths, culprit, err);
    if (ok) {
        char text[8] = "";
        CU_ASSERT_EQUAL(pread(files.fds[TLS_KEY], text, sizeof text - 1, 0), 5);
        CU_ASSERT_STRING_EQUAL(text, "a key");
        CU_ASSERT_EQUAL(files.fds[TLS_CA], -1);
    }
    tls_files_close(&files);
    return ok;
}

static void a_key_is_for_few(void)
{
    struct err err = {0};
    enum tls_file culprit = TLS_FILES;
    char path[PATH_MAX], folder[PATH_MAX];
    CU_ASSERT_TRUE_FATAL(fs_join(path, check_scratch(), "key", &err) &&
                         fs_write_file(path, "a key", 5, &err));
    CU_ASSERT_TRUE(opens(path, &culprit, &err));
    chmod(path, 0640);
    CU_ASSERT_TRUE(opens(path, &culprit, &err));
    chmod(path, 0644);
    CU_ASSERT_FALSE(opens(path, &culprit, &err));
    CU_ASSERT_EQUAL(err.code, ERR_CONFIG);
    CU_ASSERT_EQUAL(culprit, TLS_KEY);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "everybody"));
    err = (struct err){0};
    snprintf(folder, sizeof folder, "%s", check_scratch());
    CU_ASSERT_FALSE(opens(folder, &culprit, &err));
    CU_ASSERT_EQUAL(err.code, ERR_CONFIG);
    err = (struct err){0};
    CU_ASSERT_TRUE(truncate(path, (1 << 20) + 1) == 0 && chmod(path, 0600) == 0);
    CU_ASSERT_FALSE(opens(path, &culprit, &err));
    CU_ASSERT_EQUAL(err.code, ERR_CONFIG);
    err = (struct err){0};
    unlink(path);
    CU_ASSERT_FALSE(opens(path, &culprit, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_certificate_is_known_by_digest_or_name", a_certificate_is_known_by_digest_or_name},
        {"a_key_is_for_few", a_key_is_for_few},
    };
    return check_main("tls", cases, sizeof cases / sizeof *cases);
}
