// C++, inside dimse only: findings to one object each. They throw encode_error.
#pragma once
#include "dimse/write/identity.h"

// Comprehensive 3D SR by TID 1500; always.
std::unique_ptr<DcmFileFormat> sr_encode(const result_set &set);
// Grayscale Softcopy Presentation State over the slices with marks; NULL without marks.
std::unique_ptr<DcmFileFormat> gsps_encode(const result_set &set);
// Secondary Capture of the pictures; NULL without pictures.
std::unique_ptr<DcmFileFormat> sc_encode(const result_set &set);
