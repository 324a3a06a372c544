// A structured report: the document around the content that a template asks for.
// Sources: PS3.3 A.35.13, C.17.2, C.17.3.
#include <map>
#include "dimse/write/encoders.h"

// Who makes the content of a template.
static const struct {
    enum report_template report;
    const char *sop_class_uid;
    void (*fill)(const result_set &set, DcmDataset &ds);
} templates[] = {
    {REPORT_MEASUREMENTS, UID_Comprehensive3DSRStorage, sr_measurements},
    {REPORT_MAMMO_CAD, UID_MammographyCADSRStorage, sr_mammo},
    {REPORT_BASIC_TEXT, UID_BasicTextSRStorage, sr_text},
};
static_assert(sizeof templates / sizeof *templates == REPORT_TEMPLATES, "each has an encoder");

// An instance that the report rests on or refers to.
struct evidence {
    std::string study_uid, series_uid, sop_class_uid, sop_instance_uid;
};

// By study and series, each in the order of its first instance.
static void put_evidence(DcmDataset &ds, const DcmTagKey &sequence,
                         const std::vector<struct evidence> &all)
{
    std::map<std::string, DcmItem *> studies;
    std::map<std::pair<std::string, std::string>, DcmItem *> series;
    for (const struct evidence &e : all) {
        DcmItem *&study = studies[e.study_uid];
        if (!study) {
            study = &encode_item(ds, sequence);
            encode_text(*study, DCM_StudyInstanceUID, e.study_uid);
        }
        DcmItem *&one = series[{e.study_uid, e.series_uid}];
        if (!one) {
            one = &encode_item(*study, DCM_ReferencedSeriesSequence);
            encode_text(*one, DCM_SeriesInstanceUID, e.series_uid);
        }
        DcmItem &instance = encode_item(*one, DCM_ReferencedSOPSequence);
        encode_text(instance, DCM_ReferencedSOPClassUID, e.sop_class_uid);
        encode_text(instance, DCM_ReferencedSOPInstanceUID, e.sop_instance_uid);
    }
}

// PS3.3 C.17.2.3: what belongs to the study of the report, with our own segmentations that it
// refers to, and what comes from other studies: earlier reports among it.
static void put_evidence(DcmDataset &ds, const result_set &set)
{
    std::vector<struct evidence> current, other;
    for (const struct source_series &s : set.series)
        for (const struct result_source *source : s.sources)
            (s.study_uid == set.study_uid ? current : other)
                .push_back(
                    {s.study_uid, s.series_uid, source->sop_class_uid, source->sop_instance_uid});
    for (uint32_t m = 0; m < set.findings.label_count; m++) {
        const struct object_name name = labels_seg_name(m);
        if (labels_have_seg(set, m))
            current.push_back({set.study_uid, set.series_uid(name), UID_SegmentationStorage,
                               set.instance_uid(name)});
    }
    for (uint32_t i = 0; i < set.findings.comparison_count; i++) {
        const struct object_id &with = set.findings.comparisons[i].with;
        (with.study_instance_uid == set.study_uid ? current : other)
            .push_back({with.study_instance_uid, with.series_instance_uid, with.sop_class_uid,
                        with.sop_instance_uid});
    }
    put_evidence(ds, DCM_CurrentRequestedProcedureEvidenceSequence, current);
    put_evidence(ds, DCM_PertinentOtherEvidenceSequence, other);
}

static void put_predecessor(DcmDataset &ds, const struct object_id &p)
{
    put_evidence(
        ds, DCM_PredecessorDocumentsSequence,
        {{p.study_instance_uid, p.series_instance_uid, p.sop_class_uid, p.sop_instance_uid}});
}

// PS3.3 C.17.2: the report answers the request of the images.
static void put_request(DcmDataset &ds, const result_set &set)
{
    DcmItem *from = nullptr;
    if (set.head().findAndGetSequenceItem(DCM_RequestAttributesSequence, from, 0).bad() || !from)
        return;
    DcmItem &to = encode_item(ds, DCM_ReferencedRequestSequence);
    encode_text(to, DCM_StudyInstanceUID, set.study_uid);
    encode_empty_sequence(to, DCM_ReferencedStudySequence);
    encode_text(to, DCM_PlacerOrderNumberImagingServiceRequest, "");
    encode_text(to, DCM_FillerOrderNumberImagingServiceRequest, "");
    if (!encode_copy(to, *from, DCM_AccessionNumber) &&
        !encode_copy(to, set.head(), DCM_AccessionNumber))
        encode_text(to, DCM_AccessionNumber, "");
    if (!encode_copy(to, *from, DCM_RequestedProcedureID))
        encode_text(to, DCM_RequestedProcedureID, "");
    if (!encode_copy(to, *from, DCM_RequestedProcedureDescription))
        encode_text(to, DCM_RequestedProcedureDescription, "");
    if (!encode_copy(to, *from, DCM_RequestedProcedureCodeSequence))
        encode_empty_sequence(to, DCM_RequestedProcedureCodeSequence);
}

static void put_document(DcmDataset &ds, const result_set &set)
{
    encode_empty_sequence(ds, DCM_ReferencedPerformedProcedureStepSequence);
    encode_empty_sequence(ds, DCM_PerformedProcedureCodeSequence);
    encode_text(ds, DCM_ContentDate, set.date);
    encode_text(ds, DCM_ContentTime, set.time);
    encode_text(ds, DCM_CompletionFlag, "COMPLETE");
    encode_text(ds, DCM_VerificationFlag, "UNVERIFIED");
    put_request(ds, set);
    put_evidence(ds, set);
    if (set.request.predecessor)
        put_predecessor(ds, *set.request.predecessor);
}

void sr_encode(const result_set &set, object_sink &sink)
{
    for (const auto &t : templates) {
        if (t.report != set.request.stage.report)
            continue;
        const struct object_name name = {RESULT_SR, "", 1};
        std::unique_ptr<DcmFileFormat> file = identity_object(set, name, t.sop_class_uid, "SR");
        DcmDataset &ds = *file->getDataset();
        put_document(ds, set);
        t.fill(set, ds);
        sink.put(name, *file);
        return;
    }
    throw encode_error(ERR_UNSUPPORTED, std::string("reports of ") + set.request.stage.name +
                                            " follow a template that this version cannot write");
}
