#include "dimse/net/scp.h"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "dimse/net/commit.hh"
#include "dimse/net/framing.h"
#include "dimse/net/link.hh"
#include "dimse/read/meta.h"
#include "dimse/read/object.h"
#include "base/log.h"
#include "base/version.h"
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmdata/dcistrmb.h>
#include <dcmtk/dcmdata/dcostrma.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

// Bytes of a command with what shares its PDUs: one largest PDU and some. DCMTK parses commands by
// recursion, so this also bounds how deep a hostile one can nest.
static const uint64_t command_max = 131072 + 16384;
static const uint64_t handshake_max = 1 << 20; // bytes of an A-ASSOCIATE-RQ
static const uint64_t room_step = 1 << 20;     // bytes received between two looks at the room left
// What was received goes to the disk while more comes: of the sync at the end little is left (of
// 0.4 ms for half a MB 0.1). Smaller pieces cost more calls and gain nothing; of a large object an
// eighth at a time is enough.
static const uint64_t writeback_step = 256 << 10;
static const uint64_t writeback_part = 8;
static const uint64_t writeback_min = 64 << 10; // bytes for which a call by itself is worth it
// Of an object that is lost already: what is left of most comes, and the association goes on; who
// has more to say is cut off.
static const uint64_t lost_max = 16 << 20;
// Behind the place where the framing breaks, before the parser is asked: it tells an element of
// unknown value representation by where the next one begins.
static const uint64_t judge_after = 4 << 20;
static const uint8_t abort_user = 0, abort_provider = 2; // A-ABORT source, PS3.8 table 9-26

bool scp_init(struct err *err)
{
    if (!dcmDataDict.isDictionaryLoaded())
        return err_set(err, ERR_INTERNAL, "DCMTK has no data dictionary");
    return link_globals(err);
}

static bool text_is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static void text_cut(char *to, const char *text, size_t size)
{
    OFStandard::strlcpy(to, text, size);
}

namespace
{
// One association; a plain bundle that the functions below share.
struct Session {
    const struct scp_config *config;
    const struct scp_handler *handler;
    struct scp_summary *summary;
    Link link;
    T_ASC_Network *net = nullptr;
    T_ASC_Association *assoc = nullptr;
    bool established = false;
    char version[17]; // implementation version name
    // What was accepted, by presentation context ID.
    const char *transfer_syntaxes[UINT8_MAX + 1] = {};
};

// Where a data set goes: into the file, the digest and the framing. Errors stick and are reported
// at the end: DCMTK waits for a further PDV when its output fails at the last one.
class Sink : public DcmConsumer
{
  public:
    Sink(int fd, const struct scp_config *config, const struct scp_handler *handler, Link *link,
         struct digest *digest, struct framing *framing)
        : fd_(fd), max_bytes_(config->max_object_bytes), handler_(handler), link_(link),
          digest_(digest), framing_(framing)
    {
    }
    // What the first write() puts in front.
    void begin(const struct meta *meta)
    {
        head_size_ = meta_add_room(head_, meta_write(meta, head_));
    }

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
    void flush() override {}
    offile_off_t write(const void *buf, offile_off_t size) override;

    int error() const
    {
        return error_;
    } // errno of the file, 0: none
    bool too_large() const
    {
        return bytes_ > max_bytes_ || claims_too_much_;
    }
    bool hopeless() const
    {
        return hopeless_;
    } // no parser takes it, whatever comes
    uint64_t file_bytes() const
    {
        return written_;
    }
    uint64_t bytes() const
    {
        return bytes_;
    }
    // Begins to bring to the disk what is written, but for the head, which is written again.
    void write_back(uint64_t at_least);

  private:
    bool put(struct iovec *parts, int count);
    void stop(int error);
    void judge();

