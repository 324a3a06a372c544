// Geometry and acquisition of an image. Source: PS3.3 C.7.6.2 (Image Plane), C.7.6.16 (functional
// groups), C.11.1 (Modality LUT), C.8.2.1 (CT Image).
#include <strings.h>
#include <cmath>
#include <cstring>
#include "dimse/read/object_parts.h"

namespace
{

DcmDataset &header_of(const struct object *o)
{
    return const_cast<DcmDataset &>(o->header);
}

// Where an attribute of a frame stands: its own functional group, the shared one, or the data set.
class frame_groups
{
  public:
    frame_groups(DcmDataset &header, uint32_t frame)
        : header_(header), shared_(item_of(header, DCM_SharedFunctionalGroupsSequence)),
          own_(item_of(header, DCM_PerFrameFunctionalGroupsSequence, static_cast<long>(frame))),
          enhanced_(header.tagExists(DCM_SharedFunctionalGroupsSequence) ||
                    header.tagExists(DCM_PerFrameFunctionalGroupsSequence))
    {
    }
    bool enhanced() const
    {
        return enhanced_;
    }
    bool has_own() const
    {
        return own_ != nullptr;
    }

    // The item with the attributes of macro; NULL: none.
    DcmItem *find(const DcmTagKey &macro)
    {
        if (!enhanced_)
            return &header_;
        DcmItem *found = own_ ? item_of(*own_, macro) : nullptr;
        return found || !shared_ ? found : item_of(*shared_, macro);
    }

  private:
    DcmDataset &header_;
    DcmItem *shared_, *own_;
    bool enhanced_;
};

bool need(frame_groups &groups, const DcmTagKey &macro, const DcmTagKey &tag, double *out,
          int count, struct err *err)
{
    DcmItem *item = groups.find(macro);
    int n = item ? item_numbers(*item, tag, out, count) : 0;
    if (n == count)
        return true;
    return err_set(err, ERR_INPUT, "%s %s", DcmTag(tag).getTagName(),
                   n == 0 ? "is missing" : "makes no sense");
}

bool read_rescale(const struct object *o, frame_groups &groups, struct volume_slice *out,
                  struct err *err)
{
    DcmItem *item = groups.find(DCM_PixelValueTransformationSequence);
    bool ct = strcmp(o->ids.modality, "CT") == 0;
    int slope = item ? item_numbers(*item, DCM_RescaleSlope, &out->slope, 1) : 0;
    int intercept = item ? item_numbers(*item, DCM_RescaleIntercept, &out->intercept, 1) : 0;
    if (header_of(o).tagExists(DCM_ModalityLUTSequence))
        return err_set(err, ERR_UNSUPPORTED, "Modality LUT Sequence");
    if (slope == 0 && intercept == 0 && !ct) {
        out->slope = 1;
        out->intercept = 0;
        return true;
    }
    if (slope != 1 || out->slope == 0)
        return err_set(err, ERR_INPUT, "RescaleSlope %s",
                       slope == 0 ? "is missing" : "makes no sense");
    if (intercept != 1)
        return err_set(err, ERR_INPUT, "RescaleIntercept %s",
                       intercept == 0 ? "is missing" : "makes no sense");
    std::string type = item_text(*item, DCM_RescaleType, 0);
    if (ct && !type.empty() && strcasecmp(type.c_str(), "HU") != 0)
        return err_set(err, ERR_UNSUPPORTED, "RescaleType is not HU");
    return true;
}

// To unit length and at right angles; what is far from it makes no sense.
bool normalise(double v[6])
{
    double skew = 0;
    for (int half = 0; half < 6; half += 3) {
        double *a = v + half;
        double length = sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2]);
        if (fabs(length - 1) > 0.01)
            return false;
        for (int i = 0; i < 3; i++)
            a[i] /= length;
    }
    for (int i = 0; i < 3; i++)
        skew += v[i] * v[3 + i];
    if (fabs(skew) > 0.01)
        return false;
    double length = 0;
    for (int i = 0; i < 3; i++) {
        v[3 + i] -= skew * v[i];
        length += v[3 + i] * v[3 + i];
    }
    for (int i = 0; i < 3; i++)
        v[3 + i] /= sqrt(length);
    return true;
}

