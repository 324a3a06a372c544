// Tells systemd how the service is doing (sd_notify protocol over $NOTIFY_SOCKET), without its
// library. Does nothing where nobody asked. Process: core.
#pragma once

// state: lines of "KEY=value" such as "READY=1". For RELOADING=1 the clock is added.
void notify(const char *state);
