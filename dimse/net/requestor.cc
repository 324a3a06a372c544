#include "dimse/net/requestor.hh"
#include <algorithm>
#include <cstring>
#include <ctime>
#include "dimse/net/commit.hh"
#include "base/log.h"
#include "base/version.h"
#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmnet/diutil.h>
#include <dcmtk/dcmnet/dul.h>

static const uint64_t answer_max = 16 << 20; // bytes that come in answer to one request
static const uint32_t slowest = 1000;        // bytes a second after dimse_timeout_s

bool Requestor::propose(const std::vector<Context> &contexts, struct err *err)
{
    long pdu =
        std::min<long>(std::max<long>(peer_->max_pdu, ASC_MINIMUMPDUSIZE), ASC_MAXIMUMPDUSIZE);
    std::string address = std::string(peer_->host) + ":" + std::to_string(peer_->port);
    OFCondition cond = ASC_createAssociationParameters(&params_, pdu);
    if (cond.good())
        cond = ASC_setAPTitles(params_, peer_->calling, peer_->called, nullptr);
    if (cond.good())
        cond = ASC_setPresentationAddresses(params_, "localhost", address.c_str());
    for (size_t i = 0; cond.good() && i < contexts.size(); i++) {
        const char *syntaxes[2];
        int count = 0;
        for (const std::string &s : contexts[i].syntaxes)
            syntaxes[count++] = s.c_str();
        cond = ASC_addPresentationContext(
            params_, id(i), contexts[i].abstract.c_str(), syntaxes, count,
            contexts[i].provider ? ASC_SC_ROLE_SCP : ASC_SC_ROLE_DEFAULT);
    }
    if (cond.bad())
        return err_set(err, ERR_INTERNAL, "cannot build an association request: %s", cond.text());
    OFStandard::strlcpy(params_->ourImplementationClassUID, ANODE_IMPLEMENTATION_CLASS_UID,
                        sizeof params_->ourImplementationClassUID);
    OFStandard::strlcpy(params_->ourImplementationVersionName, ANODE_IMPLEMENTATION_VERSION_NAME,
                        sizeof params_->ourImplementationVersionName);
    return true;
}

bool Requestor::refused(const OFCondition &cond, time_t started, struct err *err)
{
    T_ASC_RejectParameters r;
    if (cond == DUL_ASSOCIATIONREJECTED && ASC_getRejectParameters(params_, &r).good()) {
        unsigned source = r.source & 0xff, reason = r.reason & 0xff;
        const char *why = source != 1   ? ""
                          : reason == 7 ? ": called AE title not recognised"
                          : reason == 3 ? ": calling AE title not recognised"
                                        : "";
        return err_set(err, ERR_NET, "association rejected with %u/%u/%u%s", r.result & 0xffu,
                       source, reason, why);
    }
    if (!link_.attached())
        return err_set(err,
                       time(nullptr) - started >= peer_->connect_timeout_s ? ERR_TIMEOUT : ERR_NET,
                       "cannot connect: %s", cond.text());
    return failed("association request", cond, err);
}

bool Requestor::failed(const char *what, const OFCondition &cond, struct err *err)
{
    if (cond == DUL_PEERABORTEDASSOCIATION)
        return err_set(err, ERR_NET, "%s: the peer aborted", what);
    return link_.explain(err, what, cond.text());
}

bool Requestor::open(const std::vector<Context> &contexts, struct err *err)
{
    if (!link_globals(err))
        return false;
    dcmConnectionTimeout.set(static_cast<Sint32>(peer_->connect_timeout_s));
    OFCondition cond = ASC_initializeNetwork(NET_REQUESTOR, 0, dcmtk_timeout_s, &net_);
    if (cond.bad())
        return err_set(err, ERR_INTERNAL, "cannot set up the network: %s", cond.text());
    ASC_setTransportLayer(net_, &layer_, 0);
    if (peer_->tls)
        link_.secure(peer_->tls, peer_->host, peer_->certificates, peer_->certificate_count);
    if (!propose(contexts, err))
        return false;
    time_t started = time(nullptr);
    link_.hurry(peer_->connect_timeout_s, answer_max);
    cond = ASC_requestAssociation(net_, params_, &assoc_, nullptr, nullptr, DUL_NOBLOCK,
                                  dcmtk_timeout_s);
    if (cond.bad())
        return refused(cond, started, err);
    established_ = true;
    link_.patience(peer_->dimse_timeout_s);
    link_.pace(peer_->dimse_timeout_s, slowest);
    return true;
}