bool is_localizer(DcmItem &item, const DcmTagKey &tag)
{
    static const char *const names[] = {"LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW"};
    for (long i = 0; i < 16; i++) {
        std::string value = item_text(item, tag, i);
        for (const char *name : names) {
            if (strcasecmp(value.c_str(), name) == 0)
                return true;
        }
    }
    return false;
}

bool read_plane(frame_groups &groups, struct volume_slice *out, struct err *err)
{
    if (!need(groups, DCM_PlanePositionSequence, DCM_ImagePositionPatient, out->position, 3, err) ||
        !need(groups, DCM_PlaneOrientationSequence, DCM_ImageOrientationPatient, out->orientation,
              6, err) ||
        !need(groups, DCM_PixelMeasuresSequence, DCM_PixelSpacing, out->pixel_spacing, 2, err))
        return false;
    if (!normalise(out->orientation))
        return err_set(err, ERR_INPUT, "ImageOrientationPatient makes no sense");
    if (out->pixel_spacing[0] <= 0 || out->pixel_spacing[1] <= 0)
        return err_set(err, ERR_INPUT, "PixelSpacing makes no sense");
    return true;
}

bool read_slice(struct object *o, uint32_t frame, struct volume_slice *out, struct err *err)
{
    DcmDataset &header = o->header;
    struct pixel_format format = {};
    *out = {};
    if (!o->layout.has_pixels)
        return err_set(err, ERR_UNSUPPORTED, "no image");
    if (frame >= o->ids.frames)
        return err_set(err, ERR_INPUT, "no frame %u of %u", frame + 1, o->ids.frames);
    if (!object_pixel_format(o, &format, err))
        return false;
    frame_groups groups(header, frame);
    snprintf(out->sop_instance_uid, sizeof out->sop_instance_uid, "%s", o->ids.sop_instance_uid);
    snprintf(out->sop_class_uid, sizeof out->sop_class_uid, "%s", o->ids.sop_class_uid);
    snprintf(out->frame_of_reference_uid, sizeof out->frame_of_reference_uid, "%s",
             item_text(header, DCM_FrameOfReferenceUID, 0).c_str());
    out->frame = frame + 1;
    out->columns = format.columns;
    out->rows = format.rows;
    out->bits_stored = format.bits_stored;
    out->is_signed = format.is_signed;
    out->localizer = is_localizer(header, DCM_ImageType);
    for (const DcmTagKey &macro : {DCM_CTImageFrameTypeSequence, DCM_MRImageFrameTypeSequence}) {
        DcmItem *item = groups.enhanced() ? groups.find(macro) : nullptr;
        out->localizer = out->localizer || (item && is_localizer(*item, DCM_FrameType));
    }
    if (out->localizer) // is never measured: what it lacks is no error
        return true;
    if (o->ids.frames > 1 && !groups.has_own())
        return err_set(err, ERR_INPUT, "PerFrameFunctionalGroupsSequence is missing");
    return read_plane(groups, out, err) && read_rescale(o, groups, out, err);
}

// The first of several values counts.
double number_or_nan(DcmItem *item, const DcmTagKey &tag)
{
    double value;
    return item_number(*item, tag, 0, &value) ? value : NAN;
}

// What the enhanced objects moved into functional groups stands there, else in the data set.
DcmItem *scan_item(DcmDataset &header, const DcmTagKey &macro)
{
    frame_groups groups(header, 0);
    DcmItem *found = groups.enhanced() ? groups.find(macro) : nullptr;
    return found ? found : &header;
}

bool has_word(const std::string &text, const char *word)
{
    return strcasestr(text.c_str(), word) != nullptr;
}

void gating(struct scan *out, enum tristate gated, const char *evidence)
{
    if (out->gated != TRI_UNKNOWN)
        return;
    out->gated = gated;
    snprintf(out->gating_evidence, sizeof out->gating_evidence, "%s", evidence);
}