    int fd_; // -1: swallow
    uint64_t max_bytes_, bytes_ = 0, written_ = 0, room_asked_at_ = 0;
    uint64_t on_its_way_ = META_ROOM; // to the disk
    const struct scp_handler *handler_;
    Link *link_;
    struct digest *digest_;
    struct framing *framing_;
    bool hopeless_ = false, claims_too_much_ = false;
    uint64_t judge_at_ = 0; // bytes
    int error_ = 0;
    uint8_t head_[META_ROOM];
    size_t head_size_ = 0;
};

// Nothing more is written, and what was goes at once: the peer may go on for long.
void Sink::stop(int error)
{
    error_ = error;
    if (ftruncate(fd_, 0) != 0)
        log_warn("draft not emptied: %s", strerror(errno));
    fd_ = -1;
}

// The framing is broken: is it for the parser, too? Looked at again when twice as much is here.
void Sink::judge()
{
    struct err err = {};
    if (judge_at_ == 0)
        judge_at_ = bytes_ + judge_after;
    if (bytes_ < judge_at_)
        return;
    judge_at_ = 2 * bytes_;
    if (object_may_begin_so(fd_, &err) || err.code != ERR_INPUT)
        return;
    hopeless_ = true;
    stop(0);
    link_->allow(lost_max);
}

void Sink::write_back(uint64_t at_least)
{
    if (fd_ < 0 || written_ < on_its_way_ + at_least)
        return;
    // A failure is found again by the sync.
    (void)sync_file_range(fd_, static_cast<off64_t>(on_its_way_),
                          static_cast<off64_t>(written_ - on_its_way_), SYNC_FILE_RANGE_WRITE);
    on_its_way_ = written_;
}

bool Sink::put(struct iovec *parts, int count)
{
    while (count) {
        ssize_t n = writev(fd_, parts, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            stop(n < 0 ? errno : EIO);
            return false;
        }
        written_ += static_cast<uint64_t>(n);
        for (size_t left = static_cast<size_t>(n); left;) {
            size_t take = std::min(left, parts->iov_len);
            parts->iov_base = static_cast<char *>(parts->iov_base) + take;
            parts->iov_len -= take;
            left -= take;
            if (!parts->iov_len) {
                parts++;
                count--;
            }
        }
        for (; count && !parts->iov_len; count--)
            parts++;
    }
    return true;
}

offile_off_t Sink::write(const void *buf, offile_off_t size)
{
    bytes_ += static_cast<uint64_t>(size);
    if (fd_ >= 0 && too_large()) {
        stop(0);
        link_->allow(lost_max);
    }
    if (fd_ >= 0 && bytes_ - room_asked_at_ >= room_step) {
        struct err err = {};
        room_asked_at_ = bytes_;
        if (!handler_->room(handler_->ctx, &err)) {
            log_warn("%s", err.text);
            stop(ENOSPC);
        }
    }
    if (fd_ < 0)
        return size;
    struct iovec parts[2] = {{head_, head_size_},
                             {const_cast<void *>(buf), static_cast<size_t>(size)}};
    bool with_head = head_size_ > 0;
    head_size_ = 0;
    if (put(with_head ? parts : parts + 1, with_head ? 2 : 1)) {
        write_back(std::max(writeback_step, written_ / writeback_part));
        digest_add(digest_, buf, static_cast<size_t>(size));
        if (framing_add(framing_, buf, static_cast<size_t>(size)))
            return size;
        claims_too_much_ = framing_claims_too_much(framing_);
        if (claims_too_much_) { // what follows would be received in vain
            stop(0);
            link_->allow(lost_max);
        } else {
            judge();
        }
    }
    return size;
}

class SinkStream : public DcmOutputStream
{
  public:
    explicit SinkStream(DcmConsumer *sink) : DcmOutputStream(sink) {}
};

// One C-STORE from command to answer.
struct Store {
    T_DIMSE_C_StoreRQ *request;
    T_ASC_PresentationContextID context;
    const char *transfer_syntax;
    enum scp_status status = SCP_SUCCESS;
    char comment[65] = "";
    char reason[256] = ""; // for the log
    bool open = false;     // the handler has a file for it

