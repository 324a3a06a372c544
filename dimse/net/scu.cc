#include "dimse/net/scu.h"
#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <vector>
#include "dimse/net/requestor.hh"
#include "base/uid.h"
#include <dcmtk/dcmdata/dctk.h>

static const size_t contexts_max = 128; // PS3.8 9.3.2.2: odd numbers up to 255

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
        {UID_BasicTextSRStorage, "Basic Text SR Storage"},
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

bool scu_store(const struct scu_peer *peer, const struct scu_file *files, size_t count,
               void (*on_outcome)(void *ctx, size_t index, const struct scu_outcome *outcome),
               void *ctx, struct err *err)
{
    return requestor_guarded(peer, err,
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
    return r.find(0, UID_FINDStudyRootQueryRetrieveInformationModel, &query, on_series, found,
                  err) &&
           r.release(err);
}

bool scu_find_series_count(const struct scu_peer *peer, const char *study_instance_uid,
                           const char *series_instance_uid, long *count, struct err *err)
{
    Count found = {series_instance_uid, -1};
    bool ok = requestor_guarded(peer, err,
                                [&] { return find_count(peer, study_instance_uid, &found, err); });
    *count = ok ? found.instances : -1;
    return ok;
}

static bool move_series(const struct scu_peer *peer, const char *study_instance_uid,
                        const char *series_instance_uid, struct err *err)
{
    Requestor r(peer);
    DcmDataset query;
    query.putAndInsertString(DCM_QueryRetrieveLevel, "SERIES");
    query.putAndInsertString(DCM_StudyInstanceUID, study_instance_uid);
    query.putAndInsertString(DCM_SeriesInstanceUID, series_instance_uid);
    if (!r.open(
            {{UID_MOVEStudyRootQueryRetrieveInformationModel,
              {UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax}}},
            err))
        return false;
    if (!r.accepted(0)) {
        r.release(nullptr);
        return err_set(err, ERR_UNSUPPORTED, "no C-MOVE of the Study Root model");
    }
    return r.move(0, UID_MOVEStudyRootQueryRetrieveInformationModel, &query, err) && r.release(err);
}

bool scu_move_series(const struct scu_peer *peer, const char *study_instance_uid,
                     const char *series_instance_uid, struct err *err)
{
    return requestor_guarded(
        peer, err, [&] { return move_series(peer, study_instance_uid, series_instance_uid, err); });
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
    return requestor_guarded(peer, err, [&] { return echo_once(peer, err); });
}
