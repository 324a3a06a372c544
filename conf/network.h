// Numeric addresses and networks as the configuration writes them: "192.0.2.7", "192.0.2.0/24",
// "2001:db8::/32". Inside conf/ only. Thread-safety: any thread.
#pragma once
#include <stdbool.h>

bool network_check(const char *network);                    // is it one?
bool network_has(const char *network, const char *address); // address: numeric, else no
