// The clocks, in seconds. Waits and deadlines use the steady one; what is stored or shown uses the
// wall clock; what tells a hang from a busy machine counts CPU time. Thread-safety: any thread.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

double clock_steady(void); // CLOCK_MONOTONIC
double clock_wall(void);   // since 1970
double clock_cpu(void);    // CPU time of this process, all its threads together

#ifdef __cplusplus
}
#endif