const char *Requestor::accepted(size_t index)
{
    if (ASC_findAcceptedPresentationContext(params_, id(index), &found_).bad())
        return nullptr;
    return found_.acceptedTransferSyntax;
}

bool Requestor::release(struct err *err)
{
    link_.allow(answer_max);
    OFCondition cond = ASC_releaseAssociation(assoc_);
    established_ = false;
    if (cond.bad())
        return failed("release", cond, err);
    return true;
}

void Requestor::finish()
{
    if (established_)
        link_.abort(0, 0);
    if (assoc_)
        ASC_destroyAssociation(&assoc_);
    else if (params_)
        ASC_destroyAssociationParameters(&params_);
    if (net_)
        ASC_dropNetwork(&net_);
    link_.finish(established_);
}

static void error_comment(DcmDataset *detail, char *text, size_t size)
{
    const char *comment = nullptr;
    if (detail && detail->findAndGetString(DCM_ErrorComment, comment).good() && comment)
        log_value(comment, text, static_cast<unsigned>(size));
    delete detail;
}

// Our UIDs are made of the content: what is there already is this very instance.
static enum scu_fate store_fate(uint16_t status)
{
    static const uint16_t stays[] = {
        0x0117, // invalid object instance
        0x0118, // no such SOP class
        0x0122, // SOP class not supported
        0x0124, // not authorised
        0x0211, // unrecognised operation
        0x0212, // mistyped argument
    };
    if (status == STATUS_Success || DICOM_WARNING_STATUS(status) || status == 0x0111)
        return SCU_SENT;
    // A9xx: the data set does not match the SOP class; Cxxx: it is not understood
    bool for_good = (status & 0xff00) == 0xa900 || (status & 0xf000) == 0xc000 ||
                    std::find(std::begin(stays), std::end(stays), status) != std::end(stays);
    return for_good ? SCU_REJECTED : SCU_REFUSED;
}

bool Requestor::store(size_t context, const struct scu_file *file, DcmDataset *data,
                      struct scu_outcome *outcome, struct err *err)
{
    T_DIMSE_C_StoreRQ rq = {};
    T_DIMSE_C_StoreRSP rsp = {};
    DcmDataset *detail = nullptr;
    rq.MessageID = assoc_->nextMsgID++;
    OFStandard::strlcpy(rq.AffectedSOPClassUID, file->id.sop_class_uid,
                        sizeof rq.AffectedSOPClassUID);
    OFStandard::strlcpy(rq.AffectedSOPInstanceUID, file->id.sop_instance_uid,
                        sizeof rq.AffectedSOPInstanceUID);
    rq.DataSetType = DIMSE_DATASET_PRESENT;
    rq.Priority = DIMSE_PRIORITY_MEDIUM;
    link_.allow(answer_max);
    OFCondition cond = DIMSE_storeUser(assoc_, id(context), &rq, nullptr, data, nullptr, nullptr,
                                       DIMSE_NONBLOCKING, dcmtk_timeout_s, &rsp, &detail);
    if (cond.bad()) {
        delete detail;
        return failed("C-STORE", cond, err);
    }
    memcpy(outcome->sop_class_uid, file->id.sop_class_uid, sizeof outcome->sop_class_uid);
    memcpy(outcome->sop_instance_uid, file->id.sop_instance_uid, sizeof outcome->sop_instance_uid);
    outcome->fate = store_fate(rsp.DimseStatus);
    outcome->status = rsp.DimseStatus;
    error_comment(detail, outcome->text, sizeof outcome->text);
    return true;
}

