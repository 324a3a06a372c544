#include "dimse/write/identity.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <set>
#include "base/uid.h"

const char *const maker_name = "anode";
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
    append_text(seed, request.stage->name);
    append_text(seed, request.stage->version);
    append_text(seed, request.options ? request.options : "");
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

// Study Date and Time are copied, and the one offset holds for them too: the source's zone, or ours
// where it names none.
static int zone_of(DcmDataset &head, time_t at, std::string &zone)
{
    int minutes = 0;
    zone = item_text(head, DCM_TimezoneOffsetFromUTC, 0);
    if (parse_zone(zone, &minutes))
        return minutes;
    struct tm local;
    if (!localtime_r(&at, &local))
        throw encode_error(ERR_INTERNAL, "the clock cannot be read");
    minutes = (int)(local.tm_gmtoff / 60);
    char text[16];
    snprintf(text, sizeof text, "%c%02d%02d", minutes < 0 ? '-' : '+', abs(minutes) / 60,
             abs(minutes) % 60);
    zone = text;
    return minutes;
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

static source_header first_readable(const std::vector<const struct result_source *> &sources)
{
    for (size_t i = 0; i + 1 < sources.size(); i++) {
        try {
            return identity_open(sources[i]->path);
        } catch (const encode_error &) {
            continue; // another one names the patient as well
        }
    }
    return identity_open(sources.back()->path);
}

static void check_marks(const struct findings &f, uint32_t slices)
{
    for (uint32_t i = 0; i < f.mark_count; i++) {
        const struct mark &m = f.marks[i];
        if (m.slice >= slices || m.layer < 0 || (uint32_t)m.layer >= f.layer_count ||
            m.group >= (int64_t)f.group_count || (m.count && !m.points))
            throw encode_error(ERR_INTERNAL, "mark " + std::to_string(i) + " points at nothing");
    }
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

static void check_slices(const struct result_request &request, uint32_t slices)
{
    for (size_t i = 0; i < request.slice_count; i++)
        if (request.slice_source[i] >= request.source_count)
            throw encode_error(ERR_INTERNAL, "frame " + std::to_string(i) + " has no source");
    for (uint32_t k = 0; k < slices; k++)
        if (request.volume->source[k] >= request.slice_count)
            throw encode_error(ERR_INTERNAL, "slice " + std::to_string(k) + " has no frame");
}

static void check_request(const struct result_request &request)
{
    const uint32_t slices = request.volume ? request.volume->dim[2] : 0;
    if (!dcmDataDict.isDictionaryLoaded())
        throw encode_error(ERR_INTERNAL, "DCMTK has no data dictionary");
    if (!request.source_count)
        throw encode_error(ERR_INTERNAL, "results without a source");
    check_slices(request, slices);
    check_marks(*request.findings, slices);
    check_names(*request.findings);
}

result_set::result_set(const struct result_request &r) : request(r), findings(*r.findings)
{
    check_request(r);
    sources = by_instance(r);
    seed = seed_of(r);
    many.assign(r.source_count, false);
    std::vector<bool> seen(r.source_count, false);
    for (size_t i = 0; i < r.slice_count; i++) {
        const uint32_t s = r.slice_source[i];
        many[s] = seen[s] || r.slices[i].frame > 1;
        seen[s] = true;
    }
    first = first_readable(sources);
    study_uid = item_text(head(), DCM_StudyInstanceUID);
    series_uid = item_text(head(), DCM_SeriesInstanceUID);
    if (!uid_is_usable(study_uid.c_str()) || !uid_is_usable(series_uid.c_str()))
        throw encode_error(ERR_INPUT, "source header: no usable Study or Series Instance UID");
    split_time(r.started.tv_sec, zone_of(head(), r.started.tv_sec, zone), date, time);
}

DcmDataset &result_set::head() const
{
    return first->header;
}

std::string result_set::uid(const std::string &what, const std::string &index) const
{
    std::vector<uint8_t> bytes = seed;
    append_text(bytes, what);
    append_text(bytes, index);
    return uid_of(bytes);
}

std::string result_set::tracking_uid(const struct finding_group &group) const
{
    return uid("tracking", group.label);
}

struct source_frame result_set::frame(uint32_t k) const
{
    if (!request.volume || k >= request.volume->dim[2])
        throw encode_error(ERR_INTERNAL, "no slice " + std::to_string(k));
    return slice_frame(request.volume->source[k]);
}

struct source_frame result_set::slice_frame(size_t slice) const
{
    const uint32_t source = request.slice_source[slice];
    return {&request.sources[source], request.slices[slice].frame, many[source]};
}

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

static void put_patient_and_study(DcmDataset &ds, const result_set &set)
{
    for (const DcmTagKey &tag : type3)
        encode_copy(ds, set.head(), tag);
    for (const DcmTagKey &tag : type2)
        if (!encode_copy(ds, set.head(), tag))
            encode_text(ds, tag, "");
    encode_copy(ds, set.head(), DCM_StudyInstanceUID);
}

static std::string upper(std::string text)
{
    for (char &c : text)
        c = (char)toupper((unsigned char)c);
    return text;
}

static int kind_index(enum stage_result kind)
{
    return __builtin_ctz((unsigned)kind);
}

static void put_series(DcmDataset &ds, const result_set &set, enum stage_result kind,
                       const char *modality)
{
    const struct stage &stage = *set.request.stage;
    const std::string name = stage_result_name(kind);
    encode_text(ds, DCM_Modality, modality);
    encode_text(ds, DCM_SeriesInstanceUID, set.uid(name, "series"));
    encode_text(ds, DCM_SeriesNumber, std::to_string(9000 + 10 * stage.slot + kind_index(kind)));
    encode_text(ds, DCM_InstanceNumber, "1");
    encode_text(ds, DCM_SeriesDate, set.date);
    encode_text(ds, DCM_SeriesTime, set.time);
    const std::string end = " " + upper(name) + " - " + not_for_diagnostic_use;
    encode_text(ds, DCM_SeriesDescription,
                std::string(stage.title).substr(0, 64 - end.size()) + end);
}

static std::string algorithm_device_uid(const struct stage &stage)
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
    const struct stage &stage = *set.request.stage;
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
                    std::string("Algorithm: ") + stage.title);
}

