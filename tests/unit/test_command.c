// Command sets as peers send them, in every cut.
#include "dimse/net/command.h"
#include <string.h>
#include "tests/check.h"

#define ROOM 32768

// What a peer sends.
struct wire {
    uint8_t data[ROOM];
    size_t size;
};

static void put(struct wire *w, const void *data, size_t size)
{
    CU_ASSERT_FATAL(size <= ROOM - w->size);
    memcpy(w->data + w->size, data, size);
    w->size += size;
}

static void put_big32(struct wire *w, size_t value)
{
    const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                              (uint8_t)value};
    put(w, bytes, 4);
}

static void put_pdu(struct wire *w, uint8_t type, size_t length)
{
    const uint8_t head[2] = {type, 0};
    put(w, head, 2);
    put_big32(w, length);
}

// A presentation data value. control: 1 command, 2 last.
static void put_value(struct wire *w, uint8_t control, const void *data, size_t size)
{
    const uint8_t head[2] = {1, control};
    put_big32(w, size + 2);
    put(w, head, 2);
    put(w, data, size);
}

static void put_message(struct wire *w, uint8_t control, const void *data, size_t size)
{
    put_pdu(w, 4, size + 6);
    put_value(w, control, data, size);
}

static void put_element(struct wire *w, uint16_t group, uint16_t number, uint32_t length)
{
    const uint8_t head[8] = {
        (uint8_t)group,  (uint8_t)(group >> 8),  (uint8_t)number,         (uint8_t)(number >> 8),
        (uint8_t)length, (uint8_t)(length >> 8), (uint8_t)(length >> 16), (uint8_t)(length >> 24),
    };
    static const uint8_t zeros[256];
    put(w, head, 8);
    put(w, zeros, length > COMMAND_VALUE_MAX ? 0 : length);
}

// A C-STORE-RQ.
static void put_request(struct wire *w)
{
    static const uint16_t numbers[] = {0x0002, 0x0100, 0x0110, 0x0700, 0x0800, 0x1000};
    static const uint32_t lengths[] = {26, 2, 2, 2, 2, 40};
    put_element(w, 0, 0, 4);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        put_element(w, 0, numbers[i], lengths[i]);
}

// What is wrong when it comes in pieces of step bytes, as long as nothing is: "" to the end.
static const char *verdict(const struct wire *w, size_t step)
{
    static struct command c;
    c = (struct command){0};
    for (size_t at = 0; at < w->size; at += step) {
        if (!command_add(&c, w->data + at, w->size - at < step ? w->size - at : step))
            break;
    }
    CU_ASSERT_EQUAL(command_add(&c, "", 0), c.broken[0] == 0);
    return c.broken;
}

static void expect(const struct wire *w, const char *wanted)
{
    static const size_t steps[] = {1, 2, 3, 5, 6, 7, 8, 13, 64, 1000, ROOM};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        CU_ASSERT_STRING_EQUAL(verdict(w, steps[i]), wanted);
}

static void what_peers_send_goes_through(void)
{
    static struct wire w, set;
    w.size = set.size = 0;
    put_request(&set);
    put_pdu(&w, 1, 68); // A-ASSOCIATE-RQ: whatever it holds
    put(&w, set.data, 68);
    put_message(&w, 3, set.data, set.size);
    put_message(&w, 0, "\x08\0\x40\x11\xff\xff\xff\xff", 8); // a data set may hold sequences
    put_message(&w, 2, "\xfe\xff\0\xe0\xff\xff\xff\xff", 8);
    put_message(&w, 1, set.data, 5); // fragments that end anywhere
    put_message(&w, 1, "", 0);
    put_message(&w, 1, set.data + 5, 20);
    put_message(&w, 3, set.data + 25, set.size - 25);
    put_pdu(&w, 4, 2 * 6 + set.size + 3); // command and data in one PDU
    put_value(&w, 3, set.data, set.size);
    put_value(&w, 2, "\xff\xff\xff", 3);
    put_message(&w, 3, "", 0);
    put_pdu(&w, 5, 4); // A-RELEASE-RQ
    put(&w, "\0\0\0\0", 4);
    expect(&w, "");
}

static void elements_of_all_retired_attributes_are_few_enough(void)
{
    static struct wire w, set;
    w.size = set.size = 0;
    for (uint16_t i = 0; i < COMMAND_ELEMENTS_MAX; i++)
        put_element(&set, 0, i, 2);
    for (int i = 0; i < 3; i++) // counted by command set
        put_message(&w, 3, set.data, set.size);
    expect(&w, "");
}

