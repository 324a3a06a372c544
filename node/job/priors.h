// Earlier results of a patient on their way to an analysis: which of them it may compare with, and
// as text. The asker that fetches them writes the text, the core keeps it with the job, the worker
// reads it, so that a job that runs twice has the same ones.
// Process: asker, worker, analyze. Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/attrs.h"
#include "base/err.h"
#include "base/uid.h"
#include "compute/findings/findings.h"
#include "compute/findings/prior.h"
#include "compute/stages/stage.h"

// One JSON array; malloc'd. NULL: no memory.
char *priors_text(const struct prior *list, size_t count);
// Reads it; all of it belongs to arena. More than PRIOR_NUMBERS_MAX measurements of one are cut.
//   ERR_INPUT no such array, or more than PRIORS_READ_MAX entries; ERR_NOMEM
bool priors_from_text(const char *text, struct arena *arena, struct prior **list, size_t *count,
                      struct err *err);
// What distinguishes them from others, in whatever order: SHA-256. False: no memory.
bool priors_digest(const struct prior *list, size_t count, struct arena *arena,
                   uint8_t out[DIGEST_SIZE]);

#define PRIORS_READ_MAX 64 // reports that are looked at for one job

// Of those given the ones that the analysis may compare with: of the same analysis, of a study of
// the same patient that is older than that of the input, newest first, PRIORS_MAX at most; none
// that failed or that another one of them replaces. Who has the same Patient ID and another issuer,
// birth date or sex is another patient. What is left out, but for the same study, is said as a
// fact, without a patient's data.
//   head  attributes of the input; stage  its analysis
// In arena. ERR_NOMEM
bool priors_choose(const struct prior *all, size_t count, const struct attrs *head,
                   const struct stage *stage, struct arena *arena, struct findings *f,
                   struct prior **out, size_t *out_count, struct err *err);
