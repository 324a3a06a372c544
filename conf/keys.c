#include "conf/keys.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/near.h"
#include "base/uid.h"

#define AT(field)      offsetof(struct conf, field)
#define PEER_AT(field) offsetof(struct conf_peer, field)
#define ROUTE_AT(f)    offsetof(struct conf_route, f)

static const struct conf_key keys[] = {
    {"node.ae_title", CONF_AE, AT(ae_title), .def = "ANODE",
     .help = "AE title of this node: what peers call, and what it calls itself."},
    {"node.port", CONF_UINT16, AT(port), 0, 65535, .def = "11112",
     .help = "TCP port for DICOM; 0 accepts associations by TLS only."},
    {"node.bind", CONF_ADDRESS, AT(bind), .def = "",
     .help = "Numeric address to listen on; \"\" listens on all."},
    {"node.data_dir", CONF_PATH, AT(data_dir), .def = "/var/lib/anode",
     .help = "Folder for received instances, results and state: a local file system."},
    {"node.log_level", CONF_CHOICE, AT(log_level), .choices = "error|warn|info|debug",
     .def = "info", .help = "Least level of events that are logged."},
    {"node.duplicate_answer", CONF_CHOICE, AT(duplicate_answer), .choices = "duplicate|success",
     .def = "duplicate",
     .help = "Answer to an instance that is already here with other content; it is quarantined."},
    {"node.timezone", CONF_ZONE, AT(timezone), .def = "none",
     .help = "Timezone Offset From UTC of results whose source has none, as +0100; none leaves it "
             "out."},
    {"node.user", CONF_TEXT, AT(user), .max = 32, .def = "anode",
     .help = "User of the system that a node becomes which root starts; root stays root."},
    {"node.models_dir", CONF_FILE, AT(models_dir), .def = "",
     .help = "Folder of networks of the site: each folder in it that has a model.yaml becomes an "
             "analysis.\n"
             "It is read when the node starts."},
    {"node.page", CONF_CHOICE, AT(page), .choices = "dark|light", .def = "dark",
     .help = "Paper of report pages as pictures: dark, as rooms are where images are read, or "
             "light.\n"
             "Documents (PDF) are light."},
    {"node.cage", CONF_CHOICE, AT(cage), .choices = "auto|required|off", .def = "auto",
     .help = "Whether processes that handle what peers send give up rights; auto: all that the "
             "kernel can take.\n"
             "With required the node does not start where the kernel or the user is missing."},
    {"node.serial", CONF_TEXT, AT(serial), .max = 64,
     .help = "Device Serial Number in results; derived from ae_title when not given."},
    {"node.device_uid", CONF_UID, AT(device_uid),
     .help = "Device UID in results, by which the node knows its own objects; derived from "
             "ae_title when not given."},

    {"tls.port", CONF_UINT16, AT(tls_port), 0, 65535, .def = "0",
     .help = "TCP port for DICOM by TLS, 2762 by custom; 0 opens none."},
    {"tls.certificate", CONF_FILE, AT(tls_certificate), .def = "",
     .help = "PEM file: the certificate of this node, then those between it and its root."},
    {"tls.key", CONF_FILE, AT(tls_key), .def = "",
     .help = "PEM file: its private key, without a passphrase; not for everybody on the machine to "
             "read."},
    {"tls.ca", CONF_FILE, AT(tls_ca), .def = "",
     .help = "PEM file: the authorities whose signature makes the certificate of a peer good."},
    {"tls.crl", CONF_FILE, AT(tls_crl), .def = "",
     .help =
         "PEM file: lists of certificates that these authorities have revoked; \"\" asks none."},
    {"tls.version", CONF_CHOICE, AT(tls_version), .choices = "1.2|1.3", .def = "1.2",
     .help = "Lowest version of TLS that is spoken."},

    {"completion.quiet_s", CONF_NUMBER, AT(quiet_s), 0.1, 86400, .def = "5",
     .help = "Silence after which a series is complete, unless its source has more; in seconds."},
    {"completion.short_quiet_s", CONF_NUMBER, AT(short_quiet_s), 0, 86400, .def = "1",
     .help = "The same when the association is over and the source confirms the count.\n"
             "An analysis that takes several series of a study together waits as long for more of "
             "them."},
    {"completion.interrupted_quiet_s", CONF_NUMBER, AT(interrupted_quiet_s), 0.1, 86400,
     .def = "120",
     .help = "In place of quiet_s where an association that sent some of it ended without release, "
             "and none since in order."},
    {"completion.longest_wait_s", CONF_NUMBER, AT(longest_wait_s), 1, 604800, .def = "600",
     .help = "A series is taken as it is this long after its first instance, in seconds."},
    {"completion.find_timeout_s", CONF_NUMBER, AT(find_timeout_s), 0.1, 600, .def = "5",
     .help = "Longest wait for the source to say how many instances a series has, in seconds."},
    {"completion.earlier_wait_s", CONF_NUMBER, AT(earlier_wait_s), 0.1, 600, .def = "10",
     .help = "Longest that a job waits for earlier results from its source, in seconds."},
    {"completion.study_wait_s", CONF_NUMBER, AT(study_wait_s), 1, 604800, .def = "600",
     .help = "Longest wait for the other series of a study that an analysis takes together, in "
             "seconds."},

    {"limits.max_associations", CONF_UINT32, AT(max_associations), 1, 4096, .def = "64",
     .help = "Associations open at the same time.\n"
             "A quarter of them is kept for peers that have none open."},
    {"limits.max_associations_per_peer", CONF_UINT32, AT(max_associations_per_peer), 1, 4096,
     .def = "16",
     .help = "The same of one AE title at one address.\n"
             "Where a limit is met, an association that has been silent for 5 seconds, or for half "
             "a second\n"
             "without ever having sent an instance, is closed for a new one."},
    {"limits.max_pdu", CONF_UINT32, AT(max_pdu), 4096, 131072, .def = "131072",
     .help = "Largest PDU that is accepted, in bytes."},
    {"limits.dimse_timeout_s", CONF_UINT32, AT(dimse_timeout_s), 1, 86400, .def = "60",
     .help = "Silence of a peer inside an association that ends it, in seconds."},
    {"limits.acse_timeout_s", CONF_UINT32, AT(acse_timeout_s), 1, 3600, .def = "15",
     .help = "The association request must be whole within this time, in seconds."},
    {"limits.min_bytes_per_s", CONF_UINT32, AT(min_bytes_per_s), 0, 1000000000, .def = "1024",
     .help = "An instance that arrives more slowly ends its association; 0 allows any speed."},
    {"limits.max_object_mib", CONF_UINT32, AT(max_object_mib), 1, 1048576, .def = "2048",
     .help = "Largest instance that is accepted, in MiB."},
    {"limits.min_free_mib", CONF_UINT32, AT(min_free_mib), 1, 1073741824, .def = "1024",
     .help = "Free space of data_dir, in MiB, below which instances are refused (A700)."},

    {"worker.device", CONF_TEXT, AT(device), .max = 255, .def = "",
     .help = "Vulkan device by a part of its name or by UUID; \"\" takes the best one."},
    {"worker.devices", CONF_TEXTS, AT(devices), .max = 255, .def = "[]",
     .help = "Several Vulkan devices, each by a part of its name or by UUID, or all; each has "
             "workers of its own."},
    {"worker.per_device", CONF_UINT32, AT(per_device), 1, 16, .def = "1",
     .help = "Workers on each device; each runs one analysis at a time."},
    {"worker.job_deadline_s", CONF_NUMBER, AT(job_deadline_s), 1, 86400, .def = "300",
     .help = "An analysis that takes longer is stopped and tried again, in seconds."},
    {"worker.job_attempts", CONF_UINT32, AT(job_attempts), 1, 10, .def = "3",
     .help = "Attempts before an analysis is given up as failed; the last uses the CPU device."},

    {"sending.retry_first_s", CONF_NUMBER, AT(retry_first_s), 0.1, 86400, .def = "5",
     .help = "Wait after the first failed delivery, in seconds."},
    {"sending.retry_max_s", CONF_NUMBER, AT(retry_max_s), 0.1, 604800, .def = "900",
     .help = "Longest wait between deliveries, in seconds."},
    {"sending.retry_factor", CONF_NUMBER, AT(retry_factor), 1, 10, .def = "2",
     .help = "Each wait is this many times longer than the one before."},
    {"sending.retry_give_up_s", CONF_NUMBER, AT(retry_give_up_s), 1, 31536000, .def = "604800",
     .help = "A result that could not be delivered for this time waits for a manual retry, in "
             "seconds."},
    {"sending.commit_wait_s", CONF_NUMBER, AT(commit_wait_s), 1, 86400, .def = "60",
     .help = "Longest wait for a destination to report on storage commitment, in seconds; then the "
             "results go again."},
    {"sending.connect_timeout_s", CONF_UINT32, AT(connect_timeout_s), 1, 600, .def = "10",
     .help = "Longest wait for a connection and for the answer to an association request, in "
             "seconds."},

    {"alerts.command", CONF_TEXTS, AT(alert_command), .max = 1024, .def = "[]",
     .help = "Program and arguments that are run when a person should know of something: JSON on "
             "standard input.\n"
             "Without a shell; nothing that a peer has sent is in arguments or environment."},
    {"alerts.pause_s", CONF_NUMBER, AT(alert_pause_s), 0, 604800, .def = "300",
     .help = "The same about the same thing is told once in this time, in seconds."},
    {"alerts.timeout_s", CONF_NUMBER, AT(alert_timeout_s), 0.1, 3600, .def = "30",
     .help = "A command that takes longer is ended, in seconds."},

    {"audit.file", CONF_FILE, AT(audit_file), .def = "",
     .help = "File that audit messages are appended to, one a line, with mode 0600; \"\" writes "
             "none.\n"
             "It is opened again when the configuration is read again."},
    {"audit.host", CONF_TEXT, AT(audit_host), .max = 253, .def = "",
     .help = "Host of the syslog receiver by TLS that gets audit messages, with the files of "
             "section tls; \"\" sends none."},
    {"audit.port", CONF_UINT16, AT(audit_port), 1, 65535, .def = "6514",
     .help = "TCP port of that receiver."},

    {"storage.reserve_mib", CONF_UINT32, AT(reserve_mib), 0, 1048576, .def = "64",
     .help = "Size of a file that is given up on a full disk, so that results and the database can "
             "be written."},
    {"storage.quarantine_days", CONF_NUMBER, AT(quarantine_days), 0, 36500, .def = "30",
     .help = "Instances in quarantine are removed after this many days."},
    {"storage.quarantine_mib", CONF_UINT32, AT(quarantine_mib), 1, 1073741824, .def = "1024",
     .help = "The oldest instances in quarantine are removed when they take more than this many "
             "MiB."},
    {"storage.keep_done_days", CONF_NUMBER, AT(keep_done_days), 0, 36500, .def = "1",
     .help = "Received files of finished series are removed after this many days."},

    {"peers[].ae_title", CONF_AE, PEER_AT(name), .required = true, .help = "AE title of the peer."},
    {"peers[].host", CONF_HOST, PEER_AT(host), .required = true,
     .help = "Host name or address that results are sent to."},
    {"peers[].port", CONF_UINT16, PEER_AT(port), 1, 65535, .required = true,
     .help = "TCP port that results are sent to."},
    {"peers[].may_send", CONF_BOOL, PEER_AT(may_send), .def = "true",
     .help = "Whether associations from this AE title are accepted."},
    {"peers[].quota_mib", CONF_UINT32, PEER_AT(quota_mib), 0, 1073741824, .def = "0",
     .help = "Most that is kept of what it has sent, in MiB; more is refused (A700); 0 sets no "
             "limit."},
    {"peers[].find", CONF_BOOL, PEER_AT(find), .def = "true",
     .help = "Whether it is asked by C-FIND how many instances a series has."},
    {"peers[].associations", CONF_UINT32, PEER_AT(associations), 1, PEER_ASSOCIATIONS_MAX,
     .def = "2",
     .help = "Most associations at a time for one delivery to it; more than one where images of "
             "8 MiB and more are sent."},
    {"peers[].confirm", CONF_CHOICE, PEER_AT(confirm), .choices = "off|commit|find", .def = "off",
     .help = "When a result counts as delivered to it: off, when it has answered with success; "
             "commit, when it has\n"
             "committed to keep it (storage commitment; by C-FIND where it has none); find, when "
             "C-FIND finds it.\n"
             "Until then the result is kept here, and sent again."},
    {"peers[].move", CONF_BOOL, PEER_AT(move), .def = "false",
     .help = "Whether a series of which it has more than has come is fetched from it by C-MOVE, "
             "once, after completion.quiet_s. It must know the AE title of the node as a "
             "destination, and be asked by C-FIND."},
    {"peers[].tls", CONF_BOOL, PEER_AT(tls), .def = "false",
     .help = "Whether it is spoken to by TLS, and accepted by TLS only."},
    {"peers[].certificate", CONF_TEXTS, PEER_AT(certificates), .max = 253, .def = "[]",
     .help = "Certificates that it may show, each by SHA-256 or by a DNS name in it.\n"
             "Without one any certificate that tls.ca makes good may use this AE title, and as a "
             "destination it must have the name host."},
    {"peers[].address", CONF_NETWORKS, PEER_AT(addresses), .max = 64, .def = "[]",
     .help = "Addresses and networks that its associations may come from, as 192.0.2.0/24; any by "
             "default."},
    {"peers[].earlier", CONF_BOOL, PEER_AT(earlier), .def = "false",
     .help = "Whether it is asked, by C-FIND and C-GET, for earlier reports of this node of the "
             "same patient and analysis, to compare with."},

    {"routes[].name", CONF_TEXT, ROUTE_AT(name), .max = 64, .required = true,
     .help = "Name of the route in logs and answers."},
    {"routes[].when", CONF_WHEN, .required = true,
     .help = "Conditions that must all hold: attribute keyword and pattern."},
    {"routes[].priority", CONF_INT32, ROUTE_AT(priority), -1000, 1000, .def = "0",
     .help = "Jobs of a route with a higher number go first."},
    {"routes[].run", CONF_STAGE, .required = true,
     .help = "Analysis to run, one of those that anode stages lists, or a list of them."},
    {"routes[].results", CONF_RESULTS, .def = "[sr, gsps, sc]",
     .help =
         "Kinds of result to make; by default those of sr, gsps and sc that the analysis gives."},
    {"routes[].return_to", CONF_RETURN, .def = "[source]",
     .help = "Where results go: source (the peer that sent the series), AE titles of peers."},
    {"routes[].options", CONF_OPTIONS, .def = "{}",
     .help = "Parameters for each analysis that has them, or by name of the analysis."},
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

const struct conf_key *conf_key_at(size_t index)
{
    return index < KEY_COUNT ? &keys[index] : NULL;
}

// The part of a key's name after its scope, or NULL when it belongs to another scope.
const char *keys_name_in(const struct conf_key *key, const char *scope)
{
    size_t len = strlen(scope);
    return strncmp(key->name, scope, len) == 0 ? key->name + len : NULL;
}

// The first part of a name: "node" of "node.port", "peers" of "peers[].host".
void keys_section(const struct conf_key *key, char out[64])
{
    snprintf(out, 64, "%.*s", (int)strcspn(key->name, ".["), key->name);
}

double keys_number(const struct conf_key *key, const struct conf *c)
{
    const void *field = (const char *)c + key->offset;
    if (key->type == CONF_INT32)
        return *(const int32_t *)field;
    return key->type == CONF_NUMBER ? *(const double *)field : *(const uint32_t *)field;
}

const struct conf_key *keys_find(const char *name)
{
    for (size_t k = 0; k < KEY_COUNT; k++) {
        if (strcmp(keys[k].name, name) == 0)
            return &keys[k];
    }
    return NULL;
}

// ---- one value as text ----

static bool value_parse_whole(const char *text, double min, double max, uint32_t *out)
{
    size_t len = strlen(text);
    if (len == 0 || len > 10 || strspn(text, "0123456789") != len)
        return false;
    unsigned long long n = strtoull(text, NULL, 10);
    *out = (uint32_t)n;
    return (double)n >= min && (double)n <= max;
}

static bool value_parse_signed(const char *text, double min, double max, int32_t *out)
{
    uint32_t size = 0;
    bool negative = *text == '-';
    if (!value_parse_whole(text + negative, 0, INT32_MAX, &size))
        return false;
    *out = negative ? -(int32_t)size : (int32_t)size;
    return *out >= min && *out <= max;
}

static bool value_parse_number(const char *text, double min, double max, double *out)
{
    size_t len = strlen(text);
    if (len == 0 || len > 40 || strspn(text, "0123456789.eE+-") != len)
        return false;
    char *end;
    *out = strtod(text, &end);
    return *end == 0 && isfinite(*out) && *out >= min && *out <= max;
}

static bool value_parse_bool(const char *text, bool *out)
{
    static const char *const words[2][3] = {{"false", "no", "off"}, {"true", "yes", "on"}};
    for (int value = 0; value < 2; value++) {
        for (int i = 0; i < 3; i++) {
            if (strcmp(text, words[value][i]) == 0) {
                *out = value;
                return true;
            }
        }
    }
    return false;
}

// PS3.5 6.2: 1 to 16 characters of the default repertoire without backslash and control
// characters; blanks around it do not count, blanks alone are no AE title.
static bool value_check_ae(const char *text, char *why)
{
    size_t len = strlen(text);
    if (len < 1 || len > 16)
        snprintf(why, KEYS_WHY_SIZE, "an AE title has 1 to 16 characters, \"%.64s\" has %zu", text,
                 len);
    else if (strchr(text, '\\'))
        snprintf(why, KEYS_WHY_SIZE, "an AE title has no backslash: \"%s\"", text);
    else {
        for (const char *c = text; *c; c++) {
            if ((unsigned char)*c < 0x80)
                continue;
            snprintf(why, KEYS_WHY_SIZE, "an AE title has ASCII characters only: \"%s\"", text);
            return false;
        }
        return true;
    }
    return false;
}

static bool value_check_host(const char *text, char *why)
{
    size_t len = strlen(text);
    bool ok = len >= 1 && len <= 253;
    for (size_t i = 0; ok && i < len; i++)
        ok = isalnum((unsigned char)text[i]) || strchr(".-_:%", text[i]);
    if (!ok)
        snprintf(why, KEYS_WHY_SIZE, "\"%.64s\" is no host name or address", text);
    return ok;
}

static bool value_check_address(const char *text, char *why)
{
    struct in6_addr address;
    if (!*text || inet_pton(AF_INET, text, &address) == 1 ||
        inet_pton(AF_INET6, text, &address) == 1)
        return true;
    snprintf(why, KEYS_WHY_SIZE, "\"%.64s\" is no numeric IPv4 or IPv6 address", text);
    return false;
}

static bool value_check_path(const char *text, char *why)
{
    if (*text != '/' || strlen(text) > 1024) {
        snprintf(why, KEYS_WHY_SIZE,
                 "wants an absolute path (starting with /) of at most 1024 bytes");
        return false;
    }
    return true;
}

static bool value_check_file(const char *text, char *why)
{
    return !*text || value_check_path(text, why);
}

// PS3.3 C.12.1.1.8: &ZZXX, from -1200 to +1400; -0000 is not used.
static bool value_check_zone(const char *text, char *why)
{
    bool shaped =
        strlen(text) == 5 && (*text == '+' || *text == '-') && strspn(text + 1, "0123456789") == 4;
    int hours = shaped ? (text[1] - '0') * 10 + text[2] - '0' : 0;
    int minutes = shaped ? (text[3] - '0') * 10 + text[4] - '0' : 0;
    int most = *text == '-' ? 12 * 60 : 14 * 60;
    if (strcmp(text, "none") == 0 ||
        (shaped && minutes < 60 && hours * 60 + minutes <= most && strcmp(text, "-0000") != 0))
        return true;
    snprintf(why, KEYS_WHY_SIZE,
             "wants none or an offset from UTC from -1200 to +1400, as +0100, not \"%.64s\"", text);
    return false;
}

static bool value_check_text(const struct conf_key *key, const char *text, char *why)
{
    if (strlen(text) > (size_t)key->max)
        snprintf(why, KEYS_WHY_SIZE, "longer than %g bytes", key->max);
    else if (key->def == NULL && text[strspn(text, " ")] == 0)
        snprintf(why, KEYS_WHY_SIZE, "must not be empty");
    else if (strchr(text, '\\'))
        snprintf(why, KEYS_WHY_SIZE, "must not hold a backslash");
    else
        return true;
    return false;
}

// Whether text is one of a list "a|b|c"; else why names the list and the nearest of it.
static bool value_check_choice(const char *choices, const char *text, char *why)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%s", choices);
    struct near near = {.word = text};
    char *rest = copy;
    for (char *one = strsep(&rest, "|"); one; one = strsep(&rest, "|")) {
        if (strcmp(one, text) == 0)
            return true;
        near_try(&near, one);
    }
    snprintf(why, KEYS_WHY_SIZE, "\"%.64s\" is none of %s", text, choices);
    if (near.best) {
        size_t used = strlen(why);
        snprintf(why + used, KEYS_WHY_SIZE - used, " (did you mean \"%s\"?)", near.best);
    }
    return false;
}

