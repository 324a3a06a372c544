// Which earlier results an analysis is given, and their way through text.
#include "node/job/priors.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/check.h"

static const struct stage stage = {.name = "calcium"};

static struct prior made(const char *uid, const char *study, const char *date)
{
    struct prior p = {.stage = "calcium",
                      .version = "7",
                      .patient = "P1",
                      .issuer = "",
                      .birth = "19600101",
                      .sex = "M",
                      .date = date,
                      .time = "",
                      .headline = "Agatston 100.0",
                      .maker = "",
                      .model = "",
                      .kernel = "",
                      .class_text = "",
                      .kvp = 120,
                      .thickness_mm = 3,
                      .spacing_mm = NAN};
    snprintf(p.id.kind, sizeof p.id.kind, "sr");
    snprintf(p.id.sop_instance_uid, sizeof p.id.sop_instance_uid, "%s", uid);
    snprintf(p.id.study_instance_uid, sizeof p.id.study_instance_uid, "%s", study);
    return p;
}

static void head_of(struct attrs *head)
{
    CU_ASSERT_FATAL(
        attrs_add(head, "PatientID", "P1") && attrs_add(head, "PatientBirthDate", "19600101") &&
        attrs_add(head, "PatientSex", "M") && attrs_add(head, "IssuerOfPatientID", "HERE") &&
        attrs_add(head, "StudyInstanceUID", "1.9") && attrs_add(head, "StudyDate", "20260301") &&
        attrs_add(head, "StudyTime", "120000"));
}

// What is chosen of list, as UIDs with blanks between, in *facts the facts with '|' between.
static void chosen(const struct prior *list, size_t count, char uids[256], char facts[1024])
{
    struct arena *arena = arena_create();
    struct findings *f = findings_create();
    struct attrs head = {0};
    struct prior *out = NULL;
    size_t number = 0, used = 0;
    head_of(&head);
    *uids = *facts = 0;
    CU_ASSERT_FATAL(arena && f &&
                    priors_choose(list, count, &head, &stage, arena, f, &out, &number, NULL));
    for (size_t i = 0; i < number; i++)
        used += (size_t)snprintf(uids + used, 256 - used, "%s%s", i ? " " : "",
                                 out[i].id.sop_instance_uid);
    used = 0;
    for (uint32_t i = 0; i < f->page.fact_count; i++)
        used += (size_t)snprintf(facts + used, 1024 - used, "%s|", f->page.facts[i]);
    attrs_finish(&head);
    findings_destroy(f);
    arena_destroy(arena);
}

static void the_newest_come_first_and_no_more_than_so_many(void)
{
    char uids[256], facts[1024];
    const struct prior list[] = {made("1", "1.1", "20200101"), made("2", "1.2", "20240101"),
                                 made("3", "1.3", "20230101"), made("4", "1.4", "20220101"),
                                 made("5", "1.5", "20210101"), made("2", "1.2", "20240101")};
    chosen(list, 6, uids, facts);
    CU_ASSERT_STRING_EQUAL(uids, "2 3 4 5");
    CU_ASSERT_STRING_EQUAL(facts, "");
}

