// What names this implementation in files and associations.
// Source: PS3.7 D.3.3.2 (Implementation Class UID and Version Name), PS3.10 7.1.
#pragma once

#define ANODE_IMPLEMENTATION_CLASS_UID "2.25.323293189521597669584423160649321261101"

// At most 16 characters (VR SH).
#define ANODE_IMPLEMENTATION_VERSION_NAME "ANODE_" ANODE_VERSION
