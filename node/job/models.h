// The folder of models of a site (node.models_dir): each folder in it that has a model.yaml becomes
// an analysis. Process: all, before the first fork. Thread-safety: one thread.
#pragma once
#include <stddef.h>

#define MODELS_MAX        32 // of a site
#define MODELS_FILES_MAX  64 // in the folder of one
#define MODELS_YAML_BYTES 262144

// Reads all of them, in the order of their names, and adds them to the table of analyses. Each
// error is told to say: "brain/model.yaml:7:12: axes: ...". Analyses stay until the process ends:
// the same folder again is nothing to do, another one is an error. folder  absolute
void models_load(const char *folder, void (*say)(void *ctx, const char *line), void *ctx);
