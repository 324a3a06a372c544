// The executable: finds the command.
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "node/cmd/cmd.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage;
} commands[] = {
    {"serve", cmd_serve, "[-c FILE]                 run the node in the foreground"},
    {"check", cmd_check,
     "[-c FILE] [-p]            validate the configuration; -p prints what is in force"},
    {"analyze", cmd_analyze,
     "[-c FILE] [-s STAGE] [-o DIR] [--nifti] PATH...\n"
     "                                    the same analysis offline"},
    {"route", cmd_route, "[-c FILE] PATH...         which route each series found would take"},
    {"status", cmd_status, "[-c FILE] [--json]        series, jobs, outbox, peers of the node"},
    {"jobs", cmd_jobs, "[-c FILE] [show|retry|discard ID] [--json]"},
    {"devices", cmd_devices, "                        Vulkan devices, and which one is used"},
    {"stages", cmd_stages, "                         analyses, their input and parameters"},
};

static void usage(FILE *out)
{
    fprintf(out, "anode %s: DICOM analysis node. Not for diagnostic use.\n", ANODE_VERSION);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  anode %-8s %s\n", commands[i].name, commands[i].usage);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    if (strcmp(name, "--version") == 0) {
        printf("anode %s\n", ANODE_VERSION);
        return 0;
    }
    bool asked = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    usage(asked ? stdout : stderr);
    return asked ? 0 : 1;
}
