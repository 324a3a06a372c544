"""Coronary calcium: chests that nobody has seen, their scores, arteries, what was counted wrongly and what was
refused; real series shown in other ways, and painted where a places.json lies beside them."""
import json
import pathlib
import re
import sys

import numpy as np
import pydicom
from evaluate.row import Row

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "phantom"))
import paint  # noqa: E402

GENERATOR = "chest"
ARTERIES = ("LM", "LAD", "LCX", "RCA")
NEAR_MM = 6.0  # from a lesion's middle to the plaque that it is
# Remarks that say nothing of whether the total is right. Any other makes a flagged result.
ROUTINE = ("Mass is not calibrated", "Slices ", "Estimate: ECG", "Aortic root not seen", "Gantry tilt")
NOISE_FORGIVEN_HU = 25  # a remark on less noise is routine too
BEYOND_DOUBT = 10.0  # Agatston: a false positive that a reader forgives
NO_PLAIN_SCORE = "what a reader would not sign"


def cases(seed):
    return [("chest", ("--seed", seed, "--size", "384"), None)]


def tolerance(value):
    """5 %, or two points, as much as an island of a few pixels."""
    return max(2.0, 0.05 * value)


def noise_of(remark):
    """HU of a remark on noise, else None."""
    found = re.match(r"Noise of (\d+) HU", remark)
    return int(found[1]) if found else None


class Reading:
    """What one result says."""

    def __init__(self, result):
        self.verdict, self.reason = result.entry["verdict"], result.entry["reason"]
        self.scored = self.verdict in ("done", "nothing found")
        said = [e for e in result.entry.get("evaluations", []) if not e.get("group")]
        remarks = [str(e["value"]) for e in said if e["name"] == "Comment" and not str(e["value"]).startswith(ROUTINE)]
        self.flags = [r for r in remarks if not noise_of(r) or noise_of(r) > NOISE_FORGIVEN_HU]
        total = (result.report.total() or {}).get("agatston")
        self.low = self.high = total if total is not None else 0.0
        for m in result.entry.get("measurements", []):
            if m["group"] == "Coronary arteries" and m["unit"] == "{score}" and "high" in m:
                self.low, self.high = m["low"], m["high"]
        self.lesions = [(g.artery, g.number("450360000") or 0.0, middle_of(g, result.files)) for g in result.report.groups if "lesion" in g.tracking and g.outline_points]
        if self.scored and self.high > self.low:
            self.flags.append(f"range {self.low:.0f} to {self.high:.0f}")

    @property
    def flagged(self):
        return bool(self.flags)


_heads = {}


def middle_of(group, files):
    """Middle of a lesion's outlines, mm in patient space."""
    key = str(files[0])
    if key not in _heads:
        _heads.clear()
        _heads[key] = {ds.SOPInstanceUID: ds for ds in (pydicom.dcmread(f, stop_before_pixels=True) for f in files)}
    places = []
    for uid, graphic in group.outline_points:
        ds = _heads[key][uid]
        row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
        x, y = np.array(graphic, float).reshape(-1, 2).mean(0) - 0.5
        places.append(np.array(ds.ImagePositionPatient, float) + row * x * float(ds.PixelSpacing[1]) + column * y * float(ds.PixelSpacing[0]))
    return np.mean(places, axis=0)


def nearest(items, at):
    """The item next to a place and its distance, mm."""
    found = [(min(np.linalg.norm(np.array(place) - at) for place in item["places"]), item) for item in items]
    return min(found, key=lambda pair: pair[0]) if found else (np.inf, None)


def judge_lesions(truth, mine):
    """[(artery, true artery, score)] of those that are plaques, [(what, score)] of the others."""
    right, false = [], []
    for artery, score, at in mine.lesions:
        far, plaque = nearest(truth["plaques"], at)
        other_far, other = nearest(truth["others"], at)
        if far <= NEAR_MM and far <= other_far:
            same = [p["artery"] for p in truth["plaques"] if min(np.linalg.norm(np.array(place) - at) for place in p["places"]) <= NEAR_MM]
            right.append((artery, artery if artery in same else plaque["artery"], score))
        else:
            false.append((other["kind"] if other_far <= NEAR_MM + 4 else "nothing", score))
    return right, false


def said(words):
    return "; ".join(words) if words else "-"