static void what_no_command_set_has_is_refused(void)
{
    static struct wire w, set;
    static const struct {
        uint16_t group, number;
        uint32_t length;
        const char *wanted;
    } table[] = {
        {0x0008, 0x1140, UINT32_MAX, "(0008,1140) in a command set"},
        {0x0008, 0x1140, 16, "(0008,1140) in a command set"},
        {0x0009, 0x0010, 4, "(0009,0010) in a command set"},
        {0xfffe, 0xe000, 0, "(fffe,e000) in a command set"},
        {0x0000, 0x1140, UINT32_MAX, "(0000,1140) of undefined length"},
        {0x0000, 0x1000, UINT32_MAX - 1, "(0000,1000) of 4294967294 bytes"}, // claimed, not there
        {0x0000, 0x1000, COMMAND_VALUE_MAX + 2, "(0000,1000) of 16386 bytes"},
        {0x0000, 0x0110, 2, "(0000,0110) twice in a command set"},
        {0x0000, 0x0000, 200, "(0000,0000) twice in a command set"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        w.size = set.size = 0;
        put_request(&set);
        put_element(&set, table[i].group, table[i].number, table[i].length);
        put_message(&w, 1, set.data, 9);
        put_message(&w, 3, set.data + 9, set.size - 9);
        expect(&w, table[i].wanted);
    }
}

static void a_command_set_without_end_is_refused(void)
{
    static struct wire w, set;
    w.size = set.size = 0;
    for (int i = 0; i < 200; i++)
        put_element(&set, 0, (uint16_t)(0xffff - i), 0);
    put_message(&w, 1, set.data, set.size);
    expect(&w, "");
    set.size = 0;
    for (int i = 0; i < 200; i++)
        put_element(&set, 0, (uint16_t)i, 0);
    put_message(&w, 1, set.data, set.size);
    expect(&w, "a command set of more than 256 elements");
}

static void lengths_that_contradict_each_other_are_refused(void)
{
    static struct wire w, set;
    w.size = set.size = 0;
    put_request(&set);
    put_message(&w, 3, set.data, set.size - 1); // within a value
    expect(&w, "a command set that is cut short");
    w.size = 0;
    put_message(&w, 3, set.data, 12 + 3); // within a header
    expect(&w, "a command set that is cut short");
    w.size = 0;
    put_pdu(&w, 4, set.size + 5); // shorter than the value in it
    put_value(&w, 3, set.data, set.size);
    expect(&w, "a presentation data value of 136 bytes");
    w.size = 0;
    put_pdu(&w, 4, 6);
    put(&w, "\0\0\0\1\1\3", 6);
    expect(&w, "a presentation data value of 1 bytes");
    w.size = 0;
    put_pdu(&w, 4, 5);
    put(&w, "\0\0\0\2\1\3", 6);
    expect(&w, "a P-DATA-TF that is cut short");
}

static void put_number(struct wire *w, uint16_t number, unsigned value)
{
    const uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    put_element(w, 0, number, 2);
    memcpy(w->data + w->size - 2, bytes, 2);
}

// DCMTK reads a data set that it does not wait for as a command set, without the bounds of one.
static void a_data_set_that_no_command_announces_is_refused(void)
{
    static const char refused[] = "a data set that no command announces";
    static struct wire w, set;
    static const struct {
        unsigned field, type;
        const char *wanted;
    } table[] = {
        {0x0001, 0x0000, ""},      {0x0001, 0x0001, ""},      {0x8020, 0x0102, ""},
        {0x0001, 0x0101, refused}, {0x0030, 0x0001, refused}, {0x8030, 0x0000, refused},
        {0x8001, 0x0000, refused},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        w.size = set.size = 0;
        put_number(&set, 0x0100, table[i].field);
        put_number(&set, 0x0800, table[i].type);
        put_message(&w, 3, set.data, set.size);
        put_message(&w, 0, "1234", 4);
        put_message(&w, 2, "5678", 4);
        expect(&w, table[i].wanted);
        put_message(&w, 2, "5678", 4); // a second one
        expect(&w, refused);
    }
    w.size = 0;
    put_message(&w, 2, "1234", 4); // before any command
    expect(&w, refused);
    w.size = set.size = 0;
    put_number(&set, 0x0800, 0x0000);
    put_message(&w, 1, set.data, set.size);
    put_message(&w, 2, "1234", 4); // within a command
    expect(&w, refused);
    w.size = set.size = 0;
    put_number(&set, 0x0100, 0x0001);
    put_message(&w, 3, set.data, set.size);
    put_message(&w, 2, "1234", 4); // it does not say
    expect(&w, refused);
    w.size = set.size = 0;
    put_number(&set, 0x0800, 0x0101);
    put_number(&set, 0x0800, 0x0001); // says both
    put_message(&w, 3, set.data, set.size);
    put_message(&w, 2, "1234", 4);
    expect(&w, "(0000,0800) twice in a command set");
}

int main(void)
{
    static const struct check_case cases[] = {
        {"command_what_peers_send_goes_through", what_peers_send_goes_through},
        {"command_elements_of_all_retired_attributes_are_few_enough",
         elements_of_all_retired_attributes_are_few_enough},
        {"command_what_no_command_set_has_is_refused", what_no_command_set_has_is_refused},
        {"command_a_command_set_without_end_is_refused", a_command_set_without_end_is_refused},
        {"command_lengths_that_contradict_each_other_are_refused",
         lengths_that_contradict_each_other_are_refused},
        {"command_a_data_set_that_no_command_announces_is_refused",
         a_data_set_that_no_command_announces_is_refused},
    };
    return check_main("command", cases, sizeof cases / sizeof *cases);
}
