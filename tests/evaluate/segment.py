"""Structures of phantoms of a trunk against their truth, and whether what goes wrong is said: a structure that is not drawn
has a reason, one that is drawn wrong has a warning. A folder shows what was found."""
import numpy as np

from evaluate.row import Row
from phantom import trunk

GENERATOR = "trunk"
NAMES = {"Right lung": trunk.RIGHT, "Left lung": trunk.LEFT, "Trachea and main bronchi": trunk.AIRWAYS, "Bones": trunk.BONES,
         "Fat": trunk.FAT, "Rest of the body": trunk.REST}
# Half a pixel of 2 mm at the surface of each.
DICE = {"Right lung": 0.97, "Left lung": 0.97, "Trachea and main bronchi": 0.9, "Bones": 0.85, "Fat": 0.93, "Rest of the body": 0.93}
WORTH_ML = 5  # less of a structure is no matter of Dice
SMALL = ("--size", "160")
BAD = "drawn wrong in silence"
LEFT_PART = 0.4265, 0.5015  # of the left lung in both: the limits of the warning

# Name, arguments of the phantom. All of one seed are the same trunk.
PHANTOMS = {
    "plain": (),
    "contrast 150": ("--contrast", "150"),
    "contrast 200": ("--contrast", "200"),
    "contrast 230": ("--contrast", "230"),
    "contrast 300": ("--contrast", "300"),
    "noise 30": ("--noise", "30"),
    "noise 30, contrast 180": ("--noise", "30", "--contrast", "180"),
    "sharp kernel": ("--sharp", "1.5", "--noise", "25"),
    "thin slices": ("--increment", "2", "--noise", "20"),
    "wide pixels": ("--size", "100"),
    "arms": ("--arms", "--fov", "520"),
    "cushion, no table": ("--cushion", "--no-table"),
    "gas in the stomach": ("--gas",),
    "effusion": ("--effusion",),
    "calcified aorta": ("--calcified",),
    "metal": ("--metal",),
    "cut by the field": ("--shift", "110"),
    "small field of view": ("--fov", "300"),
    "chest only": ("--bottom", "20",),
    "abdomen only": ("--top", "0", "--bottom", "-70"),
    "upper half": ("--bottom", "70"),
    "mirrored": ("--mirrored",),
}


def cases(seed):
    return [(name, ("--seed", seed, *SMALL, *arguments), "done") for name, arguments in PHANTOMS.items()]


def drawn(result, shape):
    """{structure: mask}, slices from the feet up, as the phantom has them."""
    ds = result.objects["SEG"][1]
    names = {s.SegmentNumber: s.SegmentLabel for s in ds.SegmentSequence}
    found = {name: np.zeros(shape, bool) for name in names.values()}
    planes = {f: float(frame.PlanePositionSequence[0].ImagePositionPatient[2]) for f, frame in enumerate(ds.PerFrameFunctionalGroupsSequence)}
    heights = sorted(set(planes.values()))
    turned = ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient[0] < 0
    assert len(heights) == shape[0], "the body is in each slice"
    for f, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        plane = ds.pixel_array[f]
        found[names[number]][heights.index(planes[f])] = plane[::-1, ::-1] if turned else plane
    return found


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / max(1, np.count_nonzero(a) + np.count_nonzero(b))


def said(name, warning):
    """Whether a warning is one of this structure; that something is cut excuses nothing, as the truth is cut too."""
    return (name.endswith("lung") and "touch" in warning) or (name in ("Bones", "Fat", "Rest of the body") and warning.startswith("Arms"))


def rows(truth, expected, result):
    entry = result.entry
    refused = {e["what"]: e["reason"] for e in entry["exclusions"]}
    found = [Row(f"{name}: {reason}", None, "not drawn", of_which="not drawn") for name, reason in refused.items()]
    warnings = [text for _, text in result.report.judgements if not text.startswith("NOT FOR") and "Not drawn" not in text]
    found += [Row(f"warning: {w}", None, None) for w in warnings]
    if entry["verdict"] != "done":
        return [*found, Row(f"reason: {entry['reason']}", None, None)]
    if truth is None:
        return found + [Row(m["group"], None, m["value"]) for m in entry["measurements"] if m.get("unit") == "mL"]
    kinds = np.load(result.files[0].parent / "truth.npy")
    for name in refused:  # what is not drawn is of the rest
        kinds[kinds == NAMES[name]] = trunk.REST
    right, left = (np.count_nonzero(kinds == n) for n in (trunk.RIGHT, trunk.LEFT))
    if "Left lung" not in refused and right + left:
        part = left / (left + right)
        if min(abs(part - limit) for limit in LEFT_PART) > 0.01:
            small = "no" if LEFT_PART[0] < part < LEFT_PART[1] else "yes"
            found.append(Row("a lung is small, said", small, "yes" if any("volume of both" in w for w in warnings) else "no"))
    masks = drawn(result, kinds.shape)
    voxel_ml = truth["voxel_ml"]
    for name, number in NAMES.items():
        true = kinds == number
        if name in masks and np.count_nonzero(masks[name]) * voxel_ml >= WORTH_ML or np.count_nonzero(true) * voxel_ml >= WORTH_ML and name not in refused:
            value = dice(masks.get(name, np.zeros_like(true)), true)
            right = value >= DICE[name]
            found.append(Row(f"{name}, Dice", round(max(value, DICE[name]), 3), round(value, 3), 0.0005, of_which=f"{name}, Dice"))
            found.append(Row(f"{name}, {BAD}", "no", "no" if right or any(said(name, w) for w in warnings) else "yes", of_which=BAD))
    return found
