// Grayscale Softcopy Presentation States, one a source series (two where some of its images are
// MONOCHROME1): outlines and texts on the frames
// that have some, the source's own rescale and window kept. Sources: PS3.3 A.33.1, C.10.4
// (displayed area), C.10.5 (annotation), C.10.7 (layers), C.11.1, C.11.6, C.11.8, C.11.10, C.11.11.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <sstream>
#include "dimse/write/encoders.h"

// How one frame is shown, as its header says, and what is drawn on it.
struct shown {
    struct source_frame frame;
    std::vector<const struct mark *> marks; // in the order of the findings
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

// "MONOCHROME1": the lowest value is white.
static std::string photometric(const struct shown &s)
{
    return item_text(s.header->header, DCM_PhotometricInterpretation, 0);
}

// A presentation state of this kind is for images of one sample a pixel (PS3.3 A.33.1).
static bool is_grayscale(const struct shown &s)
{
    return photometric(s).rfind("MONOCHROME", 0) == 0;
}

// Frames of a series, by the index in the image set, with their marks.
typedef std::map<uint32_t, std::vector<const struct mark *>> marked_frames;

static std::vector<struct shown> frames_with_marks(const result_set &set,
                                                   const marked_frames &frames)
{
    std::vector<struct shown> all;
    std::map<const struct result_source *, source_header> headers;
    for (const auto &[index, marks] : frames) {
        const struct image_frame &frame = set.request.images->frames[index];
        struct shown s = {};
        s.marks = marks;
        s.frame = set.frame(index);
        s.columns = frame.columns;
        s.rows = frame.rows;
        source_header &header = headers[s.frame.source];
        if (!header)
            header = identity_open(s.frame.source->path);
        s.header = header;
        if (!is_grayscale(s))
            continue;
        read_window(s);
        read_rescale(s);
        read_spacing(s);
        all.push_back(s);
    }
    return all;
}

// --- modules ---

static void gsps_put_references(DcmItem &item, const std::vector<const struct shown *> &of)
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

static void put_relationship(DcmDataset &ds, const struct source_series &of,
                             const std::vector<struct shown> &all)
{
    DcmItem &series = encode_item(ds, DCM_ReferencedSeriesSequence);
    encode_text(series, DCM_SeriesInstanceUID, of.series_uid);
    std::vector<const struct shown *> every;
    every.reserve(all.size());
    for (const struct shown &s : all)
        every.push_back(&s);
    gsps_put_references(series, every);
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
        gsps_put_references(area, slices);
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
        gsps_put_references(voi, slices);
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
    const std::vector<Uint16> lab = encode_cielab(rgb);
    encode_text(layer, DCM_GraphicLayer, name);
    encode_text(layer, DCM_GraphicLayerOrder, std::to_string(order));
    encode_short(layer, DCM_GraphicLayerDescription, description, 64);
    encode_u16(layer, DCM_GraphicLayerRecommendedDisplayGrayscaleValue, {lab[0]});
    encode_u16(layer, DCM_GraphicLayerRecommendedDisplayCIELabValue, lab);
}

// Indices of the layers from the lowest up.
static std::vector<uint32_t> layers_in_order(const struct findings &f)
{
    std::vector<uint32_t> order(f.layer_count);
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&f](uint32_t a, uint32_t b) {
        return f.layers[a].order < f.layers[b].order;
    });
    return order;
}

static void put_layers(DcmDataset &ds, const result_set &set)
{
    static const uint8_t gray[3] = {200, 200, 200};
    int order = 0;
    for (const uint32_t i : layers_in_order(set.findings)) {
        const struct layer &layer = set.findings.layers[i];
        put_layer(ds, ++order, layer.name,
                  set.text(layer.description ? layer.description : layer.name), layer.rgb);
    }
    put_layer(ds, order + 1, notice_layer, not_for_diagnostic_use, gray);
}

static void put_graphic(DcmItem &annotation, const struct mark &m)
{
    DcmItem &graphic = encode_item(annotation, DCM_GraphicObjectSequence);
    const bool closed =
        m.kind == MARK_ELLIPSE || (m.count > 2 && m.points[0] == m.points[2 * m.count - 2] &&
                                   m.points[1] == m.points[2 * m.count - 1]);
    encode_text(graphic, DCM_GraphicAnnotationUnits, "PIXEL");
    encode_u16(graphic, DCM_GraphicDimensions, {2});
    const std::vector<Float32> points = encode_points(m.points, m.count);
    encode_u16(graphic, DCM_NumberOfGraphicPoints, {(Uint16)(points.size() / 2)});
    encode_f32(graphic, DCM_GraphicData, points);
    encode_text(graphic, DCM_GraphicType,
                m.kind == MARK_POINT      ? "POINT"
                : m.kind == MARK_POLYLINE ? "POLYLINE"
                                          : "ELLIPSE");
    if (closed)
        encode_text(graphic, DCM_GraphicFilled, "N");
}

