#include "dimse/net/fetch.h"
#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <vector>
#include "dimse/net/requestor.hh"
#include "base/uid.h"
#include <dcmtk/dcmdata/dctk.h>

namespace
{
// An information model, and the contexts that it needs.
struct Model {
    const char *find, *get;
    bool patient; // its unique keys begin with Patient ID
};

struct Study {
    std::string uid, date, time;
};

// What the handlers of DCMTK and of Requestor are given.
struct Search {
    const struct fetch_query *query;
    std::vector<Study> studies;
    std::vector<std::string> series; // of the study that is looked into
    std::string study_uid;
    size_t matches = 0;
    void (*on_report)(void *, const uint8_t *, size_t, const char *);
    void *ctx;
};
} // namespace

static const Model models[] = {
    {UID_FINDPatientRootQueryRetrieveInformationModel,
     UID_GETPatientRootQueryRetrieveInformationModel, true},
    {UID_FINDStudyRootQueryRetrieveInformationModel, UID_GETStudyRootQueryRetrieveInformationModel,
     false},
};
static const char *const report_classes[] = {UID_Comprehensive3DSRStorage,
                                             UID_ComprehensiveSRStorage, UID_EnhancedSRStorage};

static std::string match_text(DcmDataset *match, const DcmTagKey &tag)
{
    OFString value;
    match->findAndGetOFString(tag, value);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\0'))
        value.pop_back();
    return value.c_str();
}

// Some peers ignore a key and send more: what was asked for is looked at again.
static void on_earlier_study(void *ctx, T_DIMSE_C_FindRQ *, int, T_DIMSE_C_FindRSP *,
                             DcmDataset *match)
{
    Search *s = static_cast<Search *>(ctx);
    if (!match || ++s->matches > FETCH_MATCHES_MAX)
        return;
    const Study study = {match_text(match, DCM_StudyInstanceUID), match_text(match, DCM_StudyDate),
                         match_text(match, DCM_StudyTime)};
    const std::string now = s->query->study_date;
    if (!uid_is_usable(study.uid.c_str()) || study.uid == s->query->study_instance_uid ||
        match_text(match, DCM_PatientID) != s->query->patient_id ||
        (!now.empty() && study.date > now))
        return;
    s->studies.push_back(study);
}

static void on_report_series(void *ctx, T_DIMSE_C_FindRQ *, int, T_DIMSE_C_FindRSP *,
                             DcmDataset *match)
{
    Search *s = static_cast<Search *>(ctx);
    Sint32 number = -1;
    if (!match || ++s->matches > FETCH_MATCHES_MAX)
        return;
    const std::string uid = match_text(match, DCM_SeriesInstanceUID);
    match->findAndGetSint32(DCM_SeriesNumber, number);
    if (uid_is_usable(uid.c_str()) && match_text(match, DCM_Modality) == "SR" &&
        number == s->query->series_number)
        s->series.push_back(uid);
}

static void on_instance(void *ctx, const std::vector<uint8_t> &data, const char *transfer_syntax)
{
    const Search *s = static_cast<Search *>(ctx);
    s->on_report(s->ctx, data.data(), data.size(), transfer_syntax);
}

static std::vector<Context> contexts_of()
{
    const std::vector<std::string> syntaxes = {UID_LittleEndianExplicitTransferSyntax,
                                               UID_LittleEndianImplicitTransferSyntax};
    std::vector<Context> all;
    for (const Model &m : models) {
        all.push_back({m.find, syntaxes});
        all.push_back({m.get, syntaxes});
    }
    for (const char *c : report_classes)
        all.push_back({c, syntaxes, true});
    return all;
}

static void put(DcmDataset &ds, const DcmTagKey &tag, const std::string &value)
{
    if (value.empty())
        ds.insertEmptyElement(tag);
    else
        ds.putAndInsertString(tag, value.c_str());
}

// A query at a level, with the unique keys above it.
static void begin_query(DcmDataset &ds, const char *level, const Model &model, const Search &s)
{
    put(ds, DCM_QueryRetrieveLevel, level);
    if (model.patient || strcmp(level, "STUDY") == 0)
        put(ds, DCM_PatientID, s.query->patient_id);
}

