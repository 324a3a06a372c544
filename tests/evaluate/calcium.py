"""Coronary calcium: chests that nobody has seen, their scores, arteries, what was counted wrongly and what was
refused; real series shown in other ways, and painted where a places.json (phantom/paint.py) lies in their folder or
beside it (DIR.places.json)."""
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
PLACE_MM = 4.0  # from an outline's middle to the calcium painted there
PAINTINGS = 3  # of a series, each with plaques of its own
BEYOND_DOUBT = 10.0  # Agatston: a false positive that a reader forgives
NOISY = f"noise of {paint.NOISE_HU:.0f} HU added"
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
        counted = [g for g in result.report.groups if "lesion" in g.tracking and g.outline_points]
        places = [places_of(g.outline_points, result.files) for g in counted]
        self.lesions = [(g.artery, g.number("450360000") or 0.0, at.mean(axis=0)) for g, at in zip(counted, places)]
        self.counted_at = [(at, g.artery) for g, those in zip(counted, places) for at in those]
        self.uncertain_at = uncertain_places(result) if self.scored else []
        if self.scored and self.high > self.low:
            self.flags.append(f"range {self.low:.0f} to {self.high:.0f}")

    @property
    def flagged(self):
        return bool(self.flags)


_heads = {}


def places_of(outlines, files):
    """Middles of outlines [(SOP Instance UID, x, y, x, y ...)], mm in patient space: a row each."""
    key = str(files[:1])
    if key not in _heads:
        _heads.clear()
        _heads[key] = {ds.SOPInstanceUID: ds for ds in (pydicom.dcmread(f, stop_before_pixels=True) for f in files)}
    places = []
    for uid, graphic in outlines:
        ds = _heads[key][uid]
        row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
        x, y = np.array(graphic, float).reshape(-1, 2).mean(0) - 0.5
        places.append(np.array(ds.ImagePositionPatient, float) + row * x * float(ds.PixelSpacing[1]) + column * y * float(ds.PixelSpacing[0]))
    return np.array(places)


def uncertain_places(result):
    """Middles of what the presentation state outlines as uncertain, mm."""
    outlines, (_, state) = [], result.objects.get("PR", (None, {}))
    for page in state.get("GraphicAnnotationSequence", []):
        if page.GraphicLayer == "UNCERTAIN" and "GraphicObjectSequence" in page:
            uid = page.ReferencedImageSequence[0].ReferencedSOPInstanceUID
            outlines += [(uid, graphic.GraphicData) for graphic in page.GraphicObjectSequence]
    return places_of(outlines, result.files)


def within(places, at, reach):
    """Whether one of places lies within reach of a place."""
    return any(np.linalg.norm(place - np.asarray(at)) <= reach for place in places)


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
        return (painted_rows(truth, mine) if truth.get("painted") else same_rows(truth["same"], mine, truth["view"]))
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
    return found


def fate(mine, places, reach):
    """What became of calcium at places: (counted, uncertain or missed; artery)."""
    arteries = {artery for at, artery in mine.counted_at if within(places, at, reach)}
    if arteries:
        return "counted", next(iter(arteries - {None}), None) if len(arteries - {None}) < 2 else "several"
    return ("uncertain" if any(within(places, at, reach) for at in mine.uncertain_at) else "missed"), None


def painted_rows(truth, mine):
    """Of a real series with painted calcium, beside what it gave before (truth["same"])."""
    if not mine.scored:
        return [Row(f"{mine.verdict}: {mine.reason}"[:60], None, None), Row("verdict", truth["same"].verdict, mine.verdict, 0, "painted: the same verdict")]
    before, found = truth["same"], []
    for p in truth["plaques"]:
        if p["agatston"] < 1:  # fainter or smaller than what scores
            continue
        places = [np.array(at) for at in p["places"]]
        became, artery = fate(mine, places, PLACE_MM)
        what = f"{p['artery']} {p['agatston']:.0f}, {p['hu']:.0f} HU at {' '.join(f'{v:.0f}' for v in p['center_mm_xyz'])}"
        found.append(Row(f"{what}: {became}", "yes", "no" if became == "missed" else "yes", 0, "painted plaques counted or uncertain"))
        found.append(Row("counted", "yes", "yes" if became == "counted" else "no", 0, "painted plaques counted"))
        if became == "counted":
            found.append(Row(f"artery {artery or 'unassigned'}", "ok", "ok" if artery in (None, p["artery"]) else artery, 0, "painted: artery right or unassigned"))
    for spot in truth["others"]:
        at = np.array(spot["center_mm_xyz"])
        near_plaque = any(within([np.array(v) for v in p["places"]], at, NEAR_MM + 2) for p in truth["plaques"])
        if near_plaque or within([a for a, _ in before.counted_at], at, NEAR_MM):  # which of the two was counted could not be told
            continue
        became, artery = fate(mine, [at], PLACE_MM)
        what = f"{spot['kind']} {spot['agatston']:.0f}, {spot['hu']:.0f} HU at {' '.join(f'{v:.0f}' for v in at)}"
        found.append(Row(f"{what}: {became}", "no", "yes" if became == "counted" else "no", 0, "painted: what must not count was not counted"))
    total = truth["total"]["TOTAL"]["agatston"]
    low, high = before.low + total, before.high + total
    found.append(Row("Agatston score, lower bound", low, mine.low, tolerance(low), "painted: total, uncertain ones not counted"))
    found.append(Row("lower bound not above the truth", "yes", "yes" if mine.low <= high + tolerance(high) else "no", 0, "painted: lower bound not above the truth"))
    found.append(Row("upper bound not below the truth", "yes", "yes" if mine.high >= low - tolerance(low) else "no", 0, "painted: upper bound not below the truth"))
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


