// C++, inside dimse only: content items of a structured report in a plain data set, so that source
// UIDs stay as they are however broken. Source: PS3.3 C.17.3, C.18.
#pragma once
#include "dimse/write/identity.h"

enum relation {
    REL_ROOT, // the document's own container
    REL_CONTAINS,
    REL_CONCEPT_MOD,
    REL_OBS_CONTEXT,
    REL_ACQ_CONTEXT,
    REL_SELECTED_FROM,
    REL_PROPERTIES,
    REL_INFERRED_FROM,
};

// Each appends an item to parent's Content Sequence and returns it, borrowed from the data set.
// template_id: of DCMR, NULL for none.
DcmItem &content_container(DcmItem &parent, enum relation relation, const struct code &concept,
                           const char *template_id);
DcmItem &content_code(DcmItem &parent, enum relation relation, const struct code &concept,
                      const struct code &value);
DcmItem &content_text(DcmItem &parent, enum relation relation, const struct code &concept,
                      const std::string &text);
DcmItem &content_uid(DcmItem &parent, enum relation relation, const struct code &concept,
                     const std::string &uid);
DcmItem &content_date(DcmItem &parent, enum relation relation, const struct code &concept,
                      const std::string &date);
DcmItem &content_time(DcmItem &parent, enum relation relation, const struct code &concept,
                      const std::string &time);
// number: a Decimal String.
DcmItem &content_number(DcmItem &parent, enum relation relation, const struct code &concept,
                        const std::string &number, const struct code &unit);
DcmItem &content_image(DcmItem &parent, enum relation relation, const struct source_frame &frame);
// An item elsewhere in the tree, by its position: {1, 2, 3} is the third item in the second of the
// root.
DcmItem &content_reference(DcmItem &parent, enum relation relation,
                           const std::vector<Uint32> &position);
// A segment of a segmentation.
DcmItem &content_segment(DcmItem &parent, enum relation relation, const struct code &concept,
                         const std::string &sop_instance_uid, uint16_t segment);
// Another report, or anything that is no image.
DcmItem &content_composite(DcmItem &parent, enum relation relation, const struct code &concept,
                           const std::string &sop_class_uid, const std::string &sop_instance_uid);
DcmItem &content_waveform(DcmItem &parent, enum relation relation, const struct code &concept,
                          const std::string &sop_class_uid, const std::string &sop_instance_uid);
// graphic_type: "POLYLINE"; points: pairs of column and row.
DcmItem &content_region(DcmItem &parent, enum relation relation, const struct code &concept,
                        const char *graphic_type, const std::vector<Float32> &points);
