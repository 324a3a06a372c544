#include "dimse/net/command.h"
#include <stdio.h>
#include <string.h>

#define P_DATA       4
#define CONTROL_SIZE 2 // bytes of context and control, which the length of a value counts
#define UNDEFINED    0xffffffffu

#define COMMAND_FIELD 0x0100 // (0000,0100)
#define DATA_SET_TYPE 0x0800 // (0000,0800)
#define NO_DATA_SET   0x0101 // its only value that says so
// Commands that no data set comes with (PS3.7 9.3.1, 9.3.5); nobody asks for it here.
#define C_STORE_RSP 0x8001
#define C_ECHO_RQ   0x0030
#define C_ECHO_RSP  0x8030

static uint32_t command_big32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t command_little(const uint8_t *p, unsigned bytes)
{
    uint32_t value = 0;
    while (bytes-- > 0)
        value = value << 8 | p[bytes];
    return value;
}

static void note_command_element(struct command *c, unsigned number)
{
    for (unsigned i = 0; i < c->elements; i++) {
        if (c->numbers[i] == number) {
            snprintf(c->broken, sizeof c->broken, "(0000,%04x) twice in a command set", number);
            return;
        }
    }
    c->numbers[c->elements++] = (uint16_t)number;
}

static void begin_command_element(struct command *c)
{
    const unsigned group = command_little(c->element, 2),
                   number = command_little(c->element + 2, 2);
    c->element_size = 0;
    c->skip = command_little(c->element + 4, 4);
    c->number = number;
    c->value_size = c->value = 0;
    if (group != 0)
        snprintf(c->broken, sizeof c->broken, "(%04x,%04x) in a command set", group, number);
    else if (c->skip == UNDEFINED)
        snprintf(c->broken, sizeof c->broken, "(%04x,%04x) of undefined length", group, number);
    else if (c->skip > COMMAND_VALUE_MAX)
        snprintf(c->broken, sizeof c->broken, "(%04x,%04x) of %u bytes", group, number, c->skip);
    else if (c->elements == COMMAND_ELEMENTS_MAX)
        snprintf(c->broken, sizeof c->broken, "a command set of more than %d elements",
                 COMMAND_ELEMENTS_MAX);
    else
        note_command_element(c, number);
}

// What the value of an element says of a data set to come, as soon as two of its bytes are there.
static void take_value(struct command *c, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size && c->value_size < 2; i++)
        c->value |= (unsigned)data[i] << 8 * c->value_size++;
    if (c->value_size != 2)
        return;
    c->value_size++; // once
    if (c->number == DATA_SET_TYPE) {
        c->announces = true;
        c->refuses = c->refuses || c->value == NO_DATA_SET;
    } else if (c->number == COMMAND_FIELD) {
        c->refuses = c->refuses || c->value == C_STORE_RSP || c->value == C_ECHO_RQ ||
                     c->value == C_ECHO_RSP;
    }
}

// Bytes of a command set; an element may go on in its next fragment.
static void walk_command(struct command *c, const uint8_t *data, size_t size)
{
    while (size > 0 && !c->broken[0]) {
        const size_t want = c->skip > 0 ? c->skip : sizeof c->element - c->element_size;
        const size_t n = size < want ? size : want;
        if (c->skip > 0) {
            take_value(c, data, n);
            c->skip -= (uint32_t)n;
        } else {
            memcpy(c->element + c->element_size, data, n);
            c->element_size += (unsigned)n;
            if (c->element_size == sizeof c->element)
                begin_command_element(c);
        }
        data += n;
        size -= n;
    }
}

static void end_value(struct command *c)
{
    c->in_value = false;
    if (!c->is_last)
        return;
    if (!c->is_command) {
        c->data_due = false;
        return;
    }
    if (c->skip > 0 || c->element_size > 0)
        snprintf(c->broken, sizeof c->broken, "a command set that is cut short");
    c->elements = 0;
    c->data_due = c->announces && !c->refuses;
    c->in_set = c->announces = c->refuses = false;
}

// A head is whole: of a PDU, or of a value in it.
static void begin_part(struct command *c)
{
    c->head_size = 0;
    if (c->pdu_left == 0) {
        c->is_data = c->head[0] == P_DATA;
        c->pdu_left = command_big32(c->head + 2);
        return;
    }
    const uint32_t length = command_big32(c->head);
    c->pdu_left -= sizeof c->head;
    if (length < CONTROL_SIZE || length - CONTROL_SIZE > c->pdu_left) {
        snprintf(c->broken, sizeof c->broken, "a presentation data value of %u bytes", length);
        return;
    }
    c->value_left = length - CONTROL_SIZE;
    c->is_command = c->head[5] & 1;
    c->is_last = c->head[5] & 2;
    c->in_value = true;
    if (c->is_command) {
        c->in_set = true;
    } else if (c->in_set || !c->data_due) {
        snprintf(c->broken, sizeof c->broken, "a data set that no command announces");
        return;
    }
    if (c->value_left == 0)
        end_value(c);
}

// The next bytes of the value or PDU that has begun, at least one. How many.
static size_t pass(struct command *c, const uint8_t *data, size_t size)
{
    const uint32_t left = c->in_value ? c->value_left : c->pdu_left;
    const size_t n = size < left ? size : left;
    c->pdu_left -= (uint32_t)n;
    if (!c->in_value)
        return n;
    if (c->is_command)
        walk_command(c, data, n);
    c->value_left -= (uint32_t)n;
    if (c->value_left == 0 && !c->broken[0])
        end_value(c);
    return n;
}

bool command_add(struct command *c, const void *data, size_t size)
{
    const uint8_t *from = data;
    while (size > 0 && !c->broken[0]) {
        size_t n = sizeof c->head - c->head_size;
        if (c->in_value || (c->pdu_left > 0 && !c->is_data)) {
            n = pass(c, from, size);
        } else if (c->pdu_left > 0 && c->pdu_left < sizeof c->head) {
            snprintf(c->broken, sizeof c->broken, "a P-DATA-TF that is cut short");
            break;
        } else {
            n = size < n ? size : n;
            memcpy(c->head + c->head_size, from, n);
            c->head_size += (unsigned)n;
            if (c->head_size == sizeof c->head)
                begin_part(c);
        }
        from += n;
        size -= n;
    }
    return !c->broken[0];
}
