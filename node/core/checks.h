// What conf cannot know by itself: analyses, their results and options, DICOM keywords.
// Process: every command that reads the configuration; object_init() has been called before.
#pragma once
#include "conf/conf.h"

extern const struct conf_checks node_checks;
