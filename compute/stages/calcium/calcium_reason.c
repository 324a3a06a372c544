#include "compute/stages/calcium/calcium_reason.h"

static const struct {
    enum calcium_class class;
    const char *text;
} reasons[CALCIUM_REASONS] = {
    [CALCIUM_IN_FAT] = {CALCIUM_COUNTED, "in fat on the heart"},
    [CALCIUM_IN_LITTLE_FAT] = {CALCIUM_COUNTED, "in a little fat on the front of the heart"},
    [CALCIUM_LEAN] = {CALCIUM_UNCERTAIN, "near the heart's surface with hardly any fat around"},
    [CALCIUM_AT_ROOT] = {CALCIUM_UNCERTAIN,
                         "at the aortic root without fat: artery, aortic wall or valve"},
    [CALCIUM_BY_AORTA] = {CALCIUM_UNCERTAIN, "at the wall of the ascending aorta"},
    [CALCIUM_HIGH] = {CALCIUM_UNCERTAIN, "above where arteries leave the aorta"},
    [CALCIUM_BEHIND] = {CALCIUM_UNCERTAIN, "by the descending aorta"},
    [CALCIUM_BACK] = {CALCIUM_UNCERTAIN, "behind the left atrium: artery, oesophagus or node"},
    [CALCIUM_APART] = {CALCIUM_UNCERTAIN,
                       "high and far from the aorta: artery, appendage or pulmonary trunk"},
    [CALCIUM_FREE_WALL] = {CALCIUM_UNCERTAIN,
                           "on a free wall of the heart: a branch, or pericardium"},
    [CALCIUM_FAINT] = {CALCIUM_UNCERTAIN, "in fat, yet as small and faint as noise"},
    [CALCIUM_BY_BONE] = {CALCIUM_UNCERTAIN, "beside bone or calcified cartilage"},
    [CALCIUM_BY_CHEST] = {CALCIUM_UNCERTAIN, "before the lungs: artery or chest wall"},
    [CALCIUM_BY_LUNG] = {CALCIUM_UNCERTAIN, "beside lung: artery or hilum"},
    [CALCIUM_OUTSIDE] = {CALCIUM_UNCERTAIN, "at the border of the heart's region"},
    [CALCIUM_SMALL_FIELD] = {CALCIUM_UNCERTAIN,
                             "its place in the heart is not sure in so small a field of view"},
    [CALCIUM_BY_METAL] = {CALCIUM_UNCERTAIN,
                          "in fat, yet near metal or no brighter than its streaks"},
    [CALCIUM_SHEET] = {CALCIUM_UNCERTAIN, "a sheet, as calcified pericardium is"},
    [CALCIUM_BRIGHT] = {CALCIUM_UNCERTAIN, "as bright as metal"},
    [CALCIUM_STREAKS] = {CALCIUM_UNCERTAIN,
                         "darker than fat beside it, as beside clips and stents"},
    [CALCIUM_TUBE] = {CALCIUM_UNCERTAIN, "as long and even as a stent"},
    [CALCIUM_MOTION] = {CALCIUM_UNCERTAIN,
                        "a bright band at the heart's border: motion, or an artery that moved"},
    [CALCIUM_LARGE] = {CALCIUM_UNCERTAIN, "larger than calcium in an artery is, in the heart"},
    [CALCIUM_DEEP] = {CALCIUM_NOT_CORONARY, "deep in the heart: valve, annulus or muscle"},
    [CALCIUM_IN_LUNG] = {CALCIUM_NOT_CORONARY, "in lung or hilum"},
    [CALCIUM_WALL] = {CALCIUM_NOT_CORONARY, "aortic wall"},
    [CALCIUM_VALVE] = {CALCIUM_NOT_CORONARY, "in the aortic root: valve"},
    [CALCIUM_ABOVE] = {CALCIUM_NOT_CORONARY, "above the heart"},
    [CALCIUM_CHEST] = {CALCIUM_NOT_CORONARY, "chest wall: cartilage, rib or sternum"},
    [CALCIUM_AWAY] = {CALCIUM_NOT_CORONARY, "beside the heart"},
    [CALCIUM_PLATE] = {CALCIUM_NOT_CORONARY, "a plate, wider than arteries: pericardium"},
    [CALCIUM_NOISE] = {CALCIUM_NOT_CORONARY, "noise"},
    [CALCIUM_MASSIVE] = {CALCIUM_NOT_CORONARY, "bone"},
    [CALCIUM_METAL] = {CALCIUM_NOT_CORONARY, "metal"},
};

const char *calcium_reason_text(enum calcium_reason reason)
{
    return reasons[reason].text;
}
enum calcium_class calcium_reason_class(enum calcium_reason reason)
{
    return reasons[reason].class;
}
