#include "dimse/net/commit.hh"
#include <cstring>
#include <memory>
#include <dcmtk/dcmdata/dctk.h>

static const int dcmtk_patience_s = 86400;      // for DCMTK: the link keeps the time
static const uint64_t report_bytes_max = 65536; // of COMMIT_MAX instances, with much to spare;
                                                // DCMTK parses sequences by recursion
static const uint16_t reason_missing = 0xFFFF;

// What of one sequence of the report is for us.
static void report_add(DcmDataset &data, const DcmTagKey &sequence, bool failed,
                       struct commit_report *report)
{
    DcmItem *item = nullptr;
    for (long i = 0; report->count < COMMIT_MAX &&
                     data.findAndGetSequenceItem(sequence, item, i).good() && item;
         i++) {
        OFString uid;
        Uint16 reason = failed ? reason_missing : 0;
        struct commit_answer *a = &report->answers[report->count];
        if (item->findAndGetOFString(DCM_ReferencedSOPInstanceUID, uid).bad() ||
            uid.length() >= sizeof a->sop_instance_uid)
            continue;
        if (failed && (item->findAndGetUint16(DCM_FailureReason, reason).bad() || reason == 0))
            reason = reason_missing;
        OFStandard::strlcpy(a->sop_instance_uid, uid.c_str(), sizeof a->sop_instance_uid);
        a->reason = reason;
        report->count++;
    }
}

bool commit_receive(T_ASC_Association *assoc, Link &link, T_ASC_PresentationContextID context,
                    const T_DIMSE_N_EventReportRQ &request, struct commit_report *report,
                    struct err *err)
{
    T_ASC_PresentationContextID of_data = 0;
    DcmDataset *received = nullptr;
    OFString transaction;
    *report = {};
    link.allow(report_bytes_max);
    OFCondition cond = EC_Normal;
    if (request.DataSetType != DIMSE_DATASET_NULL)
        cond = DIMSE_receiveDataSetInMemory(assoc, DIMSE_NONBLOCKING, dcmtk_patience_s, &of_data,
                                            &received, nullptr, nullptr);
    const std::unique_ptr<DcmDataset> data(received);
    if (cond.bad() || (received && of_data != context))
        return link.explain(err, "N-EVENT-REPORT", cond.bad() ? cond.text() : "in another context");
    if (received && received->findAndGetOFString(DCM_TransactionUID, transaction).good() &&
        transaction.length() < sizeof report->transaction_uid) {
        OFStandard::strlcpy(report->transaction_uid, transaction.c_str(),
                            sizeof report->transaction_uid);
        report_add(*received, DCM_ReferencedSOPSequence, false, report);
        report_add(*received, DCM_FailedSOPSequence, true, report);
    }
    T_DIMSE_Message answer = {};
    T_DIMSE_N_EventReportRSP &rsp = answer.msg.NEventReportRSP;
    answer.CommandField = DIMSE_N_EVENT_REPORT_RSP;
    rsp.MessageIDBeingRespondedTo = request.MessageID;
    rsp.DataSetType = DIMSE_DATASET_NULL;
    rsp.DimseStatus = *report->transaction_uid ? STATUS_Success : STATUS_N_InvalidArgumentValue;
    rsp.EventTypeID = request.EventTypeID;
    rsp.opts = O_NEVENTREPORT_AFFECTEDSOPCLASSUID | O_NEVENTREPORT_AFFECTEDSOPINSTANCEUID |
               O_NEVENTREPORT_EVENTTYPEID;
    memcpy(rsp.AffectedSOPClassUID, request.AffectedSOPClassUID, sizeof rsp.AffectedSOPClassUID);
    memcpy(rsp.AffectedSOPInstanceUID, request.AffectedSOPInstanceUID,
           sizeof rsp.AffectedSOPInstanceUID);
    cond = DIMSE_sendMessageUsingMemoryData(assoc, context, &answer, nullptr, nullptr, nullptr,
                                            nullptr);
    return cond.good() || link.explain(err, "N-EVENT-REPORT answer", cond.text());
}
