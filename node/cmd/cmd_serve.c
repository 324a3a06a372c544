// anode serve, anode check.
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include "dimse/read/object.h"
#include "dimse/net/scp.h"
#include "node/cmd/cmd.h"
#include "node/cmd/cmd_common.h"
#include "node/core/core.h"

int cmd_serve(int argc, char **argv)
{
    const char *path = cmd_conf_path(argc, argv);
    struct err err = {0};
    int status;
    if (!path)
        return 1;
    // All of it before the first fork: children share it.
    if (!object_init(&err) || !scp_init(&err)) {
        fprintf(stderr, "anode serve: %s\n", err.text);
        return 2;
    }
    struct conf *conf = cmd_load_conf(path, &status);
    if (conf)
        status = core_run(conf);
    object_quit();
    return status;
}

static void print_peers(const struct conf *conf)
{
    printf("peers\n");
    for (size_t i = 0; i < conf->peer_count; i++) {
        const struct conf_peer *p = &conf->peers[i];
        printf("  %-16s %s:%u%s%s\n", p->name, p->host ? p->host : "-", p->port,
               p->may_send ? ", may send" : ", may not send", p->find ? ", asked for counts" : "");
    }
}

static void print_routes(const struct conf *conf)
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

static int show(const struct conf *conf)
{
    printf("%s is valid: %s on port %u, data in %s\n", conf->path, conf->ae_title, conf->port,
           conf->data_dir);
    print_peers(conf);
    print_routes(conf);
    printf("devices\n");
    return cmd_print_devices(conf->device);
}

static int print(const struct conf *conf)
{
    conf_print(conf, stdout);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 2;
}

int cmd_check(int argc, char **argv)
{
    const char *path = CMD_CONF_DEFAULT;
    bool effective = false, usage = false;
    struct err err = {0};
    int status;
    for (int option; (option = getopt(argc, argv, "+c:p")) != -1;) {
        if (option == 'c')
            path = optarg;
        effective = effective || option == 'p';
        usage = usage || option == '?';
    }
    if (usage || optind != argc) {
        fprintf(stderr, "usage: anode check [-p] [-c FILE]\n");
        return 1;
    }
    if (!object_init(&err)) {
        fprintf(stderr, "anode check: %s\n", err.text);
        return 2;
    }
    struct conf *conf = cmd_load_conf(path, &status);
    if (conf)
        status = effective ? print(conf) : show(conf);
    conf_destroy(conf);
    object_quit();
    return status;
}

int cmd_devices(int argc, char **argv)
{
    if (argc > 1) {
        fprintf(stderr, "usage: anode %s\n", argv[0]);
        return 1;
    }
    return cmd_print_devices(NULL);
}
