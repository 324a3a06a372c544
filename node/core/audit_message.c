#include "node/core/audit_message.h"
#include <arpa/inet.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/text.h"

#define PRI_NOTICE  85 // 10 * 8 + 5 (RFC 5424 6.2.1)
#define PRI_WARNING 84
#define HOST_MAX    255 // RFC 5424 6.2.4

struct code {
    const char *value, *system, *meaning;
};

struct shape { // of a kind of event
    struct code id, type;
    bool alert;
};

static const struct shape audit_shapes[] = {
    [AUDIT_STARTED] = {{"110100", "DCM", "Application Activity"},
                       {"110120", "DCM", "Application Start"},
                       false},
    [AUDIT_STOPPED] = {{"110100", "DCM", "Application Activity"},
                       {"110121", "DCM", "Application Stop"},
                       false},
    [AUDIT_OPENED] = {{"110114", "DCM", "User Authentication"}, {"110122", "DCM", "Login"}, false},
    [AUDIT_CLOSED] = {{"110114", "DCM", "User Authentication"}, {"110123", "DCM", "Logout"}, false},
    [AUDIT_STRANGER] = {{"110113", "DCM", "Security Alert"},
                        {"110126", "DCM", "Node Authentication"},
                        true},
    [AUDIT_CONFIGURED] = {{"110113", "DCM", "Security Alert"},
                          {"110129", "DCM", "Security Configuration"},
                          true},
    [AUDIT_LOST] = {{"110113", "DCM", "Security Alert"},
                    {"110133", "DCM", "Audit Recording Stopped"},
                    true},
    [AUDIT_RECEIVED] = {{"110104", "DCM", "DICOM Instances Transferred"}, {NULL}, false},
    [AUDIT_SENT] = {{"110104", "DCM", "DICOM Instances Transferred"}, {NULL}, false},
    [AUDIT_QUERY] = {{"110112", "DCM", "Query"}, {NULL}, false},
};

static const struct code role_application = {"110150", "DCM", "Application"};
static const struct code role_source = {"110153", "DCM", "Source Role ID"};
static const struct code role_destination = {"110152", "DCM", "Destination Role ID"};
static const struct code id_study = {"110180", "DCM", "Study Instance UID"};
static const struct code id_class = {"110181", "DCM", "SOP Class UID"};
static const struct code id_node = {"110182", "DCM", "Node ID"};
static const struct code id_patient = {"2", "RFC-3881", "Patient Number"};

// Text in an attribute or an element. XML 1.0 has no control characters, and no U+FFFE, U+FFFF.
static void xml_text(FILE *out, const char *text)
{
    while (*text) {
        const size_t length = text_character(text);
        const unsigned char c = (unsigned char)*text;
        const bool none = length == 0 || (length == 1 && (c < ' ' || c == 0x7f)) ||
                          (length == 3 && memcmp(text, "\xef\xbf", 2) == 0 &&
                           ((unsigned char)text[2] & 0xfe) == 0xbe);
        if (none)
            fputc('?', out);
        else if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'')
            fprintf(out, "&#%u;", c);
        else
            fwrite(text, 1, length, out);
        text += length ? length : 1;
    }
}

static void xml_attribute(FILE *out, const char *name, const char *value)
{
    fprintf(out, " %s=\"", name);
    xml_text(out, value);
    fputc('"', out);
}

static void xml_code(FILE *out, const char *element, const struct code *code)
{
    fprintf(out, "<%s", element);
    xml_attribute(out, "csd-code", code->value);
    xml_attribute(out, "codeSystemName", code->system);
    xml_attribute(out, "originalText", code->meaning);
    fputs("/>", out);
}

#define BASE64_BYTES 48 // at a time: whole groups of three, so that the parts join

