// What the commands share. Process: any. Thread-safety: one thread.
#pragma once
#include <jansson.h>
#include <limits.h>
#include "conf/conf.h"
#include "node/cmd/cmd.h"

#define CMD_CONF_DEFAULT "/etc/anode/anode.yaml"

// What to do where no Vulkan device can be used.
#define CMD_DEVICE_REMEDY                                                                          \
    "install the Debian package mesa-vulkan-drivers: it has a Vulkan device for every machine"

// The configuration of -c, or the default one; errors go to stderr. NULL with the exit status in
// *status.
struct conf *cmd_load_conf(const struct cmd_args *args, const struct conf_checks *checks,
                           int *status);

// Has all of stdout been written? Returns the exit status: status, or 2.
int cmd_flush(int status);

// A new answer {"schema": schema, "anode": version}. Failures add up in *ok, see node/job/json.h.
json_t *cmd_answer(const char *schema, bool *ok);
// Prints it and gives it back. Returns the exit status: status, or 2 when ok is false or stdout
// fails.
int cmd_print_json(json_t *answer, bool ok, int status);

// The Vulkan devices of this machine as text on stdout, and the remedy where none can be used.
// want     as of gpu_list()
// devices  NULL, or a JSON array that gets them instead of stdout
// Returns the exit status: 1 when none can be used, or none of that name.
int cmd_devices_show(const char *want, json_t *devices, bool *ok);

// 0 without an error, 1 where the input or the configuration is wrong, 2 where the machine failed.
int cmd_exit_status(const struct err *err);

// The folder of -o, made where it is absent; given NULL: a new one in the current folder.
//   ERR_INPUT  there is something in it, it is no folder, its name is too long; ERR_IO
bool cmd_make_folder(const char *given, char folder[PATH_MAX], struct err *err);