// Lines end in CR LF (PS3.3 C.10.5.1.1). text: UTF-8; longest: letters of the longest line.
static std::string gsps_lines(const std::string &text, size_t *longest, size_t *lines)
{
    std::string out, line;
    std::istringstream from(text);
    *longest = *lines = 0;
    while (std::getline(from, line)) {
        const auto letters = std::count_if(line.begin(), line.end(), [](char c) {
            return ((unsigned char)c & 0xc0) != 0x80; // else a further byte of the same letter
        });
        out += (*lines ? "\r\n" : "") + line;
        *longest = std::max(*longest, (size_t)letters);
        ++*lines;
    }
    return out;
}

// The box has room for letters of a 36th of the image's width, and stays inside the image.
static void put_text(DcmItem &annotation, const result_set &set, const struct mark &m,
                     const struct shown &s)
{
    if (m.count < 2)
        throw encode_error(ERR_INTERNAL, "a text without anchor and place");
    size_t longest, lines;
    const std::string text = set.text(gsps_lines(m.text ? m.text : "", &longest, &lines));
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
    gsps_put_references(annotation, {&s});
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

static void put_annotations(DcmDataset &ds, const result_set &set, const struct shown &s)
{
    std::map<int, std::vector<const struct mark *>> by_layer;
    for (const struct mark *m : s.marks)
        by_layer[m->layer].push_back(m);
    for (const uint32_t layer : layers_in_order(set.findings)) {
        const auto marks = by_layer.find((int)layer);
        if (marks == by_layer.end())
            continue;
        DcmItem &annotation = add_annotation(ds, s, set.findings.layers[layer].name);
        for (const struct mark *m : marks->second) {
            if (m->kind == MARK_TEXT)
                put_text(annotation, set, *m, s);
            else
                put_graphic(annotation, *m);
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
    encode_text(ds, DCM_ContentLabel, label(set.request.stage.name));
    encode_short(ds, DCM_ContentDescription, set.text(set.request.stage.title), 64);
    encode_text(ds, DCM_ContentCreatorName, std::string(maker_name) + "^");
    encode_text(ds, DCM_PresentationCreationDate, set.date);
    encode_text(ds, DCM_PresentationCreationTime, set.time);
    identity_copy_request(ds, set);
    identity_body_part(ds, set);
}

static void encode_state(const result_set &set, const struct source_series &series,
                         const std::vector<struct shown> &all, uint32_t index, object_sink &sink)
{
    const struct object_name name = {RESULT_GSPS, "", index};
    std::unique_ptr<DcmFileFormat> file =
        identity_object(set, name, UID_GrayscaleSoftcopyPresentationStateStorage, "PR");
    DcmDataset &ds = *file->getDataset();
    put_state(ds, set);
    put_relationship(ds, series, all);
    put_displayed_area(ds, all);
    put_windows(ds, all, put_rescale(ds, all));
    const bool inverse = photometric(all[0]) == "MONOCHROME1";
    encode_text(ds, DCM_PresentationLUTShape, inverse ? "INVERSE" : "IDENTITY");
    put_layers(ds, set);
    for (const struct shown &s : all)
        put_annotations(ds, set, s);
    sink.put(name, *file);
}

void gsps_encode(const result_set &set, object_sink &sink)
{
    std::map<const struct source_series *, marked_frames> marked; // in the order of set.series
    for (uint32_t i = 0; i < set.findings.mark_count; i++) {
        const struct mark &m = set.findings.marks[i];
        if (!m.count)
            continue;
        const uint32_t frame = set.frame_index(m.place);
        marked[&set.series_of(frame)][frame].push_back(&m);
    }
    uint32_t index = 0;
    for (const auto &[series, frames] : marked) {
        // a state has one Presentation LUT Shape for all its images
        std::map<std::string, std::vector<struct shown>> by_shape;
        for (const struct shown &s : frames_with_marks(set, frames))
            by_shape[photometric(s)].push_back(s);
        for (const auto &[shape, all] : by_shape)
            encode_state(set, *series, all, ++index, sink);
    }
}
