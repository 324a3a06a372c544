// A plane as a picture with what was found on it, in true proportions.
// Thread-safety: one thread a pen.
#pragma once
#include "compute/draw/palette.h"
#include "compute/draw/pen.h"
#include "compute/draw/plane.h"
#include "compute/findings/findings.h"

struct tile {
    const struct plane *plane; // NULL: black
    double box[4];    // part shown: first column, first row, columns, rows; clipped; empty: all
    double window[2]; // centre, width, from black to white; width <= 0 or not finite: as the header
                      // wants it; with a bar, or where it does not say: from the least to the most
    enum palette palette;
    const char *unit; // of the colour bar beside it; NULL: no bar
    bool bare;        // without scale bar and patient directions
    bool filled;      // regions that were found are filled, so that they show when they are small
};

// Draws into the rectangle (x, y, width, height): the part of the plane that box names, in colours
// of its palette, fitted and centred on black; the outlines of the plane's regions in their colours
// (those that say where was looked are dashed); the marks that f has at its place, in the colours
// of their layers; a scale bar and the patient directions where they are known; a bar of the
// colours with ticks and unit.
void tile_draw(struct pen *pen, const struct findings *f, const struct tile *tile, double x,
               double y, double width, double height);

// The same of an image of the page: of its slice or map, in the window that it names or, of a map
// without, that of the map. bar: beside a map. False: its pixels cannot be read (it is black
// then), with *err.
bool tile_image(struct pen *pen, const struct image_set *set, const struct findings *f,
                const struct page_image *image, const struct tile *how, bool bar,
                const double at[4], struct err *err);

#define TILE_BAR_ROOM 78.0 // right of the picture, for the colour bar

// How people write a unit: "HU", "mm2", "" for a number without one. Borrowed from unit.
const char *tile_unit(const struct code *unit);
