// Grayscale Softcopy Presentation State: outlines and texts on the slices that have some, the
// source's own rescale and window kept.
// Sources: PS3.3 A.33.1, C.10.4 (displayed area), C.10.5 (annotation), C.10.7 (layers), C.11.1,
// C.11.6, C.11.8, C.11.10, C.11.11.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <sstream>
#include "dcmtk/dcmiod/cielabutil.h"
#include "dimse/write/encoders.h"

// How one slice is shown, as its header says.
struct shown {
    struct source_frame frame;
    uint32_t slice;
    uint32_t columns, rows;
    std::string spacing, aspect; // spacing "" when unknown
    std::string rescale;         // equal for equal Modality LUTs
    std::string window;          // equal for equal VOI LUTs; "" when there is none
    double slope, intercept;
    source_header header;
    DcmItem *rescale_item, *window_item; // in header: where the attributes are; NULL when absent
};

// --- what the source says ---

// The item that holds an attribute: the data set, or the functional groups of the frame.
static DcmItem *holder(DcmDataset &ds, uint32_t frame, const DcmTagKey &tag)
{
    if (ds.tagExistsWithValue(tag))
        return &ds;
    const struct {
        DcmTagKey sequence;
        long index;
    } groups[] = {{DCM_PerFrameFunctionalGroupsSequence, (long)frame - 1},
                  {DCM_SharedFunctionalGroupsSequence, 0}};
    for (const auto &g : groups) {
        DcmItem *item = nullptr;
        DcmStack stack;
        if (ds.findAndGetSequenceItem(g.sequence, item, g.index).good() && item &&
            item->search(tag, stack, ESM_fromHere, OFTrue).good() && stack.card() > 1)
            return OFstatic_cast(DcmItem *, stack.elem(1));
    }
    return nullptr;
}

static std::string window_key(DcmItem &item)
{
    double centre, width;
    const std::string function = item_text(item, DCM_VOILUTFunction, 0);
    const bool exact = function == "LINEAR_EXACT" || function == "SIGMOID";
    if (!item_number(item, DCM_WindowCenter, 0, &centre) ||
        !item_number(item, DCM_WindowWidth, 0, &width) || (exact ? width <= 0 : width < 1))
        return "";
    return item_text(item, DCM_WindowCenter, 0) + "\\" + item_text(item, DCM_WindowWidth, 0) +
           "\\" + function;
}

// A LUT as text, so that two can be compared.
static std::string table_key(DcmItem &item, const DcmTagKey &sequence)
{
    DcmItem *table = nullptr;
    if (item.findAndGetSequenceItem(sequence, table, 0).bad() || !table)
        return "";
    const Uint16 *values = nullptr;
    unsigned long count = 0;
    std::string key = "table " + item_text(*table, DCM_LUTDescriptor) + " ";
    if (table->findAndGetUint16Array(DCM_LUTData, values, &count).good() && values)
        key.append(reinterpret_cast<const char *>(values), count * sizeof *values);
    return key;
}

static void read_window(struct shown &s)
{
    DcmDataset &ds = s.header->header;
    s.window_item = holder(ds, s.frame.frame, DCM_WindowCenter);
    s.window = s.window_item ? window_key(*s.window_item) : "";
    if (!s.window.empty())
        return;
    s.window_item = holder(ds, s.frame.frame, DCM_VOILUTSequence);
    s.window = s.window_item ? table_key(*s.window_item, DCM_VOILUTSequence) : "";
}

static void read_rescale(struct shown &s)
{
    DcmDataset &ds = s.header->header;
    s.slope = 1;
    s.intercept = 0;
    s.rescale_item = holder(ds, s.frame.frame, DCM_RescaleSlope);
    if (s.rescale_item && item_number(*s.rescale_item, DCM_RescaleSlope, 0, &s.slope) &&
        item_number(*s.rescale_item, DCM_RescaleIntercept, 0, &s.intercept) && s.slope != 0) {
        s.rescale = encode_decimal(s.slope) + "\\" + encode_decimal(s.intercept);
        return;
    }
    s.slope = 1;
    s.intercept = 0;
    s.rescale_item = holder(ds, s.frame.frame, DCM_ModalityLUTSequence);
    s.rescale = s.rescale_item ? table_key(*s.rescale_item, DCM_ModalityLUTSequence) : "";
}

