// Attributes whose values identify a person or lead to one: their values stay out of logs, of
// reasons that are kept and of what other programs are told.
// Source: PS3.15 table E.1-1 (Basic Application Level Confidentiality Profile): what names patient,
// visit, order and people; of the dates those of a person's life, of the texts those that somebody
// writes about one. UIDs and AE titles are no such attributes: the log needs them.
// Thread-safety: pure.
#pragma once
#include <stdbool.h>

bool identifying_keyword(const char *keyword); // "PatientID"; case counts
