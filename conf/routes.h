// The routes of a configuration file. Inside conf/ only.
#pragma once
#include "conf/reader.h"

// Reads list into r->c->routes; the peers are there already.
void routes_read(struct reader *r, const struct tree *list);
