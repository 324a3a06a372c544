// Are command sets what they may be? Follows the PDUs that stream in, in constant memory, before
// DCMTK's recursive parser sees a byte of them: a command set has elements of group 0000 alone,
// each of a defined and small length and none a sequence. Parses untrusted input.
// Sources: PS3.7 6.3.1 (command set), PS3.8 9.3 (PDUs), E.2 (fragments).
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
    uint32_t skip;     // bytes left of its value
    unsigned elements; // so far
    char broken[64];   // what is wrong; "" so far nothing
};

// Goes on with the next bytes from the peer. False: they must not be parsed, c->broken says why.
bool command_add(struct command *c, const void *data, size_t size);

#ifdef __cplusplus
}
#endif