static bool value_check_string(const struct conf_key *key, const char *text, char *why)
{
    switch (key->type) {
    case CONF_AE:
        return value_check_ae(text, why);
    case CONF_HOST:
        return value_check_host(text, why);
    case CONF_ADDRESS:
        return value_check_address(text, why);
    case CONF_PATH:
        return value_check_path(text, why);
    case CONF_FILE:
        return value_check_file(text, why);
    case CONF_CHOICE:
        return value_check_choice(key->choices, text, why);
    case CONF_ZONE:
        return value_check_zone(text, why);
    case CONF_UID:
        if (uid_is_usable(text))
            return true;
        snprintf(why, KEYS_WHY_SIZE, "\"%.64s\" is no UID: up to 64 digits and dots", text);
        return false;
    default:
        return value_check_text(key, text, why);
    }
}

// Blanks around an AE title do not count (PS3.5 6.2).
static const char *value_trim(const char *text, char *out, size_t size)
{
    text += strspn(text, " ");
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == ' ')
        len--;
    snprintf(out, size, "%.*s", (int)len, text);
    return out;
}

// Parses text into the field that key describes. False: why says what is wrong.
bool keys_parse(struct arena *arena, const struct conf_key *key, const char *text, void *base,
                char why[KEYS_WHY_SIZE])
{
    void *field = (char *)base + key->offset;
    uint32_t whole = 0;
    char trimmed[KEYS_WHY_SIZE];
    switch (key->type) {
    case CONF_UINT16:
    case CONF_UINT32:
        if (!value_parse_whole(text, key->min, key->max, &whole)) {
            snprintf(why, KEYS_WHY_SIZE, "wants a whole number from %.0f to %.0f, not \"%.64s\"",
                     key->min, key->max, text);
            return false;
        }
        if (key->type == CONF_UINT16)
            *(uint16_t *)field = (uint16_t)whole;
        else
            *(uint32_t *)field = whole;
        return true;
    case CONF_INT32:
        if (value_parse_signed(text, key->min, key->max, field))
            return true;
        snprintf(why, KEYS_WHY_SIZE, "wants a whole number from %.0f to %.0f, not \"%.64s\"",
                 key->min, key->max, text);
        return false;
    case CONF_NUMBER:
        if (value_parse_number(text, key->min, key->max, field))
            return true;
        snprintf(why, KEYS_WHY_SIZE, "wants a number from %g to %.0f without a unit, not \"%.64s\"",
                 key->min, key->max, text);
        return false;
    case CONF_BOOL:
        if (value_parse_bool(text, field))
            return true;
        snprintf(why, KEYS_WHY_SIZE, "wants true or false, not \"%.64s\"", text);
        return false;
    case CONF_AE:
        text = value_trim(text, trimmed, sizeof trimmed);
        break;
    default:
        break;
    }
    if (!value_check_string(key, text, why))
        return false;
    *(char **)field = arena_strdup(arena, text);
    if (!*(char **)field)
        snprintf(why, KEYS_WHY_SIZE, "no memory");
    return *(char **)field != NULL;
}