static void another_patient_or_study_is_none(void)
{
    char uids[256], facts[1024];
    const struct {
        const char *says; // "": left out without a word
        struct prior p;
    } cases[] = {
        {"it is of another patient", {.patient = "P2"}},
        {"it is of another patient", {.issuer = "THERE"}},
        {"another birth date or sex", {.birth = "19600102"}},
        {"another birth date or sex", {.sex = "F"}},
        {"no Patient ID tells", {.patient = ""}},
        {"it is of another analysis", {.stage = "lungs"}},
        {"no dates tell that its study is older", {.date = "20260302"}},
        {"no dates tell that its study is older", {.date = "20260301", .time = "120000"}},
        {"no dates tell that its study is older", {.date = ""}},
        {"its analysis failed", {.end = PRIOR_FAILED}},
        {"how its analysis ended cannot be read", {.end = PRIOR_ENDS}},
        {"", {.id = {.study_instance_uid = "1.9"}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct prior *c = &cases[i].p;
        struct prior p = made("1", "1.1", "20240101");
        p.patient = c->patient ? c->patient : p.patient;
        p.issuer = c->issuer ? c->issuer : p.issuer;
        p.birth = c->birth ? c->birth : p.birth;
        p.sex = c->sex ? c->sex : p.sex;
        p.stage = c->stage ? c->stage : p.stage;
        p.date = c->date ? c->date : p.date;
        p.time = c->time ? c->time : p.time;
        p.end = c->end;
        if (c->id.study_instance_uid[0])
            memcpy(p.id.study_instance_uid, c->id.study_instance_uid, UID_SIZE);
        chosen(&p, 1, uids, facts);
        CU_ASSERT_STRING_EQUAL(uids, "");
        CU_ASSERT_PTR_NOT_NULL(strstr(facts, cases[i].says));
        CU_ASSERT_EQUAL(*facts == 0, cases[i].says[0] == 0);
        CU_ASSERT_PTR_NULL(strstr(facts, "P2"));
    }
}

// What is not stated by both contradicts nothing; dates may be written in the old way.
static void what_is_not_stated_contradicts_nothing(void)
{
    char uids[256], facts[1024];
    struct prior p = made("1", "1.1", "2024.01.01");
    p.birth = "1960.01.01";
    p.sex = "";
    chosen(&p, 1, uids, facts);
    CU_ASSERT_STRING_EQUAL(uids, "1");
    struct prior same_day = made("2", "1.1", "20260301");
    same_day.time = "115959";
    same_day.end = PRIOR_NOT_EVALUABLE;
    chosen(&same_day, 1, uids, facts);
    CU_ASSERT_STRING_EQUAL(uids, "2");
}

static void what_was_replaced_is_left_out(void)
{
    char uids[256], facts[1024];
    struct prior list[] = {made("1", "1.1", "20240101"), made("2", "1.1", "20240101")};
    snprintf(list[1].replaces, UID_SIZE, "1");
    chosen(list, 2, uids, facts);
    CU_ASSERT_STRING_EQUAL(uids, "2");
    CU_ASSERT_STRING_EQUAL(facts, "");
}

static void text_gives_back_all_of_it(void)
{
    struct arena *arena = arena_create();
    const struct prior_number numbers[] = {{"Coronary arteries", "450360000 SCT", "112055 DCM",
                                            "{score}", 0.1 + 0.2, true, 0.1, 1e5 / 3},
                                           {"LAD", "122660 DCM", "", "mm3", 7, false, 7, 7}};
    struct prior p = made("1.2.3", "1.1", "20240101"), *out = NULL;
    struct err err = {0};
    size_t count = 0;
    p.headline = "\xc3\xa9\"\\";
    p.end = PRIOR_NOTHING_FOUND;
    p.numbers = numbers;
    p.number_count = 2;
    snprintf(p.replaces, UID_SIZE, "1.5");
    char *text = priors_text(&p, 1);
    CU_ASSERT_FATAL(arena && text && priors_from_text(text, arena, &out, &count, &err));
    CU_ASSERT_EQUAL_FATAL(count, 1);
    char *again = priors_text(out, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    CU_ASSERT_STRING_EQUAL(again, text);
    CU_ASSERT_EQUAL(out->numbers[0].value, 0.1 + 0.2);
    CU_ASSERT_EQUAL(out->numbers[0].high, 1e5 / 3);
    CU_ASSERT(out->numbers[0].ranged && !out->numbers[1].ranged);
    CU_ASSERT(isnan(out->spacing_mm) && out->kvp == 120);
    CU_ASSERT_EQUAL(out->end, PRIOR_NOTHING_FOUND);
    CU_ASSERT_STRING_EQUAL(out->replaces, "1.5");
    free(again);
    free(text);
    arena_destroy(arena);
}

static void other_text_is_refused_or_left_out(void)
{
    struct arena *arena = arena_create();
    struct prior *out = NULL;
    struct err err = {0};
    size_t count = 0;
    char many[3 * PRIORS_READ_MAX + 8] = "[";
    CU_ASSERT_FATAL(arena != NULL);
    for (int i = 0; i <= PRIORS_READ_MAX; i++)
        strcat(many, i ? ",{}" : "{}");
    strcat(many, "]");
    const char *const bad[] = {"", "{}", "nonsense", "[{}", many};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err.code = ERR_NONE;
        CU_ASSERT_FALSE(priors_from_text(bad[i], arena, &out, &count, &err));
        CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    }
    CU_ASSERT_FATAL(priors_from_text("[{\"id.sop_instance_uid\":\"no uid\",\"end\":99,"
                                     "\"numbers\":[{\"value\":null},{\"value\":3}]}]",
                                     arena, &out, &count, &err));
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_STRING_EQUAL(out->id.sop_instance_uid, "");
    CU_ASSERT_EQUAL(out->end, PRIOR_ENDS);
    CU_ASSERT_EQUAL(out->number_count, 1);
    CU_ASSERT_STRING_EQUAL(out->numbers[0].group, "");
    arena_destroy(arena);
}

static void a_digest_knows_no_order_but_all_else(void)
{
    struct arena *arena = arena_create();
    uint8_t a[DIGEST_SIZE], b[DIGEST_SIZE];
    struct prior list[] = {made("1", "1.1", "20240101"), made("2", "1.2", "")};
    CU_ASSERT_FATAL(arena && priors_digest(list, 2, arena, a));
    const struct prior other[] = {list[1], list[0]};
    CU_ASSERT(priors_digest(other, 2, arena, b));
    CU_ASSERT_EQUAL(memcmp(a, b, sizeof a), 0);
    list[1].sex = "F";
    CU_ASSERT(priors_digest(list, 2, arena, b));
    CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof a), 0);
    arena_destroy(arena);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"the_newest_come_first_and_no_more_than_so_many",
         the_newest_come_first_and_no_more_than_so_many},
        {"another_patient_or_study_is_none", another_patient_or_study_is_none},
        {"what_is_not_stated_contradicts_nothing", what_is_not_stated_contradicts_nothing},
        {"what_was_replaced_is_left_out", what_was_replaced_is_left_out},
        {"text_gives_back_all_of_it", text_gives_back_all_of_it},
        {"other_text_is_refused_or_left_out", other_text_is_refused_or_left_out},
        {"a_digest_knows_no_order_but_all_else", a_digest_knows_no_order_but_all_else},
    };
    return check_main("priors", cases, sizeof cases / sizeof *cases);
}
