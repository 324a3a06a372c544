#include "dimse/read/object.h"
#include <cerrno>
#include <fcntl.h>
#include <zlib.h>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include "dcmtk/dcmdata/dcistrmb.h"
#include "dcmtk/dcmdata/dcrledrg.h"
#include "dcmtk/dcmjpeg/djdecode.h"
#include "dcmtk/dcmjpls/djdecode.h"
#include "dcmtk/oflog/appender.h"
#include "dcmtk/oflog/oflog.h"
#include "dcmtk/oflog/spi/logevent.h"
#include "dimse/read/object_parts.h"
#include "base/log.h"
#include "base/uid.h"

#define HEADER_BYTES_MAX   (512u << 20) // of all elements before Pixel Data
#define INFLATED_BYTES_MAX (1u << 30)   // of a deflated data set
// Images deflate to a half or a quarter, blank ones to a thousandth: deflate can do no more. What
// is small may; what is large and nothing but blank takes memory and time and shows nothing.
#define INFLATED_FREE    (128u << 20) // bytes that may be so much more than they were
#define INFLATED_TIMES   100          // larger ones: so many times what they were at most
#define PEEK_BYTES_MAX   (4u << 20)   // at the beginning of a file
#define TEXT_BYTES_MAX   4096         // longer values are no text to match on
#define SHORT_TEXT_BYTES 64 // LO, the longest of what describes a scan; a list keeps these first

thread_local std::string *decoder_warning;

namespace
{

// Bytes too many between segments do no harm, missing or wrong ones do.
bool is_damage(const std::string &warning)
{
    return warning.find("Corrupt JPEG data") != std::string::npos &&
           warning.find("extraneous bytes") == std::string::npos;
}

// DCMTK's log lines become ours. Control characters are taken out by log_line().
class log_bridge : public dcmtk::log4cplus::Appender
{
  public:
    ~log_bridge() override
    {
        destructorImpl();
    }
    void close() override {}

