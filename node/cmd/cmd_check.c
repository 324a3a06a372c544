// anode check: is the configuration valid, and what does it mean on this machine?
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/stages/stage.h"
#include "dimse/read/object.h"
#include "node/cmd/cmd.h"
#include "node/cmd/cmd_common.h"
#include "node/core/checks.h"
#include "node/job/json.h"

static void check_print_peers(const struct conf *conf)
{
    printf("peers\n");
    for (size_t i = 0; i < conf->peer_count; i++) {
        const struct conf_peer *p = &conf->peers[i];
        printf("  %-16s %s:%u%s%s%s\n", p->name, p->host ? p->host : "-", p->port,
               p->may_send ? ", may send" : ", may not send", p->find ? ", asked for counts" : "",
               p->tls ? ", by TLS" : "");
        if (p->tls && p->certificates.count == 0)
            printf("  %-16s any certificate that tls.ca makes good may use this AE title\n", "");
    }
}

static void check_print_routes(const struct conf *conf)
{
    printf("routes, first match wins\n");
    for (size_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *r = &conf->routes[i];
        printf("  %s: ", r->name);
        for (size_t k = 0; k < r->when_count; k++)
            printf("%s%s: %s", k ? ", " : "", r->when[k].keyword, pattern_text(r->when[k].pattern));
        for (size_t k = 0; k < r->run_count; k++)
            printf("%s%s", k ? ", " : " -> ", r->runs[k].stage);
        printf(" ->");
        for (size_t k = 0; k < r->result_count; k++)
            printf(" %s", r->result_names[k]);
        printf(" to%s", r->return_source ? " source" : "");
        for (size_t k = 0; k < r->return_count; k++)
            printf(" %s", conf->peers[r->return_peers[k]].name);
        printf("\n");
    }
}

static int check_print(const struct conf *conf)
{
    char plain[32] = "", tls[32] = "";
    if (conf->port)
        snprintf(plain, sizeof plain, " on port %u", conf->port);
    if (conf->tls_port)
        snprintf(tls, sizeof tls, "%s by TLS on port %u", conf->port ? "," : "", conf->tls_port);
    printf("%s is valid: %s%s%s, data in %s\n", conf->path, conf->ae_title, plain, tls,
           conf->data_dir);
    check_print_peers(conf);
    check_print_routes(conf);
    printf("devices\n");
    bool ok = true;
    return cmd_flush(cmd_devices_show(conf->device, NULL, &ok));
}

static void check_add_peers(json_t *list, const struct conf *conf, bool *ok)
{
    for (size_t i = 0; i < conf->peer_count; i++) {
        const struct conf_peer *p = &conf->peers[i];
        json_t *o = json_object();
        json_put_text(o, "ae_title", p->name, ok);
        json_put_text(o, "host", p->host, ok);
        json_put_integer(o, "port", p->port, ok);
        json_put_bool(o, "may_send", p->may_send, ok);
        json_put_bool(o, "find", p->find, ok);
        json_put_bool(o, "tls", p->tls, ok);
        json_put_bool(o, "move", p->move, ok);
        json_put_bool(o, "earlier", p->earlier, ok);
        json_add(list, o, ok);
    }
}

static void check_add_run(json_t *list, const struct conf_run *run, bool *ok)
{
    json_t *o = json_object(), *options = json_object(), *results = json_array();
    for (unsigned bit = RESULT_SR; bit <= RESULT_MPR; bit <<= 1) {
        if (run->results & bit)
            json_add(results, json_text(result_kind_name((enum result_kind)bit)), ok);
    }
    for (size_t i = 0; i < run->option_count; i++)
        json_put_text(options, run->options[i].name, run->options[i].value, ok);
    json_put_text(o, "stage", run->stage, ok);
    json_put(o, "results", results, ok);
    json_put(o, "options", options, ok);
    json_add(list, o, ok);
}

static json_t *check_route(const struct conf *conf, const struct conf_route *r, bool *ok)
{
    json_t *o = json_object(), *when = json_object(), *run = json_array(), *to = json_array();
    for (size_t k = 0; k < r->when_count; k++)
        json_put_text(when, r->when[k].keyword, pattern_text(r->when[k].pattern), ok);
    for (size_t k = 0; k < r->run_count; k++)
        check_add_run(run, &r->runs[k], ok);
    if (r->return_source)
        json_add(to, json_text("source"), ok);
    for (size_t k = 0; k < r->return_count; k++)
        json_add(to, json_text(conf->peers[r->return_peers[k]].name), ok);
    json_put_text(o, "name", r->name, ok);
    json_put_integer(o, "priority", r->priority, ok);
    json_put(o, "when", when, ok);
    json_put(o, "run", run, ok);
    json_put(o, "return_to", to, ok);
    return o;
}

// The configuration as part of the answer.
static void check_put_conf(json_t *o, const struct conf *conf, bool *ok)
{
    json_t *peers = json_array(), *routes = json_array();
    check_add_peers(peers, conf, ok);
    for (size_t i = 0; i < conf->route_count; i++)
        json_add(routes, check_route(conf, &conf->routes[i], ok), ok);
    json_put_text(o, "ae_title", conf->ae_title, ok);
    json_put_integer(o, "port", conf->port, ok);
    json_put_integer(o, "tls_port", conf->tls_port, ok);
    json_put_text(o, "data_dir", conf->data_dir, ok);
    json_put(o, "peers", peers, ok);
    json_put(o, "routes", routes, ok);
}

static void check_add_lines(json_t *list, char *lines, bool *ok)
{
    char *rest = NULL;
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        json_add(list, json_text(line), ok);
}

static int check_in_json(const char *path)
{
    char *lines = NULL;
    size_t size = 0, errors = 0;
    struct err err = {0};
    FILE *report = open_memstream(&lines, &size);
    struct conf *conf = report ? conf_load(path, &node_checks_files, report, &errors, &err) : NULL;
    bool ok = report && fclose(report) == 0;
    json_t *o = cmd_answer("anode.check/1", &ok), *list = json_array(), *devices = json_array();
    int status = conf ? 0 : 1;
    if (ok)
        check_add_lines(list, lines, &ok);
    free(lines);
    json_put_text(o, "configuration", path, &ok);
    json_put_bool(o, "valid", conf != NULL, &ok);
    json_put(o, "errors", list, &ok);
    if (conf) {
        check_put_conf(o, conf, &ok);
        status = cmd_devices_show(conf->device, devices, &ok);
    }
    json_put(o, "devices", devices, &ok);
    conf_destroy(conf);
    return cmd_print_json(o, ok, status);
}

static int check_in_text(const struct cmd_args *args)
{
    int status;
    struct conf *conf = cmd_load_conf(args, &node_checks_files, &status);
    if (!conf)
        return status;
    if (args->print) {
        conf_print(conf, stdout);
        status = cmd_flush(0);
    } else {
        status = check_print(conf);
    }
    conf_destroy(conf);
    return status;
}

int cmd_check(const struct cmd_args *args)
{
    struct err err = {0};
    if (args->json && args->print) {
        fprintf(stderr, "anode check: --print is YAML, not JSON: choose one of them\n");
        return 1;
    }
    if (!object_init(&err)) { // the configuration names DICOM attributes
        fprintf(stderr, "anode check: %s\n", err.text);
        return 2;
    }
    int status = args->json ? check_in_json(args->conf ? args->conf : CMD_CONF_DEFAULT)
                            : check_in_text(args);
    object_quit();
    return status;
}
