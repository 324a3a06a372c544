// Answers `anode status` and `anode jobs`: what the core knows, as JSON.
// Process: core.
#pragma once
#include "node/core/core.h"
#include "node/proc/msg.h"

// The answer as JSON text, malloc'd; {"error": "..."} when the command cannot be done.
// NULL: no memory.
char *control_answer(struct core *core, const struct msg_control *m);
