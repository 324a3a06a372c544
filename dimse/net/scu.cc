#include "dimse/net/scu.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>
#include <string>
#include <vector>
#include "dimse/net/link.hh"
#include "base/log.h"
#include "base/uid.h"
#include "base/version.h"
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>
#include <dcmtk/dcmnet/dul.h>
#include <dcmtk/dcmnet/diutil.h>

static const uint64_t answer_max = 16 << 20; // bytes that come in answer to one request
static const uint32_t slowest = 1000;        // bytes a second after dimse_timeout_s
static const size_t contexts_max = 128;      // PS3.8 9.3.2.2: odd numbers up to 255

namespace
{
// A presentation context as proposed.
struct Context {
    std::string abstract;
    std::vector<std::string> syntaxes;

    bool operator==(const Context &o) const
    {
        return abstract == o.abstract && syntaxes == o.syntaxes;
    }
};

// An association as requestor; closed by its destructor.
class Requestor
{
  public:
    explicit Requestor(const struct scu_peer *peer) : peer_(peer), layer_(link_) {}
    ~Requestor()
    {
        finish();
    }
    Requestor(const Requestor &) = delete;
    Requestor &operator=(const Requestor &) = delete;

    bool open(const std::vector<Context> &contexts, struct err *err);
    bool release(struct err *err); // in order; otherwise the destructor aborts

    // The transfer syntax accepted for contexts[index] of open(), or NULL.
    const char *accepted(size_t index);
    static T_ASC_PresentationContextID id(size_t index)
    {
        return static_cast<T_ASC_PresentationContextID>(2 * index + 1);
    }

    bool store(size_t context, const struct scu_file *file, DcmDataset *data,
               struct scu_outcome *outcome, struct err *err);
    bool find(size_t context, DcmDataset *query, DIMSE_FindUserCallback on_match, void *ctx,
              struct err *err);
    bool echo(struct err *err);

  private:
    bool propose(const std::vector<Context> &contexts, struct err *err);
    bool refused(const OFCondition &cond, time_t started, struct err *err);
    bool failed(const char *what, const OFCondition &cond, struct err *err);
    void finish();

    const struct scu_peer *peer_;
    Link link_;
    LinkLayer layer_;
    T_ASC_Network *net_ = nullptr;
    T_ASC_Parameters *params_ = nullptr; // the association's once there is one
    T_ASC_Association *assoc_ = nullptr;
    T_ASC_PresentationContext found_;
    bool established_ = false;
};
} // namespace

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
        cond = ASC_addPresentationContext(params_, id(i), contexts[i].abstract.c_str(), syntaxes,
                                          count);
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
    outcome->fate = store_fate(rsp.DimseStatus);
    outcome->status = rsp.DimseStatus;
    error_comment(detail, outcome->text, sizeof outcome->text);
    return true;
}