// Says what is asked to who writes it down.
bool Requestor::tell(size_t context, const char *sop_class, DcmDataset *query, struct err *err)
{
    const char *syntax = peer_->on_question ? accepted(context) : nullptr;
    if (!syntax)
        return true; // nobody wants it; nothing is sent in a context that was not accepted
    std::vector<uint8_t> room(SCU_QUESTION_MAX);
    DcmOutputBufferStream stream(room.data(), static_cast<offile_off_t>(room.size()));
    query->transferInit();
    const OFCondition cond =
        query->write(stream, DcmXfer(syntax).getXfer(), EET_ExplicitLength, nullptr);
    query->transferEnd();
    void *data = nullptr;
    offile_off_t size = 0;
    stream.flushBuffer(data, size);
    if (cond.bad())
        return err_set(err, ERR_INTERNAL, "C-FIND: the question cannot be encoded: %s",
                       cond.text());
    const struct scu_question question = {sop_class, syntax, static_cast<uint8_t *>(data),
                                          static_cast<size_t>(size)};
    peer_->on_question(peer_->question_ctx, &question);
    return true;
}

bool Requestor::find(size_t context, const char *sop_class, DcmDataset *query,
                     DIMSE_FindUserCallback on_match, void *ctx, struct err *err)
{
    T_DIMSE_C_FindRQ rq = {};
    T_DIMSE_C_FindRSP rsp = {};
    DcmDataset *detail = nullptr;
    int answers = 0;
    rq.MessageID = assoc_->nextMsgID++;
    OFStandard::strlcpy(rq.AffectedSOPClassUID, sop_class, sizeof rq.AffectedSOPClassUID);
    rq.DataSetType = DIMSE_DATASET_PRESENT;
    rq.Priority = DIMSE_PRIORITY_MEDIUM;
    if (!tell(context, sop_class, query, err))
        return false;
    link_.allow(answer_max);
    OFCondition cond = DIMSE_findUser(assoc_, id(context), &rq, query, answers, on_match, ctx,
                                      DIMSE_NONBLOCKING, dcmtk_timeout_s, &rsp, &detail);
    char comment[128] = "";
    error_comment(detail, comment, sizeof comment);
    if (cond.bad())
        return failed("C-FIND", cond, err);
    if (rsp.DimseStatus != STATUS_FIND_Success)
        return err_set(err, ERR_NET, "C-FIND: status %04x %s", rsp.DimseStatus, comment);
    return true;
}

namespace
{
// The bytes of a data set, as they come.
class Bytes : public DcmConsumer
{
  public:
    explicit Bytes(size_t most) : most_(most) {}
    OFBool good() const override
    {
        return OFTrue;
    }
    OFCondition status() const override
    {
        return EC_Normal;
    }
    OFBool isFlushed() const override
    {
        return OFTrue;
    }
    offile_off_t avail() const override
    {
        return 1 << 20;
    }
    offile_off_t write(const void *buf, offile_off_t size) override
    {
        const uint8_t *from = static_cast<const uint8_t *>(buf);
        whole_ = whole_ && data.size() + static_cast<size_t>(size) <= most_;
        if (whole_)
            data.insert(data.end(), from, from + size);
        return size;
    }
    void flush() override {}
    bool whole() const
    {
        return whole_;
    }
    std::vector<uint8_t> data;

  private:
    size_t most_;
    bool whole_ = true;
};

class BytesStream : public DcmOutputStream
{
  public:
    explicit BytesStream(DcmConsumer *bytes) : DcmOutputStream(bytes) {}
};
} // namespace

// A sub-operation of C-GET: one instance, and the answer to it.
bool Requestor::take(const T_DIMSE_C_StoreRQ &request, T_ASC_PresentationContextID context,
                     size_t bytes_most, InstanceCallback on_instance, void *ctx, struct err *err)
{
    T_DIMSE_C_StoreRQ rq = request;
    T_DIMSE_C_StoreRSP rsp = {};
    T_ASC_PresentationContextID of_data = 0;
    T_ASC_PresentationContext accepted = {};
    Bytes bytes(bytes_most);
    BytesStream stream(&bytes);
    OFCondition cond = DIMSE_receiveDataSetInFile(assoc_, DIMSE_NONBLOCKING, dcmtk_timeout_s,
                                                  &of_data, &stream, nullptr, nullptr);
    if (cond.bad())
        return failed("C-GET data set", cond, err);
    if (of_data != context ||
        ASC_findAcceptedPresentationContext(params_, context, &accepted).bad())
        return err_set(err, ERR_NET, "C-GET: a data set in another presentation context");
    rsp.DimseStatus = STATUS_STORE_Refused_OutOfResources;
    if (bytes.whole()) {
        on_instance(ctx, bytes.data, accepted.acceptedTransferSyntax);
        rsp.DimseStatus = STATUS_Success;
    }
    cond = DIMSE_sendStoreResponse(assoc_, context, &rq, &rsp, nullptr);
    return cond.good() || failed("C-GET answer", cond, err);
}

