"""Coronary calcium: scores of phantoms whose calcium is known, and refusals of what cannot be scored."""
from evaluate.row import Row

GENERATOR = "calcium"
ARTERIES = ("LM", "LAD", "LCX", "RCA")
SMALL = ("--size", "320", "--fov", "350", "--noise", "16")  # fewer pixels: a third of the time

# What must be scored: name, arguments of the phantom.
SCORED = {
    "plain": (),
    "cardiac field of view": ("--fov", "220"),
    "overlapping slices": (*SMALL, "--increment", "1.5", "--slices", "96"),
    "turned and moved": (*SMALL, "--rotate", "7", "--shift", "12", "-9", "250"),
    "small patient": (*SMALL, "--scale", "0.88"),
    "large patient": ("--scale", "1.1", "--fov", "400", "--noise", "23"),
    "descending order": (*SMALL, "--order", "down"),
    "pacemaker lead": (*SMALL, "--metal"),
    "not gated": ("--no-gated",),
    "tilted gantry": (*SMALL, "--tilt", "20"),
}
ZERO = (*SMALL, "--zero")
OTHER_KVP = (*SMALL, "--kvp", "100")
# What must be refused: name, arguments, a word that the reason must hold.
REFUSED = {
    "contrast in the blood pool": ((*SMALL, "--contrast"), "contrast"),
    "field of view cuts the heart": ((*SMALL, "--fov-cut"), "field of view"),
    "missing slice": ((*SMALL, "--missing", "20"), "missing"),
}


def cases(seed):
    found = [(name, ("--seed", seed, *arguments), "done") for name, arguments in SCORED.items()]
    found.append(("no calcium", ("--seed", seed, *ZERO), "nothing found"))
    found.append(("100 kV", ("--seed", seed, *OTHER_KVP), "not evaluable"))
    found += [(name, ("--seed", seed, *arguments), "not evaluable") for name, (arguments, _) in REFUSED.items()]
    return found


def tolerance(value):
    """Of an artery's score: 5 %, or two points, as much as an island of a few pixels."""
    return max(2.0, 0.05 * value)


def rows(truth, expected, result):
    verdict = result.entry["verdict"]
    found = [Row("verdict", expected, verdict)]
    if verdict not in ("done", "nothing found"):
        return [*found, Row(f"reason: {result.entry['reason']}", None, None)]
    known = truth["total"] if truth else {}
    scores = result.report.artery_scores()
    for artery in ARTERIES:
        mine = scores.get(artery, {"agatston": 0.0})["agatston"]
        true = known.get(artery, {"agatston": 0.0})["agatston"] if truth else None
        found.append(Row(f"Agatston score, {artery}", true, mine, tolerance(true or 0), "Agatston score of an artery"))
    total = result.report.total() or {}
    for key, quantity in (("agatston", "Agatston score"), ("volume_mm3", "volume, mm3"), ("mass_mg", "mass, mg")):
        if total.get(key) is not None:
            true = known["TOTAL"][key] if truth else None
            found.append(Row(quantity, true, total[key], tolerance(true or 0)))
    return found