    void refuse(enum scp_status with, const char *text, const char *detail = "")
    {
        status = with;
        text_cut(comment, text, sizeof comment);
        text_cut(reason, *detail ? detail : text, sizeof reason);
    }
};
} // namespace

static void title_trim(char *text)
{
    size_t n = strlen(text), lead = strspn(text, " ");
    while (n > lead && text[n - 1] == ' ')
        n--;
    memmove(text, text + lead, n - lead);
    text[n - lead] = 0;
}

static void session_reject(Session &s, T_ASC_RejectParametersReason reason, const char *why)
{
    char calling[17], called[17];
    T_ASC_RejectParameters p = {ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER, reason};
    s.summary->rejected = true;
    log_warn("association=rejected calling=%s called=%s reason=\"%s\"",
             log_value(s.summary->calling, calling, sizeof calling),
             log_value(s.summary->called, called, sizeof called), why);
    ASC_rejectAssociation(s.assoc, &p);
}

static bool is_storage(const char *uid)
{
    for (int i = 0; i < numberOfDcmAllStorageSOPClassUIDs; i++) {
        if (text_is(uid, dcmAllStorageSOPClassUIDs[i]))
            return true;
    }
    return false;
}

// The peer's first transfer syntax that we can decode: the peer knows best, and what it has
// compressed arrives as it is.
static const char *choose_syntax(const T_ASC_PresentationContext &pc, bool verification)
{
    for (int i = 0; i < pc.transferSyntaxCount; i++) {
        const char *offered = pc.proposedTransferSyntaxes[i];
        if (verification && !text_is(offered, UID_LittleEndianImplicitTransferSyntax) &&
            !text_is(offered, UID_LittleEndianExplicitTransferSyntax))
            continue; // nothing of it is ever encoded otherwise
        for (const char *const *ours = object_transfer_syntaxes(); *ours; ours++) {
            if (text_is(offered, *ours))
                return *ours;
        }
    }
    return nullptr;
}

// Answers each presentation context; returns how many were accepted.
static int session_negotiate(Session &s, T_ASC_Parameters *params)
{
    int accepted = 0;
    for (int i = 0; i < ASC_countPresentationContexts(params); i++) {
        T_ASC_PresentationContext pc;
        if (ASC_getPresentationContext(params, i, &pc).bad()) {
            ASC_refusePresentationContext(params, pc.presentationContextID, ASC_P_NOREASON);
            continue;
        }
        const bool commitment = text_is(pc.abstractSyntax, UID_StorageCommitmentPushModelSOPClass);
        const bool verification =
            commitment || text_is(pc.abstractSyntax, UID_VerificationSOPClass);
        const char *syntax = choose_syntax(pc, verification);
        // It commits, and we have asked: its role is that of the provider.
        const T_ASC_SC_ROLE role = commitment ? pc.proposedRole : ASC_SC_ROLE_DEFAULT;
        if (!verification && !is_storage(pc.abstractSyntax))
            ASC_refusePresentationContext(params, pc.presentationContextID,
                                          ASC_P_ABSTRACTSYNTAXNOTSUPPORTED);
        else if (!syntax)
            ASC_refusePresentationContext(params, pc.presentationContextID,
                                          ASC_P_TRANSFERSYNTAXESNOTSUPPORTED);
        else if (ASC_acceptPresentationContext(params, pc.presentationContextID, syntax, role)
                     .good()) {
            s.transfer_syntaxes[pc.presentationContextID] = syntax;
            accepted++;
        }
    }
    return accepted;
}

// DCMTK reads no message of a transfer syntax that is younger than itself, though it only looks up
// how its elements are encoded: it is told the syntax that encodes them alike. To be called when
// the peer has its answer.
static void session_name_encodings(Session &s)
{
    LST_HEAD **list = &s.assoc->params->DULparams.requestedPresentationContext; // looked up there
    void *node = *list ? LST_Head(list) : nullptr;
    if (node)
        LST_Position(list, node);
    for (; node; node = LST_Next(list)) {
        auto *pc = static_cast<DUL_PRESENTATIONCONTEXT *>(node);
        if (*pc->acceptedTransferSyntax &&
            DcmXfer(pc->acceptedTransferSyntax).getXfer() == EXS_Unknown)
            text_cut(pc->acceptedTransferSyntax, UID_LittleEndianExplicitTransferSyntax,
                     sizeof pc->acceptedTransferSyntax);
    }
}

