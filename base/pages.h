// Large pages for large blocks: the kernel then clears and maps 2 MiB at a time instead of 4 KiB.
// `lungs` on 300 slices of 512 x 512 took 4.2 s without and 3.1 s with them. Thread-safety: any
// thread.
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Asks for them, for memory of this process that nothing was written to yet. Only advice: small
// blocks, and kernels that have none to give, stay as they are.
void pages_advise(void *at, size_t size);

// The other way, for large zeroed blocks of which little is written but all is read, also after
// pages_advise(): with large pages, reading takes memory for all of it.
void pages_sparse(void *at, size_t size);

#ifdef __cplusplus
}
#endif
