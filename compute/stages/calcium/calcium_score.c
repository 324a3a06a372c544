#include "compute/stages/calcium/calcium_score.h"
#include <limits.h>
#include <stdio.h>

unsigned calcium_weight(const struct calcium_rules *rules, double hu)
{
    const double scale = rules->threshold_hu / 130.0;
    if (hu < rules->threshold_hu)
        return 0;
    return hu >= 400 * scale ? 4 : hu >= 300 * scale ? 3 : hu >= 200 * scale ? 2 : 1;
}

bool calcium_counts(const struct calcium_rules *rules, uint32_t pixels)
{
    return pixels > 0 && pixels * rules->pixel_area_mm2 >= rules->min_area_mm2;
}

void calcium_score(const struct calcium_rules *rules, const struct calcium_island *islands,
                   size_t count, struct calcium_amount *amounts, size_t lesion_count)
{
    for (size_t i = 0; i < lesion_count; i++)
        amounts[i] = (struct calcium_amount){.max = INT32_MIN};
    for (size_t i = 0; i < count; i++) {
        struct calcium_amount *a = &amounts[islands[i].lesion];
        if (!calcium_counts(rules, islands[i].pixels))
            continue;
        a->pixels += islands[i].pixels;
        a->hu_sum += islands[i].sum;
        a->islands++;
        a->lesions = 1;
        if (islands[i].max > a->max)
            a->max = islands[i].max;
    }
    for (size_t i = 0; i < count; i++) { // once the maximum of each lesion is known
        struct calcium_amount *a = &amounts[islands[i].lesion];
        if (!calcium_counts(rules, islands[i].pixels))
            continue;
        int32_t max = rules->weight_from_lesion ? a->max : islands[i].max;
        a->weighted += (uint64_t)islands[i].pixels * calcium_weight(rules, max);
    }
}

void calcium_add(struct calcium_amount *total, const struct calcium_amount *part)
{
    if (total->islands == 0 || part->max > total->max)
        total->max = part->islands ? part->max : total->max;
    total->pixels += part->pixels;
    total->weighted += part->weighted;
    total->hu_sum += part->hu_sum;
    total->islands += part->islands;
    total->lesions += part->lesions;
}

double calcium_agatston(const struct calcium_rules *rules, const struct calcium_amount *a)
{
    return (double)a->weighted * rules->pixel_area_mm2 * rules->increment_mm / 3.0;
}

double calcium_volume_mm3(const struct calcium_rules *rules, const struct calcium_amount *a)
{
    return (double)a->pixels * rules->pixel_area_mm2 * rules->increment_mm;
}

double calcium_mass_mg(const struct calcium_rules *rules, const struct calcium_amount *a)
{
    return (double)a->hu_sum * rules->mass_factor * rules->pixel_area_mm2 * rules->increment_mm /
           1000.0;
}

void calcium_category(double agatston, unsigned arteries, char *text, size_t size)
{
    if (agatston <= 0) {
        snprintf(text, size, "A0");
        return;
    }
    int class = agatston >= 300 ? 3 : agatston >= 100 ? 2 : 1;
    snprintf(text, size, "A%d/N%u", class, arteries);
}
