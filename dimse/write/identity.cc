#include "dimse/write/identity.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <set>
#include "dimse/write/charset.h"
#include "base/uid.h"

const char *const maker_name = "anode";
const char *const usual_product = "page";
const char *const not_for_diagnostic_use = "NOT FOR DIAGNOSTIC USE";

// PS3.3 C.7.1.1 Patient, C.7.1.3 and C.7.2.3 Clinical Trial, C.7.2.1 General Study, C.7.2.2
// Patient Study. Type 2 in all the IODs that we write: empty when the source has none.
static const DcmTagKey type2[] = {
    DCM_PatientName, DCM_PatientID, DCM_PatientBirthDate,       DCM_PatientSex,      DCM_StudyDate,
    DCM_StudyTime,   DCM_StudyID,   DCM_ReferringPhysicianName, DCM_AccessionNumber,
};
static const DcmTagKey type3[] = {
    DCM_SpecificCharacterSet,
    DCM_IssuerOfPatientID,
    DCM_IssuerOfPatientIDQualifiersSequence,
    DCM_TypeOfPatientID,
    DCM_PatientBirthTime,
    DCM_RETIRED_OtherPatientIDs,
    DCM_OtherPatientIDsSequence,
    DCM_OtherPatientNames,
    DCM_EthnicGroup,
    DCM_PatientComments,
    DCM_PatientIdentityRemoved,
    DCM_DeidentificationMethod,
    DCM_DeidentificationMethodCodeSequence,
    DCM_PatientSpeciesDescription,
    DCM_PatientSpeciesCodeSequence,
    DCM_PatientBreedDescription,
    DCM_PatientBreedCodeSequence,
    DCM_BreedRegistrationSequence,
    DCM_ResponsiblePerson,
    DCM_ResponsiblePersonRole,
    DCM_ResponsibleOrganization,
    DCM_ClinicalTrialSponsorName,
    DCM_ClinicalTrialProtocolID,
    DCM_ClinicalTrialProtocolName,
    DCM_ClinicalTrialSiteID,
    DCM_ClinicalTrialSiteName,
    DCM_ClinicalTrialSubjectID,
    DCM_ClinicalTrialSubjectReadingID,
    DCM_ClinicalTrialTimePointID,
    DCM_ClinicalTrialTimePointDescription,
    DCM_PatientAge,
    DCM_PatientSize,
    DCM_PatientWeight,
    DCM_PatientSexNeutered,
    DCM_Occupation,
    DCM_AdditionalPatientHistory,
    DCM_MedicalAlerts,
    DCM_Allergies,
    DCM_PregnancyStatus,
    DCM_SmokingStatus,
    DCM_LastMenstrualDate,
    DCM_PatientState,
    DCM_AdmissionID,
    DCM_ServiceEpisodeID,
    DCM_ServiceEpisodeDescription,
    DCM_AdmittingDiagnosesDescription,
    DCM_AdmittingDiagnosesCodeSequence,
    DCM_IssuerOfAccessionNumberSequence,
    DCM_ReferringPhysicianIdentificationSequence,
    DCM_StudyDescription,
    DCM_ProcedureCodeSequence,
    DCM_PhysiciansOfRecord,
    DCM_NameOfPhysiciansReadingStudy,
};

