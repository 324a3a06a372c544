// C++, inside dimse only: one set of results and what all its objects have in common: patient and
// study of the source bit for bit, a series of their own, the equipment, UIDs made of the input.
// Sources: PS3.3 C.7.1 to C.7.3, C.7.5.1, C.12.1, A.35.13; PS3.16 CID 7005, 7021.
// Thread-safety: one thread a set.
#pragma once
#include <memory>
#include <string>
#include <vector>
#include "dimse/write/encode.h"
#include "dimse/read/object_parts.h"
#include "dimse/write/results.h"

// A source frame that results point at.
struct source_frame {
    const struct result_source *source;
    uint32_t frame; // 1-based
    bool part;      // of an instance with more frames: its number must be named
};

class result_set
{
  public:
    // Reads the header of the first source that can be read. Throws encode_error: ERR_INPUT (none
    // can), ERR_IO, ERR_NOMEM, ERR_INTERNAL (no data dictionary; findings that point at nothing).
    explicit result_set(const struct result_request &request);

    const struct result_request &request;
    const struct findings &findings;
    std::vector<const struct result_source *> sources; // by SOP Instance UID, each once
    std::string study_uid, series_uid;                 // of the sources, as they are
    std::string date, time;                            // the analysis started, in zone
    std::string zone;                                  // "+0100"

    // 2.25.<128 bits of SHA-256(sorted digests, stage, version, options, what, index)>
    std::string uid(const std::string &what, const std::string &index) const;
    // Tracking UID of a group: the same in SR and SEG.
    std::string tracking_uid(const struct finding_group &group) const;

    // Frame of slice k of the volume; throws when there is none.
    struct source_frame frame(uint32_t k) const;
    // The same of a slice that was offered, used or not.
    struct source_frame slice_frame(size_t slice) const;
    // Header of the first of the sources that can be read.
    DcmDataset &head() const;

  private:
    std::shared_ptr<struct object> first;
    std::vector<uint8_t> seed; // sorted digests, stage, version, options
    std::vector<bool> many;    // [request.source_count] has more than one frame
};

// "anode": Manufacturer, and Manufacturer's Model Name.
extern const char *const maker_name;
extern const char *const not_for_diagnostic_use; // ASCII, one line

// A new data set of kind with patient, study, series, equipment and SOP common attributes.
std::unique_ptr<DcmFileFormat> identity_object(const result_set &set, enum stage_result kind,
                                               const char *sop_class_uid, const char *modality);

// Referenced SOP Class and Instance UID, as they are.
void identity_reference(DcmItem &item, const struct result_source &source);
// And Referenced Frame Number where the instance has more frames.
void identity_reference(DcmItem &item, const struct source_frame &frame);

// Request Attributes Sequence of the source, where it has items.
void identity_copy_request(DcmItem &item, const result_set &set);

// Body Part Examined and Laterality, such that a viewer can tell the side or knows that there is
// none.
void identity_body_part(DcmItem &item, const result_set &set);

// A file's header, as object_open(). Throws its error.
typedef std::shared_ptr<struct object> source_header;
source_header identity_open(const char *path);
