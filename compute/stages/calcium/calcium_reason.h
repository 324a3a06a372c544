// What a bright spot in or near the heart ends as, and why. Thread-safety: pure.
#pragma once

enum calcium_class { CALCIUM_COUNTED, CALCIUM_UNCERTAIN, CALCIUM_NOT_CORONARY, CALCIUM_CLASSES };

// What decided the class.
enum calcium_reason {
    CALCIUM_IN_FAT,
    CALCIUM_IN_LITTLE_FAT, // at the heart's front, where nothing else calcifies
    // Uncertain
    CALCIUM_LEAN,        // near the heart's surface, hardly any fat around
    CALCIUM_AT_ROOT,     // no fat around, where arteries leave the aortic root: or wall, or valve
    CALCIUM_BY_AORTA,    // in fat, yet at the wall of the ascending aorta
    CALCIUM_HIGH,        // in fat, yet above where arteries leave the aorta
    CALCIUM_BEHIND,      // in fat, yet by the descending aorta
    CALCIUM_BACK,        // in fat, yet behind the left atrium
    CALCIUM_APART,       // in fat, as high as arteries leave the aorta, yet far from it
    CALCIUM_FREE_WALL,   // in fat, yet far from the grooves
    CALCIUM_FAINT,       // in fat on all sides, yet no brighter than noise, in one slice
    CALCIUM_BY_BONE,     // in fat, yet next to bone or calcified cartilage
    CALCIUM_BY_CHEST,    // in fat, yet before the lungs, where the chest wall is
    CALCIUM_BY_LUNG,     // much lung around: hilum, or an artery under little fat
    CALCIUM_OUTSIDE,     // in fat outside the heart's region
    CALCIUM_SMALL_FIELD, // elsewhere in the heart, were its middle a little beside where it is
    CALCIUM_BY_METAL,    // in fat, where metal in the heart streaks
    CALCIUM_SHEET,       // flat and wide: pericardium
    CALCIUM_BRIGHT,      // as bright as metal
    CALCIUM_STREAKS,     // darker than fat beside it, as beside metal
    CALCIUM_TUBE,        // as long and even as a stent
    CALCIUM_MOTION,      // rises slowly out of blood towards lung: the heart's border, or an artery
    CALCIUM_LARGE,       // larger than most calcium in an artery
    // Not coronary
    CALCIUM_DEEP,    // deep in the heart, no fat around: valve, annulus, muscle
    CALCIUM_IN_LUNG, // lung around
    CALCIUM_WALL,    // of the aorta
    CALCIUM_VALVE,   // within the aortic root
    CALCIUM_ABOVE,   // above the heart
    CALCIUM_CHEST,   // before the lungs, no fat around
    CALCIUM_AWAY,    // beside the heart's region
    CALCIUM_PLATE,   // wider than any artery: pericardium
    CALCIUM_NOISE,   // no brighter or larger than noise, in blood or muscle
    CALCIUM_MASSIVE, // larger than any calcium in an artery: bone
    CALCIUM_METAL,   // brighter than any calcium
    CALCIUM_REASONS
};
// For people, after "not counted:" or "uncertain:"; what helps a reader to decide.
const char *calcium_reason_text(enum calcium_reason reason);
enum calcium_class calcium_reason_class(enum calcium_reason reason);
