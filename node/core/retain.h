// Files and rows: made to agree at start, removed when their time is over.
// Process: core.
#pragma once
#include "node/core/core.h"

#define RETAIN_EVERY_S 600

// Before anything else runs. Files without a row that say what they are, and are that to the last
// bit, are recorded as if they had just come, oldest first: a power cut has taken the row, or their
// peer was not answered. Drafts, other files without a row and results of unfinished jobs go; what
// belongs in quarantine is moved there. Rows whose file is
// missing or has another size are reported and marked: the same instance takes its place when it
// comes again. Jobs of which results that wait to be sent are missing run again. ERR_DATABASE,
// ERR_IO, ERR_NOMEM.
bool retain_reconcile(struct core *core, struct err *err);

// Forgets what is in quarantine for longer than storage.quarantine_days, and the oldest beyond
// storage.quarantine_mib, with the files.
void retain_trim_quarantine(struct core *core);

// Forgets finished series that are older than storage.keep_done_days, with their files and results.
void retain_expire(struct core *core);