// ---- printing ----

// A double-quoted YAML scalar. Control characters were refused when it was read.
void keys_print_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        // U+2028 and U+2029 end a line for YAML, U+FEFF and U+FFFE are no characters for libyaml
        unsigned point = p[0] >= 0xe2 && p[0] <= 0xef && p[1] && p[2]
                             ? (p[0] & 15U) << 12 | (p[1] & 63U) << 6 | (p[2] & 63U)
                             : 0;
        if (point == 0x2028 || point == 0x2029 || point >= 0xe000) {
            fprintf(out, "\\u%04X", point);
            p += 2;
        } else {
            if (*p == '"' || *p == '\\')
                fputc('\\', out);
            fputc(*p, out);
        }
    }
    fputc('"', out);
}

static void value_print_number(FILE *out, double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    fputs(text, out);
}

void keys_print(FILE *out, const struct conf_key *key, const void *base)
{
    if (key->type == CONF_TEXTS || key->type == CONF_NETWORKS) {
        const struct conf_texts *list =
            (const struct conf_texts *)((const char *)base + key->offset);
        fputc('[', out);
        for (size_t i = 0; i < list->count; i++) {
            fputs(i ? ", " : "", out);
            keys_print_text(out, list->items[i]);
        }
        fputc(']', out);
        return;
    }
    const void *field = (const char *)base + key->offset;
    switch (key->type) {
    case CONF_UINT16:
        fprintf(out, "%u", (unsigned)*(const uint16_t *)field);
        break;
    case CONF_UINT32:
        fprintf(out, "%u", (unsigned)*(const uint32_t *)field);
        break;
    case CONF_INT32:
        fprintf(out, "%d", (int)*(const int32_t *)field);
        break;
    case CONF_NUMBER:
        value_print_number(out, *(const double *)field);
        break;
    case CONF_BOOL:
        fputs(*(const bool *)field ? "true" : "false", out);
        break;
    default:
        keys_print_text(out, *(char *const *)field);
    }
}
