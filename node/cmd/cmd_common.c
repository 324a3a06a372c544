#include "node/cmd/cmd_common.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include "compute/gpu/gpu.h"
#include "node/core/checks.h"

const char *cmd_conf_path(int argc, char **argv)
{
    const char *path = CMD_CONF_DEFAULT;
    int option;
    while ((option = getopt(argc, argv, "+c:")) == 'c')
        path = optarg;
    if (option == -1 && optind == argc)
        return path;
    fprintf(stderr, "usage: anode %s [-c FILE]\n", argv[0]);
    return NULL;
}

struct conf *cmd_load_conf(const char *path, int *status)
{
    struct err err = {0};
    size_t errors = 0;
    struct conf *conf = conf_load(path, &node_checks, stderr, &errors, &err);
    *status = conf ? 0 : 1;
    if (!conf && errors > 1)
        fprintf(stderr, "%zu errors\n", errors);
    return conf;
}

int cmd_print_devices(const char *want)
{
    struct gpu_device *list = NULL;
    size_t count = 0;
    struct err err = {0};
    if (!gpu_list(want, &list, &count, &err)) {
        printf("  none: %s\n", err.text);
        return 2;
    }
    for (size_t i = 0; i < count; i++)
        printf("%c %s\n    %s, %s, Vulkan %s, %llu MiB, %s\n    %s\n", list[i].chosen ? '*' : ' ',
               list[i].name, list[i].uuid, gpu_kind_name(list[i].kind), list[i].api_version,
               (unsigned long long)(list[i].memory_bytes >> 20), list[i].driver, list[i].why);
    if (count == 0)
        printf("  none: install a Vulkan driver; mesa-vulkan-drivers has one for every machine\n");
    free(list);
    return count > 0 ? 0 : 2;
}
