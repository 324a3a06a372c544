// The report pages: findings->page, curves and exclusions drawn with Cairo and Pango, as pictures
// for a secondary capture or a PNG, and as a PDF. 1440 x 1080 pixels a page, a further one where
// tables, curves or images need the room. Every page says that it is not for diagnostic use. The
// same input gives the same bytes on the same machine, whatever the time of day.
// Process: worker, analyze. Thread-safety: one thread a findings.
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "compute/findings/findings.h"
#include "compute/image/image.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PAGE_WIDTH          1440 // pixels
#define PAGE_HEIGHT         1080
#define PAGES_MAX           24 // what does not fit on so many is left out, and the last page says so
#define PAGE_EXCLUSIONS_MAX 60 // further ones are counted in one row

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
    bool light; // pictures are dark text on white paper; else light text on dark, for dark rooms
};

// Both:
// set  the images that places refer to; NULL, or without pixels: images and sections are left out,
//      and so are the names of places
// False with ERR_NOMEM, ERR_INTERNAL (Cairo), and what reading pixels says but ERR_INPUT: an image
// that is not there is black. f is as before then.
// A verdict of not evaluable or failed gives pages that say so, with the reason large, the
// warnings, the exclusions and the facts.

// Appends pictures "page1", "page2", ... of the product "page" to f.
bool page_draw(struct findings *f, const struct image_set *set, const struct page_context *context,
               struct err *err);

// Appends the same pages as a document "report", application/pdf: A4 landscape, always light, texts
// can be searched and copied; it has a title and a creator, and no date.
bool page_document(struct findings *f, const struct image_set *set,
                   const struct page_context *context, struct err *err);

#ifdef __cplusplus
}
#endif
