// What a frame says of itself. Source: PS3.3 C.7.6.2 (Image Plane), C.7.6.5 (Cine), C.7.6.6
// (Multi-frame), C.7.6.16 (functional groups), C.7.6.16.2.11 (Real World Value Mapping), C.8.2.1
// (CT Image), C.8.9.1 (PET Series), C.8.13.5.9 (MR Diffusion), C.11.1 (Modality LUT), C.11.2 (VOI
// LUT).
#include <strings.h>
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>
#include "base/moment.h"
#include "base/text.h"
#include "dimse/read/object_parts.h"

#define DAY_S              86400
#define DERIVATIONS_MAX    8      // codes of how an image was derived
#define VIEW_MODIFIERS_MAX 8      // more than a view can have (PS3.16 CID 4015)
#define DIMENSIONS_MAX     8      // of an enhanced object
#define DIMENSION_MAX      1000   // values of one that are told apart
#define WINDOWS_MAX        64     // of a frame
#define GE_B_VALUE_MOD     100000 // GE adds 10^9 to the b values of some sequences: 1000000700 is 700

namespace
{

// SOP classes whose frames lie in space by definition: no place is an error.
bool must_be_placed(const char *sop_class_uid)
{
    static const char *const classes[] = {
        UID_CTImageStorage,
        UID_EnhancedCTImageStorage,
        UID_LegacyConvertedEnhancedCTImageStorage,
        UID_MRImageStorage,
        UID_EnhancedMRImageStorage,
        UID_EnhancedMRColorImageStorage,
        UID_LegacyConvertedEnhancedMRImageStorage,
        UID_PositronEmissionTomographyImageStorage,
        UID_EnhancedPETImageStorage,
        UID_LegacyConvertedEnhancedPETImageStorage,
    };
    return std::any_of(std::begin(classes), std::end(classes),
                       [&](const char *uid) { return strcmp(uid, sop_class_uid) == 0; });
}

// Objects of these classes are one frame each.
bool is_single_frame_class(const char *sop_class_uid)
{
    return strcmp(sop_class_uid, UID_CTImageStorage) == 0 ||
           strcmp(sop_class_uid, UID_MRImageStorage) == 0 ||
           strcmp(sop_class_uid, UID_PositronEmissionTomographyImageStorage) == 0;
}

bool is_ct_class(const char *sop_class_uid)
{
    return strcmp(sop_class_uid, UID_CTImageStorage) == 0 ||
           strcmp(sop_class_uid, UID_EnhancedCTImageStorage) == 0 ||
           strcmp(sop_class_uid, UID_LegacyConvertedEnhancedCTImageStorage) == 0;
}

// Where the attributes of a frame stand: its own functional groups, the shared ones, or the data
// set.
class frame_view
{
  public:
    frame_view(const struct object *o, uint32_t frame)
        : header_(const_cast<DcmDataset &>(o->header)), shared_(o->shared_groups),
          own_(frame < o->frame_groups.size() ? o->frame_groups[frame] : nullptr),
          tile_(frame < o->mosaic.tiles.size() ? o->mosaic.tiles[frame] : nullptr),
          enhanced_(o->enhanced)
    {
    }
    DcmDataset &header()
    {
        return header_;
    }
    bool enhanced() const
    {
        return enhanced_;
    }
    DcmItem *own() const // NULL: none
    {
        return own_;
    }
    // Where the time of acquisition stands.
    DcmItem &timed()
    {
        return tile_ && tile_->tagExistsWithValue(DCM_AcquisitionTime) ? *tile_ : header_;
    }
    // The item with the attributes of macro; NULL: none.
    DcmItem *macro(const DcmTagKey &sequence)
    {
        if (!enhanced_)
            return tile_ && sequence == DCM_PlanePositionSequence ? tile_ : &header_;
        DcmItem *found = own_ ? item_of(*own_, sequence) : nullptr;
        return found || !shared_ ? found : item_of(*shared_, sequence);
    }
    // The item of any macro, or the data set, where tag stands; NULL: nowhere.
    DcmItem *where(const DcmTagKey &tag);
    bool number(const DcmTagKey &tag, double *out)
    {
        DcmItem *item = where(tag);
        return item && item_number(*item, tag, 0, out);
    }
    std::string text(const DcmTagKey &tag)
    {
        DcmItem *item = where(tag);
        return item ? item_text(*item, tag, 0) : std::string();
    }