static void put_instance(DcmDataset &ds, const result_set &set, enum stage_result kind,
                         const char *sop_class_uid)
{
    std::string date, time;
    int minutes = 0;
    parse_zone(set.zone, &minutes);
    split_time(::time(nullptr), minutes, date, time);
    encode_text(ds, DCM_SOPClassUID, sop_class_uid);
    encode_text(ds, DCM_SOPInstanceUID, set.uid(stage_result_name(kind), "1"));
    encode_text(ds, DCM_InstanceCreationDate, date);
    encode_text(ds, DCM_InstanceCreationTime, time);
    encode_text(ds, DCM_InstanceCreatorUID, set.request.maker.device_uid);
    encode_text(ds, DCM_TimezoneOffsetFromUTC, set.zone);
    // In none of the three IODs, so an extension of each (PS3.2, Standard Extended SOP Class): the
    // one attribute by which a program sees that this is no cleared product.
    encode_text(ds, DCM_ContentQualification, "RESEARCH");
}

std::unique_ptr<DcmFileFormat> identity_object(const result_set &set, enum stage_result kind,
                                               const char *sop_class_uid, const char *modality)
{
    auto file = std::make_unique<DcmFileFormat>();
    DcmDataset &ds = *file->getDataset();
    put_patient_and_study(ds, set);
    put_series(ds, set, kind, modality);
    put_equipment(ds, set);
    put_instance(ds, set, kind, sop_class_uid);
    return file;
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
