// A scripted DICOM peer over a raw socket, which can misbehave in every way, and what the net tests
// share: small data sets, files, tools.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CT_IMAGE     "1.2.840.10008.5.1.4.1.1.2"
#define VERIFICATION "1.2.840.10008.1.1"
#define EXPLICIT_LE  "1.2.840.10008.1.2.1"
#define IMPLICIT_LE  "1.2.840.10008.1.2"

// Seconds after which a wait is a hang on any machine, however busy: what a test waits for comes
// long before, or never. Time-outs that a test wants *not* to happen are longer.
#define HANG_S  300
#define NEVER_S 3600

struct bytes {
    uint8_t *data; // owned
    size_t size, room;
};
void bytes_free(struct bytes *b);
void bytes_add(struct bytes *b, const void *data, size_t size);

// An element in Explicit VR Little Endian with a text value.
void element_text(struct bytes *b, unsigned group, unsigned element, const char *vr,
                  const char *text);
// ... with size bytes of value (VR OW).
void element_words(struct bytes *b, unsigned group, unsigned element, size_t size);

// A CT-like data set in Explicit VR Little Endian with pixels bytes of Pixel Data.
struct bytes dataset(const char *sop_class_uid, const char *sop_instance_uid, size_t pixels);

// The same as a DICOM file in the scratch folder. Valid until the next call.
const char *dataset_file(const char *sop_class_uid, const char *sop_instance_uid, size_t pixels);

// Does the file hold exactly this data set behind its meta header?
bool file_holds(const char *path, const struct bytes *data);

struct peer {
    int fd;
};

struct peer_context {
    uint8_t id;
    const char *abstract;
    const char *syntaxes[3];
};

bool peer_connect(struct peer *p, uint16_t port);
void peer_close(struct peer *p);
// With a reset instead of an end.
void peer_reset(struct peer *p);
bool peer_send(struct peer *p, const void *data, size_t size);

// A-ASSOCIATE-RQ; application NULL: the right one.
struct bytes peer_request(const char *calling, const char *called, const char *application,
                          const struct peer_context *contexts, size_t count);
// Sends it and takes the answer. Returns the PDU type, 2 accepted, 3 rejected; 0: none.
int peer_associate(struct peer *p, const char *calling, const char *called,
                   const struct peer_context *contexts, size_t count);

// The next PDU, at most HANG_S; type 0: the end of the connection, -1: time-out.
int peer_receive(struct peer *p, struct bytes *body);

// P-DATA-TF with one PDV. flags: 1 command, 2 last.
bool peer_pdv(struct peer *p, uint8_t context, unsigned flags, const void *data, size_t size);
bool peer_store_command(struct peer *p, uint8_t context, const char *sop_class_uid,
                        const char *sop_instance_uid);
// Command and data set in PDVs of at most 16 KiB, then the answer's status; -1: none.
int peer_store(struct peer *p, uint8_t context, const char *sop_class_uid,
               const char *sop_instance_uid, const struct bytes *data);
// The status of the next response, -1: none. comment: Error Comment or "".
int peer_status(struct peer *p, char comment[65]);
// A-RELEASE and its confirmation.
bool peer_release(struct peer *p);

// A-ASSOCIATE-AC that accepts context with syntax.
struct bytes peer_acceptance(uint8_t context, const char *syntax);

// A listening socket on loopback and its port.
int peer_listen(uint16_t *port);
// A port nobody listens on just now.
uint16_t peer_free_port(void);
// Waits at most 20 s until somebody listens there.
bool peer_wait(uint16_t port);

// Runs a program to its end, its output into the scratch folder. Exit status; 127 when it is not
// there; -1 when it took longer than 60 s.
int tool_run(const char *const argv[]);
bool tool_there(const char *name);
// Starts a program; tool_stop() kills it.
int tool_start(const char *const argv[]);
void tool_stop(int pid);
// What the last tool wrote. Valid until the next call.
const char *tool_output(void);

double seconds_now(void);

// Ends a forked process: exit() handlers of the test program are not its own, yet leaks count.
_Noreturn void peer_exit(int status);