// The most explicit attribute wins.
void read_gating(DcmDataset &header, struct scan *out)
{
    std::string technique = item_text(header, DCM_CardiacSynchronizationTechnique, 0);
    std::string options = item_text(header, DCM_ScanOptions);
    if (technique == "NONE")
        gating(out, TRI_NO, "CardiacSynchronizationTechnique");
    else if (!technique.empty())
        gating(out, TRI_YES, "CardiacSynchronizationTechnique");
    if (has_word(options, "ECG") || has_word(options, "CARDIAC") || has_word(options, "TRIGGER"))
        gating(out, TRI_YES, "ScanOptions");
    for (const DcmTagKey &tag : {DCM_SeriesDescription, DCM_ProtocolName}) {
        std::string text = item_text(header, tag);
        DcmTag owner(tag); // of the name
        const char *name = owner.getTagName();
        if (has_word(text, "non-gated") || has_word(text, "non gated") ||
            has_word(text, "nongated") || has_word(text, "ungated") || has_word(text, "not gated"))
            gating(out, TRI_NO, name);
        else if (has_word(text, "gated") || has_word(text, "ecg"))
            gating(out, TRI_YES, name);
    }
    if (number_or_nan(&header, DCM_HeartRate) > 0)
        gating(out, TRI_YES, "HeartRate");
    if (number_or_nan(&header, DCM_TriggerTime) > 0)
        gating(out, TRI_YES, "TriggerTime");
    if (std::isfinite(number_or_nan(&header, DCM_NominalPercentageOfCardiacPhase)))
        gating(out, TRI_YES, "NominalPercentageOfCardiacPhase");
}

void read_scan(DcmDataset &header, struct scan *out)
{
    text_decoder decoder(header);
    auto text = [&](const DcmTagKey &tag, char *to, size_t size) {
        std::string value = decoder.decode(item_text(header, tag), true);
        while (value.size() >= size) { // not inside a UTF-8 character
            do
                value.pop_back();
            while (!value.empty() && (static_cast<unsigned char>(value.back()) & 0xc0) == 0x80);
        }
        snprintf(to, size, "%s", value.c_str());
    };
    text(DCM_Modality, out->modality, sizeof out->modality);
    text(DCM_Manufacturer, out->manufacturer, sizeof out->manufacturer);
    text(DCM_ManufacturerModelName, out->model, sizeof out->model);
    text(DCM_SeriesDescription, out->series_description, sizeof out->series_description);
    text(DCM_StudyDescription, out->study_description, sizeof out->study_description);
    text(DCM_ProtocolName, out->protocol, sizeof out->protocol);
    text(DCM_BodyPartExamined, out->body_part, sizeof out->body_part);
    text(DCM_ContrastBolusAgent, out->contrast, sizeof out->contrast);
    text(DCM_ConvolutionKernel, out->kernel, sizeof out->kernel);
    DcmItem *xray = scan_item(header, DCM_CTXRayDetailsSequence);
    out->kvp = number_or_nan(xray, DCM_KVP);
    DcmItem *exposure = scan_item(header, DCM_CTExposureSequence);
    out->tube_current_ma = number_or_nan(exposure, DCM_XRayTubeCurrentInmA);
    if (!std::isfinite(out->tube_current_ma))
        out->tube_current_ma = number_or_nan(exposure, DCM_XRayTubeCurrent);
    out->exposure_mas = number_or_nan(exposure, DCM_ExposureInmAs);
    if (!std::isfinite(out->exposure_mas))
        out->exposure_mas = number_or_nan(exposure, DCM_Exposure);
    DcmItem *measures = scan_item(header, DCM_PixelMeasuresSequence);
    out->slice_thickness_mm = number_or_nan(measures, DCM_SliceThickness);
    DcmItem *reconstruction = scan_item(header, DCM_CTReconstructionSequence);
    out->reconstruction_diameter_mm = number_or_nan(reconstruction, DCM_ReconstructionDiameter);
    DcmItem *voi = scan_item(header, DCM_FrameVOILUTSequence);
    out->image_window[0] = number_or_nan(voi, DCM_WindowCenter);
    out->image_window[1] = number_or_nan(voi, DCM_WindowWidth);
    read_gating(header, out);
}

} // namespace

bool object_slice(const struct object *o, uint32_t frame, struct volume_slice *out, struct err *err)
{
    return object_guard(
        err, [&] { return read_slice(const_cast<struct object *>(o), frame, out, err); });
}

void object_scan(const struct object *o, struct scan *out)
{
    *out = {};
    out->kvp = out->tube_current_ma = out->exposure_mas = out->slice_thickness_mm =
        out->reconstruction_diameter_mm = out->image_window[0] = out->image_window[1] = NAN;
    object_guard(nullptr, [&] {
        read_scan(header_of(o), out);
        return true;
    });
}
