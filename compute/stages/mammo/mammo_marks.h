// What is found on one mammogram: the breast, its nipple and the pectoral muscle, how much of it is
// dense, on request clusters of calcifications, and room for masses, with what was left out, with
// the reason. The detection of masses is not part of this version: no_masses says so. All positions
// are those of the image as it is stored: columns and rows, (0, 0) the outer corner of the first
// pixel (compute/findings/findings.h). Process: worker, analyze. Thread-safety: one thread a struct
// gpu.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/stages/stage.h"

// What the headers say of an image.
struct mammo_view {
    char side;           // 'L' or 'R'; 0: not stated
    bool oblique;        // MLO or another oblique one: the pectoral muscle is looked for
    bool for_processing; // Presentation Intent Type: values are those of the detector, high where
                         // there is no breast, unless the frame is MONOCHROME2 of the other kind,
                         // which the picture itself decides
    bool clusters;       // whether they are looked for
    double cluster_probability; // 0..1: clusters below it are left out
    double pixel_mm;            // of an image whose header states none; 0: as the header says
};

enum mammo_kind { MAMMO_MASS, MAMMO_CLUSTER };

// One of a cluster.
struct mammo_calc {
    float x, y;     // centre
    float size_mm;  // of a disc of its area
    float contrast; // robust z: of the noise at its grey level
};

struct mammo_mark {
    enum mammo_kind kind;
    float x, y;             // centre
    const float *outline;   // closed, x, y pairs: the last is the first; of the arena of the job
    uint32_t outline_count; // pairs
    double probability;     // 0..1 of the logistic model of its kind; of no calibrated population:
                            // it orders marks
    double size_mm;         // longest extent of the outline
    double contrast;        // mass: mean inside less mean around, in standard deviations around;
                            // cluster: median of its calcifications
    double spiculation;     // mass: robust count of lines that point to it, in standard deviations
    uint32_t count;         // cluster: calcifications
    const struct mammo_calc *calcs; // of the cluster
};

// What was a candidate and is no mark.
enum mammo_reason {
    MAMMO_SKIN,     // calcification in or under the skin line
    MAMMO_VESSEL,   // chain along a vessel
    MAMMO_COARSE,   // larger than 1 mm: popcorn, rod
    MAMMO_RIM,      // bright rim around a dark centre
    MAMMO_ARTEFACT, // film: sharper than the imaging system, a scratch, dust, a clip
    MAMMO_MUSCLE,   // on the pectoral muscle
    MAMMO_SPREAD,   // fewer than 3 in 1 cm2
    MAMMO_CORNER,   // where films bear labels
    MAMMO_UNLIKELY, // below the operating point
    MAMMO_REASONS
};
// For people: "in the skin".
const char *mammo_reason_text(enum mammo_reason reason);

#define MAMMO_MARKS_MAX 24 // of one kind on an image: those of highest probability

struct mammo_marks {
    const char *refused; // why the image was not analysed: "no breast is seen"; NULL: it was
    double pixel_mm;     // at the detector; in the breast where a magnification factor is stated
    char lies;           // the chest wall is on the 'L' left or 'R' right of the image; 0: unclear
    float *skin;         // outline of the breast, closed, x, y pairs; of the arena
    uint32_t skin_count; // pairs
    bool has_nipple;
    float nipple[2];
    bool has_muscle; // the pectoral muscle, of an oblique view
    float *muscle;   // its outline, closed
    uint32_t muscle_count;
    double breast_mm2; // without the muscle
    double dense_mm2;
    double percent;           // dense of the breast; NAN: not evaluable, because
    double percent_range[2];  // that it may be, least and most
    const char *no_density;   // why there is none; NULL: there is
    const char *no_masses;    // why masses were not looked for; NULL: they were
    const char *no_clusters;  // why calcifications were not looked for; NULL: they were
    struct mammo_mark *marks; // masses first, of each kind the likeliest first
    uint32_t mark_count;
    uint32_t rejected[2][MAMMO_REASONS]; // candidates (clusters: calcifications) by kind and reason
    bool cut;                            // marks beyond MAMMO_MARKS_MAX were dropped
};

// Analyses one image (one slice, no place in space needed, spacing known).
// image  index in run->set
// out    zeroed by it; what it points to lives in run->arena. A picture that cannot be judged is no
//        error: out->refused.
//   ERR_*  of decoding, the device, memory; ERR_TIMEOUT
bool mammo_find(const struct stage_run *run, uint32_t image, const struct mammo_view *view,
                struct mammo_marks *out, struct err *err);
