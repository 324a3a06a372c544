#include "node/cmd/cmd.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "base/near.h"
#include "node/cmd/cmd_common.h"

static const struct cmd commands[] = {
    {"serve", "c", "", 0, 0, "run the node in the foreground", cmd_serve},
    {"check", "cjp", "", 0, 0, "validate the configuration and the Vulkan devices", cmd_check},
    {"analyze", "csorjn", "PATH...", 1, SIZE_MAX,
     "run analyses offline: DICOM in; results, PNG, report.json out", cmd_analyze},
    {"inspect", "cojn", "PATH...", 1, SIZE_MAX,
     "what is in DICOM files: series, images, geometry, what is set aside and why", cmd_inspect},
    {"route", "cj", "PATH...", 1, SIZE_MAX, "which route each series found would take, and why",
     cmd_route},
    {"status", "cj", "", 0, 0, "series, jobs, outbox, peers of the running node", cmd_status},
    {"jobs", "cjf", "[show|retry|discard ID]", 0, 2,
     "list the jobs of the running node; show, retry or discard one", cmd_jobs},
    {"quarantine", "cj", "", 0, 0, "instances that contradict one that was here before",
     cmd_quarantine},
    {"devices", "j", "", 0, 0, "Vulkan devices, and which one would be used", cmd_devices},
    {"stages", "cj", "", 0, 0, "analyses: version, input, results, parameters", cmd_stages},
};

static const struct cmd_option {
    int letter;
    bool is_short; // the letter can be typed
    const char *name, *value, *help;
} options[] = {
    {'c', true, "config", "FILE", "configuration (" CMD_CONF_DEFAULT "; analyze: defaults)"},
    {'p', true, "print", NULL, "print the configuration that is in force, defaults included"},
    {'s', true, "stage", "ANALYSIS", "this analysis, for every series that it takes"},
    {'o', true, "output", "DIR",
     "folder for files, absent or empty (analyze: a new anode-YYYYMMDD-HHMMSS)"},
    {'r', false, "prior", "FILE",
     "an earlier report (SR) of the patient to compare with; may be given several times"},
    {'n', false, "nifti", NULL, "analyze: also label maps as NIfTI-1; inspect: also images"},
    {'f', false, "failed", NULL, "with retry: all jobs that failed"},
    {'j', false, "json", NULL, "print JSON, see json.md"},
    {'h', true, "help", NULL, "print this"},
};
#define OPTION_COUNT (sizeof options / sizeof options[0])

const struct cmd *cmd_at(size_t index)
{
    return index < sizeof commands / sizeof commands[0] ? &commands[index] : NULL;
}

const struct cmd *cmd_find(const char *name)
{
    struct near near = {.word = name};
    for (size_t i = 0; cmd_at(i); i++) {
        if (strcmp(name, cmd_at(i)->name) == 0)
            return cmd_at(i);
        near_try(&near, cmd_at(i)->name);
    }
    near_try(&near, "help");
    fprintf(stderr, "anode: no command \"%s\"", name);
    if (near.best)
        fprintf(stderr, " (did you mean \"%s\"?)", near.best);
    fprintf(stderr, "\nanode --help lists the commands\n");
    return NULL;
}

static bool cmd_knows(const struct cmd *cmd, const struct cmd_option *option)
{
    return option->letter == 'h' || strchr(cmd->options, option->letter);
}

static void cmd_print_usage(const struct cmd *cmd, FILE *out)
{
    fprintf(out, "usage: anode %s", cmd->name);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct cmd_option *o = &options[i];
        if (o->letter == 'h' || !cmd_knows(cmd, o))
            continue;
        if (o->is_short)
            fprintf(out, " [-%c%s%s]", o->letter, o->value ? " " : "", o->value ? o->value : "");
        else
            fprintf(out, " [--%s%s%s]", o->name, o->value ? " " : "", o->value ? o->value : "");
    }
    fprintf(out, "%s%s\n", cmd->operands[0] ? " " : "", cmd->operands);
}

