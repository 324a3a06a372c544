// The report page: findings->page drawn with Cairo into findings->pictures, ready for a secondary
// capture or a PNG. 1440 x 1080 pixels, a further picture where tables or images need the room.
// Every page says that it is not for diagnostic use. The same input gives the same bytes: typefaces
// are built in, nothing depends on the machine's fonts or the time of day.
// Process: worker, analyze. Thread-safety: one thread a findings.
#pragma once
#include <stdbool.h>
#include "compute/findings/findings.h"
#include "compute/image/volume.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PAGE_WIDTH  1440 // pixels
#define PAGE_HEIGHT 1080
#define PAGES_MAX   24 // what does not fit on so many is left out, and the last page says so

// Where the findings come from. No patient identity: viewers show that beside the picture. Texts
// are UTF-8; NULL or "" is left out.
struct page_context {
    const char *software;           // "anode 0.1.0"
    const char *title;              // of the analysis, when the findings have none
    const char *version;            // of the analysis
    const char *device;             // Vulkan device
    const char *study_description;  //
    const char *series_description; //
    const char *date;               // of the series: "2026-01-31 10:32"
};

// Appends pictures "page1", "page2", ... to f.
// v    the volume that page images and marks refer to; NULL: images are left out
// False with ERR_NOMEM, ERR_INTERNAL (Cairo); f has no new picture then.
// A verdict of not evaluable or failed gives a page that says so, with the reason large.
bool page_draw(struct findings *f, const struct volume *v, const struct page_context *context,
               struct err *err);

#ifdef __cplusplus
}
#endif
