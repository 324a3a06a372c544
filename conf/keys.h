// The table of keys: what each row parses, checks and prints. Inside conf/ only; others see the
// table through conf_key_at(). Thread-safety: the table is constant.
#pragma once
#include <stdio.h>
#include "conf/conf.h"
#include "base/arena.h"

#define KEYS_WHY_SIZE 512

const struct conf_key *keys_find(const char *name); // "node.port"; NULL: none

// The part of a key's name after its scope ("node.", "peers[]."), or NULL when it belongs to
// another scope.
const char *keys_name_in(const struct conf_key *key, const char *scope);
// The first part of a name: "node" of "node.port", "peers" of "peers[].host".
void keys_section(const struct conf_key *key, char out[64]);

// Parses text into the field of base that a plain key (type below CONF_WHEN) describes. False: why
// says what is wrong and what is wanted.
bool keys_parse(struct arena *arena, const struct conf_key *key, const char *text, void *base,
                char why[KEYS_WHY_SIZE]);

// Prints the field of a plain key as YAML that keys_parse() reads back the same.
void keys_print(FILE *out, const struct conf_key *key, const void *base);
// A double-quoted YAML scalar.
void keys_print_text(FILE *out, const char *text);

double keys_number(const struct conf_key *key, const struct conf *c); // of a number of struct conf
