#include "dimse/write/results.h"
#include <cstdlib>
#include <cstring>
#include <new>
#include <unistd.h>
#include "dcmtk/config/osconfig.h"
#include "dcmtk/dcmdata/dcostrmb.h"
#include "dcmtk/dcmdata/dcwcache.h"
#include "dimse/write/encoders.h"
#include "base/fs.h"
#include "base/parallel.h"
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

// In the order in which objects are sent: what is referred to comes first.
static const struct {
    enum result_kind kind;
    void (*encode)(const result_set &set, object_sink &sink);
} encoders[] = {
    {RESULT_SC, sc_encode},     {RESULT_MPR, mpr_encode}, {RESULT_PDF, pdf_encode},
    {RESULT_GSPS, gsps_encode}, {RESULT_SEG, seg_encode}, {RESULT_PMAP, pmap_encode},
    {RESULT_SR, sr_encode},
};

// "calcium-sr.dcm", "calcium-sc-cine.dcm", "calcium-gsps-2.dcm"
static std::string file_name(const struct result_request &request, const struct object_name &name)
{
    std::string text = std::string(request.stage.name) + "-" + result_kind_name(name.kind);
    if (!name.product.empty())
        text += "-" + name.product;
    if (name.index > 1)
        text += "-" + std::to_string(name.index);
    return text + ".dcm";
}

// Writes objects to the folder. Those of a set that was not finished are removed.
class folder_sink : public object_sink
{
  public:
    explicit folder_sink(const struct result_request &r) : request(r) {}

    ~folder_sink() override
    {
        for (const struct result_object &o : objects)
            unlink(o.path);
    }

    void put(const struct object_name &name, DcmFileFormat &file) override
    {
        struct err err = {};
        struct result_object o = {};
        const std::string base = file_name(request, name);
        if (name.product.size() >= sizeof o.product ||
            name.product.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") !=
                std::string::npos)
            throw encode_error(ERR_INTERNAL, "no name for a product: " + name.product);
        for (const struct result_object &known : objects)
            if (strcmp(strrchr(known.path, '/') + 1, base.c_str()) == 0)
                throw encode_error(ERR_INTERNAL, base + " comes twice");
        if (!fs_join(o.path, request.folder, base.c_str(), &err))
            throw encode_error(err.code, err.text);
        put_meta(file, request);
        describe(o, name, *file.getDataset());
        if (!publish(file, request, o.path, &err))
            throw encode_error(err.code, base + ": " + err.text);
        objects.push_back(o);
    }

    // Hands the objects over; they stay. False: no memory.
    bool finish(struct result_list *out)
    {
        if (objects.empty())
            return true;
        void *grown = realloc(out->objects, (out->count + objects.size()) * sizeof *out->objects);
        if (!grown)
            return false;
        out->objects = static_cast<struct result_object *>(grown);
        memcpy(out->objects + out->count, objects.data(), objects.size() * sizeof *out->objects);
        out->count += objects.size();
        objects.clear();
        return true;
    }

  private:
    static void describe(struct result_object &o, const struct object_name &name, DcmDataset &ds)
    {
        o.kind = name.kind;
        snprintf(o.id.kind, sizeof o.id.kind, "%s", result_kind_name(name.kind));
        snprintf(o.product, sizeof o.product, "%s", name.product.c_str());
        copy_uid(o.id.sop_class_uid, ds, DCM_SOPClassUID);
        copy_uid(o.id.sop_instance_uid, ds, DCM_SOPInstanceUID);
        copy_uid(o.id.series_instance_uid, ds, DCM_SeriesInstanceUID);
        copy_uid(o.id.study_instance_uid, ds, DCM_StudyInstanceUID);
        snprintf(o.id.transfer_syntax_uid, sizeof o.id.transfer_syntax_uid, "%s",
                 UID_LittleEndianExplicitTransferSyntax);
    }

    const struct result_request &request;
    std::vector<struct result_object> objects;
};

// The objects of some kinds, in order, into a sink.
static bool write_kinds(const struct result_request &request, unsigned kinds, folder_sink &sink,
                        struct err *err)
{
    const result_set set(request);
    for (const auto &e : encoders) {
        if (!(kinds & e.kind))
            continue;
        try {
            e.encode(set, sink);
        } catch (const encode_error &failure) {
            return err_set(err, failure.code, "%s: %s", result_kind_name(e.kind), failure.what());
        }
    }
    return true;
}

// The same; what was thrown becomes an error.
static bool write_guarded(const struct result_request &request, unsigned kinds, folder_sink &sink,
                          struct err *err)
{
    try {
        return write_kinds(request, kinds, sink, err);
    } catch (const encode_error &failure) {
        return err_set(err, failure.code, "%s", failure.what());
    } catch (const std::bad_alloc &) {
        return err_set(err, ERR_NOMEM, "no memory");
    } catch (const std::exception &failure) {
        return err_set(err, ERR_INTERNAL, "%s", failure.what());
    }
}

struct half { // of the objects
    const struct result_request &request;
    unsigned kinds;
    folder_sink sink;
    struct err err;
    bool ok;
};

static void write_halves(void *ctx, size_t first, size_t count)
{
    struct half *halves = static_cast<struct half *>(ctx);
    for (size_t n = first; n < first + count; n++)
        halves[n].ok =
            write_guarded(halves[n].request, halves[n].kinds, halves[n].sink, &halves[n].err);
}

// Where there are maps, there are as many pictures of them: the two halves of the work go side by
// side. Elsewhere memory matters more than time.
static bool write_all(const struct result_request &request, struct result_list *out,
                      struct err *err)
{
    const unsigned pictures = RESULT_SC;
    const bool maps = request.findings->map_count > 0 && (request.kinds & RESULT_PMAP) != 0;
    struct half halves[] = {{request, request.kinds & pictures, folder_sink(request), {}, false},
                            {request, request.kinds & ~pictures, folder_sink(request), {}, false}};
    parallel_for(2, maps ? 2 : 1, write_halves, halves);
    for (const struct half &h : halves) {
        if (!h.ok) {
            if (err)
                *err = h.err;
            return false;
        }
    }
    return (halves[0].sink.finish(out) && halves[1].sink.finish(out)) ||
           err_set(err, ERR_NOMEM, "no memory");
}

bool results_write(const struct result_request *request, struct result_list *out, struct err *err)
{
    bool ok = false;
    try {
        ok = write_all(*request, out, err);
    } catch (const encode_error &failure) {
        err_set(err, failure.code, "%s", failure.what());
    } catch (const std::bad_alloc &) {
        err_set(err, ERR_NOMEM, "no memory");
    } catch (const std::exception &failure) {
        err_set(err, ERR_INTERNAL, "%s", failure.what());
    }
    return ok || err_wrap(err, "results of %s", request->stage.name);
}

void result_list_finish(struct result_list *list)
{
    free(list->objects);
    *list = {};
}