static std::string positive_pair(DcmItem &item, const DcmTagKey &tag)
{
    double pair[2];
    const bool usable = item_numbers(item, tag, pair, 2) == 2 && pair[0] > 0 && pair[1] > 0;
    return usable ? item_text(item, tag) : "";
}

static void read_spacing(struct shown &s)
{
    DcmDataset &ds = s.header->header;
    for (const DcmTagKey &tag : {DCM_PixelSpacing, DCM_ImagerPixelSpacing}) {
        DcmItem *item = holder(ds, s.frame.frame, tag);
        s.spacing = item ? positive_pair(*item, tag) : "";
        if (!s.spacing.empty())
            return;
    }
    s.aspect = positive_pair(ds, DCM_PixelAspectRatio);
    if (s.aspect.empty())
        s.aspect = "1\\1";
}

static std::vector<struct shown> slices_with_marks(const result_set &set)
{
    std::set<uint32_t> slices;
    for (uint32_t i = 0; i < set.findings.mark_count; i++)
        slices.insert(set.findings.marks[i].slice);
    std::vector<struct shown> all;
    for (uint32_t k : slices) {
        struct shown s = {};
        s.slice = k;
        s.frame = set.frame(k);
        s.columns = set.request.volume->dim[0];
        s.rows = set.request.volume->dim[1];
        if (!all.empty() && all.back().frame.source == s.frame.source)
            s.header = all.back().header;
        else
            s.header = identity_open(s.frame.source->path);
        read_window(s);
        read_rescale(s);
        read_spacing(s);
        all.push_back(s);
    }
    return all;
}

// --- modules ---

static void put_references(DcmItem &item, const std::vector<const struct shown *> &of)
{
    std::map<std::string, DcmItem *> made; // one item an instance, with all its frames
    for (const struct shown *s : of) {
        DcmItem *&image = made[s->frame.source->sop_instance_uid];
        if (!image) {
            image = &encode_item(item, DCM_ReferencedImageSequence);
            identity_reference(*image, s->frame);
            continue;
        }
        const std::string frames = item_text(*image, DCM_ReferencedFrameNumber);
        encode_text(*image, DCM_ReferencedFrameNumber,
                    frames + "\\" + std::to_string(s->frame.frame));
    }
}

// Slices that are shown alike, in a fixed order.
template <typename Key>
static std::map<std::string, std::vector<const struct shown *>> alike(
    const std::vector<struct shown> &all, Key key)
{
    std::map<std::string, std::vector<const struct shown *>> groups;
    for (const struct shown &s : all)
        groups[key(s)].push_back(&s);
    return groups;
}

static void put_relationship(DcmDataset &ds, const result_set &set,
                             const std::vector<struct shown> &all)
{
    DcmItem &series = encode_item(ds, DCM_ReferencedSeriesSequence);
    encode_text(series, DCM_SeriesInstanceUID, set.series_uid);
    std::vector<const struct shown *> every;
    every.reserve(all.size());
    for (const struct shown &s : all)
        every.push_back(&s);
    put_references(series, every);
}

static void put_corner(DcmItem &item, const DcmTagKey &tag, uint32_t column, uint32_t row)
{
    encode_text(item, tag, std::to_string(column) + "\\" + std::to_string(row));
}