bool Requestor::get(size_t context, const char *sop_class, DcmDataset *query, size_t bytes_most,
                    InstanceCallback on_instance, void *ctx, struct err *err)
{
    T_DIMSE_Message rq = {}, rsp = {};
    rq.CommandField = DIMSE_C_GET_RQ;
    rq.msg.CGetRQ.MessageID = assoc_->nextMsgID++;
    rq.msg.CGetRQ.DataSetType = DIMSE_DATASET_PRESENT;
    rq.msg.CGetRQ.Priority = DIMSE_PRIORITY_MEDIUM;
    OFStandard::strlcpy(rq.msg.CGetRQ.AffectedSOPClassUID, sop_class,
                        sizeof rq.msg.CGetRQ.AffectedSOPClassUID);
    link_.allow(answer_max);
    OFCondition cond = DIMSE_sendMessageUsingMemoryData(assoc_, id(context), &rq, nullptr, query,
                                                        nullptr, nullptr);
    while (cond.good()) {
        T_ASC_PresentationContextID in = 0;
        DcmDataset *detail = nullptr, *data = nullptr;
        cond = DIMSE_receiveCommand(assoc_, DIMSE_NONBLOCKING, dcmtk_timeout_s, &in, &rsp, &detail);
        char comment[128] = "";
        error_comment(detail, comment, sizeof comment);
        if (cond.good() && rsp.CommandField == DIMSE_C_STORE_RQ) {
            if (!take(rsp.msg.CStoreRQ, in, bytes_most, on_instance, ctx, err))
                return false;
            continue;
        }
        if (cond.good() && rsp.CommandField != DIMSE_C_GET_RSP)
            return err_set(err, ERR_NET, "C-GET: an answer to another question (%04x)",
                           static_cast<unsigned>(rsp.CommandField));
        if (cond.good() && rsp.msg.CGetRSP.DataSetType != DIMSE_DATASET_NULL)
            cond = DIMSE_receiveDataSetInMemory(assoc_, DIMSE_NONBLOCKING, dcmtk_timeout_s, &in,
                                                &data, nullptr, nullptr);
        delete data;
        const unsigned status = rsp.msg.CGetRSP.DimseStatus;
        if (cond.bad() || DICOM_PENDING_STATUS(status))
            continue;
        return status == STATUS_Success || DICOM_WARNING_STATUS(status) ||
               err_set(err, ERR_NET, "C-GET: status %04x %s", status, comment);
    }
    return failed("C-GET", cond, err);
}

bool Requestor::move(size_t context, const char *sop_class, DcmDataset *query, struct err *err)
{
    T_DIMSE_Message rq = {}, rsp = {};
    T_DIMSE_C_MoveRQ &move = rq.msg.CMoveRQ;
    rq.CommandField = DIMSE_C_MOVE_RQ;
    move.MessageID = assoc_->nextMsgID++;
    move.DataSetType = DIMSE_DATASET_PRESENT;
    move.Priority = DIMSE_PRIORITY_MEDIUM;
    OFStandard::strlcpy(move.AffectedSOPClassUID, sop_class, sizeof move.AffectedSOPClassUID);
    OFStandard::strlcpy(move.MoveDestination, peer_->calling, sizeof move.MoveDestination);
    OFCondition cond = DIMSE_sendMessageUsingMemoryData(assoc_, id(context), &rq, nullptr, query,
                                                        nullptr, nullptr);
    while (cond.good()) {
        T_ASC_PresentationContextID in = 0;
        DcmDataset *detail = nullptr, *data = nullptr;
        link_.allow(answer_max); // each: there is one for every instance
        cond = DIMSE_receiveCommand(assoc_, DIMSE_NONBLOCKING, dcmtk_timeout_s, &in, &rsp, &detail);
        char comment[128] = "";
        error_comment(detail, comment, sizeof comment);
        if (cond.good() && rsp.CommandField != DIMSE_C_MOVE_RSP)
            return err_set(err, ERR_NET, "C-MOVE: an answer to another question (%04x)",
                           static_cast<unsigned>(rsp.CommandField));
        if (cond.good() && rsp.msg.CMoveRSP.DataSetType != DIMSE_DATASET_NULL)
            cond = DIMSE_receiveDataSetInMemory(assoc_, DIMSE_NONBLOCKING, dcmtk_timeout_s, &in,
                                                &data, nullptr, nullptr);
        delete data;
        const unsigned status = rsp.msg.CMoveRSP.DimseStatus;
        if (cond.bad() || DICOM_PENDING_STATUS(status))
            continue;
        return status == STATUS_Success ||
               err_set(err, ERR_NET, "C-MOVE: status %04x %s", status, comment);
    }
    return failed("C-MOVE", cond, err);
}

