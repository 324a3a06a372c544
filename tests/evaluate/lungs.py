"""Volume and density of the lungs of phantoms that are known, the same after flips, crops, other orders and
grids, and refusals of what cannot be measured."""
from evaluate.row import Row

GENERATOR = "lungs"
SITE = "39607008"  # SCT lung
SIDES = {"24028007": "right", "7771000": "left"}  # SCT, laterality

# Name, arguments of the phantom; all of one seed are the same chest.
MEASURED = {
    "plain": (),
    "thin slices": ("--increment", "1.25", "--thickness", "1.25", "--noise", "35"),
    "thick slices": ("--increment", "5", "--thickness", "5"),
    "more pixels": ("--size", "400"),
    "small field of view": ("--fov", "340"),
    "random order": ("--order", "random"),
    "mirrored": ("--mirrored",),
    "padded": ("--padded",),
    "arms beside the body": ("--arms", "--fov", "480"),
    "no table": ("--no-table",),
    "contrast": ("--contrast",),
    "lungs that touch": ("--touching",),
    "small patient": ("--scale", "0.8", "--fov", "320"),
    "large patient": ("--scale", "1.12", "--fov", "460"),
    "emphysema": ("--emphysema", "0.15"),
    "severe emphysema": ("--emphysema", "0.4", "--noise", "12"),
    "no left lung": ("--absent", "left"),
    "cut at the feet": ("--bottom", "-60"),
}
REFUSED = {
    "missing slice": ("--missing", "60"),
    "slices too far apart": ("--increment", "8", "--thickness", "5"),
}
# Volume: of a surface that is found to half a pixel of 1.6 mm all around (some 900 cm2 a lung, 2.5 L).
# Density: what that half pixel and the hila change.
VOLUME_SHARE, MEAN_HU, BELOW_950, BELOW_910, PERC15_HU = 0.04, 10, 1.0, 2.0, 6


def cases(seed):
    found = [(name, ("--seed", seed, *arguments), "done") for name, arguments in MEASURED.items()]
    return found + [(name, ("--seed", seed, *arguments), "not evaluable") for name, arguments in REFUSED.items()]


def numbers(group):
    """{quantity: value} of one lung or both."""
    return {"volume_ml": group.number("118565006"), "mean_hu": group.number("112031"), "below_950": group.number("LAA-950"),
            "below_910": group.number("LAA-910"), "perc15": group.number("PERC15")}


def measured(report):
    found = {}
    for group in report.groups:
        if group.number("LAA-950") is not None:
            side = next((SIDES[c] for c in SIDES if group.laterality and group.laterality[0] == c), "both")
            found[side] = numbers(group)
    return found


def rows(truth, expected, result):
    verdict = result.entry["verdict"]
    found = [Row("verdict", expected, verdict)] if expected else []
    if verdict != "done":
        return [*found, Row(f"reason: {result.entry['reason']}", None, None)]
    mine = measured(result.report)
    for side in ("right", "left", "both"):
        true, got = (truth or {}).get(side) or {}, mine.get(side, {})
        if not true and not got:
            continue
        volume = true.get("volume_ml")
        for key, quantity, tolerance in (("volume_ml", "volume, mL", VOLUME_SHARE * (volume or 0)), ("mean_hu", "mean, HU", MEAN_HU), ("below_950", "below -950 HU, %", BELOW_950),
                                         ("below_910", "below -910 HU, %", BELOW_910), ("perc15", "Perc15, HU", PERC15_HU)):
            found.append(Row(f"{quantity}, {side}", true.get(key), got.get(key), tolerance, quantity))
    return found
