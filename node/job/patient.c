#include "node/job/patient.h"
#include <ctype.h>
#include <string.h>
#include "base/uid.h"

// The eight digits of a date, also of 1950.01.31 (PS3.5 6.2, before 1993); "": it is none.
static void birth_text(const char *date, char out[9])
{
    char digits[9] = "";
    size_t count = 0, other = 0;
    for (; date && *date; date++) {
        const bool digit = isdigit((unsigned char)*date);
        if (digit && count < 8)
            digits[count] = *date;
        count += digit;
        other += !digit && !strchr(" .-", *date);
    }
    memcpy(out, digits, sizeof digits);
    if (count != 8 || other > 0)
        out[0] = 0;
}

bool patient_key(const struct attrs *attrs, char out[65], struct err *err)
{
    const char *id = attrs_get(attrs, "PatientID");
    const char *issuer = attrs_get(attrs, "IssuerOfPatientID");
    const char *name = attrs_get(attrs, "PatientName");
    struct digest *digest = digest_create();
    uint8_t value[DIGEST_SIZE];
    char birth[9];
    if (!digest)
        return err_set(err, ERR_NOMEM, "no memory for a digest");
    bool named = id && *id;
    digest_add_text(digest, named ? id : name ? name : "");
    digest_add_text(digest, named ? (issuer ? issuer : "") : "name");
    birth_text(attrs_get(attrs, "PatientBirthDate"), birth);
    if (birth[0])
        digest_add_text(digest, birth);
    digest_end(digest, value);
    digest_destroy(digest);
    digest_hex(value, out);
    return true;
}
