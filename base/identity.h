// Who an object is. One datum crosses the program in one struct: in messages, in rows, in files
// that are received or sent. Texts end with a zero byte; UIDs as PS3.5 9.1 has them. Process: all.
// Thread-safety: plain data.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

#define UID_SIZE 65 // 64 characters and the zero

// An instance that was received, or is to be.
struct instance_id {
    char study_instance_uid[UID_SIZE], series_instance_uid[UID_SIZE];
    char sop_instance_uid[UID_SIZE], sop_class_uid[UID_SIZE];
    char transfer_syntax_uid[UID_SIZE];
    char modality[17];
};

// An object that was made here.
struct object_id {
    char kind[8]; // "sr": as results of an analysis are named
    char study_instance_uid[UID_SIZE], series_instance_uid[UID_SIZE];
    char sop_instance_uid[UID_SIZE], sop_class_uid[UID_SIZE];
    char transfer_syntax_uid[UID_SIZE];
};

#ifdef __cplusplus
}
#endif
