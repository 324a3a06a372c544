// anode.yaml as a struct: read, checked and printed by one table of keys.
// Process: all; built before the first fork and again on SIGHUP. Thread-safety: read-only once
// loaded.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "conf/pattern.h"
#include "base/attrs.h"
#include "base/err.h"

struct arena;

struct conf_texts { // a list of texts
    char **items;
    size_t count;
};

#define PEER_ASSOCIATIONS_MAX 4

struct conf_peer {
    char *name; // AE title
    char *host;
    uint16_t port;
    uint32_t quota_mib;    // of what it has sent and is kept; 0: no limit
    bool may_send;         // its associations are accepted
    bool find;             // ask it by C-FIND how many instances a series has
    bool move;             // fetch from it by C-MOVE what of a series did not come
    uint32_t associations; // that large deliveries to it take at a time: 1 to PEER_ASSOCIATIONS_MAX
    bool earlier;          // ask it for earlier results of a patient, by C-FIND and C-GET
    bool tls;              // either way by TLS only
    char *confirm;         // "off", "commit", "find": when what was sent to it counts as delivered
    struct conf_texts certificates; // SHA-256 or names; none: any that tls.ca signed
    struct conf_texts addresses;    // that its associations come from; none: any
};

struct conf_condition {
    char *keyword; // DICOM attribute keyword
    struct pattern *pattern;
};

struct conf_option {
    char *name, *value; // stage parameter as written
    unsigned line, column;
};

// One analysis of a route.
struct conf_run {
    char *stage;      // its name
    unsigned results; // enum result_kind bits: those of the route that it gives
    struct conf_option *options;
    size_t option_count;
};

struct conf_route {
    char *name;
    int32_t priority; // of its jobs: higher goes first
    struct conf_condition *when;
    size_t when_count;
    struct conf_run *runs; // at least one; each makes a job of its own
    size_t run_count;
    char **result_names; // as conf_print() shows them; each run gives one of them or more
    size_t result_count;
    bool return_source;   // results go to the peer that sent the series
    size_t *return_peers; // and to these, indices into peers
    size_t return_count;
};

// Everything a conf points to lives in its arena; only patterns are freed one by one.
struct conf {
    struct arena *arena;
    char *path; // file it came from
    // node
    char *ae_title, *data_dir;
    char *bind;                // numeric address to listen on; "": all
    char *serial, *device_uid; // derived from ae_title when not given
    char *log_level;           // "error", "warn", "info", "debug"
    char *duplicate_answer;    // to an instance that is here with other content: "duplicate"
                               // (0111) or "success" (0000); kept in quarantine either way
    char *user;                // that a node started by root becomes
    char *models_dir;          // folder of the models of the site; "": none
    char *page;                // "dark" or "light": paper of report pages
    char *cage;                // "auto", "required", "off": rights that its processes give up
    char *timezone; // Timezone Offset From UTC of results whose source has none: "+0100",
                    // or "none"
    uint16_t port;  // 0: no associations without TLS
    // tls; "": none
    uint16_t tls_port; // 0: none
    char *tls_certificate, *tls_key, *tls_ca, *tls_crl;
    char *tls_version; // the lowest: "1.2" or "1.3"
    // alerts
    struct conf_texts alert_command; // program and arguments; none: nobody is told
    double alert_pause_s, alert_timeout_s;
    // audit; "": none
    char *audit_file, *audit_host;
    uint16_t audit_port;
    // completion
    double quiet_s, short_quiet_s, interrupted_quiet_s, longest_wait_s, find_timeout_s,
        study_wait_s, earlier_wait_s;
    // limits
    uint32_t max_associations, max_associations_per_peer, max_pdu, dimse_timeout_s, acse_timeout_s,
        min_bytes_per_s, max_object_mib, min_free_mib;
    // worker
    char *device; // Vulkan device by name part or UUID; "" best one; where devices is empty
    struct conf_texts devices; // the same, several of them; "all"
    uint32_t per_device;       // workers on each
    double job_deadline_s;
    uint32_t job_attempts;
    // sending
    double retry_first_s, retry_max_s, retry_factor, retry_give_up_s;
    uint32_t connect_timeout_s;
    double commit_wait_s; // for the report of a storage commitment
    // storage
    uint32_t quarantine_mib; // the oldest in quarantine go beyond that
    double quarantine_days;  // and all after that
    uint32_t reserve_mib;    // room of data_dir that is kept for results and the database
    double keep_done_days;   // received files of finished series are removed after that
    struct conf_peer *peers;
    size_t peer_count;
    struct conf_route *routes;
    size_t route_count;
};

