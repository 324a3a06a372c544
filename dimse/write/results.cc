#include "dimse/write/results.h"
#include <cstring>
#include <new>
#include <unistd.h>
#include "dcmtk/config/osconfig.h"
#include "dcmtk/dcmdata/dcostrmb.h"
#include "dcmtk/dcmdata/dcwcache.h"
#include "dimse/write/encoders.h"
#include "base/fs.h"
#include "base/version.h"

static void copy_uid(char out[65], DcmItem &item, const DcmTagKey &tag)
{
    snprintf(out, 65, "%s", item_text(item, tag).c_str());
}

// PS3.10 7.1, written by hand: DCMTK would name itself as the implementation.
static void put_meta(DcmFileFormat &file, const struct result_request &request)
{
    DcmMetaInfo &meta = *file.getMetaInfo();
    DcmDataset &ds = *file.getDataset();
    static const Uint8 version[2] = {0, 1};
    encode_check(meta.putAndInsertUint32(DCM_FileMetaInformationGroupLength, 0),
                 DCM_FileMetaInformationGroupLength);
    encode_check(meta.putAndInsertUint8Array(DCM_FileMetaInformationVersion, version, 2),
                 DCM_FileMetaInformationVersion);
    encode_text(meta, DCM_MediaStorageSOPClassUID, item_text(ds, DCM_SOPClassUID));
    encode_text(meta, DCM_MediaStorageSOPInstanceUID, item_text(ds, DCM_SOPInstanceUID));
    encode_text(meta, DCM_TransferSyntaxUID, UID_LittleEndianExplicitTransferSyntax);
    encode_text(meta, DCM_ImplementationClassUID, ANODE_IMPLEMENTATION_CLASS_UID);
    encode_short(meta, DCM_ImplementationVersionName, ANODE_IMPLEMENTATION_VERSION_NAME, 16);
    encode_short(meta, DCM_SourceApplicationEntityTitle, request.maker.ae_title, 16);
    encode_check(meta.computeGroupLengthAndPadding(EGL_recalcGL, EPD_noChange,
                                                   META_HEADER_DEFAULT_TRANSFERSYNTAX,
                                                   EET_ExplicitLength),
                 DCM_FileMetaInformationGroupLength);
}

// Piece by piece into a draft: DCMTK's own file output hides write errors.
static bool write_pieces(DcmFileFormat &file, struct fs_draft *draft, struct err *err)
{
    std::vector<unsigned char> room(1 << 18);
    DcmOutputBufferStream stream(room.data(), (offile_off_t)room.size());
    DcmWriteCache cache;
    file.transferInit();
    OFCondition wrote;
    bool ok = true;
    do {
        wrote = file.write(stream, EXS_LittleEndianExplicit, EET_ExplicitLength, &cache,
                           EGL_withoutGL, EPD_withoutPadding, 0, 0, 0, EWM_dontUpdateMeta);
        void *bytes = nullptr;
        offile_off_t length = 0;
        stream.flushBuffer(bytes, length);
        ok = fs_draft_write(draft, bytes, (size_t)length, err);
    } while (ok && wrote == EC_StreamNotifyClient);
    file.transferEnd();
    if (ok && wrote.bad())
        ok = err_set(err, ERR_INTERNAL, "write: %s", wrote.text());
    return ok;
}

static bool publish(DcmFileFormat &file, const struct result_request &request, const char *path,
                    struct err *err)
{
    struct fs_draft draft = {};
    const bool ok = fs_draft_open(&draft, request.folder, err) && write_pieces(file, &draft, err) &&
                    fs_draft_publish(&draft, path, err);
    fs_draft_finish(&draft);
    return ok;
}

typedef std::unique_ptr<DcmFileFormat> (*encoder)(const result_set &set);

static const struct {
    enum stage_result kind;
    encoder encode; // NULL when there is nothing to show of this kind
} encoders[] = {
    {RESULT_SR, sr_encode},
    {RESULT_GSPS, gsps_encode},
    {RESULT_SC, sc_encode},
};

static void describe(struct result_object *out, enum stage_result kind, DcmDataset &ds)
{
    out->kind = kind;
    copy_uid(out->sop_class_uid, ds, DCM_SOPClassUID);
    copy_uid(out->sop_instance_uid, ds, DCM_SOPInstanceUID);
    copy_uid(out->series_instance_uid, ds, DCM_SeriesInstanceUID);
    copy_uid(out->study_instance_uid, ds, DCM_StudyInstanceUID);
    snprintf(out->transfer_syntax_uid, sizeof out->transfer_syntax_uid, "%s",
             UID_LittleEndianExplicitTransferSyntax);
}

static bool write_object(const result_set &set, enum stage_result kind, DcmFileFormat &file,
                         struct result_object *out, struct err *err)
{
    const struct result_request &request = set.request;
    memset(out, 0, sizeof *out);
    char name[128];
    snprintf(name, sizeof name, "%s-%s.dcm", request.stage->name, stage_result_name(kind));
    if (!fs_join(out->path, request.folder, name, err))
        return false;
    put_meta(file, request);
    describe(out, kind, *file.getDataset());
    return publish(file, request, out->path, err) || err_wrap(err, "%s", name);
}

static bool write_all(const struct result_request &request, struct result_object *out,
                      size_t *count, struct err *err)
{
    const result_set set(request);
    for (const auto &e : encoders) {
        if (!(request.kinds & e.kind))
            continue;
        std::unique_ptr<DcmFileFormat> file;
        try {
            file = e.encode(set);
        } catch (const encode_error &failure) {
            return err_set(err, failure.code, "%s: %s", stage_result_name(e.kind), failure.what());
        }
        if (!file)
            continue;
        if (!write_object(set, e.kind, *file, &out[*count], err))
            return false;
        ++*count;
    }
    return true;
}

bool results_write(const struct result_request *request, struct result_object *out, size_t *count,
                   struct err *err)
{
    bool ok = false;
    *count = 0;
    try {
        ok = write_all(*request, out, count, err);
    } catch (const encode_error &failure) {
        err_set(err, failure.code, "%s", failure.what());
    } catch (const std::bad_alloc &) {
        err_set(err, ERR_NOMEM, "no memory");
    } catch (const std::exception &failure) {
        err_set(err, ERR_INTERNAL, "%s", failure.what());
    }
    if (ok)
        return true;
    for (size_t i = 0; i < *count; i++)
        unlink(out[i].path);
    *count = 0;
    return err_wrap(err, "results of %s", request->stage->name);
}
