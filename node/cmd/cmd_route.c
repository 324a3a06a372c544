#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include "dimse/read/object.h"
#include "base/log.h"
#include "node/core/checks.h"
#include "node/cmd/cmd.h"
#include "node/cmd/cmd_common.h"
#include "node/job/gather.h"

static void print_series(const struct conf *conf, const struct gather_series *s)
{
    char description[129];
    const char *given = attrs_get(&s->attrs, "SeriesDescription");
    printf("series %s\n  modality %s, %zu instance%s, description %s\n", s->series_instance_uid,
           s->modality[0] ? s->modality : "none", s->file_count, s->file_count == 1 ? "" : "s",
           given && given[0] ? log_value(given, description, sizeof description) : "none");
    if (s->own) {
        printf("  no route: it is a result of this node\n");
        return;
    }
    char *why = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&why, &size);
    if (!f)
        return;
    const struct conf_route *route = conf_match(conf, &s->attrs, CONF_VALUES_SHOWN, f);
    fclose(f);
    for (size_t i = 0; route && i < route->run_count; i++)
        printf("  route \"%s\" runs %s\n", route->name, route->runs[i].stage);
    if (!route)
        printf("  no route\n");
    for (const char *line = why; line && *line;) {
        int length = 0;
        while (line[length] && line[length] != '\n')
            length++;
        printf("    %.*s\n", length, line);
        line += length + (line[length] == '\n');
    }
    free(why);
}

static int route_paths(const struct conf *conf, char **paths, size_t count)
{
    struct gather gather;
    struct err err = {0};
    int status = 0;
    if (!gather_paths(paths, count, conf->device_uid, &gather, &err)) {
        log_error("%s", err.text);
        status = err.code == ERR_NOMEM ? 2 : 1;
    } else if (gather.count == 0) {
        log_error("no DICOM series found");
        status = 1;
    } else {
        for (size_t i = 0; i < gather.count; i++)
            print_series(conf, &gather.series[i]);
        status = fflush(stdout) == 0 && !ferror(stdout) ? 0 : 2;
    }
    gather_finish(&gather);
    return status;
}

int cmd_route(int argc, char **argv)
{
    const char *conf_path = CMD_CONF_DEFAULT;
    struct err err = {0};
    size_t errors = 0;
    for (int option; (option = getopt(argc, argv, "c:")) != -1;) {
        if (option != 'c')
            goto usage;
        conf_path = optarg;
    }
    if (optind == argc)
        goto usage;
    log_init(LOG_LEVEL_INFO, "route");
    if (!object_init(&err)) {
        log_error("%s", err.text);
        return 2;
    }
    struct conf *conf = conf_load(conf_path, &node_checks, stderr, &errors, &err);
    int status = conf ? route_paths(conf, argv + optind, (size_t)(argc - optind)) : 1;
    conf_destroy(conf);
    object_quit();
    return status;
usage:
    fprintf(stderr, "usage: anode route [-c FILE] PATH...\n");
    return 1;
}
