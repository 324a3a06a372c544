// anode.yaml as a struct: read, checked and printed by one table of keys.
// Process: all; built before the first fork and again on SIGHUP. Thread-safety: read-only once
// loaded.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "conf/pattern.h"
#include "node/base/attrs.h"
#include "node/base/err.h"

struct conf_peer {
    char *name; // AE title
    char *host;
    uint16_t port;
    bool may_send; // its associations are accepted
    bool find;     // ask it by C-FIND how many instances a series has
};

struct conf_condition {
    char *keyword; // DICOM attribute keyword
    struct pattern *pattern;
};

struct conf_option {
    char *name, *value; // stage parameter as written
    unsigned line, column;
};

struct conf_route {
    char *name;
    struct conf_condition *when;
    size_t when_count;
    char *run;            // stage name
    unsigned results;     // enum stage_result bits
    bool return_source;   // results go to the peer that sent the series
    size_t *return_peers; // and to these, indices into peers
    size_t return_count;
    struct conf_option *options;
    size_t option_count;
};

struct conf {
    char *path; // file it came from
    // node
    char *ae_title, *bind, *data_dir, *serial,
        *device_uid; // serial, device_uid: derived when not given
    uint16_t port;
    char *log_level;
    // completion
    double quiet_s, short_quiet_s, longest_wait_s, find_timeout_s;
    // limits
    uint32_t max_associations, max_associations_per_peer, max_pdu, dimse_timeout_s, acse_timeout_s,
        min_bytes_per_s, max_object_mib, min_free_mib;
    // worker
    char *device; // Vulkan device by name part or UUID; "" best one
    double job_deadline_s;
    uint32_t job_attempts;
    // sending
    double retry_first_s, retry_max_s, retry_factor, retry_give_up_s;
    uint32_t connect_timeout_s;
    // storage
    double keep_done_days; // received files of finished series are removed after that
    struct conf_peer *peers;
    size_t peer_count;
    struct conf_route *routes;
    size_t route_count;
};

// What conf cannot know by itself; each may say why not in why.
struct conf_checks {
    bool (*stage)(const char *name, char *why, size_t size); // exists?
    bool (*result)(const char *stage, const char *kind, unsigned *bit, char *why, size_t size);
    bool (*option)(const char *stage, const char *name, const char *value, char *why, size_t size);
    bool (*keyword)(const char *keyword, char *why, size_t size);
};

// Reads and checks path. Every error is written to report, one a line: "anode.yaml:14:7:
// routes[0].run: no stage \"calcum\" (did you mean \"calcium\"?)"; *errors counts them. Returns
// NULL when there was one, or with *err ERR_IO, ERR_NOMEM when the file could not be read (also
// reported).
struct conf *conf_load(const char *path, const struct conf_checks *checks, FILE *report,
                       size_t *errors, struct err *err);
void conf_destroy(struct conf *c);

// Prints the effective configuration as YAML, defaults included.
void conf_print(const struct conf *c, FILE *out);

const struct conf_peer *conf_find_peer(const struct conf *c, const char *ae_title); // NULL: none

// First route whose conditions all match; NULL: none. why (may be NULL) gets one line a route:
// which condition failed on which value.
const struct conf_route *conf_match(const struct conf *c, const struct attrs *attrs, FILE *why);
