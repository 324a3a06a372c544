// C++, inside dimse only: one set of results and what all its objects have in common: patient and
// study of the source bit for bit, a series of their own, the equipment, UIDs made of the input.
// Sources: PS3.3 C.7.1 to C.7.3, C.7.5.1, C.12.1, A.35.13; PS3.16 CID 7005, 7021.
// Thread-safety: one thread a set.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>
#include "dimse/write/encode.h"
#include "dimse/write/labels.h"
#include "dimse/read/object_parts.h"
#include "dimse/write/results.h"

// A source frame that results point at.
struct source_frame {
    const struct result_source *source;
    uint32_t frame; // 1-based
    bool part;      // of an instance with more frames: its number must be named
};

// The sources of one series.
struct source_series {
    std::string study_uid, series_uid; // as they are
    std::vector<const struct result_source *> sources;
};

// What an object is in its set: it determines the UIDs, the series and the name of the file.
struct object_name {
    enum result_kind kind;
    std::string product; // "": the only one, or the usual one, of its kind
    uint32_t index;      // Instance Number in the series of kind and product, from 1
};

// A file's header, as object_open(). Throws its error.
typedef std::shared_ptr<struct object> source_header;
source_header identity_open(const char *path);

class result_set
{
  public:
    // Reads the header of the first source that can be read. Throws encode_error: ERR_INPUT (none
    // can, and there is no head), ERR_IO, ERR_NOMEM, ERR_INTERNAL (no data dictionary; findings
    // that point at nothing).
    explicit result_set(const struct result_request &request);

    const struct result_request &request;
    const struct findings &findings;
    std::vector<const struct result_source *> sources; // by SOP Instance UID, each once
    std::vector<struct source_series> series;          // by Study, then Series Instance UID
    std::string study_uid;                             // that results belong to
    std::string date, time; // the analysis started, in zone or else in the machine's local time
    std::string zone;       // "+0100"; "" when neither source nor node name one

    // 2.25.<128 bits of SHA-256(sorted digests, stage, version, identity, what, index)>
    std::string uid(const std::string &what, const std::string &index) const;
    std::string series_uid(const struct object_name &name) const;
    std::string instance_uid(const struct object_name &name) const;
    // Tracking UID of a group: the same in SR and SEG.
    std::string tracking_uid(const struct finding_group &group) const;

    uint32_t image_count() const;
    const struct image &image(uint32_t index) const; // throws when there is none
    // Index of the frame at a place; throws when there is none.
    uint32_t frame_index(const struct place &place) const;
    // The same of a frame of the image set.
    struct source_frame frame(uint32_t frame_index) const;
    // The series that a frame belongs to.
    const struct source_series &series_of(uint32_t frame_index) const;
    // image_place_name() of a place that has a frame; throws when there is none.
    std::string place_text(const struct place &place) const;

    // Header of the first of the main sources that can be read, or made of the request's head.
    DcmDataset &head() const;
    // Header of the first source of a series that can be read; NULL: none.
    DcmDataset *head(const struct source_series &of) const;

    // A text of ours (UTF-8) in the character set of the source, which all texts of an object
    // share. Signs that it lacks are spelt in ASCII where that is usual ("2" for a superscript),
    // '?' otherwise.
    std::string text(const std::string &utf8) const;

    // Where the regions of the label maps are; made at the first use.
    const label_index &labels() const;

  private:
    source_header first;         // NULL: made holds instead
    mutable DcmDataset made;     // of request.head
    std::vector<uint8_t> seed;   // sorted digests, stage, version, identity
    std::vector<uint32_t> group; // [source_count] index into series
    mutable std::map<const struct source_series *, source_header> heads;
    mutable std::unique_ptr<label_index> label_boxes;
    std::string character_set; // of head()
};

// "anode": Manufacturer, and Manufacturer's Model Name.
extern const char *const maker_name;
extern const char *const usual_product; // of pictures: its objects have no product in their name
extern const char *const not_for_diagnostic_use; // ASCII, one line

// A new data set with patient, study, series, equipment and SOP common attributes.
std::unique_ptr<DcmFileFormat> identity_object(const result_set &set,
                                               const struct object_name &name,
                                               const char *sop_class_uid, const char *modality);

// Referenced SOP Class and Instance UID, as they are.
void identity_reference(DcmItem &item, const struct result_source &source);
// And Referenced Frame Number where the instance has more frames.
void identity_reference(DcmItem &item, const struct source_frame &frame);

// Source Image Sequence: every source.
void identity_sources(DcmItem &item, const result_set &set);

// Request Attributes Sequence of the source, where it has items.
void identity_copy_request(DcmItem &item, const result_set &set);

// Body Part Examined and Laterality, such that a viewer can tell the side or knows that there is
// none.
void identity_body_part(DcmItem &item, const result_set &set);
