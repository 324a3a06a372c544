// What the commands share.
#pragma once
#include "conf/conf.h"

#define CMD_CONF_DEFAULT "/etc/anode/anode.yaml"

// Parses "[-c FILE]" and nothing else. NULL after a message: a wrong argument.
const char *cmd_conf_path(int argc, char **argv);
// Loads it; errors go to stderr. NULL with the exit status in *status.
struct conf *cmd_load_conf(const char *path, int *status);
// Lists the Vulkan devices on stdout. Returns the exit status: 2 when there is none.
int cmd_print_devices(const char *want);
