// One audit message: an event as XML (PS3.15 A.5.1), in a syslog message (RFC 5424) as PS3.15 A.6
// has it: facility 10, severity 5, of alerts and failures 4, MSGID DICOM+RFC3881, UTF-8 with its
// mark. Codes: PS3.16 CID 400, 401, 402, 403.
//   AUDIT_STARTED, AUDIT_STOPPED  Application Activity (A.5.3.1)
//   AUDIT_OPENED, AUDIT_CLOSED    User Authentication (A.5.3.12): an association is a login of an
//                                 application, which a limit may refuse
//   AUDIT_STRANGER, AUDIT_CONFIGURED, AUDIT_LOST  Security Alert (A.5.3.11)
//   AUDIT_RECEIVED, AUDIT_SENT    DICOM Instances Transferred (A.5.3.7), of one study of a patient
//   AUDIT_QUERY                   Query (A.5.3.10): a question that goes out, whatever its answer
// Process: core. Thread-safety: pure, but for the time of the machine's clock that it is given.
#pragma once
#include <stddef.h>
#include "base/identity.h"

#define AUDIT_CLASSES_MAX 16 // SOP classes that one message names; the last one counts the rest

enum audit_kind {
    AUDIT_STARTED,
    AUDIT_STOPPED,
    AUDIT_OPENED,
    AUDIT_CLOSED,
    AUDIT_STRANGER,   // who is not known, or not as the configuration has it, was refused
    AUDIT_CONFIGURED, // another configuration is in use
    AUDIT_LOST,       // messages were not written
    AUDIT_RECEIVED,
    AUDIT_SENT,
    AUDIT_QUERY,
};

enum audit_outcome { AUDIT_SUCCESS = 0, AUDIT_MINOR = 4, AUDIT_SERIOUS = 8 };

struct audit_class {
    char uid[UID_SIZE];
    unsigned instances;
};

struct audit_event {
    enum audit_kind kind;
    enum audit_outcome outcome;
    double at;           // wall clock
    const char *peer;    // its AE title; "": not known
    const char *address; // its host name or numeric address; "": not known
    const char *text;    // what a person should know of it; "": nothing
    // AUDIT_RECEIVED, AUDIT_SENT
    char action; // 'C' the receiver had none of the instances, 'R' it had them, or is not us
    const char *study, *patient; // Study Instance UID, Patient ID
    const struct audit_class *classes;
    size_t class_count;
    // AUDIT_QUERY
    const char *sop_class, *transfer_syntax; // UIDs: the information model, how query is encoded
    const void *query;                       // the data set of the question
    size_t query_size;                       // bytes
};

// Who reports.
struct audit_source {
    const char *ae_title, *host; // host: name of the machine
    int pid;
};

// The message without a frame; it has no line feed. malloc'd; NULL: no memory.
char *audit_message(const struct audit_source *source, const struct audit_event *event);
