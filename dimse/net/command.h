// Are command sets what they may be? Follows the PDUs that stream in, in constant memory, before
// DCMTK's recursive parser sees a byte of them: a command set has elements of group 0000 alone,
// each once, of a defined and small length and none a sequence. (Of one that comes twice and goes
// on in the next fragment DCMTK 3.6.7 takes the rest of the value for elements.) A data set comes
// where the command before it announces one, and there alone: that parser would take another one
// for a command set. Parses untrusted input.
// Sources: PS3.7 6.3.1 (command set), 9.3 (Command Data Set Type), PS3.8 9.3 (PDUs), E.2
// (fragments).
// Process: association, sender, asker. Thread-safety: one thread an object.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// PS3.7 annex E has 28, with the retired ones 66; DCMTK takes a step for each that is out of order.
#define COMMAND_ELEMENTS_MAX 256
// Bytes of a value: DCMTK makes room for what is claimed before it comes. The longest that occur
// are lists of attribute tags, 4 bytes each.
#define COMMAND_VALUE_MAX 16384

// All zero: before the first byte of a connection.
struct command {
    uint8_t head[6]; // of the PDU or presentation data value that begins
    unsigned head_size;
    uint32_t pdu_left;   // bytes of the PDU's content
    uint32_t value_left; // of the presentation data value
    bool is_data;        // the PDU is a P-DATA-TF
    bool in_value;       // a value has begun
    bool is_command;     // it is of a command set, not of a data set
    bool is_last;        // the last one of it

    uint8_t element[8]; // the one of the command set that begins
    unsigned element_size;
    uint32_t skip;                          // bytes left of its value
    unsigned elements;                      // so far
    uint16_t numbers[COMMAND_ELEMENTS_MAX]; // theirs
    unsigned number;                        // of its group, of the one whose value comes
    unsigned value;                         // its first two bytes
    unsigned value_size;
    bool announces;  // the command set: a data set, so far
    bool refuses;    // it says that none comes, or belongs to those that never have one
    bool in_set;     // it has begun and not ended
    bool data_due;   // a data set may come, or go on
    char broken[64]; // what is wrong; "" so far nothing
};

// Goes on with the next bytes from the peer. False: they must not be parsed, c->broken says why.
bool command_add(struct command *c, const void *data, size_t size);

#ifdef __cplusplus
}
#endif
