// A TCP connection under DCMTK that never waits without a limit. DCMTK reads the body of a PDU
// blocking; here every wait goes through poll() with the budget of what is going on, so that a
// silent, dripping or flooding peer ends as a fault instead of a hang. A command set that is none
// is a fault, too: DCMTK would parse it however deep it is. Keeps the socket open until finish():
// DCMTK's close only marks it, which leaves room for a last A-ABORT.
// Process: association, sender, asker. C++ only, for the .cc files of this folder.
#pragma once
#include <cstddef>
#include <cstdint>
#include "base/err.h"
#include "dimse/net/command.h"
#include "dimse/net/tls.h"
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/dcmlayer.h>
#include <dcmtk/dcmnet/dcmtrans.h>

// The time-out that DCMTK is given, in seconds: the link keeps the time.
constexpr int dcmtk_timeout_s = 86400;

class Link
{
  public:
    enum class Fault { None, Closed, Silent, Slow, Flood, Command, Tls };

    Link() = default;
    ~Link();
    Link(const Link &) = delete;
    Link &operator=(const Link &) = delete;

    // Takes the socket over: close-on-exec, TCP_NODELAY.
    void attach(int socket);
    bool attached() const
    {
        return fd_ >= 0;
    }

    // The peer is to be spoken to by TLS, as requestor: handshake() makes it so. host: what its
    // certificate must name where certificates is empty, else the certificate is one of those
    // (tls_identity_is()). All are borrowed.
    void secure(struct tls *tls, const char *host, const char *const *certificates, size_t count);
    bool handshake();

    // All that follows must be done within seconds; at most bytes may come.
    void hurry(uint32_t seconds, uint64_t bytes);
    // The peer may be silent for at most seconds, also while it does not take what we send.
    void patience(uint32_t seconds);
    // A message that has begun must move at bytes_per_s on average after grace_s; 0: no minimum.
    void pace(uint32_t grace_s, uint32_t bytes_per_s);
    // From here on at most bytes may come.
    void allow(uint64_t bytes);

    Fault fault() const
    {
        return fault_;
    }
    uint64_t sent() const
    {
        return sent_;
    }

    // Fills err from the fault, or else from what DCMTK says.
    bool explain(struct err *err, const char *what, const char *detail) const;

    // A-ABORT (PS3.8 9.3.8) straight to the socket: DCMTK's own waits for the peer.
    void abort(uint8_t source, uint8_t reason);
    // Closes. With drain, reads what the peer still sends for at most a second and some
    // megabytes, since closing over unread data would reset the connection and lose our last
    // answer.
    void finish(bool drain);

    // For the connection object.
    ssize_t read(void *buf, size_t size);
    ssize_t write(const void *buf, size_t size);
    bool readable(int seconds);
    void closed()
    {
        closed_ = true;
    }

  private:
    struct Flow {
        int64_t started_ms;
        uint64_t bytes;
    };

    ssize_t take(void *buf, size_t size, short *wants);
    ssize_t give(const void *buf, size_t size, short *wants);
    bool recognise();
    int64_t limit_ms(const Flow &flow) const;
    bool wait(short events, const Flow &flow, int64_t cap_ms);
    bool fail(Fault fault);
    void moved(Flow &flow, Flow &other, size_t size);

    int fd_ = -1;
    bool closed_ = false;
    Fault fault_ = Fault::None;
    int64_t deadline_ms_ = 0; // 0: none
    int64_t silence_ms_ = 60000;
    int64_t grace_ms_ = 60000;
    uint32_t pace_ = 0;
    uint64_t allowed_ = UINT64_MAX;
    uint64_t sent_ = 0;
    Flow in_ = {}, out_ = {}; // of the present message, either way
    struct command command_ = {};
    struct tls *tls_ = nullptr;
    struct tls_session *session_ = nullptr;
    const char *host_ = nullptr;
    const char *const *certificates_ = nullptr;
    size_t certificate_count_ = 0;
    struct err tls_error_ = {}; // with Fault::Tls
};

// Makes DCMTK use the link for the one connection of a network.
class LinkLayer : public DcmTransportLayer
{
  public:
    explicit LinkLayer(Link &link) : link_(link) {}
    DcmTransportConnection *createConnection(DcmNativeSocketType socket, OFBool secure) override;

  private:
    Link &link_;
};

// DCMTK's globals for every connection: no Nagle delay, no reverse DNS, no time-outs of its own.
// Before any fork.
bool link_globals(struct err *err);