  protected:
    void append(const dcmtk::log4cplus::spi::InternalLoggingEvent &event) override
    {
        std::string text(event.getMessage().c_str());
        if (decoder_warning) {
            if (decoder_warning->empty() && is_damage(text))
                *decoder_warning = text;
            return;
        }
        if (text.find("DcmSpecificCharacterSet") == 0) // becomes '?', for each instance of a series
            return;
        for (char &c : text)
            c = c == '"' ? '\'' : c;
        log_warn("dcmtk message=\"%s\"", text.c_str());
    }
};

void route_log(void)
{
    dcmtk::log4cplus::Logger root = dcmtk::log4cplus::Logger::getRoot();
    OFLog::configure(OFLogger::ERROR_LOG_LEVEL);
    OFLog::getLogger("dcmtk.dcmjpeg").setLogLevel(OFLogger::WARN_LOG_LEVEL);
    root.removeAllAppenders();
    root.addAppender(dcmtk::log4cplus::SharedAppenderPtr(new log_bridge()));
}

std::string trimmed(const char *text, size_t size)
{
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\0'))
        size--;
    size_t start = 0;
    while (start < size && text[start] == ' ')
        start++;
    return std::string(text + start, size - start);
}

bool is_text(DcmEVR vr)
{
    switch (vr) {
    case EVR_AE:
    case EVR_AS:
    case EVR_CS:
    case EVR_DA:
    case EVR_DS:
    case EVR_DT:
    case EVR_IS:
    case EVR_LO:
    case EVR_LT:
    case EVR_PN:
    case EVR_SH:
    case EVR_ST:
    case EVR_TM:
    case EVR_UC:
    case EVR_UI:
    case EVR_UR:
    case EVR_UT:
        return true;
    default:
        return false;
    }
}

bool follows_character_set(DcmEVR vr)
{
    return vr == EVR_LO || vr == EVR_LT || vr == EVR_PN || vr == EVR_SH || vr == EVR_ST ||
           vr == EVR_UC || vr == EVR_UT;
}

bool is_number(DcmEVR vr)
{
    return vr == EVR_US || vr == EVR_SS || vr == EVR_UL || vr == EVR_SL || vr == EVR_FL ||
           vr == EVR_FD || vr == EVR_SV || vr == EVR_UV;
}

// The whole value of a text element as it is in the data set. False: none, or too long.
bool raw_text(DcmElement &element, std::string *out)
{
    char *text = nullptr;
    Uint32 size = 0;
    if (element.getLengthField() > TEXT_BYTES_MAX || element.getString(text, size).bad())
        return false;
    *out = text ? trimmed(text, size) : std::string();
    return true;
}

bool number_text(DcmElement &element, std::string *out)
{
    OFString text;
    if (element.getLengthField() > TEXT_BYTES_MAX || element.getOFStringArray(text).bad())
        return false;
    out->assign(text.data(), text.size());
    return true;
}

void copy_uid(DcmItem &item, const DcmTagKey &tag, char out[65])
{
    std::string text = item_text(item, tag, 0);
    snprintf(out, 65, "%s", uid_is_usable(text.c_str()) ? text.c_str() : "");
}

// The keyword of a standard attribute that text or numbers stand in; NULL: none.
const char *keyword_of(DcmElement &element)
{
    DcmTag &tag = const_cast<DcmTag &>(element.getTag());
    if (tag.getGroup() % 2 == 1 || tag.getElement() == 0 || tag.isUnknownVR())
        return nullptr;
    const char *keyword = tag.getTagName();
    if (strncmp(keyword, "RETIRED_", 8) == 0)
        keyword += 8;
    return strchr(keyword, ' ') ? nullptr : keyword; // DCMTK's name for what it does not know
}

bool add_attributes(DcmDataset &header, struct attrs *out, struct err *err)
{
    attribute_list list(header, out);
    list.add_watched(header); // first: a list that is too long loses its end
    list.add_item(header);
    return list.finish(err);
}

// Frame Time Vector: times between frames, the first one 0.
void read_frame_times(struct object *o)
{
    DcmElement *element = nullptr;
    char *text = nullptr;
    Uint32 size = 0;
    double sum = 0;
    if (o->header.findAndGetElement(DCM_FrameTimeVector, element).bad() || !element ||
        !element->isLeaf() || !is_text(element->ident()) || element->getString(text, size).bad() ||
        !text)
        return;
    for (uint32_t at = 0; at <= size && o->frame_times_ms.size() < o->ids.frames;) {
        const void *end = memchr(text + at, '\\', size - at);
        uint32_t next = end ? static_cast<uint32_t>(static_cast<const char *>(end) - text) : size;
        double step = 0;
        if (!text_number(std::string(text + at, next - at), &step) || step < 0)
            break;
        sum += o->frame_times_ms.empty() ? 0 : step;
        o->frame_times_ms.push_back(sum);
        at = next + 1;
    }
    if (o->frame_times_ms.size() < o->ids.frames)
        o->frame_times_ms.clear();
}

// Whether a sequence of functional groups has an item that holds something.
bool says_something(DcmItem &header, const DcmTagKey &tag)
{
    DcmSequenceOfItems *groups = nullptr;
    if (header.findAndGetSequence(tag, groups).bad() || !groups)
        return false;
    for (DcmObject *i = groups->nextInContainer(nullptr); i; i = groups->nextInContainer(i)) {
        if (static_cast<DcmItem *>(i)->card() > 0)
            return true;
    }
    return false;
}

// Archives leave sequences of functional groups with nothing in them in images that say their place
// themselves: those are what they were.
void index_groups(struct object *o)
{
    DcmSequenceOfItems *frames = nullptr;
    o->enhanced = o->header.tagExists(DCM_SharedFunctionalGroupsSequence) ||
                  o->header.tagExists(DCM_PerFrameFunctionalGroupsSequence);
    if (o->header.tagExistsWithValue(DCM_ImagePositionPatient) &&
        !says_something(o->header, DCM_SharedFunctionalGroupsSequence) &&
        !says_something(o->header, DCM_PerFrameFunctionalGroupsSequence))
        o->enhanced = false;
    if (!o->enhanced)
        return;
    o->shared_groups = item_of(o->header, DCM_SharedFunctionalGroupsSequence);
    if (o->header.findAndGetSequence(DCM_PerFrameFunctionalGroupsSequence, frames).bad() || !frames)
        return;
    o->frame_groups.reserve(frames->card());
    for (DcmObject *i = frames->nextInContainer(nullptr); i; i = frames->nextInContainer(i))
        o->frame_groups.push_back(static_cast<DcmItem *>(i));
}

// Inflates the data set behind a meta header.
bool inflate_object(struct object *o, struct err *err)
{
    uint64_t size = o->source->size() - o->layout.data_offset;
    if (size > INFLATED_BYTES_MAX)
        return err_set(err, ERR_UNSUPPORTED, "deflated data set is too large");
    std::vector<uint8_t> packed(static_cast<size_t>(size));
    if (!o->source->read(o->layout.data_offset, packed.data(), packed.size(), err) ||
        !inflate_raw(packed.data(), packed.size(), true, INFLATED_BYTES_MAX, &o->inflated, err))
        return false;
    o->source.reset(new layout_memory(o->inflated.data(), o->inflated.size()));
    o->layout.data_offset = 0;
    return true;
}

void remark_add(std::string *remark, const std::string &text)
{
    *remark += (remark->empty() ? "" : "; ") + text;
}

const char *encoding_name(bool is_explicit, bool big_endian)
{
    return !is_explicit ? "implicit VR little endian"
           : big_endian ? "explicit VR big endian"
                        : "explicit VR little endian";
}

const char *encoding_uid(bool is_explicit, bool big_endian)
{
    return !is_explicit ? UID_LittleEndianImplicitTransferSyntax
           : big_endian ? UID_BigEndianExplicitTransferSyntax
                        : UID_LittleEndianExplicitTransferSyntax;
}

// How the data set is written, by its first elements. False: none that we know.
bool find_encoding(layout_source &source, struct layout *layout)
{
    static const bool ways[][2] = {{true, false}, {false, false}, {true, true}};
    for (const bool *way : ways) {
        if (layout_reads_as(source, layout, way[0], way[1])) {
            layout->is_explicit = way[0];
            layout->big_endian = way[1];
            return true;
        }
    }
    return false;
}

// Sets how the data set is written: as the Transfer Syntax UID says, or as it is where that
// contradicts it or is not there, which is remarked. *syntax: how the pixels are.
bool choose_encoding(layout_source &source, const std::string &uid, struct layout *layout,
                     const struct syntax **syntax, std::string *remark, struct err *err)
{
    if (uid.empty()) {
        if (!find_encoding(source, layout))
            return err_set(err, ERR_INPUT,
                           layout->data_offset ? "no Transfer Syntax UID, nor a data set that "
                                                 "shows it"
                                               : "no DICOM file");
        *syntax = syntax_find(encoding_uid(layout->is_explicit, layout->big_endian));
        remark_add(remark, std::string("no Transfer Syntax UID: read as ") +
                               encoding_name(layout->is_explicit, layout->big_endian));
        return true;
    }
    *syntax = syntax_find(uid.c_str());
    if (!*syntax) {
        char shown[65];
        return err_set(err, ERR_UNSUPPORTED, "transfer syntax %s",
                       log_value(uid.c_str(), shown, sizeof shown));
    }
    bool is_explicit = (*syntax)->header != EXS_LittleEndianImplicit;
    bool big_endian = (*syntax)->header == EXS_BigEndianExplicit;
    layout->is_explicit = is_explicit;
    layout->big_endian = big_endian;
    const bool deflated = (*syntax)->deflated;
    if ((!deflated && layout_reads_as(source, layout, is_explicit, big_endian)) ||
        !find_encoding(source, layout))
        return true;
    std::string said = deflated ? "deflated" : encoding_name(is_explicit, big_endian);
    if ((*syntax)->codec == CODEC_NATIVE)
        *syntax = syntax_find(encoding_uid(layout->is_explicit, layout->big_endian));
    remark_add(remark, std::string("the data set is ") +
                           encoding_name(layout->is_explicit, layout->big_endian) +
                           ", its Transfer Syntax UID says " + said + ": read as what it is");
    return true;
}

// Of elements that were read in spite of how they are written.
void remark_mends(const struct layout &layout, std::string *remark)
{
    size_t read = 0, left_out = 0;
    for (const struct layout_mend &m : layout.mends) {
        read += m.size > 0;
        left_out += m.size == 0 && m.bytes > 8; // a stray delimiter says nothing
    }
    if (read)
        remark_add(remark, std::to_string(read) +
                               " elements of unknown value representation: read as the dictionary "
                               "has them");
    if (left_out)
        remark_add(remark, std::to_string(left_out) + " unreadable elements left out");
}

bool open_into(struct object *o, const char *path, struct err *err)
{
    std::unique_ptr<layout_file> file(new layout_file());
    std::string uid;
    if (!file->open(path, err))
        return false;
    o->source = std::move(file);
    if (!layout_read_meta(*o->source, &o->layout, &uid, err) ||
        !choose_encoding(*o->source, uid, &o->layout, &o->syntax, &o->remark, err) ||
        (o->syntax->deflated && !inflate_object(o, err)) ||
        !layout_read_data(*o->source, false, &o->layout, err))
        return false;
    if (uid.empty() && o->layout.encapsulated)
        return err_set(err, ERR_UNSUPPORTED,
                       "compressed pixels, and no Transfer Syntax UID says how");
    if (!object_parse(*o->source, o->layout, &o->header, err))
        return false;
    remark_mends(o->layout, &o->remark);
    if (!object_read_ids(o->header, &o->ids))
        return err_set(err, ERR_INPUT, "Number of Frames %s makes no sense",
                       item_text(o->header, DCM_NumberOfFrames).c_str());
    if (!o->layout.encapsulated && o->layout.pixel_length == 0)
        o->layout.has_pixels = false; // an empty value is none
    double given = NAN;
    if (o->layout.has_pixels && item_numbers(o->header, DCM_NumberOfFrames, &given, 1) == 1 &&
        given == 0)
        remark_add(&o->remark, "Number of Frames is 0: taken for 1");
    if (!o->layout.has_pixels)
        o->ids.frames = 0;
    else if (o->ids.frames == 0)
        o->ids.frames = 1; // what else is missing is told when it is needed
    snprintf(o->ids.id.transfer_syntax_uid, sizeof o->ids.id.transfer_syntax_uid, "%s",
             o->syntax->uid);
    index_groups(o);
    read_frame_times(o);
    mosaic_find(o->header, o->ids.frames, &o->mosaic);
    return true;
}

bool same_uid(DcmItem &item, const DcmTagKey &tag, const char *uid)
{
    return item_text(item, tag, 0) == uid;
}

} // namespace