def rows(truth, expected, result):
    mine = Reading(result)
    if truth and "same" in truth:
        return same_rows(truth["same"], mine)
    if not truth or "plaques" not in truth:
        return plain_rows(truth, mine)
    reasons = truth["reasons"]
    true = [truth[which]["TOTAL"]["agatston"] + truth.get("before", 0) for which in ("total", "read")]
    found = [Row(f"verdict, {mine.verdict}: {mine.reason}"[:60], None, None), Row(f"reasons not to: {said(reasons)}"[:60], None, None)]
    if not mine.scored:
        return [*found, Row("scored", NO_PLAIN_SCORE if reasons else "yes", NO_PLAIN_SCORE if reasons else "no", 0, "not refused what a reader would score")]
    if not reasons:
        found.append(Row("scored", "yes", "yes", 0, "not refused what a reader would score"))
    found.append(Row(f"flags: {said(mine.flags)}"[:60], None, None))
    found.append(Row("Agatston score", true[0], mine.low, tolerance(max(true)), "Agatston score, flagged or not"))
    off = max(0.0, min(true) - mine.high, mine.low - max(true))
    right = off <= tolerance(max(true))
    found.append(Row("total within 5 % or flagged", "yes", "yes" if right or mine.flagged else "no"))
    zero = mine.high < 0.5 and min(true) >= 2
    found.append(Row("no false zero", "yes", "no" if zero and not mine.flagged else "yes"))
    plaques, false = judge_lesions(truth, mine)
    wrong = [(a, b, s) for a, b, s in plaques if a is not None and a != b and s >= tolerance(max(true)) / 2]
    if plaques:
        found.append(Row(f"arteries wrong: {said(f'{b} as {a} {s:.0f}' for a, b, s in wrong) if wrong else '-'}"[:60], "right", "wrong" if wrong else "right", 0, "arteries right or unassigned, scans"))
        for artery, true_artery, score in plaques:
            found.append(Row(f"lesion of {true_artery}, {score:.1f}", "ok", "ok" if artery in (None, true_artery) else artery, 0, "arteries right or unassigned, lesions"))
    excess = sum(score for _, score in false) - truth.get("before", 0)
    kinds = {}
    for kind, score in false:
        kinds[kind] = kinds.get(kind, 0) + score
    found.append(Row(f"false: {said([f'{k} {s:.0f}' for k, s in kinds.items()])}"[:60], "no", "yes" if excess > BEYOND_DOUBT and not mine.flagged else "no", 0, "no false positive above 10 without a flag"))
    if truth.get("painted") and truth["plaques"]:
        seen = sum(1 for p in truth["plaques"] if nearest([{"places": [at]} for _, _, at in mine.lesions], np.array(p["center_mm_xyz"]))[0] <= NEAR_MM or p["agatston"] < 1)
        found += [Row("painted plaque found", "yes", "yes" if k < seen else "no", 0, "painted plaques found") for k in range(len(truth["plaques"]))]
    return found


def plain_rows(truth, mine):
    """Of a series that nobody knows, or whose truth is of another generator."""
    found = [Row(f"{mine.verdict}: {mine.reason}"[:60], None, None), Row(f"flags: {said(mine.flags)}"[:60], None, None)]
    if mine.scored:
        total = truth["total"]["TOTAL"]["agatston"] if truth else None
        found.append(Row("Agatston score", total, mine.low, tolerance(total or 0)))
        found += [Row(f"Agatston score, {a}", (truth["total"].get(a, {"agatston": 0.0})["agatston"] if truth else None), score, tolerance(score), "Agatston score of an artery")
                  for a, score in by_artery(mine).items()]
    return found


def by_artery(mine):
    return {a: sum((score for artery, score, _ in mine.lesions if artery == a), 0.0) for a in ARTERIES}


def same_rows(first, mine):
    """Of a series shown in another way, beside what it gave as it is."""
    if not (first.scored and mine.scored):
        return [Row("verdict", first.verdict, mine.verdict, 0, "the same verdict in every view")]
    found = [Row("Agatston score", first.low, mine.low, 0.03 * first.low + 0.05, "the same total in every view")]
    theirs, ours = by_artery(first), by_artery(mine)
    return found + [Row(f"Agatston score, {a}", theirs[a], ours[a], 0.03 * theirs[a] + 0.05, "the same arteries in every view") for a in ARTERIES]


def others(folder, files, result, scratch, seed):
    """More series that one of a user gives: (name, folder, truth)."""
    series, mine = paint.Series(files), Reading(result)
    places = next((p for p in (pathlib.Path(folder) / "places.json", pathlib.Path(folder).with_suffix(".places.json")) if p.exists()), None)
    middle = np.mean([at for *_, at in mine.lesions], axis=0) if mine.lesions else body_middle(series)
    for name, made in paint.shown(series, scratch / "views", middle):
        yield name, made, {"same": mine}
    if places:
        truth = paint.paint(series, scratch / "painted", json.loads(places.read_text()), seed)
        truth["before"] = mine.low
        yield "painted", scratch / "painted", truth


def body_middle(series):
    """Of what is denser than water, over all slices."""
    k = len(series.slices) // 2
    i, j = (np.mean(at) for at in np.nonzero(series.values[k] > -200))
    ds = series.slices[k]
    return np.array(ds.ImagePositionPatient, float) + series.row * j * series.spacing[1] + series.column * (i - 30 / series.spacing[0]) * series.spacing[0]