bool Requestor::action(size_t context, DcmDataset *data, struct err *err)
{
    T_DIMSE_Message message = {}, answer = {};
    T_DIMSE_N_ActionRQ &rq = message.msg.NActionRQ;
    T_ASC_PresentationContextID answered = id(context);
    DcmDataset *detail = nullptr;
    message.CommandField = DIMSE_N_ACTION_RQ;
    rq.MessageID = assoc_->nextMsgID++;
    OFStandard::strlcpy(rq.RequestedSOPClassUID, UID_StorageCommitmentPushModelSOPClass,
                        sizeof rq.RequestedSOPClassUID);
    OFStandard::strlcpy(rq.RequestedSOPInstanceUID, UID_StorageCommitmentPushModelSOPInstance,
                        sizeof rq.RequestedSOPInstanceUID);
    rq.ActionTypeID = 1; // PS3.4 J.3.2: request storage commitment
    rq.DataSetType = DIMSE_DATASET_PRESENT;
    link_.allow(answer_max);
    OFCondition cond = DIMSE_sendMessageUsingMemoryData(assoc_, id(context), &message, nullptr,
                                                        data, nullptr, nullptr);
    if (cond.good())
        cond = DIMSE_receiveCommand(assoc_, DIMSE_NONBLOCKING, dcmtk_timeout_s, &answered, &answer,
                                    &detail, nullptr);
    delete detail;
    if (cond.bad())
        return failed("N-ACTION", cond, err);
    if (answer.CommandField != DIMSE_N_ACTION_RSP)
        return err_set(err, ERR_NET, "N-ACTION: answered by command %04x", answer.CommandField);
    return answer.msg.NActionRSP.DimseStatus == STATUS_Success ||
           err_set(err, ERR_NET, "N-ACTION: status %04x", answer.msg.NActionRSP.DimseStatus);
}

Requestor::Event Requestor::event(int seconds, struct commit_report *report, struct err *err)
{
    T_DIMSE_Message message = {};
    T_ASC_PresentationContextID context = 0;
    if (!established_ || link_.fault() != Link::Fault::None)
        return Event::End;
    if (!link_.readable(seconds))
        return link_.fault() == Link::Fault::None ? Event::None : Event::End;
    link_.allow(answer_max);
    OFCondition cond = DIMSE_receiveCommand(assoc_, DIMSE_NONBLOCKING, dcmtk_timeout_s, &context,
                                            &message, nullptr, nullptr);
    if (cond.good() && message.CommandField == DIMSE_N_EVENT_REPORT_RQ &&
        commit_receive(assoc_, link_, context, message.msg.NEventReportRQ, report, err))
        return Event::Report;
    if (cond == DUL_PEERREQUESTEDRELEASE)
        ASC_acknowledgeRelease(assoc_);
    established_ = false;
    return Event::End;
}

bool Requestor::echo(struct err *err)
{
    DIC_US status = 0;
    DcmDataset *detail = nullptr;
    link_.allow(answer_max);
    OFCondition cond = DIMSE_echoUser(assoc_, assoc_->nextMsgID++, DIMSE_NONBLOCKING,
                                      dcmtk_timeout_s, &status, &detail);
    delete detail;
    if (cond.bad())
        return failed("C-ECHO", cond, err);
    return status == STATUS_Success || err_set(err, ERR_NET, "C-ECHO: status %04x", status);
}
