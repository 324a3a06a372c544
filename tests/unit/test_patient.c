// Whose instance is this: the same patient has one key, two patients never share one.
#include "node/job/patient.h"
#include <string.h>
#include "tests/check.h"

static void key_of_born(const char *id, const char *issuer, const char *name, const char *born,
                        char out[65])
{
    struct attrs attrs = {0};
    struct err err = {0};
    if (id)
        attrs_add(&attrs, "PatientID", id);
    if (issuer)
        attrs_add(&attrs, "IssuerOfPatientID", issuer);
    if (name)
        attrs_add(&attrs, "PatientName", name);
    if (born)
        attrs_add(&attrs, "PatientBirthDate", born);
    CU_ASSERT_TRUE(patient_key(&attrs, out, &err));
    CU_ASSERT_EQUAL(strspn(out, "0123456789abcdef"), 64);
    attrs_finish(&attrs);
}

// NULL: the attribute is absent.
static void key_of(const char *id, const char *issuer, const char *name, char out[65])
{
    key_of_born(id, issuer, name, NULL, out);
}

static void two_of_one_id_are_told_by_their_birth(void)
{
    char a[65], b[65];
    key_of_born("0", NULL, "Doe^Jane", "19500131", a);
    key_of_born("0", NULL, "Roe^John", "19500201", b);
    CU_ASSERT_STRING_NOT_EQUAL(a, b);
    key_of_born("0", NULL, "Doe^Jane^Mary", "1950.01.31", b); // as it was written before 1993
    CU_ASSERT_STRING_EQUAL(a, b);
    static const char *const none[] = {"unknown", "195001", "195001311200", "1950-01-31?"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        key_of_born("0", NULL, "Doe^Jane", none[i], a);
        key_of_born("0", NULL, "Doe^Jane", "", b);
        CU_ASSERT_STRING_EQUAL(a, b);
    }
}

static void a_patient_keeps_the_key_under_another_name(void)
{
    char a[65], b[65];
    key_of("17", NULL, "Doe^Jane", a);
    key_of("17", "", "Doe^Jane^Mary", b);
    CU_ASSERT_STRING_EQUAL(a, b);
    key_of("", "somewhere", "Doe^Jane", a); // an issuer of nothing
    key_of(NULL, NULL, "Doe^Jane", b);
    CU_ASSERT_STRING_EQUAL(a, b);
}

static void two_patients_never_share_a_key(void)
{
    static const char *const all[][3] = {{"17", NULL, "Doe^Jane"}, {"17", "A", "Doe^Jane"},
                                         {"17", "B", "Doe^Jane"},  {"1", "7", "Doe^Jane"},
                                         {"18", NULL, "Doe^Jane"}, {NULL, NULL, "Doe^Jane"},
                                         {NULL, NULL, "17"},       {NULL, NULL, NULL}};
    enum { COUNT = sizeof all / sizeof *all };
    char keys[COUNT][65];
    for (int i = 0; i < COUNT; i++)
        key_of(all[i][0], all[i][1], all[i][2], keys[i]);
    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < i; k++)
            CU_ASSERT_STRING_NOT_EQUAL(keys[i], keys[k]);
    }
}

int main(void)
{
    static const struct check_case cases[] = {
        {"key_a_patient_keeps_it_under_another_name", a_patient_keeps_the_key_under_another_name},
        {"key_two_of_one_id_are_told_by_their_birth", two_of_one_id_are_told_by_their_birth},
        {"key_two_patients_never_share_one", two_patients_never_share_a_key},
    };
    return check_main("patient", cases, sizeof cases / sizeof *cases);
}