bool object_init(struct err *err)
{
    return object_guard(err, [&] {
        route_log();
        if (!dcmDataDict.isDictionaryLoaded())
            return err_set(err, ERR_INTERNAL,
                           "no DICOM dictionary: install dcmtk-data, or set "
                           "DCMDICTPATH");
        dcmEnableUnknownVRConversion.set(OFTrue); // PS3.5 6.2.2: UN of what the dictionary knows
        DcmRLEDecoderRegistration::registerCodecs();
        DJDecoderRegistration::registerCodecs();
        DJLSDecoderRegistration::registerCodecs();
        return true;
    });
}

void object_quit(void)
{
    DJLSDecoderRegistration::cleanup();
    DJDecoderRegistration::cleanup();
    DcmRLEDecoderRegistration::cleanup();
}

bool inflate_raw(const uint8_t *data, size_t size, bool whole, size_t max,
                 std::vector<uint8_t> *out, struct err *err)
{
    z_stream z = {};
    max = std::min(max, std::max<size_t>(INFLATED_FREE, size * INFLATED_TIMES));
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return err_set(err, ERR_NOMEM, "no memory");
    std::unique_ptr<z_stream, int (*)(z_stream *)> guard(&z, inflateEnd);
    z.next_in = const_cast<Bytef *>(data);
    int status = Z_OK;
    size_t given = 0;
    while (status == Z_OK && out->size() < max) {
        if (z.avail_in == 0) {
            z.avail_in = static_cast<uInt>(std::min<size_t>(size - given, 1u << 30));
            given += z.avail_in;
        }
        size_t used = out->size(), room = std::min<size_t>(max - used, 1u << 20);
        out->resize(used + room);
        z.next_out = out->data() + used;
        z.avail_out = static_cast<uInt>(room);
        status = inflate(&z, Z_NO_FLUSH);
        out->resize(used + room - z.avail_out);
    }
    if (status == Z_OK)
        return err_set(err, ERR_UNSUPPORTED, "data set of %zu bytes inflates to more than %zu",
                       size, max);
    if (status == Z_MEM_ERROR)
        return err_set(err, ERR_NOMEM, "no memory");
    if (whole && status != Z_STREAM_END)
        return err_set(err, ERR_INPUT, "deflated data set is broken or cut short");
    return true;
}

