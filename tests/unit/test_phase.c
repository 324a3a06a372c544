#include "compute/image/phase.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tests/check.h"

static void the_most_explicit_attribute_says_the_phase(void)
{
    static const struct {
        const char *attrs[6]; // keyword and value in turn
        double trigger_ms;    // 0: none
        double percent;       // NAN: the frame does not say
        const char *by;
    } cases[] = {
        {{IMAGE_CARDIAC_PERCENT, "70.0", "ImageComments", "35 %"}, 0, 70, IMAGE_CARDIAC_PERCENT},
        {{IMAGE_CARDIAC_PERCENT, "0"}, 0, 0, IMAGE_CARDIAC_PERCENT},
        {{IMAGE_CARDIAC_PERCENT, "170"}, 0, NAN, ""},
        {{IMAGE_CARDIAC_PERCENT, "", "ImageComments", "BestDiast 75 %"}, 0, 75, "ImageComments"},
        {{IMAGE_TOSHIBA_PERCENT, "75"}, 0, 75, IMAGE_TOSHIBA_PERCENT},
        {{IMAGE_TOSHIBA_PERCENT, "75%"}, 0, 75, IMAGE_TOSHIBA_PERCENT},
        {{"ImageComments", "40%"}, 0, 40, "ImageComments"},
        {{"ImageComments", "phase 72.5 % of R-R"}, 0, 72.5, "ImageComments"},
        {{"ImageComments", "30-80 %"}, 0, NAN, ""},
        {{"ImageComments", "35 % and 75 %"}, 0, NAN, ""},
        {{"ImageComments", "ASIR-V 50%"}, 0, NAN, ""},
        {{"ImageComments", "B75%"}, 0, NAN, ""},
        {{"ImageComments", "120 %"}, 0, NAN, ""},
        {{"ImageComments", "%"}, 0, NAN, ""},
        {{"NominalInterval", "800"}, 600, 75, "TriggerTime"},
        {{"RRIntervalTimeNominal", "1000"}, 350, 35, "TriggerTime"},
        {{"HeartRate", "60"}, 700, 70, "TriggerTime"},
        {{"HeartRate", "60"}, 1700, NAN, ""}, // the clock of a scan, no delay
        {{"HeartRate", "0"}, 700, NAN, ""},
        {{"KVP", "120"}, 700, NAN, ""},
        {{"SeriesDescription", "DS_CorCTA 0.6 Bv40 3 BestDiast 77 %"}, 0, 77, "SeriesDescription"},
        {{"SeriesDescription", "CaSc 70%", "NominalInterval", "1000"}, 350, 35, "TriggerTime"},
        {{"SeriesDescription", "Thorax 3.0"}, 0, NAN, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct attrs attrs = {0};
        struct image_phase phase;
        for (int a = 0; cases[i].attrs[a]; a += 2)
            CU_ASSERT_TRUE(attrs_add(&attrs, cases[i].attrs[a], cases[i].attrs[a + 1]));
        const struct image_frame f = {
            .attrs = &attrs, .trigger_ms = cases[i].trigger_ms > 0 ? cases[i].trigger_ms : NAN};
        const bool known = image_frame_phase(&f, &phase);
        const bool right = isnan(cases[i].percent)
                               ? !known
                               : known && fabs(phase.percent - cases[i].percent) < 1e-9 &&
                                     strcmp(phase.by, cases[i].by) == 0;
        CU_ASSERT_TRUE(right);
        if (!right)
            fprintf(stderr, "%s %s: %g by %s\n", cases[i].attrs[0], cases[i].attrs[1],
                    phase.percent, phase.by);
        if (known)
            CU_ASSERT_EQUAL(phase.computed, strcmp(phase.by, "TriggerTime") == 0);
        attrs_finish(&attrs);
    }
}

static void a_frame_without_attributes_says_nothing(void)
{
    const struct image_frame f = {.trigger_ms = 700};
    struct image_phase phase;
    CU_ASSERT_FALSE(image_frame_phase(&f, &phase));
}

int main(void)
{
    static const struct check_case cases[] = {
        {"the_most_explicit_attribute_says_the_phase", the_most_explicit_attribute_says_the_phase},
        {"a_frame_without_attributes_says_nothing", a_frame_without_attributes_says_nothing},
    };
    return check_main("phase", cases, sizeof cases / sizeof cases[0]);
}
