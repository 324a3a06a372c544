"""Core, late tissue and mismatch of phantoms that are known, and refusals of what cannot be measured."""
from evaluate.row import Row

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
    "three points moved": ("--jump", "6"),
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
    "moved for good": ("--jump", "6", "--stay"),
    "little contrast": ("--peak", "35", "--noise", "5"),
    "no baseline": ("--late-start",),
    "noise 12 HU": ("--noise", "12"),
    "few points": ("--step", "5"),
}
# Late tissue within 10 % or 3 mL, core within 25 % or 5 mL; where there is no lesion at most 3 mL.
LATE_SHARE, LATE_ML, CORE_SHARE, CORE_ML = 0.10, 3, 0.25, 5


def cases(seed):
    found = [(name, ("--seed", seed % 100000, *arguments), "done") for name, arguments in MEASURED.items()]
    found += [(name, ("--seed", seed % 100000, *arguments), None) for name, arguments in EITHER.items()]
    return found + [(name, ("--seed", seed % 100000, *arguments), "not evaluable") for name, arguments in REFUSED.items()]


def rows(truth, expected, result):
    verdict = result.entry["verdict"]
    found = [Row("verdict", expected, verdict)] if expected else []
    if verdict != "done":
        return [*found, Row(f"reason: {result.entry['reason']}", None, None)]
    values = {m["method"][0]: m["value"] for m in reversed(result.entry["measurements"]) if "method" in m}
    target = next(e["value"] for e in result.entry["evaluations"] if e["code"][0] == "TARGET").split(":")[0]
    late, core = (truth or {}).get("late_ml"), (truth or {}).get("core_ml")
    return [*found, Row("late, mL", late, values["TMAX-6"], max(LATE_SHARE * (late or 0), LATE_ML)), Row("core, mL", core, values["CBF-30"], max(CORE_SHARE * (core or 0), CORE_ML)),
            Row("target", None if target == "uncertain" else (truth or {}).get("target"), target == "yes")]