bool Requestor::find(size_t context, DcmDataset *query, DIMSE_FindUserCallback on_match, void *ctx,
                     struct err *err)
{
    T_DIMSE_C_FindRQ rq = {};
    T_DIMSE_C_FindRSP rsp = {};
    DcmDataset *detail = nullptr;
    int answers = 0;
    rq.MessageID = assoc_->nextMsgID++;
    OFStandard::strlcpy(rq.AffectedSOPClassUID, UID_FINDStudyRootQueryRetrieveInformationModel,
                        sizeof rq.AffectedSOPClassUID);
    rq.DataSetType = DIMSE_DATASET_PRESENT;
    rq.Priority = DIMSE_PRIORITY_MEDIUM;
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

static Context syntax_as_is(const struct scu_file *f, const char *sop_class)
{
    return {sop_class, {f->id.transfer_syntax_uid}};
}

// What every storage peer must take (PS3.5 10.1), for when it does not take the file's own syntax.
static Context syntax_uncompressed(const struct scu_file *f, const char *sop_class)
{
    Context c = {sop_class, {}};
    for (const char *s :
         {UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax}) {
        if (strcmp(s, f->id.transfer_syntax_uid) != 0)
            c.syntaxes.emplace_back(s);
    }
    return c;
}

// SOP classes that a file may be sent as: its own, then those that may stand for it, best first.
static std::vector<const char *> classes_of(const struct scu_file *f)
{
    std::vector<const char *> all = {f->id.sop_class_uid};
    if (strcmp(f->id.sop_class_uid, UID_Comprehensive3DSRStorage) == 0) {
        all.push_back(UID_ComprehensiveSRStorage);
        all.push_back(UID_EnhancedSRStorage);
    }
    return all;
}

static std::string class_name(const char *uid)
{
    static const struct {
        const char *uid, *name;
    } table[] = {
        {UID_Comprehensive3DSRStorage, "Comprehensive 3D SR Storage"},
        {UID_ComprehensiveSRStorage, "Comprehensive SR Storage"},
        {UID_EnhancedSRStorage, "Enhanced SR Storage"},
        {UID_MammographyCADSRStorage, "Mammography CAD SR Storage"},
        {UID_GrayscaleSoftcopyPresentationStateStorage,
         "Grayscale Softcopy Presentation State Storage"},
        {UID_SecondaryCaptureImageStorage, "Secondary Capture Image Storage"},
        {UID_MultiframeTrueColorSecondaryCaptureImageStorage,
         "Multi-frame True Color Secondary Capture Image Storage"},
        {UID_SegmentationStorage, "Segmentation Storage"},
        {UID_ParametricMapStorage, "Parametric Map Storage"},
        {UID_EncapsulatedPDFStorage, "Encapsulated PDF Storage"},
    };
    for (const auto &row : table) {
        if (strcmp(row.uid, uid) == 0)
            return row.name;
    }
    return dcmFindNameOfUID(uid, uid);
}

static size_t context_index(const std::vector<Context> &contexts, const Context &c)
{
    return static_cast<size_t>(std::find(contexts.begin(), contexts.end(), c) - contexts.begin());
}

// How many of the files one association can carry; fills its contexts.
static size_t contexts_plan(const struct scu_file *files, size_t count,
                            std::vector<Context> &contexts)
{
    for (size_t i = 0; i < count; i++) {
        std::vector<Context> more;
        for (const char *sop_class : classes_of(&files[i])) {
            for (const Context &c :
                 {syntax_as_is(&files[i], sop_class), syntax_uncompressed(&files[i], sop_class)}) {
                if (context_index(contexts, c) == contexts.size())
                    more.push_back(c);
            }
        }
        if (contexts.size() + more.size() > contexts_max)
            return i;
        contexts.insert(contexts.end(), more.begin(), more.end());
    }
    return count;
}

static bool outcome_set(struct scu_outcome *o, enum scu_fate fate, const char *text)
{
    o->fate = fate;
    OFStandard::strlcpy(o->text, text, sizeof o->text);
    return true;
}

// Reads the file and makes sure that it is what the caller says.
static bool file_load(const struct scu_file *f, DcmFileFormat &file, struct scu_outcome *outcome)
{
    OFString sop_class, instance;
    OFCondition cond = file.loadFile(f->path);
    if (cond.bad()) {
        outcome_set(outcome, SCU_BAD_FILE, cond.text());
        return false;
    }
    file.getDataset()->findAndGetOFString(DCM_SOPClassUID, sop_class);
    file.getDataset()->findAndGetOFString(DCM_SOPInstanceUID, instance);
    if (sop_class == f->id.sop_class_uid && instance == f->id.sop_instance_uid)
        return true;
    outcome_set(outcome, SCU_BAD_FILE, "the file holds another instance");
    return false;
}

// The UID of what stands for an instance as one of another SOP class.
static void stand_in_uid(const char *sop_instance_uid, const char *sop_class_uid, char out[65])
{
    uint8_t sum[DIGEST_SIZE];
    struct digest *digest = digest_create();
    if (!digest)
        throw std::bad_alloc();
    digest_add_text(digest, sop_instance_uid);
    digest_add_text(digest, sop_class_uid);
    digest_end(digest, sum);
    digest_destroy(digest);
    uid_from_digest(sum, out);
}

// Does a report hold what Comprehensive and Enhanced SR do not have: places in space, and relations
// by reference (PS3.3 A.35.2.3, A.35.13.3)?
static bool needs_own_class(DcmItem &item)
{
    const char *type = nullptr;
    DcmSequenceOfItems *content = nullptr;
    if (item.tagExists(DCM_ReferencedContentItemIdentifier) ||
        (item.findAndGetString(DCM_ValueType, type).good() && type &&
         strncmp(type, "SCOORD3D", 8) == 0))
        return true;
    if (item.findAndGetSequence(DCM_ContentSequence, content).bad() || !content)
        return false;
    for (DcmObject *i = content->nextInContainer(nullptr); i; i = content->nextInContainer(i)) {
        if (needs_own_class(*static_cast<DcmItem *>(i)))
            return true;
    }
    return false;
}

// References to instances of one SOP class become those to what stands for them.
static void change_references(DcmItem &item, const char *from, const char *to)
{
    DcmStack stack;
    while (item.nextObject(stack, OFTrue).good()) {
        DcmObject *o = stack.top();
        DcmItem *reference = o->ident() == EVR_item ? static_cast<DcmItem *>(o) : nullptr;
        OFString sop_class, instance;
        if (!reference ||
            reference->findAndGetOFString(DCM_ReferencedSOPClassUID, sop_class).bad() ||
            reference->findAndGetOFString(DCM_ReferencedSOPInstanceUID, instance).bad() ||
            sop_class != from)
            continue;
        char uid[65];
        stand_in_uid(instance.c_str(), to, uid);
        reference->putAndInsertString(DCM_ReferencedSOPClassUID, to);
        reference->putAndInsertString(DCM_ReferencedSOPInstanceUID, uid);
    }
}

// The data set becomes an instance of another SOP class, and *f says so. False: it cannot.
static bool change_class(DcmDataset &data, const char *sop_class, struct scu_file *f)
{
    if (needs_own_class(data))
        return false;
    change_references(data, f->id.sop_class_uid, sop_class);
    stand_in_uid(f->id.sop_instance_uid, sop_class, f->id.sop_instance_uid);
    OFStandard::strlcpy(f->id.sop_class_uid, sop_class, sizeof f->id.sop_class_uid);
    return data.putAndInsertString(DCM_SOPClassUID, f->id.sop_class_uid).good() &&
           data.putAndInsertString(DCM_SOPInstanceUID, f->id.sop_instance_uid).good();
}

// The context that a file goes in, of the first of its SOP classes that the peer takes; *sop_class.
static bool choose_context(Requestor &r, const std::vector<Context> &contexts,
                           const struct scu_file *f, size_t *context, const char **sop_class)
{
    for (const char *one : classes_of(f)) {
        for (const Context &c : {syntax_as_is(f, one), syntax_uncompressed(f, one)}) {
            *context = context_index(contexts, c);
            *sop_class = one;
            if (r.accepted(*context))
                return true;
        }
    }
    return false;
}

// One file. false: the association is broken.
static bool send_file(Requestor &r, const std::vector<Context> &contexts, const struct scu_file *f,
                      struct scu_outcome *outcome, struct err *err)
{
    size_t context = 0;
    const char *sop_class = nullptr;
    std::string unsupported = "the peer does not support " + class_name(f->id.sop_class_uid);
    if (!choose_context(r, contexts, f, &context, &sop_class))
        return outcome_set(outcome, SCU_NO_CONTEXT, unsupported.c_str());
    DcmFileFormat file;
    if (!file_load(f, file, outcome))
        return true;
    struct scu_file sent = *f;
    if (strcmp(sop_class, f->id.sop_class_uid) != 0) {
        if (!change_class(*file.getDataset(), sop_class, &sent))
            return outcome_set(outcome, SCU_NO_CONTEXT, unsupported.c_str());
        OFStandard::snprintf(outcome->text, sizeof outcome->text, "as %s: %s",
                             class_name(sop_class).c_str(), unsupported.c_str());
    }
    E_TransferSyntax xfer = DcmXfer(r.accepted(context)).getXfer();
    if (file.getDataset()->chooseRepresentation(xfer, nullptr).bad() ||
        !file.getDataset()->canWriteXfer(xfer))
        return outcome_set(outcome, SCU_NO_CONTEXT,
                           "the peer takes it uncompressed only, and it cannot be decompressed");
    return r.store(context, &sent, file.getDataset(), outcome, err);
}

// As many files as go over one association.
static bool store_some(const struct scu_peer *peer, const struct scu_file *files, size_t count,
                       const std::vector<Context> &contexts, size_t base,
                       void (*on_outcome)(void *, size_t, const struct scu_outcome *), void *ctx,
                       struct err *err)
{
    Requestor r(peer);
    if (!r.open(contexts, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct scu_outcome outcome = {};
        if (!send_file(r, contexts, &files[i], &outcome, err))
            return false;
        on_outcome(ctx, base + i, &outcome);
    }
    return r.release(err);
}

static bool store_all(const struct scu_peer *peer, const struct scu_file *files, size_t count,
                      void (*on_outcome)(void *, size_t, const struct scu_outcome *), void *ctx,
                      struct err *err)
{
    for (size_t done = 0; done < count;) {
        std::vector<Context> contexts;
        size_t some = contexts_plan(files + done, count - done, contexts);
        if (!store_some(peer, files + done, some, contexts, done, on_outcome, ctx, err))
            return false;
        done += some;
    }
    return true;
}

// C++ ends here: what was thrown becomes an error, and errors name the peer.
template <typename Work>
static bool scu_guarded(const struct scu_peer *peer, struct err *err, Work work)
{
    bool ok = false;
    try {
        ok = work();
    } catch (const std::bad_alloc &) {
        err_set(err, ERR_NOMEM, "no memory for an association");
    }
    return ok || err_wrap(err, "%s:%u %s", peer->host, peer->port, peer->called);
}

bool scu_store(const struct scu_peer *peer, const struct scu_file *files, size_t count,
               void (*on_outcome)(void *ctx, size_t index, const struct scu_outcome *outcome),
               void *ctx, struct err *err)
{
    return scu_guarded(peer, err,
                       [&] { return store_all(peer, files, count, on_outcome, ctx, err); });
}

namespace
{
struct Count {
    const char *series_instance_uid;
    long instances;
};
} // namespace

static void on_series(void *ctx, T_DIMSE_C_FindRQ *, int, T_DIMSE_C_FindRSP *, DcmDataset *match)
{
    Count *count = static_cast<Count *>(ctx);
    OFString uid;
    Sint32 instances = -1;
    if (!match || match->findAndGetOFString(DCM_SeriesInstanceUID, uid).bad() ||
        uid != count->series_instance_uid)
        return; // some peers ignore a key and send more
    if (match->findAndGetSint32(DCM_NumberOfSeriesRelatedInstances, instances).good() &&
        instances >= 0)
        count->instances = instances;
}

static bool find_count(const struct scu_peer *peer, const char *study_instance_uid, Count *found,
                       struct err *err)
{
    Requestor r(peer);
    DcmDataset query;
    query.putAndInsertString(DCM_QueryRetrieveLevel, "SERIES");
    query.putAndInsertString(DCM_StudyInstanceUID, study_instance_uid);
    query.putAndInsertString(DCM_SeriesInstanceUID, found->series_instance_uid);
    query.insertEmptyElement(DCM_NumberOfSeriesRelatedInstances);
    if (!r.open(
            {{UID_FINDStudyRootQueryRetrieveInformationModel,
              {UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax}}},
            err))
        return false;
    if (!r.accepted(0)) {
        r.release(nullptr);
        return err_set(err, ERR_UNSUPPORTED, "no C-FIND of the Study Root model");
    }
    return r.find(0, &query, on_series, found, err) && r.release(err);
}

bool scu_find_series_count(const struct scu_peer *peer, const char *study_instance_uid,
                           const char *series_instance_uid, long *count, struct err *err)
{
    Count found = {series_instance_uid, -1};
    bool ok =
        scu_guarded(peer, err, [&] { return find_count(peer, study_instance_uid, &found, err); });
    *count = ok ? found.instances : -1;
    return ok;
}

static bool echo_once(const struct scu_peer *peer, struct err *err)
{
    Requestor r(peer);
    if (!r.open({{UID_VerificationSOPClass, {UID_LittleEndianImplicitTransferSyntax}}}, err))
        return false;
    if (!r.accepted(0)) {
        r.release(nullptr);
        return err_set(err, ERR_UNSUPPORTED, "no C-ECHO");
    }
    return r.echo(err) && r.release(err);
}

bool scu_echo(const struct scu_peer *peer, struct err *err)
{
    return scu_guarded(peer, err, [&] { return echo_once(peer, err); });
}
