// The sound of an audio object. Sources: PS3.3 A.34.8, A.34.10, C.10.9; ITU-T G.711.
// Process: worker, analyze. Thread-safety: one thread a waveform.
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "compute/speech/recording.h"

#ifdef __cplusplus
extern "C" {
#endif

struct waveform;

// Opens it; out is filled and reads from it until waveform_close(). All of the object is in memory.
//   ERR_INPUT        no DICOM object, no or several multiplex groups, fewer samples than it says, a
//                    sampling frequency that is none: what it has is named
//   ERR_UNSUPPORTED  more than two channels, other samples than 8 or 16 bits, mu-law or A-law, more
//                    than 48000 of them a second or fewer than 8000
//   ERR_IO, ERR_NOMEM
struct waveform *waveform_open(const char *path, struct recording *out, struct err *err);
void waveform_close(struct waveform *w); // NULL is fine

#ifdef __cplusplus
}
#endif