static bool bad_application_context(T_ASC_Parameters *params)
{
    char name[DIC_UI_LEN + 1] = "";
    return ASC_getApplicationContextName(params, name, sizeof name).bad() ||
           !text_is(name, UID_StandardApplicationContext);
}

static void session_titles(Session &s)
{
    DUL_ASSOCIATESERVICEPARAMETERS &p = s.assoc->params->DULparams;
    snprintf(s.summary->calling, sizeof s.summary->calling, "%s", p.callingAPTitle);
    snprintf(s.summary->called, sizeof s.summary->called, "%s", p.calledAPTitle);
    title_trim(s.summary->calling);
    title_trim(s.summary->called);
}

// From A-ASSOCIATE-RQ to our answer. true: answered, by acceptance when s.established.
static bool session_establish(Session &s, struct err *err)
{
    const struct scp_config *c = s.config;
    log_action("negotiating peer=%s", c->peer_address);
    s.link.hurry(c->acse_timeout_s, handshake_max);
    long max_pdu =
        std::min<long>(std::max<long>(c->max_pdu, ASC_MINIMUMPDUSIZE), ASC_MAXIMUMPDUSIZE);
    OFCondition cond = ASC_receiveAssociation(s.net, &s.assoc, max_pdu, nullptr, nullptr, OFFalse,
                                              DUL_NOBLOCK, dcmtk_timeout_s);
    if (cond.bad()) {
        if (s.link.fault() == Link::Fault::None && !s.link.sent())
            s.link.abort(abort_provider, 0);
        return s.link.explain(err, "association request", cond.text());
    }
    if (s.link.fault() != Link::Fault::None) // DCMTK takes an end without a request for a request
        return s.link.explain(err, "association request", "none");
    session_titles(s);
    int reason = 0;
    T_ASC_Parameters *params = s.assoc->params;
    if (bad_application_context(params))
        session_reject(s, ASC_REASON_SU_APPCONTEXTNAMENOTSUPPORTED, "application context");
    else if (!s.summary->called[0])
        session_reject(s, ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED, "no called AE title");
    else if (!s.summary->calling[0])
        session_reject(s, ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED, "no calling AE title");
    else if ((reason = s.handler->admit(s.handler->ctx, s.summary->calling, s.summary->called)) ==
             7)
        session_reject(s, ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED,
                       "called AE title not recognised");
    else if (reason == 3)
        session_reject(s, ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED,
                       "calling AE title not recognised");
    else if (reason)
        session_reject(s, ASC_REASON_SU_NOREASON, "not admitted");
    if (s.summary->rejected)
        return true;
    snprintf(params->ourImplementationClassUID, sizeof params->ourImplementationClassUID, "%s",
             ANODE_IMPLEMENTATION_CLASS_UID);
    snprintf(params->ourImplementationVersionName, sizeof params->ourImplementationVersionName,
             "%s", s.version);
    int proposed = ASC_countPresentationContexts(params), accepted = session_negotiate(s, params);
    cond = ASC_acknowledgeAssociation(s.assoc);
    if (cond.bad())
        return s.link.explain(err, "association answer", cond.text());
    session_name_encodings(s);
    char calling[17];
    log_value(s.summary->calling, calling, sizeof calling);
    log_info("association=accepted calling=%s contexts=%d/%d", calling, accepted, proposed);
    log_action("peer=%s calling=%s", c->peer_address, calling);
    s.established = true;
    return true;
}