static void put_displayed_area(DcmDataset &ds, const std::vector<struct shown> &all)
{
    const auto groups = alike(all, [](const struct shown &s) {
        return std::to_string(s.columns) + " " + std::to_string(s.rows) + " " + s.spacing + " " +
               s.aspect;
    });
    for (const auto &[key, slices] : groups) {
        const struct shown &s = *slices[0];
        DcmItem &area = encode_item(ds, DCM_DisplayedAreaSelectionSequence);
        put_references(area, slices);
        put_corner(area, DCM_DisplayedAreaTopLeftHandCorner, 1, 1);
        put_corner(area, DCM_DisplayedAreaBottomRightHandCorner, s.columns, s.rows);
        encode_text(area, DCM_PresentationSizeMode, "SCALE TO FIT");
        if (s.spacing.empty())
            encode_text(area, DCM_PresentationPixelAspectRatio, s.aspect);
        else
            encode_text(area, DCM_PresentationPixelSpacing, s.spacing);
    }
}

// One Modality LUT holds for all images of a state. Where the slices differ there is none, and the
// windows are turned into stored values instead.
static bool put_rescale(DcmDataset &ds, const std::vector<struct shown> &all)
{
    for (const struct shown &s : all)
        if (s.rescale != all[0].rescale)
            return false;
    DcmItem *from = all[0].rescale_item;
    if (all[0].rescale.empty() || !from)
        return true;
    if (all[0].rescale.rfind("table", 0) == 0) {
        encode_copy(ds, *from, DCM_ModalityLUTSequence);
        return true;
    }
    encode_text(ds, DCM_RescaleSlope, item_text(*from, DCM_RescaleSlope, 0));
    encode_text(ds, DCM_RescaleIntercept, item_text(*from, DCM_RescaleIntercept, 0));
    const std::string type = item_text(*from, DCM_RescaleType, 0);
    encode_short(ds, DCM_RescaleType, type.empty() ? "US" : type, 16);
    return true;
}

static void put_window(DcmItem &voi, const struct shown &s)
{
    DcmItem &from = *s.window_item;
    encode_text(voi, DCM_WindowCenter, item_text(from, DCM_WindowCenter, 0));
    encode_text(voi, DCM_WindowWidth, item_text(from, DCM_WindowWidth, 0));
    encode_copy(voi, from, DCM_VOILUTFunction);
}

// PS3.3 C.11.2.1.2: LINEAR has its half and its one in the unit of its input.
static void put_stored_window(DcmItem &voi, const struct shown &s)
{
    double centre = 0, width = 1;
    item_number(*s.window_item, DCM_WindowCenter, 0, &centre);
    item_number(*s.window_item, DCM_WindowWidth, 0, &width);
    const std::string function = item_text(*s.window_item, DCM_VOILUTFunction, 0);
    const bool exact = function == "LINEAR_EXACT" || function == "SIGMOID";
    const double shift = exact ? 0 : 0.5, extra = exact ? 0 : 1;
    centre = (centre - shift - s.intercept) / s.slope + shift;
    width = (width - extra) / std::fabs(s.slope) + extra;
    encode_text(voi, DCM_WindowCenter, encode_decimal(centre));
    encode_text(voi, DCM_WindowWidth, encode_decimal(width));
    encode_copy(voi, *s.window_item, DCM_VOILUTFunction);
}

static void put_windows(DcmDataset &ds, const std::vector<struct shown> &all, bool in_modality)
{
    const auto groups = alike(all, [in_modality](const struct shown &s) {
        return in_modality ? s.window : s.window.empty() ? "" : s.window + " " + s.rescale;
    });
    for (const auto &[key, slices] : groups) {
        const bool table = key.rfind("table", 0) == 0;
        if (key.empty() || (table && !in_modality))
            continue;
        DcmItem &voi = encode_item(ds, DCM_SoftcopyVOILUTSequence);
        put_references(voi, slices);
        if (table)
            encode_copy(voi, *slices[0]->window_item, DCM_VOILUTSequence);
        else if (in_modality)
            put_window(voi, *slices[0]);
        else
            put_stored_window(voi, *slices[0]);
    }
}

// --- layers and annotations ---

static const char notice_layer[] = "NOTICE";

