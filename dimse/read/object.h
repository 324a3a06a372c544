// A DICOM file as the analyses see it: attributes, frame geometry, decoded frames. C header over
// DCMTK. Reads Part 10 files of any transfer syntax in object_transfer_syntaxes(); parses untrusted
// input. Process: worker, analyze, association (attributes only). Thread-safety: one thread an
// object; different objects in different threads after object_init().
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attrs.h"
#include "base/err.h"
#include "base/identity.h"
#include "compute/image/image.h"
#include "compute/image/voi.h"

#ifdef __cplusplus
extern "C" {
#endif

// Loads the dictionary, registers decoders, routes DCMTK's log into ours (level error). Before any
// fork, once; ERR_INTERNAL without a dictionary.
bool object_init(struct err *err);
void object_quit(void);

// Transfer syntax UIDs that can be decoded, NULL-ended, best first. Association negotiation uses
// it.
const char *const *object_transfer_syntaxes(void);

struct object; // opaque

// UIDs are "" when absent or not usable (base/uid.h).
struct object_ids {
    struct instance_id id;
    char device_uid[65];     // Device UID (0018,1002), "" when absent
    char fault[128];         // what is wrong with the UID of instance, series or study, with its
                             // value; "": nothing
    int32_t instance_number; // 0 when absent
    uint32_t frames;         // 1 when Number of Frames is absent; 0 when there are no pixels
};

// Opens a file; pixel data stay on disk until a frame is asked for. What other readers take is
// taken and remarked: no preamble, no meta header, no Transfer Syntax UID in it or one that
// contradicts the data set, an unknown value representation. Known attributes of VR UN have that of
// the dictionary (PS3.5 6.2.2).
//   ERR_IO, ERR_INPUT (not DICOM, truncated, nested deeper than 32), ERR_NOMEM
struct object *object_open(const char *path, struct err *err);
void object_close(struct object *o);

const struct object_ids *object_ids(const struct object *o);
// Frames that object_frame() describes and object_decode() decodes: as many as ids.frames, but of a
// mosaic of Siemens, whose one frame shows the slices of a volume side by side, its slices: each is
// a frame of its own here, with its place, and references name the instance alone.
uint32_t object_frame_count(const struct object *o);
// What of its encoding is not as the standard has it, and how it was read in spite of that; "":
// nothing. Valid until object_close().
const char *object_remark(const struct object *o);
// Does it say which instance of which series and study it is?
//   ERR_INPUT it is a DICOMDIR; a UID is missing, empty or none (it is named, with its value)
bool object_identified(const struct object *o, struct err *err);

// Every top-level text or number attribute before Pixel Data, keyword to UTF-8 text, private ones
// left out. A bad character set gives '?' and is no error. What a list cannot hold
// (ATTRS_PACKED_MAX) are values of more than 64 bytes first. ERR_NOMEM.
bool object_attrs(const struct object *o, struct attrs *out, struct err *err);

// What the functional groups of an enhanced object say of frame (0-based): the text and number
// attributes of its own groups, then those of the shared ones, as above. Contrast/Bolus Agent is
// the meaning of the first agent's code, where the frame does not say that none was administered.
// Of all objects the codes of Derivation Code Sequence and of the view of a mammogram with its
// modifiers, the energy of a monoenergetic image and Toshiba's phase of the heart, under keys that
// name their place ("DerivationCodeSequence[0].CodeValue", "7005,xx04[TOSHIBA_MEC_CT3]"). Nothing
// else for other objects. Give own->base the attributes of the instance. ERR_NOMEM.
bool object_frame_attrs(const struct object *o, uint32_t frame, struct attrs *own, struct err *err);

// As object_open() + object_attrs() + object_ids() from the first bytes of a data set in memory,
// which may end anywhere (what the receive path has in hand). transfer_syntax: of data.
bool object_peek(const void *data, size_t size, const char *transfer_syntax, struct object_ids *ids,
                 struct attrs *attrs, struct err *err);

// The same of a whole file that is open for reading, with a meta header, once all of it has been
// found to be such as object_open() takes: slower. Deflated ones are not taken.
bool object_peek_file(int fd, struct object_ids *ids, struct attrs *attrs, struct err *err);
// May a file that begins as this one become one that object_open() takes? The descriptor is open
// for reading; the meta header is whole.
//   ERR_INPUT no, whatever follows; ERR_IO
bool object_may_begin_so(int fd, struct err *err);

#define OBJECT_WATCHED_MAX 64
// From now on object_attrs() and object_peek() also give this attribute, with path as its key. Of
// the process and those that it forks: called where the configuration is read.
//   path  steps with a dot between: keyword, "gggg,eeee" or, private, "gggg,xxee[CREATOR]"; all but
//         the last are sequences with the number of an item: "ScheduledStepAttributesSequence[0]"
// False: no such path, or too many, with the reason in why.
bool object_watch(const char *path, char *why, size_t size);
bool object_watches_private(void);

// Value of one attribute by keyword of the standard dictionary. false: no such keyword.
bool object_keyword_known(const char *keyword);
// Whether its values, or those at the end of a path, are decimal numbers in text (DS or IS), so
// that "3" and "3.0" are the same.
bool object_keyword_is_number(const char *keyword);
// The name of a SOP class by its UID, "KeyObjectSelectionDocumentStorage"; unknown ones have none
// and are returned as they are.
const char *object_class_name(const char *sop_class_uid);
// The nearest known keyword to a misspelt one, or NULL when none is near.
const char *object_keyword_near(const char *keyword);

// Describes frame (0-based) of an image, classic or enhanced. Fills all of *out but source, pool
// and attrs, which are 0 and the caller's.
//   placed     where Image Position or Orientation (Patient) is there, enhanced CT, MR and PET
//   always
//              (what that needs and is missing is an error); a classic multi-frame never
//   pixel_mm   of what is not placed: Pixel Spacing, else Imager Pixel Spacing, else NAN
//   slope, intercept  as they stand there; absent or empty: 1 and 0, no_slope and no_intercept say
//              so where CT, or the other one, asks for them
//   unit       CT: by Rescale Type, Hounsfield units where it is absent; PET: by Units, "1" where
//              there is no slope; else by the first Real World Value Mapping with a UCUM unit,
//              which then stands for the rescale; else "1". Of a Modality LUT slope and
//              intercept are 1 and 0, bits_stored and is_signed those of its table
//   time_s     the first of Temporal Position Time Offset, Frame Acquisition DateTime, cine (Frame
//              Time Vector, Frame Time, Cine Rate; since the first frame), Acquisition DateTime,
//              Acquisition Time, Content Time; with a date it counts from 1970
//   b_value    Diffusion b-value, also the private ones of Siemens, Philips and GE; with gradient
//   dimension  of an enhanced object, by Dimension Index Values other than those of the place
// A localizer is never measured, nor is a CT image without a place: what it lacks is no error.
//   tiled      of the slices of a mosaic; number is that of the tile
//   ERR_INPUT an attribute is missing or makes no sense (it is named), no such frame;
//   ERR_UNSUPPORTED no image, a mosaic whose header does not tell its slices, Modality LUT
//   Sequence, a pixel format that cannot be decoded
bool object_frame(const struct object *o, uint32_t frame, struct image_frame *out, struct err *err);

// How frame (0-based) wants its modality values shown; for voi_finish(). Where there are several
// windows the first that can be used, else the first item of VOI LUT Sequence. A function that
// nobody knows is LINEAR; what cannot be used is named in unusable, VOI_NONE where nothing is left.
// MONOCHROME1 is image_frame.inverted: Presentation LUT Shape must say the same (PS3.3 C.8.11.3),
// and where it does not, Photometric Interpretation counts.
//   ERR_INPUT no such frame, or no image of grey values; ERR_NOMEM
bool object_voi(const struct object *o, uint32_t frame, struct voi *out, struct err *err);

// Decodes frame (0-based) to stored values, one sample a pixel (MONOCHROME1/2), masked to Bits
// Stored and sign-extended; where there is a Modality LUT Sequence, what its table makes of them.
// values has columns * rows entries. An object whose frames are asked for one after another is read
// once.
//   ERR_INPUT the pixel stream is broken or short; ERR_UNSUPPORTED photometric or transfer syntax,
//   floating point; ERR_NOMEM
bool object_decode(struct object *o, uint32_t frame, int32_t *values, struct err *err);
// Decodes frame (0-based) of an image in colour (RGB, YBR, palettes) to red, green and blue of 8
// bits each, [rows][columns][3], for pictures only: colours are no values, and no analysis is given
// any of them. Of samples with more bits the upper 8 are taken. Errors as above; ERR_UNSUPPORTED:
// grey values
bool object_decode_rgb(struct object *o, uint32_t frame, uint8_t *rgb, struct err *err);
// As object_decode() of Float Pixel Data and Double Float Pixel Data; NaN stays.
// ERR_UNSUPPORTED: integers
bool object_decode_float(struct object *o, uint32_t frame, float *values, struct err *err);

// SHA-256 of a file's data set, without preamble and meta header: what dimse/net/scp.h computes
// while it receives. Of the whole file when it has no meta header. ERR_IO, ERR_NOMEM; ERR_INPUT: no
// regular file
bool object_digest(const char *path, uint8_t digest[32], struct err *err);

// Is this one of ours? True when Device UID or a Contributing Equipment item's Device UID is
// device_uid.
bool object_is_own(const struct object *o, const char *device_uid);

#ifdef __cplusplus
}
#endif