static bool find_studies(Requestor &r, size_t context, const Model &model, Search &s,
                         struct err *err)
{
    DcmDataset query;
    begin_query(query, "STUDY", model, s);
    for (const DcmTagKey &key : {DCM_StudyInstanceUID, DCM_StudyDate, DCM_StudyTime})
        put(query, key, "");
    if (!r.find(context, model.find, &query, on_earlier_study, &s, err))
        return false;
    std::sort(s.studies.begin(), s.studies.end(), [](const Study &a, const Study &b) {
        return a.date != b.date   ? a.date > b.date
               : a.time != b.time ? a.time > b.time
                                  : a.uid < b.uid;
    });
    if (s.studies.size() > FETCH_STUDIES_MAX)
        s.studies.resize(FETCH_STUDIES_MAX);
    return true;
}

static bool find_series(Requestor &r, size_t context, const Model &model, Search &s,
                        struct err *err)
{
    DcmDataset query;
    begin_query(query, "SERIES", model, s);
    put(query, DCM_StudyInstanceUID, s.study_uid);
    put(query, DCM_SeriesInstanceUID, "");
    put(query, DCM_Modality, "SR");
    put(query, DCM_SeriesNumber, std::to_string(s.query->series_number));
    s.series.clear();
    if (!r.find(context, model.find, &query, on_report_series, &s, err))
        return false;
    std::sort(s.series.begin(), s.series.end());
    return true;
}

static bool get_series(Requestor &r, size_t context, const Model &model, Search &s,
                       const std::string &series, struct err *err)
{
    DcmDataset query;
    begin_query(query, "SERIES", model, s);
    put(query, DCM_StudyInstanceUID, s.study_uid);
    put(query, DCM_SeriesInstanceUID, series);
    return r.get(context, model.get, &query, s.query->bytes_most, on_instance, &s, err);
}

static bool fetch_from(Requestor &r, size_t context, const Model &model, Search &s, struct err *err)
{
    size_t fetched = 0;
    if (!find_studies(r, context, model, s, err))
        return false;
    for (const Study &study : s.studies) {
        s.study_uid = study.uid;
        if (!find_series(r, context, model, s, err))
            return false;
        for (const std::string &series : s.series) {
            if (fetched++ == FETCH_REPORTS_MAX)
                return true;
            if (!get_series(r, context + 1, model, s, series, err))
                return false;
        }
    }
    return true;
}

static bool fetch_all(const struct scu_peer *peer, Search &s, struct err *err)
{
    Requestor r(peer);
    const std::vector<Context> contexts = contexts_of();
    const size_t model_count = sizeof models / sizeof *models;
    if (!r.open(contexts, err))
        return false;
    bool reports = false;
    for (size_t i = 2 * model_count; i < contexts.size(); i++)
        reports = reports || r.accepted(i);
    for (size_t i = 0; reports && i < model_count; i++) {
        if (r.accepted(2 * i) && r.accepted(2 * i + 1))
            return fetch_from(r, 2 * i, models[i], s, err) && r.release(err);
    }
    r.release(nullptr);
    return err_set(err, ERR_UNSUPPORTED, "no C-FIND and C-GET of %s",
                   reports ? "one model" : "reports");
}

bool fetch_reports(const struct scu_peer *peer, const struct fetch_query *query,
                   void (*on_report)(void *ctx, const uint8_t *data, size_t size,
                                     const char *transfer_syntax),
                   void *ctx, struct err *err)
{
    if (!*query->patient_id || strpbrk(query->patient_id, "*?\\"))
        return err_set(err, ERR_INPUT, "no Patient ID, or one with a wildcard");
    bool ok = false;
    try {
        Search s = {};
        s.query = query;
        s.on_report = on_report;
        s.ctx = ctx;
        ok = fetch_all(peer, s, err);
    } catch (const std::bad_alloc &) {
        err_set(err, ERR_NOMEM, "no memory for an association");
    }
    return ok || err_wrap(err, "%s:%u %s", peer->host, peer->port, peer->called);
}
