#include "compute/findings/prior.h"
#include <string.h>

const struct prior_number *prior_number(const struct prior *p, const char *group,
                                        const char *concept)
{
    for (size_t i = 0; i < p->number_count; i++) {
        if (strcmp(p->numbers[i].group, group) == 0 && strcmp(p->numbers[i].concept, concept) == 0)
            return &p->numbers[i];
    }
    return NULL;
}
