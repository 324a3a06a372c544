#include "node/job/patient.h"
#include <stdio.h>
#include "base/moment.h"
#include "base/uid.h"

bool patient_key(const struct attrs *attrs, char out[65], struct err *err)
{
    const char *id = attrs_get(attrs, "PatientID");
    const char *issuer = attrs_get(attrs, "IssuerOfPatientID");
    const char *name = attrs_get(attrs, "PatientName");
    struct digest *digest = digest_create();
    uint8_t value[DIGEST_SIZE];
    const char *birth = attrs_get(attrs, "PatientBirthDate");
    struct moment_date date;
    char day[16];
    if (!digest)
        return err_set(err, ERR_NOMEM, "no memory for a digest");
    bool named = id && *id;
    digest_add_text(digest, named ? id : name ? name : "");
    digest_add_text(digest, named ? (issuer ? issuer : "") : "name");
    if (birth && moment_date(birth, &date)) {
        snprintf(day, sizeof day, "%04d%02d%02d", date.year, date.month, date.day);
        digest_add_text(digest, day);
    }
    digest_end(digest, value);
    digest_destroy(digest);
    digest_hex(value, out);
    return true;
}