// Characters of a CS (PS3.5 6.2).
static const char code_string[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ ";

static bool same_instance(const struct result_source *a, const struct result_source *b)
{
    return strcmp(a->sop_instance_uid, b->sop_instance_uid) == 0;
}

static std::vector<const struct result_source *> by_instance(const struct result_request &request)
{
    std::vector<const struct result_source *> sources;
    for (size_t i = 0; i < request.source_count; i++)
        sources.push_back(&request.sources[i]);
    std::sort(sources.begin(), sources.end(),
              [](const struct result_source *a, const struct result_source *b) {
                  const int order = strcmp(a->sop_instance_uid, b->sop_instance_uid);
                  return order ? order < 0 : memcmp(a->digest, b->digest, sizeof a->digest) < 0;
              });
    sources.erase(std::unique(sources.begin(), sources.end(), same_instance), sources.end());
    return sources;
}

static void append_text(std::vector<uint8_t> &to, const std::string &text)
{
    const std::string length = std::to_string(text.size()) + ":";
    to.insert(to.end(), length.begin(), length.end());
    to.insert(to.end(), text.begin(), text.end());
}

static std::vector<uint8_t> seed_of(const struct result_request &request)
{
    std::vector<std::vector<uint8_t>> digests;
    for (size_t i = 0; i < request.source_count; i++)
        digests.emplace_back(request.sources[i].digest, request.sources[i].digest + DIGEST_SIZE);
    std::sort(digests.begin(), digests.end());
    digests.erase(std::unique(digests.begin(), digests.end()), digests.end());
    std::vector<uint8_t> seed;
    for (const std::vector<uint8_t> &digest : digests)
        seed.insert(seed.end(), digest.begin(), digest.end());
    append_text(seed, request.stage.name);
    append_text(seed, request.stage.version);
    append_text(seed, request.identity ? request.identity : "");
    if (request.findings->verdict == VERDICT_FAILED)
        append_text(seed, "failed"); // a later try that works is another object
    return seed;
}

static std::string uid_of(const std::vector<uint8_t> &bytes)
{
    std::unique_ptr<struct digest, decltype(&digest_destroy)> d(digest_create(), digest_destroy);
    if (!d)
        throw encode_error(ERR_NOMEM, "no memory for a digest");
    digest_add(d.get(), bytes.data(), bytes.size());
    uint8_t out[DIGEST_SIZE];
    digest_end(d.get(), out);
    char uid[65];
    uid_from_digest(out, uid);
    return uid;
}

// Minutes east of UTC from "+0130"; false when it is none.
static bool parse_zone(const std::string &text, int *minutes)
{
    if (text.size() != 5 || (text[0] != '+' && text[0] != '-') ||
        text.find_first_not_of("0123456789", 1) != std::string::npos)
        return false;
    const int hours = std::stoi(text.substr(1, 2)), rest = std::stoi(text.substr(3, 2));
    *minutes = (text[0] == '-' ? -1 : 1) * (hours * 60 + rest);
    return rest < 60 && *minutes >= -12 * 60 && *minutes <= 14 * 60 && text != "-0000";
}

// One offset holds for all dates and times of an object, those copied from the source too: the
// source's, or what the configuration says of this node's site. Without either there is none, and
// our own times are the machine's local time, as the source's are its scanner's.
static int zone_of(DcmDataset &head, const struct result_maker &maker, time_t at, std::string &zone)
{
    int minutes = 0;
    for (const std::string &named : {item_text(head, DCM_TimezoneOffsetFromUTC, 0),
                                     std::string(maker.timezone ? maker.timezone : "")}) {
        zone = named;
        if (parse_zone(zone, &minutes))
            return minutes;
    }
    zone = "";
    struct tm local;
    if (!localtime_r(&at, &local))
        throw encode_error(ERR_INTERNAL, "the clock cannot be read");
    return (int)(local.tm_gmtoff / 60);
}

static void split_time(time_t at, int minutes, std::string &date, std::string &time)
{
    const time_t shifted = at + minutes * 60;
    struct tm tm;
    if (!gmtime_r(&shifted, &tm))
        throw encode_error(ERR_INTERNAL, "the clock cannot be read");
    char text[32];
    strftime(text, sizeof text, "%Y%m%d", &tm);
    date = text;
    strftime(text, sizeof text, "%H%M%S", &tm);
    time = text;
}

source_header identity_open(const char *path)
{
    struct err err = {};
    source_header header(object_open(path, &err), object_close);
    if (!header)
        throw encode_error(err.code, std::string("source: ") + err.text);
    return header;
}

// NULL, and the error of the last one: none can be read.
static source_header first_readable(const std::vector<const struct result_source *> &sources,
                                    struct err *err)
{
    for (const struct result_source *source : sources) {
        source_header header(object_open(source->path, err), object_close);
        if (header)
            return header; // else another one names the patient as well
    }
    return nullptr;
}

// Those of the inputs that the analysis works on; all where none is said to be.
static std::vector<const struct result_source *> main_sources(
    const std::vector<const struct result_source *> &all)
{
    std::vector<const struct result_source *> found;
    for (const struct result_source *source : all)
        if (source->main)
            found.push_back(source);
    return found.empty() ? all : found;
}

// A header of what the node remembers of the input, in UTF-8.
static void fill_head(DcmDataset &ds, const struct attrs &attrs)
{
    auto copy = [&ds, &attrs](const DcmTagKey &key) {
        DcmTag tag(key);
        const char *value = attrs_get(&attrs, tag.getTagName());
        if (value && tag.getEVR() != EVR_SQ)
            encode_text(ds, key, value);
    };
    for (const DcmTagKey &tag : type3)
        copy(tag);
    for (const DcmTagKey &tag : type2)
        copy(tag);
    for (const DcmTagKey &tag :
         {DCM_StudyInstanceUID, DCM_SeriesInstanceUID, DCM_Modality, DCM_BodyPartExamined,
          DCM_Laterality, DCM_TimezoneOffsetFromUTC, DCM_RecognizableVisualFeatures})
        copy(tag);
    encode_text(ds, DCM_SpecificCharacterSet, "ISO_IR 192");
}

// --- what the findings point at ---

static bool is_place(const struct image_set *set, const struct place &p)
{
    if (!set || p.image >= set->image_count)
        return false;
    const struct image &image = set->images[p.image];
    return p.slice < image.dim[2] && p.point < image.dim[3];
}

static bool is_index(int index, uint32_t count)
{
    return index >= -1 && index < (int64_t)count;
}

static void check_marks(const struct findings &f, const struct image_set *set)
{
    for (uint32_t i = 0; i < f.mark_count; i++) {
        const struct mark &m = f.marks[i];
        if (!is_place(set, m.place) || m.layer < 0 || !is_index(m.layer, f.layer_count) ||
            !is_index(m.group, f.group_count) || (m.count && !m.points) ||
            image_frame_at(&set->images[m.place.image], m.place.slice, m.place.point) ==
                IMAGE_NO_FRAME)
            throw encode_error(ERR_INTERNAL, "mark " + std::to_string(i) + " points at nothing");
    }
}

static void check_groups(const struct findings &f, const struct image_set *set)
{
    for (uint32_t i = 0; i < f.group_count; i++) {
        const struct finding_group &g = f.groups[i];
        if (!is_index(g.region, f.region_count) || !is_index(g.parent, f.group_count) ||
            (g.has_key && !is_place(set, g.key)))
            throw encode_error(ERR_INTERNAL, std::string(g.label) + " points at nothing");
        uint32_t steps = 0;
        for (int at = g.parent; at >= 0; at = f.groups[at].parent)
            if (++steps > f.group_count || !is_index(f.groups[at].parent, f.group_count))
                throw encode_error(ERR_INTERNAL, std::string(g.label) + " is part of itself");
    }
}

static void check_maps(const struct findings &f, const struct image_set *set)
{
    auto check = [set](const char *what, uint32_t image, uint32_t point, bool held) {
        if (!held || !is_place(set, {image, 0, point}))
            throw encode_error(ERR_INTERNAL, std::string(what) + " of an image there is not");
    };
    for (uint32_t i = 0; i < f.label_count; i++)
        check("a label map", f.labels[i].image, f.labels[i].point, f.labels[i].labels);
    for (uint32_t i = 0; i < f.fraction_count; i++)
        check("a fraction map", f.fractions[i].image, f.fractions[i].point,
              f.fractions[i].values && f.fractions[i].region >= 0 &&
                  is_index(f.fractions[i].region, f.region_count));
    for (uint32_t i = 0; i < f.map_count; i++)
        check("a map", f.maps[i].image, 0, f.maps[i].values);
    for (uint32_t i = 0; i < f.region_count; i++)
        if (!is_index(f.regions[i].group, f.group_count))
            throw encode_error(ERR_INTERNAL, std::string(f.regions[i].label) + " has no group");
}

// Two groups of one label would have one tracking UID: viewers would merge their numbers.
static void check_names(const struct findings &f)
{
    std::set<std::string> labels, layers = {"NOTICE"}; // ours, in a presentation state
    for (uint32_t i = 0; i < f.group_count; i++)
        if (!labels.insert(f.groups[i].label).second)
            throw encode_error(ERR_INTERNAL, std::string("two groups are ") + f.groups[i].label);
    for (uint32_t i = 0; i < f.layer_count; i++) {
        const std::string name = f.layers[i].name;
        if (name.empty() || name.size() > 16 || !layers.insert(name).second ||
            name.find_first_not_of(code_string) != std::string::npos)
            throw encode_error(ERR_INTERNAL, "no name for a layer: " + name);
    }
}

static void check_frames(const struct result_request &request)
{
    const struct image_set *set = request.images;
    for (uint32_t i = 0; set && i < set->frame_count; i++)
        if (set->frames[i].source >= request.source_count)
            throw encode_error(ERR_INTERNAL, "frame " + std::to_string(i) + " has no source");
    for (uint32_t i = 0; set && i < set->image_count; i++) {
        const struct image &image = set->images[i];
        for (size_t cell = 0; cell < (size_t)image.dim[2] * image.dim[3]; cell++)
            if (image.frame[cell] != IMAGE_NO_FRAME && image.frame[cell] >= set->frame_count)
                throw encode_error(ERR_INTERNAL,
                                   "image " + std::to_string(i) + " has a frame there is not");
    }
}

static void check_request(const struct result_request &request)
{
    const struct findings &f = *request.findings;
    if (!dcmDataDict.isDictionaryLoaded())
        throw encode_error(ERR_INTERNAL, "DCMTK has no data dictionary");
    if (!request.source_count && !request.head)
        throw encode_error(ERR_INTERNAL, "results without a source");
    check_frames(request);
    check_marks(f, request.images);
    check_groups(f, request.images);
    check_maps(f, request.images);
    check_names(f);
}

// --- the set ---

static bool has_uids(const struct result_source &s)
{
    return uid_is_usable(s.study_instance_uid) && uid_is_usable(s.series_instance_uid) &&
           uid_is_usable(s.sop_instance_uid);
}

static std::vector<struct source_series> by_series(
    const std::vector<const struct result_source *> &sources)
{
    std::map<std::pair<std::string, std::string>, struct source_series> groups;
    for (const struct result_source *source : sources) {
        struct source_series &s = groups[{source->study_instance_uid, source->series_instance_uid}];
        s.study_uid = source->study_instance_uid;
        s.series_uid = source->series_instance_uid;
        s.sources.push_back(source);
    }
    std::vector<struct source_series> all;
    all.reserve(groups.size());
    for (auto &[uids, s] : groups)
        all.push_back(std::move(s));
    return all;
}

result_set::result_set(const struct result_request &r) : request(r), findings(*r.findings)
{
    check_request(r);
    sources = by_instance(r);
    struct err err = {};
    first = first_readable(main_sources(sources), &err);
    if (!first && !r.head)
        throw encode_error(err.code, std::string("source: ") + err.text);
    if (!first)
        fill_head(made, *r.head);
    if (!first) // of a file that no parser takes even the UIDs may be unknown: nothing refers to it
        sources.erase(std::remove_if(sources.begin(), sources.end(),
                                     [](const struct result_source *s) { return !has_uids(*s); }),
                      sources.end());
    series = by_series(sources);
    seed = seed_of(r);
    std::map<std::string, uint32_t> of; // by SOP Instance UID: one of two of the same is listed
    for (uint32_t i = 0; i < series.size(); i++)
        for (const struct result_source *source : series[i].sources)
            of[source->sop_instance_uid] = i;
    for (size_t i = 0; i < r.source_count; i++) {
        const auto found = of.find(r.sources[i].sop_instance_uid);
        group.push_back(found == of.end() ? UINT32_MAX : found->second);
    }
    character_set = item_text(head(), DCM_SpecificCharacterSet);
    study_uid = item_text(head(), DCM_StudyInstanceUID);
    if (!uid_is_usable(study_uid.c_str()))
        throw encode_error(ERR_INPUT, "source header: no usable Study Instance UID");
    for (const struct result_source *source : sources)
        if (!has_uids(*source))
            throw encode_error(ERR_INPUT, "a source without Study, Series or SOP Instance UID");
    split_time(r.started.tv_sec, zone_of(head(), r.maker, r.started.tv_sec, zone), date, time);
}

DcmDataset &result_set::head() const
{
    return first ? first->header : made;
}

DcmDataset *result_set::head(const struct source_series &of) const
{
    const auto found = heads.find(&of);
    if (found != heads.end())
        return found->second ? &found->second->header : nullptr;
    source_header &header = heads[&of];
    header = first_readable(main_sources(of.sources), nullptr);
    return header ? &header->header : nullptr;
}

std::string result_set::uid(const std::string &what, const std::string &index) const
{
    std::vector<uint8_t> bytes = seed;
    append_text(bytes, what);
    append_text(bytes, index);
    return uid_of(bytes);
}

static std::string name_text(const struct object_name &name)
{
    const std::string kind = result_kind_name(name.kind);
    return name.product.empty() ? kind : kind + " " + name.product;
}

std::string result_set::series_uid(const struct object_name &name) const
{
    return uid(name_text(name), "series");
}

std::string result_set::instance_uid(const struct object_name &name) const
{
    return uid(name_text(name), std::to_string(name.index));
}

std::string result_set::tracking_uid(const struct finding_group &g) const
{
    return uid("tracking", g.label);
}

uint32_t result_set::image_count() const
{
    return request.images ? request.images->image_count : 0;
}

const struct image &result_set::image(uint32_t index) const
{
    if (index >= image_count())
        throw encode_error(ERR_INTERNAL, "no image " + std::to_string(index));
    return request.images->images[index];
}

uint32_t result_set::frame_index(const struct place &place) const
{
    const uint32_t found = is_place(request.images, place)
                               ? image_frame_at(&image(place.image), place.slice, place.point)
                               : IMAGE_NO_FRAME;
    if (found == IMAGE_NO_FRAME)
        throw encode_error(ERR_INTERNAL, "no frame at slice " + std::to_string(place.slice) +
                                             " of image " + std::to_string(place.image));
    return found;
}

struct source_frame result_set::frame(uint32_t index) const
{
    const struct image_frame &f = request.images->frames[index];
    const struct result_source &source = request.sources[f.source];
    return {&source, f.number, source.frames > 1};
}

const struct source_series &result_set::series_of(uint32_t index) const
{
    const uint32_t found = group[request.images->frames[index].source];
    if (found >= series.size())
        throw encode_error(ERR_INTERNAL, "frame " + std::to_string(index) + " has no series");
    return series[found];
}

std::string result_set::place_text(const struct place &place) const
{
    char text[128];
    frame_index(place); // throws where there is none
    return image_place_name(request.images, place.image, place.slice, place.point, text,
                            sizeof text);
}

std::string result_set::text(const std::string &utf8) const
{
    return charset_encode(utf8, character_set);
}

const label_index &result_set::labels() const
{
    if (!label_boxes)
        label_boxes = std::make_unique<label_index>(*this);
    return *label_boxes;
}

// --- what all objects have ---

void identity_reference(DcmItem &item, const struct result_source &source)
{
    encode_text(item, DCM_ReferencedSOPClassUID, source.sop_class_uid);
    encode_text(item, DCM_ReferencedSOPInstanceUID, source.sop_instance_uid);
}

void identity_reference(DcmItem &item, const struct source_frame &frame)
{
    identity_reference(item, *frame.source);
    if (frame.part)
        encode_text(item, DCM_ReferencedFrameNumber, std::to_string(frame.frame));
}

// A date or a time of ACR-NEMA's form is the same moment in today's, which alone is valid.
static void copy_of_today(DcmDataset &ds, const DcmTagKey &key)
{
    const DcmEVR vr = DcmTag(key).getEVR();
    if (vr != EVR_DA && vr != EVR_TM)
        return;
    const std::string text = item_text(ds, key, 0);
    const std::string today =
        vr == EVR_DA ? encode_date_of_today(text) : encode_time_of_today(text);
    if (today != text)
        encode_text(ds, key, today);
}

static void put_patient_and_study(DcmDataset &ds, const result_set &set)
{
    for (const DcmTagKey &tag : type3)
        if (encode_copy(ds, set.head(), tag))
            copy_of_today(ds, tag);
    for (const DcmTagKey &tag : type2) {
        if (encode_copy(ds, set.head(), tag))
            copy_of_today(ds, tag);
        else
            encode_text(ds, tag, "");
    }
    encode_copy(ds, set.head(), DCM_StudyInstanceUID);
}

static std::string upper(std::string text)
{
    for (char &c : text)
        c = (char)toupper((unsigned char)c);
    return text;
}

static int kind_index(enum result_kind kind)
{
    return __builtin_ctz((unsigned)kind);
}

// The last digit of the Series Number: the kind, or one behind all kinds for further products of
// pictures, in the order of their first picture. Those that find no digit left share the last one.
static unsigned series_digit(const result_set &set, const struct object_name &name)
{
    static const unsigned first_free = 6, last = 9;
    static_assert(RESULT_PDF == 1U << (first_free - 1), "a kind has taken the digit of a product");
    if (name.kind == RESULT_MPR)
        return last; // sets of planes share it: their descriptions tell them apart
    if (name.kind != RESULT_SC || name.product.empty())
        return (unsigned)kind_index(name.kind);
    std::set<std::string> before;
    for (uint32_t i = 0; i < set.findings.picture_count; i++) {
        const char *product = set.findings.pictures[i].product;
        if (product && name.product == product)
            break;
        if (product && *product && product != std::string(usual_product))
            before.insert(product);
    }
    return std::min(first_free + (unsigned)before.size(), last);
}

static void put_series(DcmDataset &ds, const result_set &set, const struct object_name &name,
                       const char *modality)
{
    const struct result_stage &stage = set.request.stage;
    encode_text(ds, DCM_Modality, modality);
    encode_text(ds, DCM_SeriesInstanceUID, set.series_uid(name));
    encode_text(ds, DCM_SeriesNumber,
                std::to_string(9000 + 10 * stage.slot + series_digit(set, name)));
    encode_text(ds, DCM_InstanceNumber, std::to_string(name.index));
    encode_text(ds, DCM_SeriesDate, set.date);
    encode_text(ds, DCM_SeriesTime, set.time);
    std::string what = upper(result_kind_name(name.kind));
    if (!name.product.empty())
        what += " " + name.product.substr(0, 16);
    const std::string end = " " + what + " - " + not_for_diagnostic_use;
    encode_text(ds, DCM_SeriesDescription,
                charset_encode(stage.title, "").substr(0, 64 - end.size()) + end);
}

static std::string algorithm_device_uid(const struct result_stage &stage)
{
    std::vector<uint8_t> bytes;
    append_text(bytes, "anode algorithm");
    append_text(bytes, stage.name);
    append_text(bytes, stage.version);
    return uid_of(bytes);
}

static DcmItem &put_contributor(DcmDataset &ds, const result_set &set, const std::string &model,
                                const std::string &software, const std::string &device_uid,
                                const std::string &description)
{
    static const struct code purpose = {"109102", "DCM", "Processing Equipment"};
    DcmItem &item = encode_item(ds, DCM_ContributingEquipmentSequence);
    encode_text(item, DCM_Manufacturer, maker_name);
    encode_short(item, DCM_ManufacturerModelName, model, 64);
    encode_short(item, DCM_SoftwareVersions, software, 64);
    encode_text(item, DCM_DeviceUID, device_uid);
    encode_text(item, DCM_ContributionDateTime, set.date + set.time);
    encode_short(item, DCM_ContributionDescription, description, 1024);
    encode_code(item, DCM_PurposeOfReferenceCodeSequence, purpose);
    return item;
}

static void put_equipment(DcmDataset &ds, const result_set &set)
{
    const struct result_maker &maker = set.request.maker;
    const struct result_stage &stage = set.request.stage;
    encode_text(ds, DCM_Manufacturer, maker_name);
    encode_text(ds, DCM_ManufacturerModelName, maker_name);
    encode_short(ds, DCM_DeviceSerialNumber, maker.serial, 64);
    encode_short(ds, DCM_SoftwareVersions, maker.software, 64);
    encode_short(ds, DCM_StationName, maker.ae_title, 16);
    encode_text(ds, DCM_DeviceUID, maker.device_uid);
    DcmItem &node = put_contributor(ds, set, maker_name, maker.software, maker.device_uid,
                                    std::string("Analysis node, computed on ") + maker.device_name);
    encode_short(node, DCM_DeviceSerialNumber, maker.serial, 64);
    encode_short(node, DCM_StationName, maker.ae_title, 16);
    put_contributor(ds, set, stage.name, stage.version, algorithm_device_uid(stage),
                    std::string("Algorithm: ") + charset_encode(stage.title, ""));
}

static void put_instance(DcmDataset &ds, const result_set &set, const struct object_name &name,
                         const char *sop_class_uid)
{
    std::string date, time, zone;
    const time_t now = ::time(nullptr);
    split_time(now, zone_of(set.head(), set.request.maker, now, zone), date, time);
    encode_text(ds, DCM_SOPClassUID, sop_class_uid);
    encode_text(ds, DCM_SOPInstanceUID, set.instance_uid(name));
    encode_text(ds, DCM_InstanceCreationDate, date);
    encode_text(ds, DCM_InstanceCreationTime, time);
    encode_text(ds, DCM_InstanceCreatorUID, set.request.maker.device_uid);
    if (!zone.empty())
        encode_text(ds, DCM_TimezoneOffsetFromUTC, zone);
    // In not all of the IODs, so an extension of the others (PS3.2, Standard Extended SOP Class):
    // the one attribute by which a program sees that this is no cleared product.
    encode_text(ds, DCM_ContentQualification, "RESEARCH");
}

std::unique_ptr<DcmFileFormat> identity_object(const result_set &set,
                                               const struct object_name &name,
                                               const char *sop_class_uid, const char *modality)
{
    auto file = std::make_unique<DcmFileFormat>();
    DcmDataset &ds = *file->getDataset();
    put_patient_and_study(ds, set);
    put_series(ds, set, name, modality);
    put_equipment(ds, set);
    put_instance(ds, set, name, sop_class_uid);
    return file;
}

void identity_sources(DcmItem &item, const result_set &set)
{
    static const struct code purpose = {"121322", "DCM",
                                        "Source image for image processing operation"};
    for (const struct result_source *source : set.sources) {
        if (source->frames == 0)
            continue;
        DcmItem &image = encode_item(item, DCM_SourceImageSequence);
        identity_reference(image, *source);
        encode_code(image, DCM_PurposeOfReferenceCodeSequence, purpose);
    }
}

void identity_copy_request(DcmItem &item, const result_set &set)
{
    if (item_of(set.head(), DCM_RequestAttributesSequence))
        encode_copy(item, set.head(), DCM_RequestAttributesSequence);
}

void identity_body_part(DcmItem &item, const result_set &set)
{
    // PS3.16 Annex L, terms without a side.
    static const char *const unpaired[] = {
        "ABDOMEN", "AORTA",    "BLADDER", "BRAIN",     "CHEST",  "COLON",   "CSPINE",
        "CTSPINE", "HEAD",     "HEART",   "LIVER",     "LSPINE", "LSSPINE", "MEDIASTINUM",
        "NECK",    "PANCREAS", "PELVIS",  "PROSTATE",  "SKULL",  "SPINE",   "SPLEEN",
        "STERNUM", "TSPINE",   "UTERUS",  "WHOLEBODY",
    };
    const std::string part = item_text(set.head(), DCM_BodyPartExamined, 0);
    for (const char *term : unpaired)
        if (part == term) {
            encode_text(item, DCM_BodyPartExamined, part);
            return;
        }
    if (!part.empty() && part.size() <= 16 && part.find_first_not_of(code_string) == part.npos)
        encode_text(item, DCM_BodyPartExamined, part);
    if (!encode_copy(item, set.head(), DCM_Laterality))
        encode_text(item, DCM_Laterality, "");
}