// What conf cannot know by itself; each may say why not in why (the whole message). NULL: not
// checked.
struct conf_checks {
    bool (*stage)(const char *name, char *why, size_t size); // exists?
    bool (*result)(const char *stage, const char *kind, unsigned *bit, char *why, size_t size);
    bool (*has_option)(const char *stage, const char *name); // is it a parameter of the analysis?
    bool (*option)(const char *stage, const char *name, const char *value, char *why, size_t size);
    bool (*keyword)(const char *keyword, char *why, size_t size);
    bool (*program)(const char *path, char *why, size_t size); // can it be run?
    bool (*place)(const char *path, char *why, size_t size);   // can it be a file?
    // The files of section tls; *key: the key of the one that is wrong ("tls.ca").
    bool (*tls)(const struct conf *c, const char **key, char *why, size_t size);
    // Reads the models of the site, whose analyses routes may name; tells each error to say.
    void (*models)(const char *folder, void (*say)(void *ctx, const char *line), void *ctx);
};

// Reads and checks path. Every error is written to report, one a line: "anode.yaml:14:7:
// routes[0].run: no stage \"calcum\" (did you mean \"calcium\"?)"; *errors counts them. Returns
// NULL when there was one, or with *err ERR_IO, ERR_NOMEM when the file could not be read (also
// reported). checks may be NULL; results are then the default ones.
// Anchors, aliases, tags and more than one document are refused, so a file means what it shows.
struct conf *conf_load(const char *path, const struct conf_checks *checks, FILE *report,
                       size_t *errors, struct err *err);
void conf_destroy(struct conf *c);

// Prints the effective configuration as YAML, defaults included; conf_load() reads it back.
void conf_print(const struct conf *c, FILE *out);

// Whether report pages are drawn on white paper.
bool conf_light_page(const struct conf *c);

// node.timezone as results carry it; NULL: none.
const char *conf_timezone(const struct conf *c);

const struct conf_peer *conf_find_peer(const struct conf *c, const char *ae_title); // NULL: none

// Does anything of it go by TLS?
bool conf_uses_tls(const struct conf *c);

// Is a numeric address one of addresses ("192.0.2.7", "192.0.2.0/24", "2001:db8::/32")? Of none:
// yes.
bool conf_address_is_of(const struct conf_texts *addresses, const char *address);

// May a reason show the values of identifying attributes (base/identifying.h)? Only where a person
// asks about files that are at hand; never in a log, in the state or in a result.
enum conf_values { CONF_VALUES_HIDDEN, CONF_VALUES_SHOWN };

// Whether a condition names a private attribute or one in an item ("0019,xx10[VENDOR]",
// "RequestAttributesSequence[0].RequestedProcedureID") rather than a keyword.
bool conf_is_path(const char *name);

// Writes why an attribute does not fit a pattern: Modality is "MR", wanted CT
// Of an identifying attribute by default only that it does not match.
void conf_explain(FILE *out, const char *keyword, const struct pattern *pattern,
                  const struct attrs *attrs, enum conf_values values);

// First route whose conditions all match; NULL: none. why (may be NULL) gets one line a route:
// which condition failed on which value, as conf_explain() says it.
const struct conf_route *conf_match(const struct conf *c, const struct attrs *attrs,
                                    enum conf_values values, FILE *why);

// What a route says of an analysis. NULL: it does not run it, or route is NULL.
struct conf_run *conf_find_run(const struct conf_route *route, const char *stage);

// One row of the table that reads, checks and prints the file; also what the manual is held to.
enum conf_type {
    CONF_UINT16,   // uint16_t
    CONF_UINT32,   // uint32_t
    CONF_INT32,    // int32_t
    CONF_NUMBER,   // double
    CONF_BOOL,     // bool
    CONF_TEXT,     // char *: printable, at most 64 characters
    CONF_AE,       // char *: AE title, PS3.5 6.2
    CONF_HOST,     // char *: host name or address
    CONF_ADDRESS,  // char *: numeric address or ""
    CONF_PATH,     // char *: absolute
    CONF_FILE,     // char *: absolute or ""
    CONF_UID,      // char *
    CONF_CHOICE,   // char *: one of choices
    CONF_ZONE,     // char *: offset from UTC ("+0100") or "none"
    CONF_WHEN,     // mapping of attribute keywords to patterns
    CONF_STAGE,    // name of an analysis, or a list of them
    CONF_RESULTS,  // list of result kinds
    CONF_RETURN,   // list of "source" and AE titles of peers
    CONF_OPTIONS,  // mapping of parameters to values, or of analyses to such mappings
    CONF_TEXTS,    // struct conf_texts: list of texts, none by default
    CONF_NETWORKS, // the same of numeric addresses and networks
};
struct conf_key {
    const char *name; // "node.port", "peers[].host"
    enum conf_type type;
    size_t offset;       // in struct conf, conf_peer or conf_route
    double min, max;     // numbers
    const char *choices; // CONF_CHOICE: "error|warn"
    const char *def;     // as written in the file; NULL: must be given or is derived
    bool required;
    const char *help; // one sentence
};
const struct conf_key *conf_key_at(size_t index); // NULL past the end