// The bytes with their mends.
static std::vector<uint8_t> mended(const std::vector<uint8_t> &bytes, const struct layout &layout)
{
    std::vector<uint8_t> out;
    size_t at = 0;
    out.reserve(bytes.size() + 4 * layout.mends.size());
    for (const struct layout_mend &m : layout.mends) {
        if (m.offset >= layout.header_end)
            break; // of the pixels
        size_t from = static_cast<size_t>(m.offset - layout.data_offset);
        out.insert(out.end(), bytes.data() + at, bytes.data() + from);
        out.insert(out.end(), m.header, m.header + m.size);
        at = from + static_cast<size_t>(m.bytes);
    }
    out.insert(out.end(), bytes.data() + at, bytes.data() + bytes.size());
    return out;
}

bool object_parse(layout_source &source, const struct layout &layout, DcmDataset *header,
                  struct err *err)
{
    uint64_t size = layout.header_end - layout.data_offset;
    if (size > HEADER_BYTES_MAX)
        return err_set(err, ERR_UNSUPPORTED, "%llu bytes before the pixel data",
                       static_cast<unsigned long long>(size));
    if (size == 0)
        return true;
    std::vector<uint8_t> bytes(static_cast<size_t>(size));
    if (!source.read(layout.data_offset, bytes.data(), bytes.size(), err))
        return false;
    if (!layout.mends.empty())
        bytes = mended(bytes, layout);
    DcmInputBufferStream stream;
    stream.setBuffer(bytes.data(), static_cast<offile_off_t>(bytes.size()));
    stream.setEos();
    header->transferInit();
    E_TransferSyntax syntax = !layout.is_explicit ? EXS_LittleEndianImplicit
                              : layout.big_endian ? EXS_BigEndianExplicit
                                                  : EXS_LittleEndianExplicit;
    OFCondition status = header->read(stream, syntax, EGL_noChange, DCM_MaxReadLength);
    header->transferEnd();
    return status.good() || err_set(err, ERR_INPUT, "data set: %s", status.text());
}

