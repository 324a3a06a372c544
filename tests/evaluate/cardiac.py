"""Volumes, ejection fraction and the slices of phantoms that are known, and refusals of what cannot be measured."""
import random

import numpy as np
from evaluate.row import Row

GENERATOR = "cardiac"
MEASURED = {
    "normal": (),
    "normal, EF 75": ("--ef", "75"),
    "normal, EF 40": ("--ef", "40"),
    "hypertrophic": ("--kind", "hypertrophic"),
    "dilated": ("--kind", "dilated", "--slices", "13"),
    "scar": ("--kind", "scar"),
    "aneurysm": ("--kind", "aneurysm", "--slices", "12"),
    "large right ventricle": ("--kind", "rv"),
    "effusion": ("--kind", "effusion"),
    "trabeculae": ("--kind", "trabeculae"),
    "banding": ("--kind", "banding"),
    "flow voids": ("--kind", "void"),
    "noise": ("--noise", "45"),
    "shading": ("--shading", "0.5"),
    "gap 12 mm, 8 mm thick": ("--gap", "12", "--thick", "8", "--slices", "9"),
    "8 mm, pixels 1.2 mm": ("--gap", "8", "--slices", "13", "--pixel", "1.2", "--size", "208"),
    "12 phases": ("--phases", "12"),
    "32 phases": ("--phases", "32"),
    "prospective": ("--cover", "0.85"),
    "slices apart by 4 mm": ("--shift", "4"),
    "mirrored, cropped": ("--mirrored", "--crop", "12"),
    "one series a slice": ("--series", "slices", "--random-order", "--long-axis"),
    "phases differ": ("--fewer", "3"),
    "turned": ("--turn", "35"),
}
REFUSED = {
    "6 phases": ("--phases", "6"),
    "3 slices": ("--slices", "3"),
}
# Volumes within 8 % or 6 mL, ejection fraction within 8 points in the worst case; areas of a slice within 20 % or 150 mm2 at end
# diastole, or the slice is left out.
VOLUME_SHARE, VOLUME_ML, EF_POINTS, AREA_SHARE, AREA_MM2 = 0.08, 6, 8, 0.2, 150


def cases(seed):
    """A fresh heart for each."""
    draw = random.Random(seed)
    found = [(name, ("--seed", draw.randrange(1, 100000), *words), "done") for name, words in MEASURED.items()]
    return found + [(name, ("--seed", draw.randrange(1, 100000), *words), "not evaluable") for name, words in REFUSED.items()]


def areas(truth, result):
    """Of the inner contours, mm2: {(slice, phase): area}, numbered as the generator does it."""
    found = {}
    for annotation in result.objects["PR"][1].GraphicAnnotationSequence:
        if annotation.get("GraphicLayer") != "ENDO":
            continue
        number = int(annotation.ReferencedImageSequence[0].ReferencedSOPInstanceUID.split(".")[-1])
        for graphic in annotation.get("GraphicObjectSequence", []):
            x, y = np.array(graphic.GraphicData, float).reshape(-1, 2).T
            found[divmod(number - 1, truth["phases"])] = abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2 * truth["pixel_mm"]**2
    return found


def rows(truth, expected, result):
    verdict = result.entry["verdict"]
    found = [Row("verdict", expected, verdict)] if expected else []
    if verdict != "done":
        return [*found, Row(f"reason: {result.entry['reason']}", None, None)]
    values = {m["code"][0]: m for m in result.entry["measurements"]}
    truth = truth or {}
    for name, code, known, share, least in (("EDV, mL", "8821-1", "edv_ml", VOLUME_SHARE, VOLUME_ML), ("ESV, mL", "8823-7", "esv_ml", VOLUME_SHARE, VOLUME_ML),
                                            ("EF, %", "8811-2", "ef", 0, EF_POINTS), ("mass, g", "18087-7", "mass_g", 0.25, 0)):
        true = truth.get(known)
        found.append(Row(name, true, values[code]["value"], max(share * (true or 0), least)))
    if truth.get("areas_mm2"):
        wrong = [(k, p) for (k, p), area in areas(truth, result).items() if p == truth["ed"]
                 and abs(area - truth["areas_mm2"][p][k]) > max(AREA_SHARE * truth["areas_mm2"][p][k], AREA_MM2)]
        found.append(Row("slices wrong at ED", 0, len(wrong)))
    return found