// What the data set itself says; see object_peek().
static bool store_peek(const struct framing *framing, struct object_ids *ids, struct attrs *attrs,
                       struct err *err)
{
    size_t size;
    const char *transfer_syntax;
    const void *head = framing_head(framing, &size, &transfer_syntax);
    return object_peek(head, size, transfer_syntax, ids, attrs, err);
}

// Is it whole, and what does it say? What the framing does not take may be what the parser takes,
// which has the whole file before it.
static bool store_understand(const Store &store, struct framing *framing, int fd,
                             struct object_ids *ids, struct attrs *attrs, struct err *err)
{
    if (framing_end(framing, err) && store_peek(framing, ids, attrs, err))
        return true;
    struct err why = {};
    attrs_finish(attrs);
    if (err->code != ERR_INPUT || !object_peek_file(fd, ids, attrs, &why))
        return false;
    char uid[65];
    log_info("instance=%s irregular: %s",
             log_value(store.request->AffectedSOPInstanceUID, uid, sizeof uid), err->text);
    return true;
}

// The whole data set is in the file: may it be kept?
static void store_check(Store &store, const Sink &sink, struct framing *framing, int fd,
                        struct object_ids *ids, struct attrs *attrs)
{
    struct err err = {};
    const T_DIMSE_C_StoreRQ *rq = store.request;
    if (sink.too_large()) {
        store.refuse(SCP_OUT_OF_RESOURCES, "data set is larger than allowed");
    } else if (sink.error()) {
        err_errno(&err, sink.error(), "write");
        store.refuse(SCP_OUT_OF_RESOURCES, err.code == ERR_FULL ? "no space left" : "cannot write",
                     err.text);
    } else if (sink.hopeless()) {
        framing_end(framing, &err);
        store.refuse(SCP_CANNOT_UNDERSTAND, err.text);
    } else if (!store_understand(store, framing, fd, ids, attrs, &err)) {
        store.refuse(err.code == ERR_NOMEM ? SCP_OUT_OF_RESOURCES : SCP_CANNOT_UNDERSTAND,
                     err.text);
    } else if (!text_is(ids->id.sop_class_uid, rq->AffectedSOPClassUID)) {
        store.refuse(SCP_MISMATCH, "SOP class of data set and command differ");
    } else if (!text_is(ids->id.sop_instance_uid, rq->AffectedSOPInstanceUID)) {
        store.refuse(SCP_MISMATCH, "SOP instance of data set and command differ");
    } else if (!uid_is_usable(ids->id.study_instance_uid) ||
               !uid_is_usable(ids->id.series_instance_uid)) {
        store.refuse(SCP_CANNOT_UNDERSTAND, ids->fault);
    }
}

static void store_commit(Session &s, Store &store, const Sink &sink, const struct object_ids *ids,
                         const struct attrs *attrs, struct digest *digest)
{
    struct scp_instance in = {};
    in.id = ids->id;
    memcpy(in.device_uid, ids->device_uid, sizeof in.device_uid);
    snprintf(in.id.transfer_syntax_uid, sizeof in.id.transfer_syntax_uid, "%s",
             store.transfer_syntax);
    in.instance_number = ids->instance_number;
    in.bytes = sink.file_bytes();
    in.attrs = attrs;
    digest_end(digest, in.digest);
    store.open = false; // it is the handler's now
    store.status = s.handler->commit(s.handler->ctx, &in, store.comment);
    store.comment[sizeof store.comment - 1] = 0;
    text_cut(store.reason, store.comment, sizeof store.reason);
}

// What the command alone shows to be wrong.
static void store_check_command(Store &store, const T_ASC_PresentationContext &pc)
{
    if (!uid_is_usable(store.request->AffectedSOPInstanceUID))
        store.refuse(SCP_INVALID_INSTANCE, "SOP Instance UID is malformed");
    else if (!text_is(store.request->AffectedSOPClassUID, pc.abstractSyntax) ||
             !is_storage(pc.abstractSyntax))
        store.refuse(SCP_MISMATCH, "SOP class is not that of the presentation context");
}

