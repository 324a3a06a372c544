// A network of the site as an analysis: what the folder of a model says, and the row of the stage
// table that comes of it. Segmentation of one image: it is brought to the axes, spacing and range
// of values that the network was trained on, each voxel takes the class with the highest output,
// and the classes are carried back to the grid of the image, where they are counted.
// Process: all (built before the first fork), worker, analyze. Thread-safety: read-only once built.
#pragma once
#include "compute/stages/stage.h"

#define MODEL_LABELS_MAX 255      // classes that are shown
#define MODEL_AXIS_MAX   1024     // voxels along an axis of the grid of a network
#define MODEL_DIGEST_HEX 65       // SHA-256 in hexadecimal digits, and the byte 0
#define MODEL_SLOT_FIRST 40       // stage.slot of the first model of a site
#define MODEL_VOXELS_MAX 50331648 // of the grid: 192 MiB of float, three times a head at 1 mm

// How values are scaled before the network sees them. Fractions are of voxels.
enum model_scaling {
    MODEL_RAW,      // as they are
    MODEL_MINMAX,   // (v - least) / (most - least)
    MODEL_QUANTILE, // the same from the quantiles low to high of all voxels of the grid
    MODEL_ZSCORE,   // (v - mean) / SD of the voxels that lie in the image
    MODEL_CT, // limited to low..high, then (v - mean) / sd, all given: as nnU-Net plans for CT
};

struct model_label {
    uint32_t index;   // class of the network, >= 1; 0 is the background
    const char *name; // "White matter"
    struct code type, category, laterality;
    uint8_t rgb[3];
    double least_ml, most_ml; // a volume outside is not believed; 0, 0: any
};

struct model {
    const char *folder;  // absolute
    const char *network; // file in it: the graph
    const char *licence, *source;
    const char *caution;           // a warning of each report; "": none
    char digest[MODEL_DIGEST_HEX]; // of model.yaml, network and weights
    char axes[4]; // patient direction that the index grows to along each axis of the network, the
                  // slowest first: "LIA", "SPL" (S: to the head, I: to the feet)
    double spacing_mm[3]; // along these axes
    uint32_t dim[3];      // of the grid along these axes, centred on the image; 0: as many as the
                          // image needs, along its own axes
    uint32_t window[3];   // along these axes, that an ONNX file takes at a time where it leaves it
                          // open; 0: all of the grid
    enum model_scaling scaling;
    double low, high;   // MODEL_QUANTILE: 0..1; MODEL_CT: limits
    bool clip;          // MODEL_QUANTILE: limited to 0..1
    double mean, sd;    // MODEL_CT
    bool largest;       // of all classes together only the largest connected piece
    double coarsest_mm; // wider spaced voxels are not evaluated; 0: any
    double extent_mm;   // an image that reaches less far along an axis is not; 0: any
    const char *brighter,
        *darker; // names of labels: the mean of the first must be the higher; NULL
    struct model_label *labels;
    uint32_t label_count;
    struct code procedure; // procedure reported
};

// run() of a stage whose data is a struct model, and the kernels that it needs.
enum stage_end model_run(const struct stage_run *run, struct findings *out, struct err *err);
extern const struct kernel_group *const model_kernels[];
