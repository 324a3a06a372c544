#include <stdio.h>
#include "base/identifying.h"
#include "tests/check.h"

static void what_names_a_person_is_identifying(void)
{
    static const char *const keywords[] = {
        "PatientName",   "PatientID",       "PatientBirthDate",       "OtherPatientIDs",
        "StudyID",       "AccessionNumber", "ReferringPhysicianName", "OperatorsName",
        "VisitComments", "ImageComments",   "PerformingPhysicianName"};
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (!identifying_keyword(keywords[i]))
            fprintf(stderr, "%s\n", keywords[i]);
        CU_ASSERT_TRUE(identifying_keyword(keywords[i]));
    }
}

static void what_tells_images_apart_is_not(void)
{
    static const char *const keywords[] = {
        "Modality",         "SeriesDescription", "ImageType",       "SeriesNumber", "ProtocolName",
        "BodyPartExamined", "StudyInstanceUID",  "PatientPosition", "patientname",  ""};
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        CU_ASSERT_FALSE(identifying_keyword(keywords[i]));
}

int main(void)
{
    static const struct check_case cases[] = {
        {"what_names_a_person_is_identifying", what_names_a_person_is_identifying},
        {"what_tells_images_apart_is_not", what_tells_images_apart_is_not},
    };
    return check_main("identifying", cases, sizeof cases / sizeof cases[0]);
}
