// The commands of the executable: their table, and their arguments as one struct.
// Process: any, before the first fork. Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define CMD_PRIORS_MAX 16 // times that --prior may be given

// What a command line says; a command gets only what its row of the table lets through.
struct cmd_args {
    const char *conf;                   // -c FILE; NULL: not given
    const char *stage;                  // -s ANALYSIS; NULL: not given
    const char *folder;                 // -o DIR; NULL: not given
    const char *priors[CMD_PRIORS_MAX]; // --prior FILE, each; NULL: not given
    size_t prior_count;
    bool json, nifti, print, failed;
    char **operands; // what is no option
    size_t operand_count;
};

struct cmd {
    const char *name;
    const char *options;  // letters of the options it knows, see cmd_parse()
    const char *operands; // as its usage shows them: "PATH..."; "" when it takes none
    size_t least, most;   // how many operands
    const char *summary;  // one line
    // Returns the exit status: 0 done, 1 the input or the configuration is wrong, 2 the machine
    // failed.
    int (*run)(const struct cmd_args *args);
};

const struct cmd *cmd_at(size_t index); // NULL past the end
// NULL after a message on stderr that names the nearest command.
const struct cmd *cmd_find(const char *name);

enum cmd_parsed { CMD_RUN, CMD_HELP, CMD_WRONG };
// Parses argv[1...], the command's name being argv[0]. CMD_WRONG after a message on stderr that
// names what is wrong, the nearest option, and the usage.
enum cmd_parsed cmd_parse(const struct cmd *cmd, int argc, char **argv, struct cmd_args *out);
// The usage of a command in one line, and all of its help, on stdout.
void cmd_help(const struct cmd *cmd);

int cmd_serve(const struct cmd_args *args);
int cmd_check(const struct cmd_args *args);
int cmd_analyze(const struct cmd_args *args);
int cmd_inspect(const struct cmd_args *args);
int cmd_route(const struct cmd_args *args);
int cmd_status(const struct cmd_args *args);
int cmd_jobs(const struct cmd_args *args);
int cmd_quarantine(const struct cmd_args *args);
int cmd_devices(const struct cmd_args *args);
int cmd_stages(const struct cmd_args *args);