  private:
    DcmDataset &header_;
    DcmItem *shared_, *own_;
    DcmItem *tile_; // of a mosaic, where it has an item a slice
    bool enhanced_;
};

// Calls body with the first item of each macro in groups, until it says false.
template <typename body_type> void each_macro(DcmItem *groups, body_type body)
{
    for (DcmObject *o = groups ? groups->nextInContainer(nullptr) : nullptr; o;
         o = groups->nextInContainer(o)) {
        if (o->ident() != EVR_SQ)
            continue;
        DcmItem *item = item_of(*groups, o->getTag());
        if (item && !body(*item))
            return;
    }
}

DcmItem *frame_view::where(const DcmTagKey &tag)
{
    DcmItem *found = nullptr;
    for (DcmItem *groups : {own_, shared_}) {
        each_macro(groups, [&](DcmItem &item) {
            if (item.tagExistsWithValue(tag))
                found = &item;
            return !found;
        });
        if (found)
            return found;
    }
    return header_.tagExistsWithValue(tag) ? &header_ : nullptr;
}

bool name_fault(const DcmTagKey &tag, bool missing, struct err *err)
{
    return err_set(err, ERR_INPUT, "%s %s", DcmTag(tag).getTagName(),
                   missing ? "is missing" : "makes no sense");
}

// The same with the value that stands in item, and what is needed instead.
bool value_fault(DcmItem *item, const DcmTagKey &tag, const char *needed, struct err *err)
{
    std::string text = item ? item_text(*item, tag) : std::string();
    char shown[65];
    if (text.empty())
        return err_set(err, ERR_INPUT, "%s is missing: %s", DcmTag(tag).getTagName(), needed);
    text_shown(text.c_str(), shown, sizeof shown);
    return err_set(err, ERR_INPUT, "%s %s makes no sense: %s%s", DcmTag(tag).getTagName(), shown,
                   needed, text.find(',') == std::string::npos ? "" : ", with decimal points");
}

bool need(frame_view &view, const DcmTagKey &macro, const DcmTagKey &tag, double *out, int count,
          const char *needed, struct err *err)
{
    DcmItem *item = view.macro(macro);
    int n = item ? item_numbers(*item, tag, out, count) : 0;
    return n == count || value_fault(item, tag, needed, err);
}

// ---- Place --------------------------------------------------------------------------------------

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

// Spacing comes between rows, then between columns.
bool take_spacing(const double spacing[2], struct image_frame *out)
{
    if (!(spacing[0] > 0) || !(spacing[1] > 0))
        return false;
    out->pixel_mm[0] = spacing[1];
    out->pixel_mm[1] = spacing[0];
    return true;
}

const char place_needed[] = "3 numbers in mm are needed";
const char cosines_needed[] = "2 directions of length 1 at right angles are needed";
const char spacing_needed[] = "2 numbers above 0 mm are needed";

// The unit of the last decimal of a number as it is written: 0.01 of "12.25", 1 of "12".
double written_unit(const std::string &text)
{
    size_t exponent = text.find_first_of("eE"), point = text.find('.');
    std::string number = text.substr(0, exponent);
    double decimals = point < number.size() ? static_cast<double>(number.size() - point - 1) : 0;
    double shift = 0;
    if (exponent != std::string::npos && !text_number(text.substr(exponent + 1), &shift))
        shift = 0;
    return pow(10, shift - decimals);
}

bool read_plane(frame_view &view, struct image_frame *out, struct err *err)
{
    double spacing[2];
    if (!need(view, DCM_PlanePositionSequence, DCM_ImagePositionPatient, out->position, 3,
              place_needed, err) ||
        !need(view, DCM_PlaneOrientationSequence, DCM_ImageOrientationPatient, out->orientation, 6,
              cosines_needed, err) ||
        !need(view, DCM_PixelMeasuresSequence, DCM_PixelSpacing, spacing, 2, spacing_needed, err))
        return false;
    if (!normalise(out->orientation))
        return value_fault(view.macro(DCM_PlaneOrientationSequence), DCM_ImageOrientationPatient,
                           cosines_needed, err);
    if (!take_spacing(spacing, out))
        return value_fault(view.macro(DCM_PixelMeasuresSequence), DCM_PixelSpacing, spacing_needed,
                           err);
    DcmItem *position = view.macro(DCM_PlanePositionSequence); // is there
    for (int a = 0; a < 3; a++)
        out->written_mm[a] = written_unit(item_text(*position, DCM_ImagePositionPatient, a));
    out->placed = true;
    return true;
}

bool is_dose(const struct object *o)
{
    return strcmp(o->ids.id.sop_class_uid, UID_RTDoseStorage) == 0;
}

// Planes of a dose grid lie along the normal at Grid Frame Offset Vector: from the first plane, or,
// where it does not begin with 0, by their z in the patient. Source: PS3.3 C.8.8.3.2.
bool read_dose_plane(frame_view &view, uint32_t frame, uint32_t frames, struct image_frame *out,
                     struct err *err)
{
    std::vector<double> offsets(frames);
    if (item_numbers(view.header(), DCM_GridFrameOffsetVector, offsets.data(),
                     static_cast<int>(frames)) != static_cast<int>(frames))
        return err_set(err, ERR_INPUT,
                       "GridFrameOffsetVector, which says where the planes of a dose grid lie, has "
                       "not %" PRIu32 " numbers",
                       frames);
    if (!read_plane(view, out, err))
        return false;
    const double *row = out->orientation, *column = out->orientation + 3;
    const double normal[3] = {row[1] * column[2] - row[2] * column[1],
                              row[2] * column[0] - row[0] * column[2],
                              row[0] * column[1] - row[1] * column[0]};
    const bool by_z = offsets[0] != 0;
    if (by_z && fabs(fabs(normal[2]) - 1) > 1e-6)
        return err_set(err, ERR_INPUT,
                       "GridFrameOffsetVector begins with %g, not 0, and the planes are not axial",
                       offsets[0]);
    for (int a = 0; a < 3; a++)
        out->position[a] += by_z ? 0 : offsets[frame] * normal[a];
    if (by_z)
        out->position[2] = offsets[frame];
    return true;
}

bool says_place(frame_view &view)
{
    DcmItem *position = view.macro(DCM_PlanePositionSequence);
    DcmItem *orientation = view.macro(DCM_PlaneOrientationSequence);
    return (position && position->tagExistsWithValue(DCM_ImagePositionPatient)) ||
           (orientation && orientation->tagExistsWithValue(DCM_ImageOrientationPatient));
}

// Of a projection: in the patient where it was calibrated, else at the detector.
void read_flat_spacing(frame_view &view, struct image_frame *out)
{
    for (const DcmTagKey &tag : {DCM_PixelSpacing, DCM_ImagerPixelSpacing}) {
        DcmItem *item = view.where(tag);
        double spacing[2];
        if (item && item_numbers(*item, tag, spacing, 2) == 2 && take_spacing(spacing, out))
            return;
    }
}

double cine_time(const struct object *o, frame_view &view, uint32_t frame);
std::string type_of(DcmItem &item, const DcmTagKey &tag);

void take_away_place(struct image_frame *out)
{
    out->placed = false;
    std::fill_n(out->position, 3, NAN);
    std::fill_n(out->orientation, 6, NAN);
}

bool read_place(const struct object *o, frame_view &view, struct image_frame *out, struct err *err)
{
    bool must = must_be_placed(o->ids.id.sop_class_uid);
    bool needs_groups = o->ids.frames > 1 && !view.own();
    if (needs_groups && !o->frame_groups.empty())
        return err_set(err, ERR_INPUT,
                       "PerFrameFunctionalGroupsSequence has %zu items for %" PRIu32 " frames",
                       o->frame_groups.size(), o->ids.frames);
    const bool single = !view.enhanced() && is_single_frame_class(o->ids.id.sop_class_uid);
    if (needs_groups && single && !std::isnan(cine_time(o, view, 0))) {
        read_flat_spacing(view, out); // a cine: what it shows at which time is told, no place
        return true;
    }
    if (needs_groups && single)
        return err_set(err, ERR_UNSUPPORTED,
                       "NumberOfFrames is %" PRIu32
                       " in an object of one frame: nothing says where "
                       "each lies; send slices, or an enhanced object",
                       o->ids.frames);
    if (needs_groups && (must || view.enhanced()))
        return name_fault(DCM_PerFrameFunctionalGroupsSequence, true, err);
    if (is_dose(o) && o->ids.frames > 1)
        return read_dose_plane(view, out->number - 1, o->ids.frames, out, err);
    // a page or a screen save that came as an image of the scanner: no place is claimed
    if (must && !view.enhanced() && !says_place(view))
        must = false;
    if (must || (!needs_groups && says_place(view)))
        return read_plane(view, out, err);
    read_flat_spacing(view, out);
    return true;
}

// ---- Values -------------------------------------------------------------------------------------

// UCUM of Units of a PET series. Source: PS3.3 C.8.9.1.1.3, PS3.16 CID 84.
const char *pet_unit(const std::string &units)
{
    static const struct {
        const char *term, *ucum;
    } table[] = {
        {"BQML", "Bq/ml"},
        {"CNTS", "{counts}"},
        {"CPS", "{counts}/s"},
        {"PROPCNTS", "{propcounts}"},
        {"PROPCPS", "{propcounts}/s"},
        {"GML", "g/ml"},
        {"CM2", "cm2"},
        {"CM2ML", "cm2/ml"},
        {"PCNT", "%"},
        {"1CM", "/cm"},
        {"MGMINML", "mg/min/ml"},
        {"UMOLMINML", "umol/min/ml"},
        {"UMOLML", "umol/ml"},
        {"MLMING", "ml/min/g"},
        {"MLMINML", "ml/min/ml"},
        {"MLG", "ml/g"},
        {"MLML", "ml/ml"},
        {"STDDEV", "{stddev}"},
    };
    for (const auto &row : table) {
        if (units == row.term)
            return row.ucum;
    }
    return "1";
}

// A linear Real World Value Mapping with a unit says more than the rescale, and stands for it.
void read_real_world(frame_view &view, struct image_frame *out)
{
    DcmItem *item = view.enhanced() ? view.macro(DCM_RealWorldValueMappingSequence) : nullptr;
    item = item ? item : item_of(view.header(), DCM_RealWorldValueMappingSequence);
    DcmItem *units = item ? item_of(*item, DCM_MeasurementUnitsCodeSequence) : nullptr;
    double slope, intercept;
    if (!units || item_text(*units, DCM_CodingSchemeDesignator, 0) != "UCUM" ||
        !item_number(*item, DCM_RealWorldValueSlope, 0, &slope) || slope == 0 ||
        !item_number(*item, DCM_RealWorldValueIntercept, 0, &intercept))
        return;
    std::string unit = item_text(*units, DCM_CodeValue, 0);
    if (unit.empty() || unit == "1" || unit.size() >= sizeof out->unit)
        return;
    out->slope = slope;
    out->intercept = intercept;
    snprintf(out->unit, sizeof out->unit, "%s", unit.c_str());
}

// What the table gives stands for the values: object_decode() applies it.
bool read_modality_table(frame_view &view, bool ct, struct image_frame *out, struct err *err)
{
    struct lookup_table table = {};
    char shown[17];
    if (!lookup_table_of_modality(view.header(), out->is_signed, &table, err))
        return false;
    DcmItem *item = item_of(view.header(), DCM_ModalityLUTSequence);
    std::string type = item ? item_text(*item, DCM_ModalityLUTType, 0) : std::string();
    if (ct && type != "HU")
        return err_set(err, ERR_UNSUPPORTED, "ModalityLUTType %s is not HU",
                       text_shown(type.c_str(), shown, sizeof shown));
    out->bits_stored = static_cast<uint16_t>(table.bits);
    out->is_signed = false;
    out->padded = false;
    return true;
}

// Slope and intercept as they stand there; what is absent or empty is 1 and 0, and said to be so
// where the modality, or the other of them, asks for it.
bool read_rescale(frame_view &view, bool ct, struct image_frame *out, struct err *err)
{
    if (!out->is_float && view.header().tagExists(DCM_ModalityLUTSequence))
        return read_modality_table(view, ct, out, err);
    double given_slope = 1, given_intercept = 0;
    DcmItem *item = view.macro(DCM_PixelValueTransformationSequence);
    int slope = item ? item_numbers(*item, DCM_RescaleSlope, &given_slope, 1) : 0;
    int intercept = item ? item_numbers(*item, DCM_RescaleIntercept, &given_intercept, 1) : 0;
    if (slope < 0 || (slope == 1 && given_slope == 0))
        return value_fault(item, DCM_RescaleSlope, "a number other than 0 is needed", err);
    if (intercept < 0)
        return value_fault(item, DCM_RescaleIntercept, "a number is needed", err);
    out->no_slope = slope == 0 && (ct || intercept == 1);
    out->no_intercept = intercept == 0 && (ct || slope == 1);
    out->slope = given_slope;
    out->intercept = given_intercept;
    return true;
}

// UCUM of CT values by Rescale Type; "1" where it is another or an unspecified one. Source: PS3.3
// C.11.1.1.2.
const char *rescale_unit(frame_view &view)
{
    static const struct {
        const char *term, *ucum;
    } table[] = {
        {"HU", "[hnsf'U]"},
        {"MGML", "mg/ml"},
        {"PCT", "%"},
        {"ED", "10*23/ml"},
    };
    DcmItem *item = view.macro(DCM_PixelValueTransformationSequence);
    std::string type = item ? item_text(*item, DCM_RescaleType, 0) : std::string();
    if (type.empty())
        return "[hnsf'U]";
    for (const auto &row : table) {
        if (strcasecmp(type.c_str(), row.term) == 0)
            return row.ucum;
    }
    return "1";
}

// What a stored value of a dose grid is worth. Source: PS3.3 C.8.8.3.
bool read_dose_scale(frame_view &view, struct image_frame *out, struct err *err)
{
    double scale;
    if (!item_number(view.header(), DCM_DoseGridScaling, 0, &scale) || !(scale > 0))
        return value_fault(&view.header(), DCM_DoseGridScaling, "a number above 0 is needed", err);
    out->slope = scale;
    out->intercept = 0;
    snprintf(out->unit, sizeof out->unit, "%s",
             item_text(view.header(), DCM_DoseUnits, 0) == "GY" ? "Gy" : "1");
    return true;
}

bool read_values(const struct object *o, frame_view &view, struct image_frame *out, struct err *err)
{
    bool ct = is_ct_class(o->ids.id.sop_class_uid) ||
              (out->placed && !out->is_float && strcmp(o->ids.id.modality, "CT") == 0);
    if (!read_rescale(view, ct, out, err))
        return false;
    if (is_dose(o))
        return read_dose_scale(view, out, err);
    std::string units = item_text(view.header(), DCM_Units, 0);
    bool pet_scaled = view.where(DCM_RescaleSlope) != nullptr;
    if (ct)
        snprintf(out->unit, sizeof out->unit, "%s", rescale_unit(view));
    else if (!units.empty())
        snprintf(out->unit, sizeof out->unit, "%s", pet_scaled ? pet_unit(units) : "1");
    else
        read_real_world(view, out);
    return true;
}

// ---- Time and other axes ------------------------------------------------------------------------

// Since 1970, or seconds of the day where there is no date; NAN: no time.
double moment_of(DcmItem &item, const DcmTagKey &date_tag, const DcmTagKey &time_tag)
{
    std::string date = item_text(item, date_tag, 0), time = item_text(item, time_tag, 0);
    struct moment_date day;
    double seconds;
    if (!moment_time(time.c_str(), &seconds))
        return NAN;
    const double days = moment_date(date.c_str(), &day) ? moment_days(&day) : NAN;
    return std::isnan(days) ? seconds : days * DAY_S + seconds;
}

// Since the first frame of the instance; NAN: not said.
double cine_time(const struct object *o, frame_view &view, uint32_t frame)
{
    double value;
    if (o->ids.frames <= 1)
        return NAN;
    if (frame < o->frame_times_ms.size())
        return o->frame_times_ms[frame] / 1000;
    if (item_number(view.header(), DCM_FrameTime, 0, &value) && value > 0)
        return frame * value / 1000;
    if (item_number(view.header(), DCM_CineRate, 0, &value) && value > 0)
        return frame / value;
    return NAN;
}

double time_of(const struct object *o, frame_view &view, uint32_t frame)
{
    double value;
    if (view.number(DCM_TemporalPositionTimeOffset, &value))
        return value;
    value = moment_seconds(view.text(DCM_FrameAcquisitionDateTime).c_str());
    if (!std::isnan(value))
        return value;
    value = cine_time(o, view, frame);
    if (!std::isnan(value))
        return value;
    value = moment_seconds(item_text(view.timed(), DCM_AcquisitionDateTime, 0).c_str());
    if (!std::isnan(value))
        return value;
    value = moment_of(view.timed(), DCM_AcquisitionDate, DCM_AcquisitionTime);
    if (!std::isnan(value))
        return value;
    return moment_of(view.header(), DCM_ContentDate, DCM_ContentTime);
}

double b_value_of(frame_view &view)
{
    double b;
    DcmItem &header = view.header();
    if (view.number(DCM_DiffusionBValue, &b) ||
        private_number(header, 0x0019, 0x0c, "SIEMENS MR HEADER", EVR_IS, &b) ||
        private_number(header, 0x0065, 0x09, "Image Private Header", EVR_FD, &b) || // UIH
        private_number(header, 0x2001, 0x03, "Philips Imaging DD 001", EVR_FL, &b))
        return b >= 0 ? b : NAN;
    if (private_number(header, 0x0043, 0x39, "GEMS_PARM_01", EVR_IS, &b) && b >= 0)
        return fmod(b, GE_B_VALUE_MOD);
    return NAN;
}

// Direction of diffusion weighting: the standard's, else that of a vendor. GE has it in the frame
// of the scanner's gradients.
void read_gradient(frame_view &view, double out[3])
{
    static const struct {
        uint16_t group;
        uint8_t numbers[3];
        const char *creator;
        DcmEVR vr;
    } vendors[] = {
        {0x2005, {0xb0, 0xb1, 0xb2}, "Philips MR Imaging DD 001", EVR_FL},
        {0x0019, {0xbb, 0xbc, 0xbd}, "GEMS_ACQU_01", EVR_DS},
    };
    DcmItem &header = view.header();
    DcmItem *direction = nullptr;
    if (DcmItem *item = view.macro(DCM_MRDiffusionSequence))
        direction = item_of(*item, DCM_DiffusionGradientDirectionSequence);
    direction = direction ? direction : &header;
    if (item_numbers(*direction, DCM_DiffusionGradientOrientation, out, 3) == 3)
        return;
    for (DcmElement *whole : {private_element(header, 0x0019, 0x0e, "SIEMENS MR HEADER"),
                              private_element(header, 0x0065, 0x37, "Image Private Header")})
        if (whole && item_numbers(header, whole->getTag().getXTag(), out, 3) == 3)
            return;
    for (const auto &v : vendors) {
        bool whole = true;
        for (int a = 0; a < 3; a++)
            whole =
                whole && private_number(header, v.group, v.numbers[a], v.creator, v.vr, &out[a]);
        if (whole)
            return;
    }
    std::fill_n(out, 3, NAN);
}

// What GE's values are: (0043,102F) magnitude, phase, real, imaginary from 0 on; and (0043,1030),
// which tells a map of the field from the images that it was made of. Image Type is the same.
// Source, read as fact: GE's DICOM Conformance Statement for MR (private attributes).
// Of an enhanced object the Frame Type and the Complex Image Component of the frame.
void read_kind(frame_view &view, struct image_frame *out)
{
    double value;
    if (view.enhanced())
        if (DcmItem *type = view.where(DCM_FrameType))
            snprintf(out->kind, sizeof out->kind, "%s %s", type_of(*type, DCM_FrameType).c_str(),
                     view.text(DCM_ComplexImageComponent).c_str());
    if (private_number(view.header(), 0x0043, 0x2f, "GEMS_PARM_01", EVR_US, &value))
        snprintf(out->kind, sizeof out->kind, "%g", value);
    if (private_number(view.header(), 0x0043, 0x30, "GEMS_PARM_01", EVR_US, &value))
        snprintf(out->variant, sizeof out->variant, "%g", value);
}

// Does a dimension say where a frame lies, rather than what it shows?
bool is_spatial(const DcmTagKey &tag)
{
    return tag == DCM_StackID || tag == DCM_InStackPositionNumber ||
           tag == DCM_ImagePositionPatient || tag == DCM_ImageOrientationPatient;
}

// The order of a frame among those at its place, by the dimensions of an enhanced object; -1: none.
int32_t dimension_of(frame_view &view)
{
    int64_t order = 0;
    bool any = false;
    DcmItem *content = view.macro(DCM_FrameContentSequence);
    for (long i = 0; content && view.enhanced() && i < DIMENSIONS_MAX; i++) {
        DcmItem *dimension = item_of(view.header(), DCM_DimensionIndexSequence, i);
        DcmElement *pointer = nullptr;
        DcmTagKey tag;
        Uint32 value;
        if (!dimension)
            break;
        if (dimension->findAndGetElement(DCM_DimensionIndexPointer, pointer).bad() || !pointer ||
            pointer->getTagVal(tag).bad() || is_spatial(tag))
            continue;
        if (content->findAndGetUint32(DCM_DimensionIndexValues, value, static_cast<Uint32>(i))
                .bad())
            return -1;
        order = order * DIMENSION_MAX + std::min<Uint32>(value, DIMENSION_MAX - 1);
        if (order > INT32_MAX)
            return -1;
        any = true;
    }
    return any ? static_cast<int32_t>(order) : -1;
}

double number_or_nan(frame_view &view, const DcmTagKey &first, const DcmTagKey &second)
{
    double value;
    return view.number(first, &value) || view.number(second, &value) ? value : NAN;
}

int32_t index_or_none(double value)
{
    return value >= 0 && value <= INT32_MAX && value == floor(value) ? static_cast<int32_t>(value)
                                                                     : -1;
}

void read_axes(const struct object *o, frame_view &view, uint32_t frame, struct image_frame *out)
{
    double stack = NAN, instance = NAN;
    view.number(DCM_StackID, &stack);
    view.number(DCM_InstanceNumber, &instance);
    out->time_s = time_of(o, view, frame);
    out->trigger_ms = number_or_nan(view, DCM_NominalCardiacTriggerDelayTime, DCM_TriggerTime);
    out->echo_ms = number_or_nan(view, DCM_EffectiveEchoTime, DCM_EchoTime);
    out->b_value = b_value_of(view);
    read_gradient(view, out->gradient);
    read_kind(view, out);
    out->dimension = dimension_of(view);
    out->temporal = index_or_none(
        number_or_nan(view, DCM_TemporalPositionIndex, DCM_TemporalPositionIdentifier));
    out->stack = index_or_none(stack);
    out->instance_number = index_or_none(instance);
}

// ---- All of it ----------------------------------------------------------------------------------

// All values of Image Type or Frame Type.
std::string type_of(DcmItem &item, const DcmTagKey &tag)
{
    OFString values;
    return item.findAndGetOFStringArray(tag, values).good() ? std::string(values.c_str()) : "";
}

// Pixel Padding Value and Range Limit are stored values, signed as these are whatever their VR
// says.
void read_padding(DcmItem &header, const struct pixel_format &format, struct image_frame *out)
{
    double value = 0, limit = 0;
    if (format.is_float || format.bits_allocated > 16 ||
        item_numbers(header, DCM_PixelPaddingValue, &value, 1) != 1 || fabs(value) > UINT16_MAX)
        return;
    if (item_numbers(header, DCM_PixelPaddingRangeLimit, &limit, 1) != 1 ||
        fabs(limit) > UINT16_MAX)
        limit = value;
    int32_t ends[2] = {static_cast<int32_t>(value), static_cast<int32_t>(limit)};
    for (int32_t &end : ends)
        end = format.is_signed ? static_cast<int16_t>(end) : static_cast<uint16_t>(end);
    out->padded = true;
    out->padding[0] = std::min(ends[0], ends[1]);
    out->padding[1] = std::max(ends[0], ends[1]);
}

void read_format(const struct object *o, const struct pixel_format &format, frame_view &view,
                 struct image_frame *out)
{
    DcmItem *type = view.where(DCM_FrameType);
    out->columns = format.columns;
    out->rows = format.rows;
    out->bits_stored = format.bits_stored;
    out->is_signed = format.is_signed;
    out->is_float = format.is_float;
    out->inverted = format.inverted;
    out->colour = format.colour != PIXEL_GREY;
    read_padding(view.header(), format, out);
    out->localizer = image_type_is_scout(type_of(view.header(), DCM_ImageType).c_str()) ||
                     (type && image_type_is_scout(type_of(*type, DCM_FrameType).c_str()));
    snprintf(out->sop_instance_uid, sizeof out->sop_instance_uid, "%s", o->ids.id.sop_instance_uid);
    snprintf(out->frame_of_reference_uid, sizeof out->frame_of_reference_uid, "%s",
             item_text(view.header(), DCM_FrameOfReferenceUID, 0).c_str());
}

bool read_frame(struct object *o, uint32_t frame, struct image_frame *out, struct err *err)
{
    struct pixel_format format = {};
    *out = {};
    out->number = frame + 1;
    out->slope = 1;
    snprintf(out->unit, sizeof out->unit, "1");
    std::fill_n(out->pixel_mm, 2, NAN);
    take_away_place(out);
    if (!o->layout.has_pixels)
        return err_set(err, ERR_UNSUPPORTED, "no image");
    if (frame >= object_frame_count(o))
        return err_set(err, ERR_INPUT, "no frame %" PRIu32 " of %" PRIu32, frame + 1,
                       object_frame_count(o));
    if (!object_pixel_format(o, &format, err))
        return false;
    frame_view view(o, frame);
    read_format(o, format, view, out);
    read_axes(o, view, frame, out);
    if (o->mosaic.fault.code) // its place is that of the picture, which is that of no slice
        return err_set(err, o->mosaic.fault.code, "%s", o->mosaic.fault.text);
    if (o->mosaic.slices)
        return read_place(o, view, out, err) && read_values(o, view, out, err) &&
               mosaic_place(o->mosaic, frame, out, err);
    if (!out->localizer &&
        (!is_ct_class(o->ids.id.sop_class_uid) || says_place(view) || view.enhanced()))
        return read_place(o, view, out, err) && read_values(o, view, out, err);
    // is never measured, nor is what has no place: what it lacks is no error
    struct image_frame bare = *out;
    if (!read_place(o, view, out, nullptr))
        *out = bare;
    bare = *out;
    if (!read_values(o, view, out, nullptr))
        *out = bare;
    return true;
}

// ---- How it is shown ----------------------------------------------------------------------------

// The first window that can be used.
bool read_window(frame_view &view, struct voi *out)
{
    double centre = 0, width = 0;
    const std::string function = view.text(DCM_VOILUTFunction);
    const enum voi_kind kind = function == "SIGMOID"        ? VOI_SIGMOID
                               : function == "LINEAR_EXACT" ? VOI_LINEAR_EXACT
                                                            : VOI_LINEAR;
    DcmItem *item = view.where(DCM_WindowCenter);
    for (long i = 0; item && i < WINDOWS_MAX; i++) {
        const std::string text = item_text(*item, DCM_WindowWidth, i);
        const bool numbers = item_number(*item, DCM_WindowCenter, i, &centre) &&
                             item_number(*item, DCM_WindowWidth, i, &width);
        if (numbers && voi_window_usable(kind, centre, width)) {
            out->kind = kind;
            out->centre = centre;
            out->width = width;
            return true;
        }
        char shown[33];
        if (i == 0)
            snprintf(out->unusable, sizeof out->unusable, "Window Width %s",
                     text_shown(text.c_str(), shown, sizeof shown));
    }
    return false;
}

bool read_voi_table(frame_view &view, bool is_signed, struct voi *out, struct err *err)
{
    struct lookup_table table = {};
    struct err why = {};
    DcmItem *holder = view.where(DCM_VOILUTSequence);
    DcmItem *item = holder ? item_of(*holder, DCM_VOILUTSequence) : nullptr;
    if (!item)
        return true;
    if (!lookup_table_read(*item, DCM_LUTDescriptor, DCM_LUTData, nullptr, is_signed, &table,
                           &why)) {
        snprintf(out->unusable, sizeof out->unusable, "VOI LUT: %.40s", why.text);
        return true;
    }
    out->table = static_cast<uint16_t *>(malloc(table.entries.size() * sizeof *out->table));
    if (!out->table)
        return err_set(err, ERR_NOMEM, "no memory for a table");
    std::copy(table.entries.begin(), table.entries.end(), out->table);
    out->kind = VOI_TABLE;
    out->first = table.first;
    out->count = static_cast<uint32_t>(table.entries.size());
    out->bits = table.bits;
    return true;
}

// Window and table take what the rescale gives; modality values may be by Real World Value Mapping.
bool read_voi(struct object *o, uint32_t frame, struct voi *out, struct err *err)
{
    struct image_frame f;
    *out = {};
    if (!read_frame(o, frame, &f, err))
        return false;
    if (f.colour)
        return err_set(err, ERR_INPUT, "no grey values");
    frame_view view(o, frame);
    struct image_frame rescaled = f;
    if (!read_rescale(view, false, &rescaled, nullptr)) {
        rescaled.slope = f.slope; // its values are stored ones
        rescaled.intercept = f.intercept;
    }
    out->scale = rescaled.slope / f.slope;
    out->offset = rescaled.intercept - out->scale * f.intercept;
    const bool may_be_negative = rescaled.is_signed || rescaled.slope < 0 || rescaled.intercept < 0;
    return read_window(view, out) || read_voi_table(view, may_be_negative, out, err);
}

// ---- Attributes of the functional groups
// ----------------------------------------------------------

// The enhanced objects have a sequence of agents and say for each frame whether it was in the
// patient.
void add_contrast(frame_view &view, attribute_list &list)
{
    DcmItem &header = view.header();
    DcmItem *agent = item_of(header, DCM_ContrastBolusAgentSequence);
    DcmElement *meaning = nullptr;
    if (agent && !header.tagExistsWithValue(DCM_ContrastBolusAgent) &&
        view.text(DCM_ContrastBolusAgentAdministered) != "NO" &&
        agent->findAndGetElement(DCM_CodeMeaning, meaning).good() && meaning)
        list.add_as("ContrastBolusAgent", *meaning);
}

// What sequences of the data set or of the functional groups say of how an image was made, under
// keys that name the place: "DerivationCodeSequence[0].CodeValue".
void add_derivation(frame_view &view, attribute_list &list)
{
    static const char energy[] =
        "MultienergyCTCharacteristicsSequence[0].MonoenergeticEnergyEquivalent";
    DcmItem *image = view.enhanced() ? view.macro(DCM_DerivationImageSequence) : nullptr;
    DcmElement *element = nullptr;
    for (long i = 0; i < DERIVATIONS_MAX; i++) {
        DcmItem *code = item_of(image ? *image : view.header(), DCM_DerivationCodeSequence, i);
        if (!code)
            break;
        std::string key = "DerivationCodeSequence[" + std::to_string(i) + "].CodeValue";
        if (code->findAndGetElement(DCM_CodeValue, element).good() && element)
            list.add_as(key.c_str(), *element);
    }
    DcmItem *at = view.macro(DCM_MultienergyCTCharacteristicsSequence);
    at = at && view.enhanced() ? at
                               : item_of(view.header(), DCM_MultienergyCTCharacteristicsSequence);
    if (at && at->findAndGetElement(DCM_MonoenergeticEnergyEquivalent, element).good() && element)
        list.add_as(energy, *element);
    DcmElement *phase = private_element(view.header(), 0x7005, 0x04, "TOSHIBA_MEC_CT3");
    if (phase)
        list.add_as(IMAGE_TOSHIBA_PERCENT, *phase);
}

// The view of a mammogram, whose codes stand in sequences: PS3.3 C.8.11.7.1.2.
void add_mammographic_view(frame_view &view, attribute_list &list)
{
    DcmItem *code = item_of(view.header(), DCM_ViewCodeSequence);
    DcmElement *element = nullptr;
    if (!code)
        return;
    if (code->findAndGetElement(DCM_CodeValue, element).good() && element)
        list.add_as("ViewCodeSequence[0].CodeValue", *element);
    for (long i = 0; i < VIEW_MODIFIERS_MAX; i++) {
        DcmItem *modifier = item_of(*code, DCM_ViewModifierCodeSequence, i);
        if (!modifier)
            break;
        const std::string key =
            "ViewCodeSequence[0].ViewModifierCodeSequence[" + std::to_string(i) + "].CodeValue";
        if (modifier->findAndGetElement(DCM_CodeValue, element).good() && element)
            list.add_as(key.c_str(), *element);
    }
}

bool read_group_attrs(const struct object *o, uint32_t frame, struct attrs *own, struct err *err)
{
    frame_view view(o, frame);
    attribute_list list(view.header(), own);
    add_derivation(view, list);
    add_mammographic_view(view, list);
    if (!view.enhanced())
        return list.finish(err);
    for (DcmItem *groups : {view.own(), o->shared_groups}) {
        each_macro(groups, [&](DcmItem &item) {
            list.add_item(item); // what stands there already stays: own first
            return true;
        });
    }
    add_contrast(view, list);
    return list.finish(err);
}

} // namespace

bool object_frame(const struct object *o, uint32_t frame, struct image_frame *out, struct err *err)
{
    return object_guard(
        err, [&] { return read_frame(const_cast<struct object *>(o), frame, out, err); });
}

bool object_voi(const struct object *o, uint32_t frame, struct voi *out, struct err *err)
{
    return object_guard(err,
                        [&] { return read_voi(const_cast<struct object *>(o), frame, out, err); });
}

bool object_frame_attrs(const struct object *o, uint32_t frame, struct attrs *own, struct err *err)
{
    return object_guard(err, [&] { return read_group_attrs(o, frame, own, err); });
}