void cmd_help(const struct cmd *cmd)
{
    cmd_print_usage(cmd, stdout);
    printf("\n%s\n\n", cmd->summary);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct cmd_option *o = &options[i];
        char names[64];
        if (!cmd_knows(cmd, o))
            continue;
        snprintf(names, sizeof names, "--%s%s%s", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        printf(o->is_short ? "  -%c, %-18s %s\n" : "      %.0d%-18s %s\n",
               o->is_short ? o->letter : 0, names, o->help);
    }
    printf("\nThe manual is anode(8).\n");
}

// The option that getopt_long() stopped at has no such name.
static void cmd_refuse_option(const struct cmd *cmd, const char *word)
{
    struct near near = {.word = word[0] == '-' && word[1] == '-' ? word + 2 : ""};
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (cmd_knows(cmd, &options[i]))
            near_try(&near, options[i].name);
    }
    fprintf(stderr, "anode %s: no option %s", cmd->name, word);
    if (near.best)
        fprintf(stderr, " (did you mean --%s?)", near.best);
    fprintf(stderr, "\n");
}

static void cmd_take(struct cmd_args *args, int letter, const char *value)
{
    args->conf = letter == 'c' ? value : args->conf;
    args->stage = letter == 's' ? value : args->stage;
    args->folder = letter == 'o' ? value : args->folder;
    if (letter == 'r')
        args->priors[args->prior_count++] = value;
    args->json = args->json || letter == 'j';
    args->nifti = args->nifti || letter == 'n';
    args->print = args->print || letter == 'p';
    args->failed = args->failed || letter == 'f';
}

// Tells getopt_long() the options of a command.
static void cmd_list_options(const struct cmd *cmd, struct option *longs, char *shorts)
{
    *shorts++ = ':';
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct cmd_option *o = &options[i];
        if (!cmd_knows(cmd, o))
            continue;
        *longs++ =
            (struct option){o->name, o->value ? required_argument : no_argument, NULL, o->letter};
        if (o->is_short)
            *shorts++ = (char)o->letter;
        if (o->is_short && o->value)
            *shorts++ = ':';
    }
    *longs = (struct option){0};
    *shorts = 0;
}

// The arguments are wrong: says so, or why the word before optind is no option.
static enum cmd_parsed cmd_refuse(const struct cmd *cmd, const char *what, const char *word)
{
    if (what)
        fprintf(stderr, "anode %s: %s%s%s\n", cmd->name, what, word ? " " : "", word ? word : "");
    else
        cmd_refuse_option(cmd, word);
    cmd_print_usage(cmd, stderr);
    return CMD_WRONG;
}

enum cmd_parsed cmd_parse(const struct cmd *cmd, int argc, char **argv, struct cmd_args *out)
{
    struct option longs[OPTION_COUNT + 1];
    char shorts[2 * OPTION_COUNT + 2], one[] = "-?";
    *out = (struct cmd_args){0};
    cmd_list_options(cmd, longs, shorts);
    optind = 0; // starts anew, with the letters just given
    opterr = 0;
    for (int letter; (letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        one[1] = (char)optopt;
        // A letter among others ("-xj") has no word of its own.
        const char *word = argv[optind - 1];
        if (letter == 'h')
            return CMD_HELP;
        if (letter == ':')
            return cmd_refuse(cmd, "a value is missing after", word);
        if (letter == '?' && word[0] == '-' && word[1] == '-')
            return cmd_refuse(cmd, NULL, word);
        if (letter == '?')
            return cmd_refuse(cmd, NULL, one);
        if (letter == 'r' && out->prior_count == CMD_PRIORS_MAX)
            return cmd_refuse(cmd, "too many times:", "--prior");
        cmd_take(out, letter, optarg);
    }
    out->operands = argv + optind;
    out->operand_count = (size_t)(argc - optind);
    if (out->operand_count < cmd->least)
        return cmd_refuse(cmd, "something is missing:", cmd->operands);
    if (out->operand_count > cmd->most)
        return cmd_refuse(cmd, "too many arguments:", out->operands[cmd->most]);
    return CMD_RUN;
}
