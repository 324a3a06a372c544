// Storage commitment and its substitute as requestor: dimse/net/commit.h.
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include "dimse/net/commit.hh"
#include "dimse/net/requestor.hh"
#include "base/clock.h"
#include "base/log.h"
#include <dcmtk/dcmdata/dctk.h>

static const int own_look_s = 1; // between two looks at the association and elsewhere
static const int elsewhere_ms = 200;

// Of the report what is said of items. False: it is about another request.
static bool report_take(const struct commit_report &report, const char *transaction_uid,
                        struct confirm_item *items, size_t count)
{
    if (strcmp(report.transaction_uid, transaction_uid) != 0)
        return false;
    for (uint32_t i = 0; i < report.count && i < COMMIT_MAX; i++) {
        const struct commit_answer &a = report.answers[i];
        for (size_t k = 0; k < count; k++) {
            if (strcmp(items[k].id.sop_instance_uid, a.sop_instance_uid) != 0)
                continue;
            items[k].verdict = a.reason ? CONFIRM_LOST : CONFIRM_KEPT;
            if (a.reason)
                OFStandard::snprintf(items[k].text, sizeof items[k].text,
                                     "storage commitment failed (%04x)", a.reason);
        }
    }
    return true;
}

static void request_fill(DcmDataset &data, const char *transaction_uid,
                         const struct confirm_item *items, size_t count)
{
    data.putAndInsertString(DCM_TransactionUID, transaction_uid);
    for (size_t i = 0; i < count; i++) {
        DcmItem *item = nullptr;
        if (data.findOrCreateSequenceItem(DCM_ReferencedSOPSequence, item, -2).bad() || !item)
            throw std::bad_alloc();
        item->putAndInsertString(DCM_ReferencedSOPClassUID, items[i].id.sop_class_uid);
        item->putAndInsertString(DCM_ReferencedSOPInstanceUID, items[i].id.sop_instance_uid);
    }
}

static bool commitment_await(Requestor &r, const char *transaction_uid, struct confirm_item *items,
                             size_t count, unsigned wait_s, const struct confirm_source *source,
                             struct err *err)
{
    const double until = clock_steady() + wait_s;
    struct commit_report report;
    bool here = true; // the association is open
    while (clock_steady() < until) {
        if (source->next(source->ctx, elsewhere_ms, &report) &&
            report_take(report, transaction_uid, items, count))
            return true;
        if (!here)
            continue;
        switch (r.event(own_look_s, &report, err)) {
        case Requestor::Event::Report:
            if (report_take(report, transaction_uid, items, count))
                return true;
            break;
        case Requestor::Event::None:
            break;
        case Requestor::Event::End: // the report may still come by another one
            here = false;
            break;
        }
    }
    return err_set(err, ERR_TIMEOUT, "no report of storage commitment within %u s", wait_s);
}

static bool commitment_ask(const struct scu_peer *peer, struct confirm_item *items, size_t count,
                           unsigned wait_s, const struct confirm_source *source, struct err *err)
{
    Requestor r(peer);
    char transaction_uid[128];
    DcmDataset data;
    if (!r.open(
            {{UID_StorageCommitmentPushModelSOPClass,
              {UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax}}},
            err))
        return false;
    if (!r.accepted(0)) {
        r.release(nullptr);
        return err_set(err, ERR_UNSUPPORTED, "no storage commitment");
    }
    dcmGenerateUniqueIdentifier(transaction_uid);
    request_fill(data, transaction_uid, items, count);
    if (!r.action(0, &data, err) ||
        !commitment_await(r, transaction_uid, items, count, wait_s, source, err))
        return false;
    r.release(nullptr); // what counts is said
    return true;
}

bool confirm_by_commitment(const struct scu_peer *peer, struct confirm_item *items, size_t count,
                           unsigned wait_s, const struct confirm_source *source, struct err *err)
{
    return requestor_guarded(peer, err, [&] {
        return commitment_ask(peer, items, std::min<size_t>(count, COMMIT_MAX), wait_s, source,
                              err);
    });
}

static void confirm_found(void *ctx, T_DIMSE_C_FindRQ *, int, T_DIMSE_C_FindRSP *,
                          DcmDataset *match)
{
    auto *item = static_cast<struct confirm_item *>(ctx);
    OFString uid;
    if (match && match->findAndGetOFString(DCM_SOPInstanceUID, uid).good() &&
        uid == item->id.sop_instance_uid) // some peers ignore a key and send more
        item->verdict = CONFIRM_KEPT;
}

static bool find_all(const struct scu_peer *peer, struct confirm_item *items, size_t count,
                     struct err *err)
{
    Requestor r(peer);
    if (!r.open(
            {{UID_FINDStudyRootQueryRetrieveInformationModel,
              {UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax}}},
            err))
        return false;
    if (!r.accepted(0)) {
        r.release(nullptr);
        return err_set(err, ERR_UNSUPPORTED, "no C-FIND of the Study Root model");
    }
    for (size_t i = 0; i < count; i++) {
        DcmDataset query;
        query.putAndInsertString(DCM_QueryRetrieveLevel, "IMAGE");
        query.putAndInsertString(DCM_StudyInstanceUID, items[i].id.study_instance_uid);
        query.putAndInsertString(DCM_SeriesInstanceUID, items[i].id.series_instance_uid);
        query.putAndInsertString(DCM_SOPInstanceUID, items[i].id.sop_instance_uid);
        if (!r.find(0, UID_FINDStudyRootQueryRetrieveInformationModel, &query, confirm_found,
                    &items[i], err))
            return false;
        if (items[i].verdict == CONFIRM_KEPT)
            continue;
        items[i].verdict = CONFIRM_LOST;
        OFStandard::strlcpy(items[i].text, "stored, but C-FIND does not find it",
                            sizeof items[i].text);
    }
    return r.release(err);
}

bool confirm_by_find(const struct scu_peer *peer, struct confirm_item *items, size_t count,
                     struct err *err)
{
    return requestor_guarded(peer, err, [&] { return find_all(peer, items, count, err); });
}