def same_rows(first, mine, view):
    """Of a series shown in another way, beside what it gave as it is."""
    ways = " with noise" if view == NOISY else ""
    if not (first.scored and mine.scored):
        return [Row(f"verdict: {mine.reason}"[:60] if mine.reason else "verdict", first.verdict, mine.verdict, 0, f"the same verdict in every view{ways}")]
    found = [Row("verdict", first.verdict, mine.verdict, 0, f"the same verdict in every view{ways}")]
    theirs, ours = by_artery(first), by_artery(mine)
    same = lambda one, two: abs(one - two) <= 0.03 * one + 0.05
    if view.startswith("cropped"):  # what lies outside may decide: a range that holds the whole image's is right then
        low, high = mine.low <= 1.03 * first.low + 0.05, mine.high >= 0.97 * first.high - 0.05
        measured = "the same" if same(first.low, mine.low) and same(first.high, mine.high) else "a wider range" if low and high else f"{mine.low:.0f} to {mine.high:.0f}"
        found.append(Row(f"Agatston score, {first.low:.1f} to {first.high:.1f}", "held", "held" if low and high else measured, 0, "a crop: the same total, or a range that holds it"))
        found.append(Row("the same total", "the same", measured, 0, "a crop: the same total"))
        return found + [Row(f"Agatston score, {a}, not above", "yes", "yes" if ours[a] <= 1.03 * theirs[a] + 0.05 else f"{theirs[a]:.1f}, {ours[a]:.1f}", 0, "a crop: no artery above its score") for a in ARTERIES]
    for name, whole, part in (("Agatston score", first.low, mine.low), ("Agatston score, upper bound", first.high, mine.high)):
        found.append(Row(name, whole, part, 0.03 * whole + 0.05, f"the same total in every view{ways}"))
    return found + [Row(f"Agatston score, {a}", theirs[a], ours[a], 0.03 * theirs[a] + 0.05, f"the same arteries in every view{ways}") for a in ARTERIES]


def others(folder, files, result, scratch, seed):
    """More series that one of a user gives: (name, folder, truth)."""
    folder = pathlib.Path(folder)
    try:
        series = paint.Series(files)
    except paint.Unfit as why:
        print(f"{folder.name}: neither shown in other ways nor painted: {why}", flush=True)
        return
    mine = Reading(result)
    places = next((json.loads(p.read_text()) for p in (folder / "places.json", folder.with_name(folder.name + ".places.json")) if p.exists()), None)
    for name, made in paint.shown(series, scratch / "views", heart_middle(series, mine, places)):
        yield name, made, {"same": mine, "view": name}
    paint.write(series, scratch / "noise", paint.noisy(series, seed))
    yield NOISY, scratch / "noise", {"same": mine, "view": NOISY}
    if not places:
        print(f"{folder.name}: not painted: no places.json (tests/phantom/paint.py) in it or beside it", flush=True)
        return
    for painting in range(PAINTINGS):
        truth = paint.paint(series, scratch / "painted", places, seed + painting)
        truth["same"] = mine
        yield f"painting {seed + painting}", scratch / "painted", truth


def heart_middle(series, mine, places):
    """mm: the middle of where the arteries run, else of what was counted, else of the body."""
    if places and places.get("coronary"):
        points = np.vstack([np.reshape(np.concatenate(c) if np.ndim(c[0][0]) else c, (-1, 3)) for c in places["coronary"].values()])
        return (points.min(0) + points.max(0)) / 2
    return np.mean([at for *_, at in mine.lesions], axis=0) if mine.lesions else body_middle(series)


def body_middle(series):
    """Of what is denser than water, over all slices."""
    k = len(series.slices) // 2
    i, j = (np.mean(at) for at in np.nonzero(series.values[k] > -200))
    ds = series.slices[k]
    return np.array(ds.ImagePositionPatient, float) + series.row * j * series.spacing[1] + series.column * (i - 30 / series.spacing[0]) * series.spacing[0]
