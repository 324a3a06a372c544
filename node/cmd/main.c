// The executable: finds the command.
#include <stdio.h>
#include <string.h>
#include "node/cmd/cmd.h"

static void main_overview(FILE *out)
{
    fprintf(out,
            "anode %s: DICOM analysis node. Not for diagnostic use.\n\n"
            "usage: anode COMMAND [OPTION...]\n"
            "       anode --version\n\n",
            ANODE_VERSION);
    for (size_t i = 0; cmd_at(i); i++)
        fprintf(out, "  anode %-10s %s\n", cmd_at(i)->name, cmd_at(i)->summary);
    fprintf(out, "\nanode COMMAND --help explains a command, anode(8) all of them.\n");
}

// "anode help [COMMAND]"
static int main_explain(const char *name)
{
    const struct cmd *cmd = name ? cmd_find(name) : NULL;
    if (cmd)
        cmd_help(cmd);
    else if (!name)
        main_overview(stdout);
    return name && !cmd ? 1 : 0;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    struct cmd_args args;
    if (!*name) {
        main_overview(stderr);
        return 1;
    }
    if (strcmp(name, "--version") == 0) {
        printf("anode %s\n", ANODE_VERSION);
        return 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return main_explain(argc > 2 ? argv[2] : NULL);
    const struct cmd *cmd = cmd_find(name);
    if (!cmd)
        return 1;
    switch (cmd_parse(cmd, argc - 1, argv + 1, &args)) {
    case CMD_RUN:
        return cmd->run(&args);
    case CMD_HELP:
        cmd_help(cmd);
        return 0;
    case CMD_WRONG:
        break;
    }
    return 1;
}