// A descriptor for the data set, or -1.
static int store_open_file(Session &s, Store &store)
{
    struct err err = {};
    if (store.status != SCP_SUCCESS)
        return -1;
    int fd = s.handler->open(s.handler->ctx, &err);
    if (fd < 0)
        store.refuse(SCP_OUT_OF_RESOURCES, err.code == ERR_FULL ? "no space left" : "cannot store",
                     err.text);
    store.open = fd >= 0;
    return fd;
}

// Receives the data set into the handler's file, or nowhere. false: the association is broken.
static bool store_receive(Session &s, Store &store, Sink &sink, struct err *err)
{
    T_ASC_PresentationContextID context = 0;
    SinkStream stream(&sink);
    uint64_t max = s.config->max_object_bytes;
    s.link.allow(max > UINT64_MAX / 4 ? UINT64_MAX : 2 * max + (1 << 20));
    OFCondition cond = DIMSE_receiveDataSetInFile(s.assoc, DIMSE_NONBLOCKING, dcmtk_timeout_s,
                                                  &context, &stream, nullptr, nullptr);
    if (cond.bad() && s.link.fault() == Link::Fault::Flood)
        return err_set(err, ERR_NET, "data set: %s",
                       sink.hopeless() ? "broken, and the peer goes on with it"
                                       : "larger than allowed, and the peer goes on with it");
    if (cond.bad())
        return s.link.explain(err, "data set", cond.text());
    if (context != store.context)
        return err_set(err, ERR_NET, "data set: not in the presentation context of its command");
    return true;
}

static bool store_answer(Session &s, Store &store, struct err *err)
{
    T_DIMSE_C_StoreRSP rsp = {};
    DcmDataset detail;
    rsp.DimseStatus = static_cast<DIC_US>(store.status);
    if (store.status != SCP_SUCCESS && store.comment[0])
        detail.putAndInsertString(DCM_ErrorComment, store.comment);
    OFCondition cond;
    if (*store.request->AffectedSOPInstanceUID) {
        cond = DIMSE_sendStoreResponse(s.assoc, store.context, store.request, &rsp,
                                       detail.isEmpty() ? nullptr : &detail);
    } else { // no UID to give back
        T_DIMSE_Message message = {};
        rsp.MessageIDBeingRespondedTo = store.request->MessageID;
        rsp.DataSetType = DIMSE_DATASET_NULL;
        message.CommandField = DIMSE_C_STORE_RSP;
        message.msg.CStoreRSP = rsp;
        cond = DIMSE_sendMessageUsingMemoryData(s.assoc, store.context, &message, &detail, nullptr,
                                                nullptr, nullptr);
    }
    if (cond.bad())
        return s.link.explain(err, "C-STORE answer", cond.text());
    return true;
}

static void log_store(Session &s, const Store &store, uint64_t bytes)
{
    char uid[65], why[128];
    log_value(store.request->AffectedSOPInstanceUID, uid, sizeof uid);
    if (store.status == SCP_SUCCESS) {
        s.summary->stored++;
        log_debug("instance=%s bytes=%llu stored", uid, static_cast<unsigned long long>(bytes));
    } else {
        s.summary->refused++;
        log_warn("instance=%s bytes=%llu status=%04x reason=%s", uid,
                 static_cast<unsigned long long>(bytes), static_cast<unsigned>(store.status),
                 log_value(store.reason, why, sizeof why));
    }
}