static void put_layer(DcmDataset &ds, int order, const std::string &name,
                      const std::string &description, const uint8_t rgb[3])
{
    DcmItem &layer = encode_item(ds, DCM_GraphicLayerSequence);
    Uint16 lab[3];
    double l, a, b;
    IODCIELabUtil::rgb2DicomLab(l, a, b, rgb[0] / 255.0, rgb[1] / 255.0, rgb[2] / 255.0);
    lab[0] = (Uint16)std::clamp(l, 0.0, 65535.0);
    lab[1] = (Uint16)std::clamp(a, 0.0, 65535.0);
    lab[2] = (Uint16)std::clamp(b, 0.0, 65535.0);
    encode_text(layer, DCM_GraphicLayer, name);
    encode_text(layer, DCM_GraphicLayerOrder, std::to_string(order));
    encode_short(layer, DCM_GraphicLayerDescription, description, 64);
    encode_u16(layer, DCM_GraphicLayerRecommendedDisplayGrayscaleValue, {lab[0]});
    encode_u16(layer, DCM_GraphicLayerRecommendedDisplayCIELabValue, {lab[0], lab[1], lab[2]});
}

static void put_layers(DcmDataset &ds, const struct findings &f)
{
    static const uint8_t gray[3] = {200, 200, 200};
    for (uint32_t i = 0; i < f.layer_count; i++)
        put_layer(ds, (int)i + 1, f.layers[i].name,
                  f.layers[i].description ? f.layers[i].description : f.layers[i].name,
                  f.layers[i].rgb);
    put_layer(ds, (int)f.layer_count + 1, notice_layer, not_for_diagnostic_use, gray);
}

static void put_graphic(DcmItem &annotation, const struct mark &m)
{
    DcmItem &graphic = encode_item(annotation, DCM_GraphicObjectSequence);
    const bool closed =
        m.kind == MARK_ELLIPSE || (m.count > 2 && m.points[0] == m.points[2 * m.count - 2] &&
                                   m.points[1] == m.points[2 * m.count - 1]);
    if (m.count > UINT16_MAX)
        throw encode_error(ERR_INTERNAL, "an outline of more than 65535 points");
    encode_text(graphic, DCM_GraphicAnnotationUnits, "PIXEL");
    encode_u16(graphic, DCM_GraphicDimensions, {2});
    encode_u16(graphic, DCM_NumberOfGraphicPoints, {(Uint16)m.count});
    encode_f32(graphic, DCM_GraphicData,
               std::vector<Float32>(m.points, m.points + 2 * (size_t)m.count));
    encode_text(graphic, DCM_GraphicType,
                m.kind == MARK_POINT      ? "POINT"
                : m.kind == MARK_POLYLINE ? "POLYLINE"
                                          : "ELLIPSE");
    if (closed)
        encode_text(graphic, DCM_GraphicFilled, "N");
}

// Lines end in CR LF (PS3.3 C.10.5.1.1).
static std::string gsps_lines(const std::string &text, size_t *longest, size_t *lines)
{
    std::string out, line;
    std::istringstream from(text);
    *longest = *lines = 0;
    while (std::getline(from, line)) {
        out += (*lines ? "\r\n" : "") + line;
        *longest = std::max(*longest, line.size());
        ++*lines;
    }
    return out;
}

// The box has room for letters of a 36th of the image's width, and stays inside the image.
static void put_text(DcmItem &annotation, const struct mark &m, const struct shown &s)
{
    if (m.count < 2)
        throw encode_error(ERR_INTERNAL, "a text without anchor and place");
    size_t longest, lines;
    const std::string text = gsps_lines(m.text ? m.text : "", &longest, &lines);
    const float height = (float)s.columns / 36, width = height * 0.6F;
    const float box_width = std::min((float)longest * width, (float)s.columns),
                box_height = std::min((float)lines * height, (float)s.rows);
    const float left = std::clamp(m.points[2], 0.0F, (float)s.columns - box_width),
                top = std::clamp(m.points[3], 0.0F, (float)s.rows - box_height);
    DcmItem &object = encode_item(annotation, DCM_TextObjectSequence);
    encode_text(object, DCM_BoundingBoxAnnotationUnits, "PIXEL");
    encode_text(object, DCM_AnchorPointAnnotationUnits, "PIXEL");
    encode_text(object, DCM_UnformattedTextValue, text);
    encode_f32(object, DCM_BoundingBoxTopLeftHandCorner, {left, top});
    encode_f32(object, DCM_BoundingBoxBottomRightHandCorner, {left + box_width, top + box_height});
    encode_text(object, DCM_BoundingBoxTextHorizontalJustification, "LEFT");
    encode_f32(object, DCM_AnchorPoint, {m.points[0], m.points[1]});
    encode_text(object, DCM_AnchorPointVisibility, "Y");
}

