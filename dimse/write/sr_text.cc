// The content of a report by TID 2000: sections of text that was spoken.
// Sources: PS3.3 A.35.1, C.18.6; PS3.16 TID 2000, 2002, 1204, 1001, CID 7000 to 7002.
#include <cstring>
#include "dimse/write/content.h"
#include "dimse/write/encoders.h"

static const struct code text_comment = {"121106", "DCM", "Comment"};
static const struct code summary_section = {"55112-7", "LN", "Summary"};

// Statements by their concept (CID 7002) go to a section (CID 7001).
static const struct {
    const char *concept;
    struct code section;
} sections[] = {
    {"121071", {"59776-5", "LN", "Findings"}},
    {"121073", {"19005-8", "LN", "Impressions"}},
    {"11329-0", {"11329-0", "LN", "History"}},
};

static const struct code &section_of(const struct evaluation &e)
{
    for (const auto &s : sections)
        if (e.concept.value && strcmp(e.concept.value, s.concept) == 0)
            return s.section;
    return summary_section;
}

// The sound that it was heard in.
static void put_sound(DcmItem &item, const result_set &set)
{
    static const struct code narrative = {"109111", "DCM", "Operator's narrative"};
    for (const struct result_source *source : set.sources)
        content_waveform(item, REL_INFERRED_FROM, narrative, source->sop_class_uid,
                         source->sop_instance_uid);
}

static DcmItem &add_statement(DcmItem &section, const result_set &set, const struct evaluation &e)
{
    return content_text(section, REL_CONTAINS, e.concept,
                        set.text(e.value.value ? e.value.meaning
                                 : e.text      ? e.text
                                               : ""));
}

// What became of it, what is to be known, and which statements belong to no other section.
static void put_outcome(DcmDataset &root, const result_set &set)
{
    const struct findings &f = set.findings;
    DcmItem &all = content_container(root, REL_CONTAINS, summary_section, nullptr);
    std::string outcome = std::string(verdict_name(f.verdict));
    if (f.reason && *f.reason)
        outcome += std::string(": ") + f.reason;
    else if (f.page.headline)
        outcome += std::string(": ") + f.page.headline;
    content_text(all, REL_CONTAINS, text_comment, set.text(outcome));
    content_text(all, REL_CONTAINS, text_comment,
                 set.text(std::string(maker_name) + " " + set.request.stage.name + ", version " +
                          set.request.stage.version));
    content_text(all, REL_CONTAINS, text_comment,
                 std::string(not_for_diagnostic_use) + ". For research use only.");
    for (uint32_t i = 0; i < f.evaluation_count; i++)
        if (&section_of(f.evaluations[i]) == &summary_section)
            add_statement(all, set, f.evaluations[i]);
}

void sr_text(const result_set &set, DcmDataset &ds)
{
    const struct findings &f = set.findings;
    const struct code *open = nullptr;
    DcmItem *section = nullptr;
    content_container(ds, REL_ROOT, {"18748-4", "LN", "Diagnostic Imaging Report"}, "2000");
    sr_observer(ds, set);
    encode_text(ds, DCM_CompletionFlag, "PARTIAL"); // a draft, until a person has read it
    put_outcome(ds, set);
    for (uint32_t i = 0; i < f.evaluation_count; i++) {
        const struct code &wanted = section_of(f.evaluations[i]);
        if (&wanted == &summary_section)
            continue;
        if (&wanted != open)
            section = &content_container(ds, REL_CONTAINS, wanted, nullptr);
        open = &wanted;
        put_sound(add_statement(*section, set, f.evaluations[i]), set);
    }
}
