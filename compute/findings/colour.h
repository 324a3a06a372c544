// Colours that carry meaning: outlines on images, layers, segments, lines of curves. Readers of any
// colour vision tell each from every other, from the greys of an image around it and from dark
// paper: tests/unit/test_colours.py simulates them. After Okabe and Ito, Color Universal Design;
// sky is lighter and violet another one than theirs. Red, green, blue. Thread-safety: constants.
#pragma once

// clang-format off
#define COLOUR_YELLOW    {240, 228, 66}
#define COLOUR_GREEN     {0, 158, 115}
#define COLOUR_SKY       {100, 200, 255}
#define COLOUR_VERMILION {213, 94, 0}
#define COLOUR_VIOLET    {160, 70, 235}
#define COLOUR_WHITE     {255, 255, 255}
#define COLOUR_GREY      {180, 180, 180} // what does not count
// clang-format on
