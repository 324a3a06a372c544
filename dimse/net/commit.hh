// C++, inside dimse/net only: an N-EVENT-REPORT of storage commitment, to either side of an
// association.
#pragma once
#include "dimse/net/commit.h"
#include "dimse/net/link.hh"
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

// With the command received: takes its data set, fills *report, and answers. false: the association
// is broken.
bool commit_receive(T_ASC_Association *assoc, Link &link, T_ASC_PresentationContextID context,
                    const T_DIMSE_N_EventReportRQ &request, struct commit_report *report,
                    struct err *err);
