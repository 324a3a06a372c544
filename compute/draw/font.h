// The typefaces of our pages. DejaVu Sans is built into the program and is the first choice, so
// that Latin, Greek, Cyrillic, Arabic and Hebrew look the same on every machine; other scripts come
// from the fonts below /usr/share/fonts and /usr/local/share/fonts. The fontconfig files of the
// machine and of its users have no say. Thread-safety: any thread.
#pragma once
#include <fontconfig/fontconfig.h>
#include <stdbool.h>
#include <stdint.h>

#define FONT_FAMILY "anode sans" // the built-in faces, regular and bold

// Of the program, made at the first call; NULL: no memory, or no file in memory could be made.
FcConfig *font_config(void);

// Whether some typeface has a glyph for a character; true also for those that need none (joiners,
// directional marks, variation selectors). False without font_config().
bool font_covers(uint32_t character);
