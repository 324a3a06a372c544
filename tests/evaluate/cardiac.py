"""Volumes, ejection fraction and the slices of phantoms that are known: one heart a seed, of a kind, size, field of view, noise and
gating that the seed draws, and every tenth that must be refused.

The truth has two forms: the sum over the slices below the valve, and the volume of the shape. They differ by what the slices cut
at the valve, so that a value within 3 % (3 mL; 3 points) of what lies between both is right."""
import random

import numpy as np
import pydicom
from evaluate.row import Row
from phantom.cardiac import KINDS

GENERATOR = "cardiac"
# Volumes within 3 % or 3 mL, ejection fraction within 3 points; in the worst case, 8. Areas of a slice within 15 % or 100 mm2, or
# the slice is left out.
VOLUME_SHARE, VOLUME_ML, EF_POINTS, EF_WORST, AREA_SHARE, AREA_MM2 = 0.03, 3, 3, 8, 0.15, 100
REFUSED = {"6 phases": ("--phases", "6"), "3 slices": ("--slices", "3"), "still": ("--still", "--noise", "4")}


def cases(seed):
    """A fresh heart, in the smallest images that hold it: a seed is a few seconds."""
    draw = random.Random(seed)
    if draw.random() < 0.1:
        name = draw.choice(sorted(REFUSED))
        return [(name, ("--seed", seed, "--size", "96", "--pixel", "2", "--phases", "10", "--slices", "8", *REFUSED[name]), "not evaluable")]
    kind = draw.choice(KINDS)
    large = kind in ("dilated", "aneurysm", "rv", "effusion")
    gap = draw.choice((8, 10, 10, 12))
    words = ["--seed", seed, "--kind", kind, "--gap", gap, "--thick", draw.choice((gap, gap, 8)), "--slices", (130 if large else 110) // gap,
             "--pixel", draw.choice((1.6, 1.8, 2.0)), "--size", 112 if large else 104, "--phases", draw.choice((10, 12, 12, 15, 20)),
             "--noise", draw.uniform(8, 45), "--shading", draw.uniform(0, 0.5)]
    if kind == "normal":
        words += ["--ef", draw.uniform(20, 75)]
    for chance, option in ((0.25, ("--shift", draw.uniform(1, 4))), (0.2, ("--cover", "0.85")), (0.2, ("--turn", draw.uniform(-60, 60))), (0.2, ("--mirrored",)),
                           (0.15, ("--fewer", "2") if words[words.index("--phases") + 1] >= 12 else ()), (0.15, ("--crop", "8")), (0.15, ("--no-papillary",)), (0.2, ("--series", "slices", "--random-order"))):
        if draw.random() < chance:
            words += option
    return [(kind, tuple(words), "done")]


def areas(truth, result):
    """Of the inner contours, mm2: {(slice, phase): area}, numbered as the generator does it."""
    found = {}
    states = [pydicom.dcmread(path) for path in sorted(result.out.glob("*gsps*.dcm"))]  # one a series
    for annotation in (a for state in states for a in state.GraphicAnnotationSequence):
        if annotation.get("GraphicLayer") != "ENDO":
            continue
        number = int(annotation.ReferencedImageSequence[0].ReferencedSOPInstanceUID.split(".")[-1])
        for graphic in annotation.get("GraphicObjectSequence", []):
            x, y = np.array(graphic.GraphicData, float).reshape(-1, 2).T
            found[divmod(number - 1, truth["phases"])] = abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2 * truth["pixel_mm"]**2
    return found


def nearest(value, *bounds):
    """Of what lies between the bounds."""
    return min(max(value, min(bounds)), max(bounds))


def rows(truth, expected, result):
    verdict = result.entry["verdict"]
    found = [Row("verdict", expected, verdict)] if expected else []
    if verdict != "done":
        return [*found, Row(f"reason: {result.entry['reason']}", None, None)]
    values = {m["code"][0]: m for m in result.entry["measurements"]}
    if not truth or "exact_ml" not in truth:
        return found + [Row(name, None, values[code]["value"]) for name, code in
                        (("EDV, mL", "8821-1"), ("ESV, mL", "8823-7"), ("EF, %", "8811-2"), ("mass, g", "18087-7"))]
    exact = [truth["exact_ml"][truth[phase]] for phase in ("ed", "es")]
    fractions = truth["ef"], 100 * (1 - exact[1] / exact[0])
    for name, code, known, share, least in (("EDV, mL", "8821-1", (truth["edv_ml"], exact[0]), VOLUME_SHARE, VOLUME_ML),
                                            ("ESV, mL", "8823-7", (truth["esv_ml"], exact[1]), VOLUME_SHARE, VOLUME_ML), ("EF, %", "8811-2", fractions, 0, EF_POINTS)):
        m = values[code]
        low, high = m.get("low", m["value"]), m.get("high", m["value"])
        bound = max(share * known[0], least)
        near = nearest(m["value"], *known)
        found.append(Row(name, near, m["value"], bound))
        found.append(Row(f"{name}: range holds it", True, low - bound <= known[0] <= high + bound))
        if name == "EF, %":
            found.append(Row(f"{name}: off by 8, without a range", False, abs(m["value"] - near) > EF_WORST and high - low < EF_WORST))
            found.append(Row(f"{name}: width of the range", None, high - low))
            found.append(Row(f"{name}, by the slices", truth["ef"], m["value"], EF_WORST))
    m = values["18087-7"]
    found.append(Row("mass, g: range holds it", True, m["low"] <= truth["mass_g"] <= m["high"]))
    wrong, drawn = 0, areas(truth, result)
    if truth["fewer"]:  # every other slice has its phases at other times
        drawn = {(k, p): area for (k, p), area in drawn.items() if k % 2 == 0 or p == 0}
    for (k, p), area in drawn.items():
        true = truth["areas_mm2"][p][k]
        wrong += abs(area - true) > max(AREA_SHARE * true, AREA_MM2)
    found.append(Row("contours, wrong", 0, wrong))
    found.append(Row("contours, drawn", None, len(drawn)))
    return found
