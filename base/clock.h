// The two clocks, in seconds. Waits and deadlines use the steady one; what is stored or shown uses
// the wall clock. Thread-safety: any thread.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

double clock_steady(void); // CLOCK_MONOTONIC
double clock_wall(void);   // since 1970

#ifdef __cplusplus
}
#endif
