// C++, inside dimse only: findings to objects, one encoder a kind. Each makes its objects one after
// another and hands them to the sink, which writes them, so that one at a time is in memory. An
// encoder that has nothing to show makes none. They throw encode_error.
#pragma once
#include "dimse/write/identity.h"

class object_sink
{
  public:
    virtual ~object_sink() = default;
    // Writes an object that identity_object() began. Throws encode_error.
    virtual void put(const struct object_name &name, DcmFileFormat &file) = 0;
};

// A structured report by the template that the analysis chose; always one.
//   ERR_UNSUPPORTED  there is no encoder for that template
void sr_encode(const result_set &set, object_sink &sink);
// A Grayscale Softcopy Presentation State for each source series with marks on grayscale frames.
void gsps_encode(const result_set &set, object_sink &sink);
// A Secondary Capture for each product of pictures: one picture, pages, or frames that move.
void sc_encode(const result_set &set, object_sink &sink);
// A Segmentation for each label map that labels_have_seg(), named labels_seg_name(), with the
// segments that labels().regions() lists; then one for each fraction map, whose index goes on after
// the label maps.
void seg_encode(const result_set &set, object_sink &sink);
// A Parametric Map for each value map; product: its name.
void pmap_encode(const result_set &set, object_sink &sink);
// An Encapsulated PDF for each document.
void pdf_encode(const result_set &set, object_sink &sink);
// A series of CT or MR images for each reformat whose image has a frame of reference; product: its
// name, index: of the plane, from 1.
//   ERR_INTERNAL  the source is neither CT nor MR; planes of a size that DICOM cannot hold
void mpr_encode(const result_set &set, object_sink &sink);

// The image library of a report (TID 1600): every source, by image and series.
void sr_library(const result_set &set, DcmDataset &root);
bool sr_library_has_private(const result_set &set); // it has codes of the scheme 99ANODE

// The templates a report can follow; sr_encode() chooses. The data set is filled in.
void sr_measurements(const result_set &set, DcmDataset &ds);
void sr_mammo(const result_set &set, DcmDataset &ds);
void sr_text(const result_set &set, DcmDataset &ds);

// Language and the node as observer (TID 1204, 1001).
void sr_observer(DcmDataset &root, const result_set &set);

// The image library of a mammography report (TID 4020): every source that is an image. Others
// refer to its entries by where they are in the tree. number: of the library among the items of
// the root.
typedef std::map<const struct result_source *, std::vector<Uint32>> library_positions;
library_positions sr_mammo_library(const result_set &set, DcmDataset &root, Uint32 number);
