// Lists the Vulkan devices of the machine for the core, which never opens Vulkan itself: a driver
// that crashes or hangs costs this process. Process: scout (forked by the core, ends at once).
#pragma once

// Body for child_start(); ctx is a struct conf. One MSG_DEVICE for each device, or a single one
// with count 0 and the reason.
int scout_run(void *ctx, int channel);
