// What conf cannot know by itself: analyses, their results and options, DICOM keywords.
// Process: every command that reads the configuration; object_init() has been called before.
#pragma once
#include "conf/conf.h"

extern const struct conf_checks node_checks;
// The same, and the files of section tls: for those who are to use them. They are read in a process
// of its own, so that the private key is in no memory that children get.
extern const struct conf_checks node_checks_files;
