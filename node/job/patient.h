// Whose instance is this? Two patients may carry the same Series Instance UID; they are never
// mixed. Process: any. Thread-safety: any thread.
#pragma once
#include <stdbool.h>
#include "base/attrs.h"
#include "base/err.h"

// 64 hex digits that stand for the patient without naming him: a digest of Patient ID and its
// issuer, or of the name where there is no ID, and of the date of birth where there is one: two
// patients can have the same ID. (A name may be spelt anew in the middle of a series.)
//   ERR_NOMEM
bool patient_key(const struct attrs *attrs, char out[65], struct err *err);
