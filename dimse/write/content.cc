#include "dimse/write/content.h"

static const char *relation_name(enum relation relation)
{
    switch (relation) {
    case REL_CONTAINS:
        return "CONTAINS";
    case REL_CONCEPT_MOD:
        return "HAS CONCEPT MOD";
    case REL_OBS_CONTEXT:
        return "HAS OBS CONTEXT";
    case REL_ACQ_CONTEXT:
        return "HAS ACQ CONTEXT";
    case REL_SELECTED_FROM:
        return "SELECTED FROM";
    case REL_PROPERTIES:
        return "HAS PROPERTIES";
    case REL_INFERRED_FROM:
        return "INFERRED FROM";
    case REL_ROOT:
        break;
    }
    return nullptr;
}

// The root's attributes lie in the data set itself.
static DcmItem &add(DcmItem &parent, enum relation relation, const char *value_type,
                    const struct code *concept)
{
    DcmItem &item = relation == REL_ROOT ? parent : encode_item(parent, DCM_ContentSequence);
    if (relation != REL_ROOT)
        encode_text(item, DCM_RelationshipType, relation_name(relation));
    encode_text(item, DCM_ValueType, value_type);
    if (concept)
        encode_code(item, DCM_ConceptNameCodeSequence, *concept);
    return item;
}

DcmItem &content_container(DcmItem &parent, enum relation relation, const struct code &concept,
                           const char *template_id)
{
    DcmItem &item = add(parent, relation, "CONTAINER", &concept);
    encode_text(item, DCM_ContinuityOfContent, "SEPARATE");
    if (template_id) {
        DcmItem &named = encode_item(item, DCM_ContentTemplateSequence);
        encode_text(named, DCM_MappingResource, "DCMR");
        encode_text(named, DCM_MappingResourceUID, UID_DICOMContentMappingResource);
        encode_text(named, DCM_TemplateIdentifier, template_id);
    }
    return item;
}

DcmItem &content_code(DcmItem &parent, enum relation relation, const struct code &concept,
                      const struct code &value)
{
    DcmItem &item = add(parent, relation, "CODE", &concept);
    encode_code(item, DCM_ConceptCodeSequence, value);
    return item;
}

DcmItem &content_text(DcmItem &parent, enum relation relation, const struct code &concept,
                      const std::string &text)
{
    DcmItem &item = add(parent, relation, "TEXT", &concept);
    encode_text(item, DCM_TextValue, text);
    return item;
}

DcmItem &content_uid(DcmItem &parent, enum relation relation, const struct code &concept,
                     const std::string &uid)
{
    DcmItem &item = add(parent, relation, "UIDREF", &concept);
    encode_text(item, DCM_UID, uid);
    return item;
}

DcmItem &content_date(DcmItem &parent, enum relation relation, const struct code &concept,
                      const std::string &date)
{
    DcmItem &item = add(parent, relation, "DATE", &concept);
    encode_text(item, DCM_Date, date);
    return item;
}

DcmItem &content_time(DcmItem &parent, enum relation relation, const struct code &concept,
                      const std::string &time)
{
    DcmItem &item = add(parent, relation, "TIME", &concept);
    encode_text(item, DCM_Time, time);
    return item;
}

DcmItem &content_number(DcmItem &parent, enum relation relation, const struct code &concept,
                        const std::string &number, const struct code &unit)
{
    DcmItem &item = add(parent, relation, "NUM", &concept);
    DcmItem &value = encode_item(item, DCM_MeasuredValueSequence);
    encode_text(value, DCM_NumericValue, number);
    encode_code(value, DCM_MeasurementUnitsCodeSequence, unit);
    return item;
}

DcmItem &content_image(DcmItem &parent, enum relation relation, const struct source_frame &frame)
{
    DcmItem &item = add(parent, relation, "IMAGE", nullptr);
    identity_reference(encode_item(item, DCM_ReferencedSOPSequence), frame);
    return item;
}

DcmItem &content_reference(DcmItem &parent, enum relation relation,
                           const std::vector<Uint32> &position)
{
    DcmItem &item = encode_item(parent, DCM_ContentSequence);
    encode_text(item, DCM_RelationshipType, relation_name(relation));
    encode_check(item.putAndInsertUint32Array(DCM_ReferencedContentItemIdentifier, position.data(),
                                              (unsigned long)position.size()),
                 DCM_ReferencedContentItemIdentifier);
    return item;
}

DcmItem &content_segment(DcmItem &parent, enum relation relation, const struct code &concept,
                         const std::string &sop_instance_uid, uint16_t segment)
{
    DcmItem &item = add(parent, relation, "IMAGE", &concept);
    DcmItem &reference = encode_item(item, DCM_ReferencedSOPSequence);
    encode_text(reference, DCM_ReferencedSOPClassUID, UID_SegmentationStorage);
    encode_text(reference, DCM_ReferencedSOPInstanceUID, sop_instance_uid);
    encode_u16(reference, DCM_ReferencedSegmentNumber, {segment});
    return item;
}

// What refers to an object as a whole.
static DcmItem &add_object(DcmItem &parent, enum relation relation, const char *value_type,
                           const struct code &concept, const std::string &sop_class_uid,
                           const std::string &sop_instance_uid)
{
    DcmItem &item = add(parent, relation, value_type, &concept);
    DcmItem &reference = encode_item(item, DCM_ReferencedSOPSequence);
    encode_text(reference, DCM_ReferencedSOPClassUID, sop_class_uid);
    encode_text(reference, DCM_ReferencedSOPInstanceUID, sop_instance_uid);
    return item;
}

DcmItem &content_composite(DcmItem &parent, enum relation relation, const struct code &concept,
                           const std::string &sop_class_uid, const std::string &sop_instance_uid)
{
    return add_object(parent, relation, "COMPOSITE", concept, sop_class_uid, sop_instance_uid);
}

DcmItem &content_waveform(DcmItem &parent, enum relation relation, const struct code &concept,
                          const std::string &sop_class_uid, const std::string &sop_instance_uid)
{
    return add_object(parent, relation, "WAVEFORM", concept, sop_class_uid, sop_instance_uid);
}

DcmItem &content_region(DcmItem &parent, enum relation relation, const struct code &concept,
                        const char *graphic_type, const std::vector<Float32> &points)
{
    DcmItem &item = add(parent, relation, "SCOORD", &concept);
    encode_text(item, DCM_GraphicType, graphic_type);
    encode_f32(item, DCM_GraphicData, points);
    return item;
}
