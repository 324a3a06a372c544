// C++, inside dimse/net only: an association as requestor, on a link that never waits without a
// limit. Sources: PS3.7 9.1, PS3.8. Process: sender, asker, fetcher. Thread-safety: one thread.
#pragma once
#include <cstdint>
#include <new>
#include <string>
#include <vector>
#include "dimse/net/link.hh"
#include "dimse/net/scu.h"
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

struct commit_report;

// A presentation context as proposed.
struct Context {
    std::string abstract;
    std::vector<std::string> syntaxes;
    bool provider = false; // we take instances of that class, as C-GET needs (PS3.7 D.3.3.4)

    bool operator==(const Context &o) const
    {
        return abstract == o.abstract && syntaxes == o.syntaxes && provider == o.provider;
    }
};

// An association as requestor; closed by its destructor.
class Requestor
{
  public:
    explicit Requestor(const struct scu_peer *peer) : peer_(peer), layer_(link_) {}
    ~Requestor()
    {
        finish();
    }
    Requestor(const Requestor &) = delete;
    Requestor &operator=(const Requestor &) = delete;

    bool open(const std::vector<Context> &contexts, struct err *err);
    bool release(struct err *err); // in order; otherwise the destructor aborts

    // The transfer syntax accepted for contexts[index] of open(), or NULL.
    const char *accepted(size_t index);
    static T_ASC_PresentationContextID id(size_t index)
    {
        return static_cast<T_ASC_PresentationContextID>(2 * index + 1);
    }

    bool store(size_t context, const struct scu_file *file, DcmDataset *data,
               struct scu_outcome *outcome, struct err *err);
    // sop_class: the information model that contexts[context] is for.
    bool find(size_t context, const char *sop_class, DcmDataset *query,
              DIMSE_FindUserCallback on_match, void *ctx, struct err *err);
    // What the peer sends in answer, each as the bytes of its data set; an instance of more than
    // bytes_most is refused.
    typedef void (*InstanceCallback)(void *ctx, const std::vector<uint8_t> &data,
                                     const char *transfer_syntax);
    bool get(size_t context, const char *sop_class, DcmDataset *query, size_t bytes_most,
             InstanceCallback on_instance, void *ctx, struct err *err);
    // C-MOVE to ourselves: true when the peer has sent all.
    bool move(size_t context, const char *sop_class, DcmDataset *query, struct err *err);
    bool echo(struct err *err);
    // N-ACTION 1 on the instance of the Storage Commitment Push Model, and its answer.
    bool action(size_t context, DcmDataset *data, struct err *err);
    // What the peer says by itself within seconds: an N-EVENT-REPORT, which is answered, or the end
    // of the association.
    enum class Event { None, Report, End };
    Event event(int seconds, struct commit_report *report, struct err *err);

  private:
    bool propose(const std::vector<Context> &contexts, struct err *err);
    bool refused(const OFCondition &cond, time_t started, struct err *err);
    bool tell(size_t context, const char *sop_class, DcmDataset *query, struct err *err);
    bool failed(const char *what, const OFCondition &cond, struct err *err);
    bool take(const T_DIMSE_C_StoreRQ &request, T_ASC_PresentationContextID context,
              size_t bytes_most, InstanceCallback on_instance, void *ctx, struct err *err);
    void finish();

    const struct scu_peer *peer_;
    Link link_;
    LinkLayer layer_;
    T_ASC_Network *net_ = nullptr;
    T_ASC_Parameters *params_ = nullptr; // the association's once there is one
    T_ASC_Association *assoc_ = nullptr;
    T_ASC_PresentationContext found_;
    bool established_ = false;
};

// C++ ends here: what was thrown becomes an error, and errors name the peer.
template <typename Work>
bool requestor_guarded(const struct scu_peer *peer, struct err *err, Work work)
{
    bool ok = false;
    try {
        ok = work();
    } catch (const std::bad_alloc &) {
        err_set(err, ERR_NOMEM, "no memory for an association");
    }
    return ok || err_wrap(err, "%s:%u %s", peer->host, peer->port, peer->called);
}
