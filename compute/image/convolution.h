// What the name of a reconstruction kernel (Convolution Kernel, PS3.3 C.8.2.1) says of how an image
// shows edges. Thread-safety: pure.
//
// Names are the makers' own. Sources, read as facts: Siemens SOMATOM Sensation manual, p. 316 (B10
// and B20 soft, B30 and B40 standard, B50 to B80 of higher sharpness, S80 and S90 for measurements;
// the ending is the speed of rotation); physics notes on Siemens' two-letter names (B body, H head,
// Q quantitative, U ultra high; the number is the resolution: Br40 standard, Bl57 lung); BRIDG
// (soft tissue: B30 of Siemens, STANDARD of GE, FC03 of Toshiba); scans that were reconstructed
// twice and measured (Philips B soft, L overshoots by 187 HU; Siemens B40f soft, B70f 32 HU); a
// public set of fractures whose sharp kernels are YA, YB, YD, L, D, E of Philips. Toshiba's and
// Canon's numbers and GE's words are common knowledge of the trade.
#pragma once
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// From the best to the worst for measuring attenuation.
enum image_sharpness {
    IMAGE_KERNEL_SOFT,
    IMAGE_KERNEL_UNKNOWN,
    IMAGE_KERNEL_SHARP, // between soft and enhancing: depends on the scanner
    IMAGE_KERNEL_EDGE,  // enhances edges: bone, lung
};

// kernel  value or values, as in the header; NULL is ""
// Of several values the sharpest counts; a further one that is not known ("3", "Q3") says how
// strong an iterative reconstruction was.
enum image_sharpness image_kernel_sharpness(const char *kernel);
// Whether its name says that it is for soft tissue.
bool image_kernel_is_soft(const char *kernel);

#ifdef __cplusplus
}
#endif