// With digest and framing made: the data set, the checks, the handler's verdict.
static bool store_receive_and_commit(Session &s, Store &store, struct digest *digest,
                                     struct framing *framing, struct err *err)
{
    struct object_ids ids = {};
    struct attrs attrs = {};
    int fd = store_open_file(s, store);
    Sink sink(fd, s.config, s.handler, &s.link, digest, framing);
    struct meta meta = {store.request->AffectedSOPClassUID, store.request->AffectedSOPInstanceUID,
                        store.transfer_syntax, s.version, s.summary->calling};
    sink.begin(&meta);
    bool ok = store_receive(s, store, sink, err);
    sink.write_back(writeback_min);
    if (ok && store.status == SCP_SUCCESS)
        store_check(store, sink, framing, fd, &ids, &attrs);
    if (ok && store.status == SCP_SUCCESS)
        store_commit(s, store, sink, &ids, &attrs, digest);
    if (store.open)
        s.handler->discard(s.handler->ctx);
    attrs_finish(&attrs);
    if (!ok)
        return false;
    if (store.status == SCP_NO_ANSWER)
        return err_set(err, ERR_TIMEOUT, "%s", store.comment);
    log_store(s, store, sink.bytes());
    return store_answer(s, store, err);
}

static bool session_serve_store(Session &s, T_DIMSE_C_StoreRQ *request,
                                T_ASC_PresentationContextID context, struct err *err)
{
    T_ASC_PresentationContext pc;
    if (ASC_findAcceptedPresentationContext(s.assoc->params, context, &pc).bad())
        return err_set(err, ERR_NET, "C-STORE in a presentation context that was not accepted");
    Store store = {request, context, s.transfer_syntaxes[context]};
    title_trim(request->AffectedSOPInstanceUID); // some pad with a blank
    title_trim(request->AffectedSOPClassUID);
    store_check_command(store, pc);
    struct digest *digest = digest_create();
    struct framing *framing = framing_create(store.transfer_syntax, s.config->max_object_bytes);
    if (!digest || !framing)
        store.refuse(SCP_OUT_OF_RESOURCES, "no memory");
    else if (object_watches_private())
        framing_keep_private(framing);
    bool ok = store_receive_and_commit(s, store, digest, framing, err);
    digest_destroy(digest);
    framing_destroy(framing);
    return ok;
}

static bool session_serve_echo(Session &s, T_DIMSE_C_EchoRQ *request,
                               T_ASC_PresentationContextID context, struct err *err)
{
    OFCondition cond =
        DIMSE_sendEchoResponse(s.assoc, context, request, STATUS_ECHO_Success, nullptr);
    log_debug("echo");
    return cond.good() || s.link.explain(err, "C-ECHO answer", cond.text());
}

static bool session_serve_report(Session &s, const T_DIMSE_N_EventReportRQ &request,
                                 T_ASC_PresentationContextID context, struct err *err)
{
    struct commit_report report;
    if (!commit_receive(s.assoc, s.link, context, request, &report, err))
        return false;
    if (*report.transaction_uid)
        s.handler->report(s.handler->ctx, &report);
    return true;
}

// A C-STORE-RQ that DCMTK does not take, since its SOP Instance UID is too long or missing: fills
// what is needed to answer it. false: something else is wrong, too.
static bool request_without_uid(DcmDataset &set, T_DIMSE_Message *message)
{
    T_DIMSE_C_StoreRQ *rq = &message->msg.CStoreRQ;
    OFString sop_class, instance;
    Uint16 field = 0, type = DIMSE_DATASET_NULL;
    *message = {};
    set.findAndGetOFString(DCM_AffectedSOPClassUID, sop_class);
    set.findAndGetOFString(DCM_AffectedSOPInstanceUID, instance);
    if (set.findAndGetUint16(DCM_CommandField, field).bad() || field != DIMSE_C_STORE_RQ ||
        set.findAndGetUint16(DCM_MessageID, rq->MessageID).bad() ||
        set.findAndGetUint16(DCM_CommandDataSetType, type).bad() || type == DIMSE_DATASET_NULL ||
        sop_class.length() >= sizeof rq->AffectedSOPClassUID ||
        (!instance.empty() && instance.length() < sizeof rq->AffectedSOPInstanceUID))
        return false;
    message->CommandField = DIMSE_C_STORE_RQ;
    rq->DataSetType = DIMSE_DATASET_PRESENT;
    text_cut(rq->AffectedSOPClassUID, sop_class.c_str(), sizeof rq->AffectedSOPClassUID);
    return true; // the UID stays empty, which is refused
}

