#include "dimse/net/link.hh"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include <dcmtk/dcmnet/dul.h>

static const size_t drain_max = 4 << 20; // bytes read after the end

static int64_t now_ms()
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1000000;
}

Link::~Link()
{
    finish(false);
}

void Link::attach(int socket)
{
    int on = 1;
    fd_ = socket;
    closed_ = false;
    fault_ = Fault::None;
    command_ = {};
    fcntl(fd_, F_SETFD, FD_CLOEXEC);
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // fails on a socket pair: no harm
    setsockopt(fd_, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

void Link::secure(struct tls *tls, const char *host, const char *const *certificates, size_t count)
{
    tls_ = tls;
    host_ = host;
    certificates_ = certificates;
    certificate_count_ = count;
}

// Is the certificate of the peer one of those that it may show?
bool Link::recognise()
{
    struct tls_identity identity;
    char hex[2 * DIGEST_SIZE + 1], how[64];
    tls_session_identity(session_, &identity);
    tls_session_describe(session_, how, sizeof how);
    digest_hex(identity.sha256, hex);
    log_debug("tls=\"%s\" subject=%s", how, identity.subject);
    for (size_t i = 0; i < certificate_count_; i++) {
        if (tls_identity_is(&identity, certificates_[i]))
            return true;
    }
    if (certificate_count_ == 0)
        return true; // the name was looked at
    err_set(&tls_error_, ERR_NET, "the certificate of the peer (%s, SHA-256 %s) is not its own",
            identity.subject, hex);
    return fail(Fault::Tls);
}

bool Link::handshake()
{
    if (!tls_)
        return true;
    fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
    session_ = tls_session_create(tls_, fd_, certificate_count_ ? nullptr : host_, &tls_error_);
    if (!session_)
        return fail(Fault::Tls);
    while (fault_ == Fault::None) {
        switch (tls_session_handshake(session_, &tls_error_)) {
        case TLS_DONE:
            return recognise();
        case TLS_WANTS_READ:
            wait(POLLIN, in_, INT64_MAX);
            break;
        case TLS_WANTS_WRITE:
            wait(POLLOUT, out_, INT64_MAX);
            break;
        case TLS_CLOSED:
            return fail(Fault::Closed);
        case TLS_FAILED:
            return fail(Fault::Tls);
        }
    }
    return false;
}

// More than 0: bytes; 0: the peer has closed; -1 with *wants: not now; -1 without: a fault.
static ssize_t moved_bytes(enum tls_step step, size_t bytes, short *wants)
{
    *wants = step == TLS_WANTS_READ ? POLLIN : step == TLS_WANTS_WRITE ? POLLOUT : 0;
    return step == TLS_DONE ? static_cast<ssize_t>(bytes) : step == TLS_CLOSED ? 0 : -1;
}

ssize_t Link::take(void *buf, size_t size, short *wants)
{
    if (session_) {
        size_t got = 0;
        const enum tls_step step = tls_session_read(session_, buf, size, &got, &tls_error_);
        if (step == TLS_FAILED)
            fail(Fault::Tls);
        return moved_bytes(step, got, wants);
    }
    const ssize_t n = recv(fd_, buf, size, MSG_DONTWAIT);
    *wants = n < 0 && errno == EAGAIN ? POLLIN : 0;
    return n < 0 && errno != EAGAIN && errno != EINTR ? 0 : n;
}

ssize_t Link::give(const void *buf, size_t size, short *wants)
{
    if (session_) {
        size_t put = 0;
        const enum tls_step step = tls_session_write(session_, buf, size, &put, &tls_error_);
        if (step == TLS_FAILED)
            fail(Fault::Tls);
        return moved_bytes(step, put, wants);
    }
    const ssize_t n = send(fd_, buf, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    *wants = n < 0 && errno == EAGAIN ? POLLOUT : 0;
    return n < 0 && errno != EAGAIN && errno != EINTR ? 0 : n;
}

void Link::hurry(uint32_t seconds, uint64_t bytes)
{
    deadline_ms_ = now_ms() + static_cast<int64_t>(seconds) * 1000;
    silence_ms_ = static_cast<int64_t>(seconds) * 1000;
    allow(bytes);
}

void Link::patience(uint32_t seconds)
{
    deadline_ms_ = 0;
    silence_ms_ = static_cast<int64_t>(seconds) * 1000;
}

void Link::pace(uint32_t grace_s, uint32_t bytes_per_s)
{
    grace_ms_ = static_cast<int64_t>(grace_s) * 1000;
    pace_ = bytes_per_s;
}

void Link::allow(uint64_t bytes)
{
    allowed_ = bytes;
}

bool Link::fail(Fault fault)
{
    if (fault_ == Fault::None)
        fault_ = fault;
    return false;
}

// When the present message is too slow: the time by which more than flow.bytes must have moved.
int64_t Link::limit_ms(const Flow &flow) const
{
    if (!pace_ || !flow.started_ms)
        return INT64_MAX;
    uint64_t earned_ms =
        flow.bytes > UINT64_MAX / 1000 ? UINT64_MAX / 2 : flow.bytes * 1000 / pace_;
    int64_t earned = earned_ms > INT64_MAX / 2 ? INT64_MAX / 2 : static_cast<int64_t>(earned_ms);
    return flow.started_ms + (earned > grace_ms_ ? earned : grace_ms_);
}

// Waits for events within the budget and cap_ms. false: time-out; a fault unless it was the cap.
bool Link::wait(short events, const Flow &flow, int64_t cap_ms)
{
    int64_t start = now_ms(), slow = limit_ms(flow);
    for (;;) {
        int64_t now = now_ms(), end = start + silence_ms_;
        if (deadline_ms_ && deadline_ms_ < end)
            end = deadline_ms_;
        if (slow < end)
            end = slow;
        bool capped = cap_ms < end - start;
        if (capped)
            end = start + cap_ms;
        int64_t left = end > now ? end - now : 0;
        struct pollfd p = {fd_, events, 0};
        int n = poll(&p, 1, left > 3600000 ? 3600000 : static_cast<int>(left));
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return fail(Fault::Closed);
        if (n == 0 && now_ms() >= end)
            return capped ? false : fail(end == slow ? Fault::Slow : Fault::Silent);
    }
}

void Link::moved(Flow &flow, Flow &other, size_t size)
{
    other = {};
    if (!flow.started_ms)
        flow.started_ms = now_ms();
    flow.bytes += size;
}

ssize_t Link::read(void *buf, size_t size)
{
    while (!closed_ && fault_ == Fault::None) {
        if (allowed_ == 0) {
            fail(Fault::Flood);
            break;
        }
        short wants = 0;
        ssize_t n = take(buf, size < allowed_ ? size : static_cast<size_t>(allowed_), &wants);
        if (n > 0) {
            allowed_ -= static_cast<uint64_t>(n);
            moved(in_, out_, static_cast<size_t>(n));
            if (command_add(&command_, buf, static_cast<size_t>(n)))
                return n;
            fail(Fault::Command);
            break;
        }
        if (n == 0)
            fail(Fault::Closed);
        else if (wants)
            wait(wants, in_, INT64_MAX);
    }
    return 0;
}

// All of it or nothing: DCMTK takes a short count for an error.
ssize_t Link::write(const void *buf, size_t size)
{
    const char *from = static_cast<const char *>(buf);
    size_t left = size;
    while (left > 0 && !closed_ && fault_ == Fault::None) {
        short wants = 0;
        ssize_t n = give(from, left, &wants);
        if (n > 0) {
            from += n;
            left -= static_cast<size_t>(n);
            sent_ += static_cast<uint64_t>(n);
            moved(out_, in_, static_cast<size_t>(n));
        } else if (n == 0) {
            fail(Fault::Closed);
        } else if (wants) {
            wait(wants, out_, INT64_MAX);
        }
    }
    if (left == 0)
        return static_cast<ssize_t>(size);
    errno = EPIPE;
    return -1;
}

bool Link::readable(int seconds)
{
    if (closed_ || fault_ == Fault::Closed)
        return true; // read() tells
    if (fault_ != Fault::None)
        return false;
    if (session_ && tls_session_has_more(session_))
        return true;
    return wait(POLLIN, in_, seconds > 0 ? static_cast<int64_t>(seconds) * 1000 : 0);
}

bool Link::explain(struct err *err, const char *what, const char *detail) const
{
    switch (fault_) {
    case Fault::Silent:
        return err_set(err, ERR_TIMEOUT, "%s: the peer was silent for too long", what);
    case Fault::Slow:
        return err_set(err, ERR_TIMEOUT, "%s: the peer is too slow", what);
    case Fault::Flood:
        return err_set(err, ERR_NET, "%s: the peer sent more than a message may have", what);
    case Fault::Command:
        return err_set(err, ERR_NET, "%s: the peer sent %s", what, command_.broken);
    case Fault::Tls:
        return err_set(err, ERR_NET, "%s: %s", what, tls_error_.text);
    case Fault::Closed:
        return err_set(err, ERR_NET, "%s: the connection was closed", what);
    case Fault::None:
        break;
    }
    return err_set(err, ERR_NET, "%s: %s", what, detail);
}

void Link::abort(uint8_t source, uint8_t reason)
{
    const uint8_t pdu[10] = {7, 0, 0, 0, 0, 4, 0, 0, source, reason};
    short wants = 0;
    if (fd_ >= 0 && fault_ != Fault::Closed && fault_ != Fault::Tls)
        sent_ += give(pdu, sizeof pdu, &wants) > 0 ? sizeof pdu : 0;
}

void Link::finish(bool drain)
{
    if (fd_ < 0)
        return;
    if (session_)
        tls_session_close(session_);
    if (drain && fault_ != Fault::Closed) {
        static char waste[65536];
        int64_t end = now_ms() + 1000;
        shutdown(fd_, SHUT_WR);
        for (size_t left = drain_max, n = 1; left > 0 && n > 0; left -= std::min(left, n)) {
            int64_t wait_ms = end - now_ms();
            struct pollfd p = {fd_, POLLIN, 0};
            if (wait_ms <= 0 || poll(&p, 1, static_cast<int>(wait_ms)) <= 0)
                break;
            ssize_t got = recv(fd_, waste, sizeof waste, MSG_DONTWAIT);
            n = got > 0 ? static_cast<size_t>(got) : 0;
        }
    }
    tls_session_destroy(session_);
    session_ = nullptr;
    close(fd_);
    fd_ = -1;
}

namespace
{
// What DCMTK sees.
class LinkConnection : public DcmTransportConnection
{
  public:
    LinkConnection(Link &link, DcmNativeSocketType socket)
        : DcmTransportConnection(socket), link_(link)
    {
    }
    ~LinkConnection() override
    {
        link_.closed();
    }
    OFCondition serverSideHandshake() override
    {
        return EC_Normal;
    }
    OFCondition clientSideHandshake() override
    {
        return link_.handshake() ? EC_Normal : DUL_NETWORKCLOSED; // explain() says more
    }
    OFCondition renegotiate(const char *) override
    {
        return EC_Normal;
    }
    ssize_t read(void *buf, size_t size) override
    {
        return link_.read(buf, size);
    }
    ssize_t write(void *buf, size_t size) override
    {
        return link_.write(buf, size);
    }
    void close() override
    {
        link_.closed();
    }
    void closeTransportConnection() override
    {
        link_.closed();
    }
    unsigned long getPeerCertificateLength() override
    {
        return 0;
    }
    unsigned long getPeerCertificate(void *, unsigned long) override
    {
        return 0;
    }
    OFBool networkDataAvailable(int timeout) override
    {
        return link_.readable(timeout);
    }
    OFBool isTransparentConnection() override
    {
        return OFTrue;
    }
    OFString &dumpConnectionParameters(OFString &str) override
    {
        return str = "TCP";
    }

  private:
    Link &link_;
};
} // namespace

DcmTransportConnection *LinkLayer::createConnection(DcmNativeSocketType socket, OFBool secure)
{
    if (secure)
        return nullptr;
    if (!link_.attached())
        link_.attach(socket);
    return new LinkConnection(link_, socket);
}

bool link_globals(struct err *err)
{
    // DCMTK reads this each time it opens or accepts a connection.
    if (setenv("TCP_NODELAY", "1", 1))
        return err_errno(err, errno, "cannot set TCP_NODELAY");
    dcmDisableGethostbyaddr.set(OFTrue);
    dcmSocketSendTimeout.set(-1);
    dcmSocketReceiveTimeout.set(-1);
    return true;
}
