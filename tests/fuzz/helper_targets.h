// What is fuzzed: parsers of bytes from strangers, each with small inputs to begin with. ./run fuzz
// feeds them mutants by libFuzzer (fuzzer.c), test_targets.c the inputs themselves, and tests of
// one parser their own mutants. What must hold of any input is looked at here: else the program
// aborts and says what does not.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void (*fuzz_keep)(void *ctx, const uint8_t *data, size_t size);

struct fuzz_target {
    const char *name;
    void (*start)(void); // once, before the others; NULL: nothing to do
    // Whether the parser took it: of all seeds it does.
    bool (*run)(const uint8_t *data, size_t size);
    void (*seeds)(fuzz_keep keep, void *ctx);
    size_t most; // bytes of an input
    // Changes data in its own terms, with random bits, and returns the new size, at most room.
    // change is what knows no terms. NULL: that alone
    size_t (*mutate)(uint8_t *data, size_t size, size_t room, unsigned bits,
                     size_t (*change)(uint8_t *, size_t, size_t));
};

extern const struct fuzz_target fuzz_targets[];
extern const size_t fuzz_target_count;

// NULL: there is none of that name.
const struct fuzz_target *fuzz_target(const char *name);

void fuzz_check(bool holds, const char *what);
// A path that gives these bytes until the next call.
const char *fuzz_path(const uint8_t *data, size_t size);

// One a target, for tests that have inputs of their own.
bool fuzz_association(const uint8_t *data, size_t size); // all that a peer sends
bool fuzz_head(const uint8_t *data, size_t size); // transfer syntax, place of a cut, data set
bool fuzz_conf(const uint8_t *data, size_t size);
bool fuzz_net(const uint8_t *data, size_t size); // model.json, beside its weights
bool fuzz_onnx(const uint8_t *data, size_t size);
// What both of these hold of a network, in a file of that name in the scratch folder, which is
// written; NULL: it is refused. net_destroy() it.
struct net *fuzz_net_load(const uint8_t *data, size_t size, const char *name);
bool fuzz_model(const uint8_t *data, size_t size);
bool fuzz_report(const uint8_t *data, size_t size); // a file
// transfer syntax, columns, rows, pixels, the compressed stream of a frame
bool fuzz_decode(const uint8_t *data, size_t size);

void fuzz_read_start(void); // for dimse
void fuzz_net_start(void);  // model.json and model.bin in the scratch folder

void fuzz_association_seeds(fuzz_keep keep, void *ctx);
void fuzz_head_seeds(fuzz_keep keep, void *ctx);
void fuzz_conf_seeds(fuzz_keep keep, void *ctx);
void fuzz_net_seeds(fuzz_keep keep, void *ctx);
void fuzz_onnx_seeds(fuzz_keep keep, void *ctx);
void fuzz_model_seeds(fuzz_keep keep, void *ctx);
void fuzz_report_seeds(fuzz_keep keep, void *ctx);
void fuzz_decode_seeds(fuzz_keep keep, void *ctx);

size_t fuzz_association_mutate(uint8_t *data, size_t size, size_t room, unsigned bits,
                               size_t (*change)(uint8_t *, size_t, size_t));
size_t fuzz_decode_mutate(uint8_t *data, size_t size, size_t room, unsigned bits,
                          size_t (*change)(uint8_t *, size_t, size_t));