// As xsd:base64Binary (RFC 4648).
static void xml_base64(FILE *out, const void *bytes, size_t size)
{
    unsigned char digits[BASE64_BYTES / 3 * 4 + 1];
    const unsigned char *from = bytes;
    for (size_t n; size > 0; size -= n, from += n) {
        n = size < BASE64_BYTES ? size : BASE64_BYTES;
        EVP_EncodeBlock(digits, from, (int)n);
        fputs((const char *)digits, out);
    }
}

// UTC with milliseconds, as xsd:dateTime and RFC 5424 write it.
static void put_time(FILE *out, double at)
{
    const double whole = floor(at);
    const time_t seconds = (time_t)whole;
    struct tm t = {0};
    char text[32];
    gmtime_r(&seconds, &t);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t);
    fprintf(out, "%s.%03dZ", text, (int)((at - whole) * 1000));
}

static void put_event(FILE *out, const struct audit_event *e)
{
    const struct shape *shape = &audit_shapes[e->kind];
    fprintf(out, "<EventIdentification EventActionCode=\"%c\" EventDateTime=\"",
            e->action ? e->action : 'E');
    put_time(out, e->at);
    fprintf(out, "\" EventOutcomeIndicator=\"%d\">", (int)e->outcome);
    xml_code(out, "EventID", &shape->id);
    if (shape->type.value)
        xml_code(out, "EventTypeCode", &shape->type);
    if (*e->text) {
        fputs("<EventOutcomeDescription>", out);
        xml_text(out, e->text);
        fputs("</EventOutcomeDescription>", out);
    }
    fputs("</EventIdentification>", out);
}

static bool address_is_numeric(const char *address)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, address, bytes) == 1 || inet_pton(AF_INET6, address, bytes) == 1;
}

static void put_participant(FILE *out, const char *user, const char *ae_title, bool requestor,
                            const char *address, const struct code *role)
{
    fputs("<ActiveParticipant", out);
    xml_attribute(out, "UserID", user);
    if (*ae_title) {
        fputs(" AlternativeUserID=\"AETITLES=", out);
        xml_text(out, ae_title);
        fputc('"', out);
    }
    xml_attribute(out, "UserIsRequestor", requestor ? "true" : "false");
    if (*address) {
        xml_attribute(out, "NetworkAccessPointID", address);
        xml_attribute(out, "NetworkAccessPointTypeCode", address_is_numeric(address) ? "2" : "1");
    }
    fputc('>', out);
    if (role)
        xml_code(out, "RoleIDCode", role);
    fputs("</ActiveParticipant>", out);
}

static void put_self(FILE *out, const struct audit_source *source, bool requestor,
                     const struct code *role)
{
    char pid[16];
    snprintf(pid, sizeof pid, "%d", source->pid);
    put_participant(out, pid, source->ae_title, requestor, source->host, role);
}

// A process elsewhere: its AE title is all that is known of it, or its address.
static void put_peer(FILE *out, const struct audit_event *e, bool requestor,
                     const struct code *role)
{
    const char *user = *e->peer ? e->peer : *e->address ? e->address : "unknown";
    put_participant(out, user, e->peer, requestor, e->address, role);
}

static void put_participants(FILE *out, const struct audit_source *source,
                             const struct audit_event *e)
{
    switch (e->kind) {
    case AUDIT_STARTED:
    case AUDIT_STOPPED:
    case AUDIT_CONFIGURED:
    case AUDIT_LOST:
        put_self(out, source, false, &role_application);
        break;
    case AUDIT_OPENED:
    case AUDIT_CLOSED:
        put_peer(out, e, true, NULL);
        put_self(out, source, false, NULL);
        break;
    case AUDIT_STRANGER:
        put_self(out, source, true, NULL);
        put_peer(out, e, false, NULL);
        break;
    case AUDIT_RECEIVED:
        put_peer(out, e, true, &role_source);
        put_self(out, source, false, &role_destination);
        break;
    case AUDIT_SENT:
    case AUDIT_QUERY:
        put_self(out, source, true, &role_source);
        put_peer(out, e, false, &role_destination);
        break;
    }
}