// What is wrong with one UID; "": nothing.
static std::string uid_fault(DcmItem &header, const DcmTagKey &tag, const char *name)
{
    std::string text = item_text(header, tag), fault = name;
    char shown[128];
    if (!header.tagExists(tag))
        return "no " + fault;
    if (text.empty())
        return fault + " is empty";
    if (uid_is_usable(item_text(header, tag, 0).c_str()))
        return std::string();
    fault += std::string(" ") + log_value(text.c_str(), shown, sizeof shown);
    if (text.size() > 64)
        return fault + " has " + std::to_string(text.size()) + " characters, 64 are allowed";
    return fault + " is no UID";
}

static void read_fault(DcmDataset &header, struct object_ids *out)
{
    static const struct {
        DcmTagKey tag;
        const char *name;
    } uids[] = {{DCM_SOPInstanceUID, "SOP Instance UID"},
                {DCM_SeriesInstanceUID, "Series Instance UID"},
                {DCM_StudyInstanceUID, "Study Instance UID"}};
    for (const auto &u : uids) {
        std::string fault = uid_fault(header, u.tag, u.name);
        snprintf(out->fault, sizeof out->fault, "%s", fault.c_str());
        if (!fault.empty())
            return;
    }
}

bool object_read_ids(DcmDataset &header, struct object_ids *out)
{
    double number = 0;
    *out = {};
    copy_uid(header, DCM_StudyInstanceUID, out->id.study_instance_uid);
    copy_uid(header, DCM_SeriesInstanceUID, out->id.series_instance_uid);
    copy_uid(header, DCM_SOPInstanceUID, out->id.sop_instance_uid);
    copy_uid(header, DCM_SOPClassUID, out->id.sop_class_uid);
    copy_uid(header, DCM_DeviceUID, out->device_uid);
    read_fault(header, out);
    snprintf(out->id.modality, sizeof out->id.modality, "%s",
             item_text(header, DCM_Modality, 0).c_str());
    if (item_numbers(header, DCM_InstanceNumber, &number, 1) == 1 && fabs(number) <= INT32_MAX &&
        number == floor(number))
        out->instance_number = static_cast<int32_t>(number);
    out->frames = header.tagExists(DCM_Rows) ? 1 : 0;
    int given = item_numbers(header, DCM_NumberOfFrames, &number, 1);
    if (given == 0 || (given > 0 && number == 0)) // some devices write 0 of what is no cine
        return true;
    if (given < 0 || number < 1 || number > INT32_MAX || number != floor(number)) {
        out->frames = 0;
        return false;
    }
    out->frames = static_cast<uint32_t>(number);
    return true;
}

