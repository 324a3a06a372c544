// The commands of the executable. Each parses its own arguments (argv[0] is the command's name) and
// returns the exit status: 0 done, 1 the input or configuration is wrong, 2 the machine failed.
#pragma once

int cmd_serve(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_analyze(int argc, char **argv);
int cmd_route(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_jobs(int argc, char **argv);
int cmd_devices(int argc, char **argv);
int cmd_stages(int argc, char **argv);