static void begin_object(FILE *out, const char *id, const char *type, const char *role,
                         const struct code *code)
{
    fputs("<ParticipantObjectIdentification", out);
    xml_attribute(out, "ParticipantObjectID", id);
    xml_attribute(out, "ParticipantObjectTypeCode", type);
    xml_attribute(out, "ParticipantObjectTypeCodeRole", role);
    fputc('>', out);
    xml_code(out, "ParticipantObjectIDTypeCode", code);
}

static void put_object(FILE *out, const char *id, const char *type, const char *role,
                       const struct code *code)
{
    begin_object(out, id, type, role, code);
    fputs("<ParticipantObjectName/>", out); // the schema wants it; nobody's name is told
}

static void put_detail(FILE *out, const char *type, const char *value)
{
    fprintf(out, "<ParticipantObjectDetail type=\"%s\" value=\"", type);
    xml_base64(out, value, strlen(value));
    fputs("\"/>", out);
}

// What was asked for, as a report (role 3) of an information model.
static void put_query(FILE *out, const struct audit_event *e)
{
    begin_object(out, e->sop_class, "2", "3", &id_class);
    fputs("<ParticipantObjectQuery>", out);
    xml_base64(out, e->query, e->query_size);
    fputs("</ParticipantObjectQuery>", out);
    put_detail(out, "TransferSyntax", e->transfer_syntax);
    fputs("</ParticipantObjectIdentification>", out);
}

static void put_objects(FILE *out, const struct audit_source *source, const struct audit_event *e)
{
    if (audit_shapes[e->kind].alert) {
        const bool peer = e->kind == AUDIT_STRANGER && *e->address;
        put_object(out, peer ? e->address : source->host, "2", "13", &id_node);
        put_detail(out, "Alert Description", e->text);
        fputs("</ParticipantObjectIdentification>", out);
    }
    if (e->kind == AUDIT_QUERY)
        put_query(out, e);
    if (e->kind != AUDIT_RECEIVED && e->kind != AUDIT_SENT)
        return;
    put_object(out, e->study, "2", "3", &id_study);
    fputs("<ParticipantObjectDescription>", out);
    for (size_t i = 0; i < e->class_count; i++) {
        fputs("<SOPClass", out);
        if (*e->classes[i].uid)
            xml_attribute(out, "UID", e->classes[i].uid);
        fprintf(out, " NumberOfInstances=\"%u\"/>", e->classes[i].instances);
    }
    fputs("</ParticipantObjectDescription></ParticipantObjectIdentification>", out);
    put_object(out, e->patient, "1", "1", &id_patient);
    fputs("</ParticipantObjectIdentification>", out);
}

// Printable ASCII without blanks (RFC 5424 6).
static void put_host(FILE *out, const char *host)
{
    size_t i = 0;
    for (; host[i] && i < HOST_MAX; i++)
        fputc(host[i] > ' ' && host[i] < 0x7f ? host[i] : '?', out);
    if (i == 0)
        fputc('-', out);
}

char *audit_message(const struct audit_source *source, const struct audit_event *event)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    const bool warn = audit_shapes[event->kind].alert || event->outcome != AUDIT_SUCCESS;
    fprintf(out, "<%d>1 ", warn ? PRI_WARNING : PRI_NOTICE);
    put_time(out, event->at);
    fputc(' ', out);
    put_host(out, source->host);
    fprintf(out, " anode %d DICOM+RFC3881 - \xef\xbb\xbf", source->pid);
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?><AuditMessage>", out);
    put_event(out, event);
    put_participants(out, source, event);
    fputs("<AuditSourceIdentification", out);
    xml_attribute(out, "AuditSourceID", source->ae_title);
    fputs("><AuditSourceTypeCode csd-code=\"4\"/></AuditSourceIdentification>", out);
    put_objects(out, source, event);
    fputs("</AuditMessage>", out);
    const bool whole = !ferror(out);
    if (fclose(out) != 0 || !whole) {
        free(text);
        return NULL;
    }
    return text;
}