// What a private element of unknown value representation holds, where it is text.
static bool unknown_text(DcmElement &element, std::string *out)
{
    Uint8 *bytes = nullptr;
    const Uint32 size = element.getLengthField();
    if (size > TEXT_BYTES_MAX || element.getUint8Array(bytes).bad() || !bytes)
        return false;
    *out = trimmed(reinterpret_cast<char *>(bytes), size);
    return std::none_of(out->begin(), out->end(),
                        [](unsigned char c) { return c < ' ' && c != 0x1b; });
}

void attribute_list::add_as(const char *keyword, DcmElement &element)
{
    DcmEVR vr = element.ident();
    std::string text;
    const bool known = is_text(vr) ? raw_text(element, &text)
                       : is_number(vr)
                           ? number_text(element, &text)
                           : (vr == EVR_UN || vr == EVR_UNKNOWN) && unknown_text(element, &text);
    if (!known || !keywords_.insert(keyword).second)
        return;
    values_.emplace_back(keyword, decoder_.decode(text, follows_character_set(vr)));
}

void attribute_list::add_item(DcmItem &item)
{
    for (DcmObject *o = item.nextInContainer(nullptr); o; o = item.nextInContainer(o)) {
        DcmElement *element = o->isLeaf() ? static_cast<DcmElement *>(o) : nullptr;
        const char *keyword = element ? keyword_of(*element) : nullptr;
        if (keyword)
            add_as(keyword, *element);
    }
}

bool attribute_list::finish(struct err *err)
{
    size_t all = out_->size;
    for (const auto &v : values_)
        all += v.first.size() + v.second.size() + 2;
    bool fits = all <= ATTRS_PACKED_MAX;
    for (int turn = 0; turn < (fits ? 1 : 2); turn++) {
        for (const auto &v : values_) {
            if (!fits && (v.second.size() > SHORT_TEXT_BYTES) != (turn == 1))
                continue;
            if (out_->size + v.first.size() + v.second.size() + 2 > ATTRS_PACKED_MAX)
                continue; // a longer list is cut
            if (!attrs_add(out_, v.first.c_str(), v.second.c_str()))
                return err_set(err, ERR_NOMEM, "no memory");
        }
    }
    return true;
}

bool text_number(const std::string &text, double *out)
{
    std::string plain = trimmed(text.data(), text.size());
    const char *start = plain.data(), *end = start + plain.size();
    if (end - start > 1 && *start == '+' && start[1] != '-')
        start++;
    double value = 0;
    std::from_chars_result r = std::from_chars(start, end, value);
    if (r.ec != std::errc() || r.ptr != end || start == end || !std::isfinite(value))
        return false;
    *out = value;
    return true;
}

std::string element_text(DcmElement &element)
{
    std::string text;
    if (!element.isLeaf() ||
        (is_text(element.ident()) ? !raw_text(element, &text)
                                  : !is_number(element.ident()) || !number_text(element, &text)))
        return std::string();
    return text;
}

std::string item_text(DcmItem &item, const DcmTagKey &tag, long component)
{
    DcmElement *element = nullptr;
    if (item.findAndGetElement(tag, element).bad() || !element)
        return std::string();
    std::string text = element_text(*element);
    if (component < 0)
        return text;
    size_t start = 0;
    for (; component > 0; component--) {
        start = text.find('\\', start);
        if (start == std::string::npos)
            return std::string();
        start++;
    }
    size_t end = text.find('\\', start);
    end = end == std::string::npos ? text.size() : end;
    return trimmed(text.data() + start, end - start);
}

