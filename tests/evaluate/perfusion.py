"""Core, late tissue, mismatch and vessels of phantoms that are known, and refusals of what cannot be measured.

"varied" is what a site would send; the other cases are single difficulties.
"""
import numpy as np
from evaluate.row import Row
from phantom import perfusion as phantom

GENERATOR = "perfusion"
MEASURED = {
    "large lesion": (),
    "small lesion": ("--lesion", "small"),
    "all core": ("--lesion", "core"),
    "no lesion": ("--lesion", "none"),
    "no lesion, noise 4.5 HU": ("--lesion", "none", "--noise", "4.5"),
    "noise 4.5 HU": ("--noise", "4.5"),
    "every 0.8 s": ("--step", "0.8"),
    "every 2 s": ("--step", "2"),
    "every 3 s": ("--step", "3"),
    "wide bolus": ("--width", "1.7", "--late", "4", "--seconds", "80"),
    "old infarct": ("--old-infarct",),
    "two slabs": ("--jog", "--step", "3"),
    "mirrored": ("--mirrored", "--random-order"),
    "three points moved": ("--jump", "3", "--turn", "3", "--through"),
    "moved for good": ("--jump", "3", "--turn", "3", "--through", "--stay"),
    "drifts": ("--drift", "3"),
    "box residues": ("--residue", "box"),
    "gamma residues": ("--residue", "gamma"),
    "linear residues": ("--residue", "linear"),
    "much comes again": ("--again", "0.25"),
    "a late artery": ("--late-artery", "2"),
    "finer": ("--size", "256", "--slices", "6"),
}
EITHER = {  # at the limit: right, or refused
    "noise 6 HU": ("--noise", "6"),
    "no lesion, noise 6 HU": ("--lesion", "none", "--noise", "6"),
    "one side 3 s late": ("--side-delay", "3", "--lesion", "none"),
    "missing slices": ("--missing", "3"),
}
REFUSED = {
    "no contrast": ("--no-contrast",),
    "truncated": ("--seconds", "36", "--late", "6"),
    "moved far for good": ("--jump", "40", "--stay"),
    "little contrast": ("--peak", "35", "--noise", "5"),
    "no baseline": ("--late-start",),
    "noise 12 HU": ("--noise", "12"),
    "few points": ("--step", "5"),
}
# Late tissue within 10 % or 3 mL, core within 25 % or 5 mL; where there is no lesion at most 3 mL.
LATE_SHARE, LATE_ML, CORE_SHARE, CORE_ML = 0.10, 3, 0.25, 5


def cases(seed):
    seed %= 100000
    yield "varied", ("--seed", seed, "--varied"), "done"  # or what its truth.json says
    for told, expected in ((MEASURED, "done"), (EITHER, None), (REFUSED, "not evaluable")):
        for name, arguments in told.items():
            yield name, ("--seed", seed, *arguments), expected


def share_in(result, labels, layer, label):
    """Part of the marks of a layer that lie in voxels of a label; None: there are none."""
    folder = result.files[0].parent
    height = {}
    for annotation in result.objects["PR"][1].GraphicAnnotationSequence:
        for graphic in annotation.get("GraphicObjectSequence", []) if annotation.GraphicLayer == layer else []:
            for image in annotation.ReferencedImageSequence:
                uid = image.ReferencedSOPInstanceUID
                if uid not in height:
                    number = int(uid.rsplit(".", 1)[1]) - 1  # as phantom/perfusion.py numbers them
                    height[uid] = number % labels.shape[0]
                x, y = np.array(graphic.GraphicData).reshape(-1, 2).mean(0)
                height.setdefault("marks", []).append(labels[height[uid], int(y), int(x)] == label)
    return float(np.mean(height["marks"])) if "marks" in height else None


def vessel_rows(result):
    path = result.files[0].parent / "labels.npz"
    if not path.exists():
        return []
    labels = np.load(path)["labels"]
    artery, vein = (share_in(result, labels, *which) for which in (("ARTERY", phantom.L_ARTERY), ("VEIN", phantom.L_VEIN)))
    return [Row("artery: part in an artery", 1.0, artery, 0.25), Row("vein: part in a vein", 1.0 if vein is not None else None, vein, 0.25)]


def warnings(result):
    """What the report warns of, beyond what it says of every scan."""
    return [text for _, text in result.report.judgements if not text.startswith(("yes:", "no:", "NOT FOR"))]


def in_slices_used(truth, result):
    """mL of late tissue and of core in the slices that were not left out; None: nobody knows."""
    gone = {int(e["what"].split()[1]) - 1 for e in result.entry["exclusions"] if e["what"].startswith("slice ")}
    return [sum(ml for k, ml in enumerate(truth[name]) if k not in gone) if name in truth else None for name in ("late_slices_ml", "core_slices_ml")]


def range_rows(result, late, core):
    """Of volumes that noise, few images or a late side make ranges: whether they hold the truth."""
    found = []
    for name, method, group, ml, least in (("late", "TMAX-6", "Late inflow", late, LATE_ML), ("core", "CBF-30", "Core", core, CORE_ML)):
        m = next(m for m in result.entry["measurements"] if m.get("method", [""])[0] == method and m["group"] == group)
        if any(word in m.get("range_reason", "") for word in ("noise", "side")):
            found.append(Row(f"{name}: in its range, {m['low']:.0f} to {m['high']:.0f}", None if ml is None else True,
                             ml is not None and m["low"] - least <= ml <= m["high"] + least, of_which=f"{name}: in its range"))
    return found


def rows(truth, expected, result):
    verdict = result.entry["verdict"]
    truth = truth or {}
    hard = truth.get("difficulty") or ""
    if hard:
        expected = truth["expected"]
    found = [Row(f"verdict{', ' + hard if hard else ''}", expected, verdict, of_which="verdict")] if expected else []
    if verdict != "done":
        return [*found, Row(f"reason: {result.entry['reason']}", None, None)]
    values = {m["method"][0]: m["value"] for m in reversed(result.entry["measurements"]) if "method" in m}
    target = next(e["value"] for e in result.entry["evaluations"] if e["code"][0] == "TARGET").split(":")[0].split(",")[0]
    late, core = in_slices_used(truth, result)
    measured = [Row("late, mL", late, values["TMAX-6"], max(LATE_SHARE * (late or 0), LATE_ML)), Row("core, mL", core, values["CBF-30"], max(CORE_SHARE * (core or 0), CORE_ML)),
                Row("target", None if target == "uncertain" else phantom.is_target(late, core) if truth else None, target == "yes")]
    flags = warnings(result)
    wrong = any(r.truth is not None and r.verdict == "OFF" for r in measured)
    said = [Row(f"says: {text}", None, None) for text in flags]
    if hard and expected is None:  # a warning will do
        for r in measured:
            r.truth = None if flags else r.truth
    silent = [Row("wrong without a warning", False, wrong and not flags)] if truth else []
    return [*found, *measured, *range_rows(result, late, core), *silent, *vessel_rows(result), *said]
