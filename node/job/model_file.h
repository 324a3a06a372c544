// model.yaml, the description of a network, as an analysis. What stands in it is told in
// doc/models.md. A folder of a model is input from a stranger: everything in it has bounds, nothing
// in it is run, and nothing outside it is opened.
// Process: all, before the first fork. Thread-safety: one thread.
#pragma once
#include "base/arena.h"
#include "compute/stages/model/model.h"
#include "conf/report.h"

#define MODEL_FILE "model.yaml"

// Reads the text of a model.yaml. What it makes lives in report->arena, which outlives it.
// folder  absolute; the network lies in it
// Returns an analysis whose data is the struct model, or NULL: report says why, by line and value.
struct stage *model_file_read(const char *folder, const char *text, size_t len,
                              struct report *report);