bool item_number(DcmItem &item, const DcmTagKey &tag, long component, double *out)
{
    DcmElement *element = nullptr;
    if (item.findAndGetElement(tag, element).bad() || !element)
        return false;
    unsigned long at = static_cast<unsigned long>(component);
    if (element->ident() == EVR_FD) // not by way of text
        return element->getFloat64(*out, at).good() && std::isfinite(*out);
    if (element->ident() == EVR_FL) {
        Float32 value = 0;
        bool ok = element->getFloat32(value, at).good() && std::isfinite(value);
        *out = static_cast<double>(value);
        return ok;
    }
    return text_number(item_text(item, tag, component), out);
}

int item_numbers(DcmItem &item, const DcmTagKey &tag, double *out, int count)
{
    DcmElement *element = nullptr;
    if (item.findAndGetElement(tag, element).bad() || !element || element->getLengthField() == 0)
        return 0;
    if (item_text(item, tag).empty())
        return element->isLeaf() ? 0 : -1;
    if (element->getVM() != static_cast<unsigned long>(count))
        return -1;
    for (int i = 0; i < count; i++) {
        if (!item_number(item, tag, i, &out[i]))
            return -1;
    }
    return count;
}

DcmItem *item_of(DcmItem &item, const DcmTagKey &sequence, long index)
{
    DcmSequenceOfItems *found = nullptr;
    if (item.findAndGetSequence(sequence, found).bad() || !found || index < 0 ||
        static_cast<unsigned long>(index) >= found->card())
        return nullptr;
    return found->getItem(static_cast<unsigned long>(index));
}

struct object *object_open(const char *path, struct err *err)
{
    struct object *o = new (std::nothrow) struct object();
    if (!o) {
        err_set(err, ERR_NOMEM, "no memory");
        return nullptr;
    }
    if (object_guard(err, [&] { return open_into(o, path, err); }))
        return o;
    object_close(o);
    return nullptr;
}

void object_close(struct object *o)
{
    delete o;
}

const struct object_ids *object_ids(const struct object *o)
{
    return &o->ids;
}

const char *object_class_name(const char *sop_class_uid)
{
    return dcmFindNameOfUID(sop_class_uid, sop_class_uid);
}

uint32_t object_frame_count(const struct object *o)
{
    return o->mosaic.slices ? o->mosaic.slices : o->ids.frames;
}

const char *object_remark(const struct object *o)
{
    return o->remark.c_str();
}

bool object_identified(const struct object *o, struct err *err)
{
    if (const_cast<DcmDataset &>(o->header).tagExists(DCM_DirectoryRecordSequence))
        return err_set(err, ERR_INPUT, "a DICOMDIR: give its folder");
    return !o->ids.fault[0] || err_set(err, ERR_INPUT, "%s", o->ids.fault);
}

// DCMTK's readers are not const.
static DcmDataset &header_of(const struct object *o)
{
    return const_cast<DcmDataset &>(o->header);
}

bool object_attrs(const struct object *o, struct attrs *out, struct err *err)
{
    return object_guard(err, [&] { return add_attributes(header_of(o), out, err); });
}

bool object_peek(const void *data, size_t size, const char *transfer_syntax, struct object_ids *ids,
                 struct attrs *attrs, struct err *err)
{
    return object_guard(err, [&] {
        const struct syntax *syntax = syntax_find(transfer_syntax);
        if (!syntax)
            return err_set(err, ERR_UNSUPPORTED, "transfer syntax");
        std::vector<uint8_t> inflated;
        if (syntax->deflated) {
            if (!inflate_raw(static_cast<const uint8_t *>(data), size, false, HEADER_BYTES_MAX,
                             &inflated, err))
                return false;
            data = inflated.data();
            size = inflated.size();
        }
        layout_memory source(data, size);
        struct layout layout = {};
        layout.is_explicit = syntax->header != EXS_LittleEndianImplicit;
        layout.big_endian = syntax->header == EXS_BigEndianExplicit;
        DcmDataset header;
        if (!layout_read_data(source, true, &layout, err) ||
            !object_parse(source, layout, &header, err))
            return false;
        object_read_ids(header, ids);
        snprintf(ids->id.transfer_syntax_uid, sizeof ids->id.transfer_syntax_uid, "%s",
                 transfer_syntax);
        return add_attributes(header, attrs, err);
    });
}

