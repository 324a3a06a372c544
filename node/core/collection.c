#include "node/core/collection.h"
#include <math.h>

static bool slot_is_missing(const struct collection_slot *slot)
{
    return slot->spec->count != INPUT_OPTIONAL && slot->complete == 0;
}

void collection_decide(const struct collection_rules *rules, const struct collection_evidence *e,
                       struct collection_decision *out)
{
    bool open = false; // something is missing, or on its way
    bool confirmed = true;
    for (size_t i = 0; i < e->slot_count; i++) {
        open = open || slot_is_missing(&e->slots[i]) || e->slots[i].receiving > 0;
        confirmed = confirmed && e->slots[i].confirmed == e->slots[i].complete;
    }
    double end = e->started + rules->study_wait_s;
    double quiet_end = e->grown + (confirmed ? rules->short_quiet_s : rules->quiet_s);
    *out = (struct collection_decision){COLLECTION_WAITS, open ? end : fmin(end, quiet_end)};
    if (e->now >= end)
        out->verdict = open ? COLLECTION_WAITED : COLLECTION_READY;
    else if (!open && e->now >= quiet_end)
        out->verdict = COLLECTION_READY;
}