static DcmItem &add_annotation(DcmDataset &ds, const struct shown &s, const std::string &layer)
{
    DcmItem &annotation = encode_item(ds, DCM_GraphicAnnotationSequence);
    put_references(annotation, {&s});
    encode_text(annotation, DCM_GraphicLayer, layer);
    return annotation;
}

static void put_notice(DcmDataset &ds, const struct shown &s)
{
    DcmItem &object = encode_item(add_annotation(ds, s, notice_layer), DCM_TextObjectSequence);
    encode_text(object, DCM_BoundingBoxAnnotationUnits, "DISPLAY");
    encode_text(object, DCM_UnformattedTextValue, not_for_diagnostic_use);
    encode_f32(object, DCM_BoundingBoxTopLeftHandCorner, {0.02F, 0.96F});
    encode_f32(object, DCM_BoundingBoxBottomRightHandCorner, {0.98F, 0.985F});
    encode_text(object, DCM_BoundingBoxTextHorizontalJustification, "CENTER");
}

static void put_annotations(DcmDataset &ds, const struct findings &f, const struct shown &s)
{
    for (uint32_t layer = 0; layer < f.layer_count; layer++) {
        DcmItem *annotation = nullptr;
        for (uint32_t i = 0; i < f.mark_count; i++) {
            const struct mark &m = f.marks[i];
            if (m.slice != s.slice || m.layer != (int)layer || !m.count)
                continue;
            if (!annotation)
                annotation = &add_annotation(ds, s, f.layers[layer].name);
            if (m.kind == MARK_TEXT)
                put_text(*annotation, m, s);
            else
                put_graphic(*annotation, m);
        }
    }
    put_notice(ds, s);
}

// --- the state ---

static std::string label(const std::string &name)
{
    std::string out;
    for (char c : name.substr(0, 16))
        out += isalnum((unsigned char)c) ? (char)toupper((unsigned char)c) : '_';
    return out;
}

static void put_state(DcmDataset &ds, const result_set &set)
{
    encode_text(ds, DCM_ContentLabel, label(set.request.stage->name));
    encode_short(ds, DCM_ContentDescription, set.request.stage->title, 64);
    encode_text(ds, DCM_ContentCreatorName, std::string(maker_name) + "^");
    encode_text(ds, DCM_PresentationCreationDate, set.date);
    encode_text(ds, DCM_PresentationCreationTime, set.time);
    identity_copy_request(ds, set);
    identity_body_part(ds, set);
}

std::unique_ptr<DcmFileFormat> gsps_encode(const result_set &set)
{
    const std::vector<struct shown> all = slices_with_marks(set);
    if (all.empty())
        return nullptr;
    std::unique_ptr<DcmFileFormat> file =
        identity_object(set, RESULT_GSPS, UID_GrayscaleSoftcopyPresentationStateStorage, "PR");
    DcmDataset &ds = *file->getDataset();
    put_state(ds, set);
    put_relationship(ds, set, all);
    put_displayed_area(ds, all);
    put_windows(ds, all, put_rescale(ds, all));
    // MONOCHROME1 is shown inverted, and a state's images are all of one kind.
    const bool inverse =
        item_text(all[0].header->header, DCM_PhotometricInterpretation, 0) == "MONOCHROME1";
    encode_text(ds, DCM_PresentationLUTShape, inverse ? "INVERSE" : "IDENTITY");
    put_layers(ds, set.findings);
    for (const struct shown &s : all)
        put_annotations(ds, set.findings, s);
    return file;
}