// What a list of attributes needs of a data set stands at its beginning.
static bool peek_file(layout_source &file, struct object_ids *ids, struct attrs *attrs,
                      struct err *err)
{
    struct layout layout = {};
    std::string uid, remark;
    const struct syntax *syntax = nullptr;
    if (!layout_read_meta(file, &layout, &uid, err) ||
        !choose_encoding(file, uid, &layout, &syntax, &remark, err))
        return false;
    if (syntax->deflated)
        return err_set(err, ERR_INPUT, "deflated");
    if (!layout_read_data(file, false, &layout, err))
        return false;
    if (layout.header_end == layout.data_offset)
        return err_set(err, ERR_INPUT, "empty");
    std::vector<uint8_t> bytes(
        std::min<size_t>(PEEK_BYTES_MAX, static_cast<size_t>(layout.header_end)));
    if (!file.read(0, bytes.data(), bytes.size(), err))
        return false;
    layout_memory head(bytes.data(), bytes.size());
    DcmDataset header;
    if (!layout_read_data(head, true, &layout, err) || !object_parse(head, layout, &header, err))
        return false;
    object_read_ids(header, ids);
    snprintf(ids->id.transfer_syntax_uid, sizeof ids->id.transfer_syntax_uid, "%s", syntax->uid);
    return add_attributes(header, attrs, err);
}

static bool may_begin_so(layout_source &file, struct err *err)
{
    struct layout layout = {};
    std::string uid, remark;
    const struct syntax *syntax = nullptr;
    if (!layout_read_meta(file, &layout, &uid, err) ||
        !choose_encoding(file, uid, &layout, &syntax, &remark, err))
        return false;
    if (syntax->deflated)
        return err_set(err, ERR_INPUT, "not a deflated data set");
    return layout_may_begin_so(file, &layout, err);
}

// A layout_file of a descriptor that stays the caller's.
static bool borrow_file(layout_file &file, int fd, struct err *err)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return own < 0 ? err_errno(err, errno, "cannot duplicate a file") : file.take(own, err);
}

bool object_may_begin_so(int fd, struct err *err)
{
    return object_guard(err, [&] {
        layout_file file;
        return borrow_file(file, fd, err) && may_begin_so(file, err);
    });
}

bool object_peek_file(int fd, struct object_ids *ids, struct attrs *attrs, struct err *err)
{
    return object_guard(err, [&] {
        layout_file file;
        return borrow_file(file, fd, err) && peek_file(file, ids, attrs, err);
    });
}

static bool digest_file(const char *path, uint8_t digest[DIGEST_SIZE], struct err *err)
{
    layout_file file;
    struct layout layout = {};
    std::string uid;
    if (!file.open(path, err))
        return false;
    uint64_t at = layout_read_meta(file, &layout, &uid, nullptr) ? layout.data_offset : 0;
    std::unique_ptr<struct digest, void (*)(struct digest *)> running(digest_create(),
                                                                      digest_destroy);
    std::vector<uint8_t> piece(1u << 20);
    if (!running)
        return err_set(err, ERR_NOMEM, "no memory");
    while (at < file.size()) {
        size_t count = static_cast<size_t>(std::min<uint64_t>(piece.size(), file.size() - at));
        if (!file.read(at, piece.data(), count, err))
            return false;
        digest_add(running.get(), piece.data(), count);
        at += count;
    }
    digest_end(running.get(), digest);
    return true;
}

bool object_digest(const char *path, uint8_t digest[DIGEST_SIZE], struct err *err)
{
    return object_guard(err, [&] { return digest_file(path, digest, err); });
}

bool object_is_own(const struct object *o, const char *device_uid)
{
    DcmDataset &header = header_of(o);
    if (!device_uid[0])
        return false;
    if (same_uid(header, DCM_DeviceUID, device_uid))
        return true;
    for (long i = 0;; i++) {
        DcmItem *equipment = item_of(header, DCM_ContributingEquipmentSequence, i);
        if (!equipment)
            return false;
        if (same_uid(*equipment, DCM_DeviceUID, device_uid))
            return true;
    }
}