// Commands until release. false: broken.
static bool session_serve_commands(Session &s, struct err *err)
{
    s.link.patience(s.config->dimse_timeout_s);
    s.link.pace(s.config->acse_timeout_s, s.config->min_bytes_per_s);
    for (bool ok = true; ok;) {
        T_ASC_PresentationContextID context = 0;
        T_DIMSE_Message message;
        DcmDataset *set = nullptr;
        s.link.allow(command_max);
        OFCondition cond = DIMSE_receiveCommand(s.assoc, DIMSE_NONBLOCKING, dcmtk_timeout_s,
                                                &context, &message, nullptr, &set);
        const std::unique_ptr<DcmDataset> kept(set);
        if (cond.bad() && kept && request_without_uid(*kept, &message))
            cond = EC_Normal;
        if (cond == DUL_PEERREQUESTEDRELEASE) {
            s.summary->released = ASC_acknowledgeRelease(s.assoc).good();
            return s.summary->released || s.link.explain(err, "release", "cannot be confirmed");
        }
        if (cond == DUL_PEERABORTEDASSOCIATION)
            return err_set(err, ERR_NET, "the peer aborted");
        if (cond.bad())
            return s.link.explain(err, "command", cond.text());
        if (message.CommandField == DIMSE_C_STORE_RQ)
            ok = session_serve_store(s, &message.msg.CStoreRQ, context, err);
        else if (message.CommandField == DIMSE_N_EVENT_REPORT_RQ)
            ok = session_serve_report(s, message.msg.NEventReportRQ, context, err);
        else if (message.CommandField == DIMSE_C_ECHO_RQ)
            ok = session_serve_echo(s, &message.msg.CEchoRQ, context, err);
        else
            ok = err_set(err, ERR_NET, "command %04x is not served", message.CommandField);
    }
    return false;
}

// The socket under a descriptor above 2 (DCMTK takes no other for external), or -1.
static int socket_lift(int fd, struct err *err)
{
    if (fd > 2)
        return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (higher < 0)
        err_errno(err, errno, "cannot duplicate a socket");
    close(fd);
    return higher;
}

static bool session_serve(Session &s, struct err *err)
{
    LinkLayer layer(s.link);
    OFCondition cond = ASC_initializeNetwork(NET_ACCEPTOR, 0, dcmtk_timeout_s, &s.net);
    if (cond.bad())
        return err_set(err, ERR_INTERNAL, "cannot set up the network: %s", cond.text());
    ASC_setTransportLayer(s.net, &layer, 0);
    bool ok = session_establish(s, err);
    if (ok && s.established) {
        ok = session_serve_commands(s, err);
        if (!ok)
            s.link.abort(abort_user, 0);
    }
    ASC_destroyAssociation(&s.assoc);
    ASC_dropNetwork(&s.net);
    s.link.finish(!s.summary->released);
    return ok;
}

// DCMTK takes a socket for broken to which it cannot give the option of TCP; one that a gate has at
// its other end (node/proc/gate.h) is none of TCP, and delays nothing.
static void socket_spare(int fd)
{
    int domain = 0;
    socklen_t size = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX)
        setenv("TCP_NODELAY", "0", 1);
}

bool scp_serve(const struct scp_config *config, const struct scp_handler *handler,
               struct scp_summary *summary, struct err *err)
{
    *summary = {};
    int fd = socket_lift(config->fd, err);
    if (fd < 0)
        return false;
    Session s;
    s.config = config;
    s.handler = handler;
    s.summary = summary;
    snprintf(s.version, sizeof s.version, "%s", config->application_version);
    s.link.attach(fd);
    socket_spare(fd);
    dcmExternalSocketHandle.set(fd);
    bool ok = false;
    try {
        ok = session_serve(s, err);
    } catch (const std::bad_alloc &) {
        err_set(err, ERR_NOMEM, "no memory for the association");
    }
    dcmExternalSocketHandle.set(-1);
    log_action(nullptr);
    return ok;
}
