#!/usr/bin/python3
"""A CT perfusion scan of a head that is computed from its own blood flow, and the truth about it.

usage: perfusion.py OUT [--seed N] [--size N] [--slices N] [--step S] [--seconds S] [--noise HU] [--kernel PIXELS]
                    [--lesion large|small|core|none] [--territory middle|anterior|posterior|deep] [--ventricles F] [--skull F]
                    [--hematocrit F] [--no-contrast] [--late S] [--late-artery S] [--residue exponential|box|gamma|linear] [--again PART] [--width F] [--peak HU] [--side-delay S] [--jump MM] [--turn DEGREES]
                    [--drift MM] [--through] [--stay] [--missing N] [--jog] [--old-infarct] [--mirrored] [--random-order]
                    [--late-start] [--varied]

OUT gets im-0001.dcm ... and truth.json. Everything that no option fixes is drawn from the seed: shape of the head, skull,
ventricles, cortex, places and sizes of vessels, side, place and size of the lesion, blood flow, delays, bolus.

Tissue is the arterial curve convolved with an exponential residue function, sampled every 0.05 s, so that truth and program
share no formula but that of the model. A head that moves is computed anew where it is then, so that nobody interpolates but the program.
--varied draws from the seed what a site would send: lesion, territory, blood, noise, steps, and for two of three scans one
difficulty (a late side, a weak heart, motion, two slabs, a scan that is cut off, contrast that never comes ...), which truth.json names with
what is expected of the program: "done", "not evaluable", or null, where a warning or a refusal will do as well as right numbers. --again: the second passage of the bolus, by the first. --late-artery: the middle cerebral
artery on the side of the lesion has its bolus later and spread out, as behind a narrow place. Late tissue has its inflow 5.5 to 8 s late, core 8 to 11 s late with 8 to 18 % of the
flow; what lies around is at most 1.2 s late. kH / rho is that of the program's defaults.
"""
import argparse
import json
import pathlib

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from scipy import ndimage

UID = "1.2.826.0.1.3680043.8.498.78"
FINE_S = 0.05
AIR, SCALP, BONE, FLUID, GREY, WHITE, BLOOD = -1000, 45, 900, 5, 37, 29, 42
DENSITY = 1.04
FOV_MM, THICK_MM = 218.0, 5.0
(L_AIR, L_SCALP, L_BONE, L_FLUID, L_GREY, L_WHITE, L_GREY_RING, L_WHITE_RING, L_GREY_LATE, L_WHITE_LATE, L_GREY_CORE, L_WHITE_CORE,
 L_OLD, L_ARTERY, L_VEIN) = range(15)
NATIVE = [AIR, SCALP, BONE, FLUID, GREY, WHITE, GREY, WHITE, GREY, WHITE, GREY - 1, WHITE - 1, 16, BLOOD, BLOOD]
TISSUE = range(L_GREY, L_OLD + 1)
# Centre of a lesion and its half axes, in parts of those of the brain, across and from front to back.
TERRITORIES = {"middle": ((0.55, 0.7), (-0.25, 0.2), (0.48, 0.42)), "anterior": ((0.2, 0.3), (-0.62, -0.5), (0.3, 0.42)),
               "posterior": ((0.3, 0.4), (0.5, 0.6), (0.38, 0.4)), "deep": ((0.38, 0.45), (-0.1, 0.1), (0.28, 0.3))}
DIFFICULTIES = (("", 0.34), ("late side", 0.1), ("weak heart", 0.08), ("jumps", 0.14), ("drift", 0.04), ("far jump", 0.03), ("two slabs", 0.05),
                ("no contrast", 0.03), ("cut off", 0.04), ("ends early", 0.05), ("little contrast", 0.04), ("noise", 0.04), ("missing images", 0.02))


# What of the blood is left in tissue, of a mean transit time of 1: no spread at all, or that of three lakes in a row.
RESIDUES = {"exponential": lambda x: np.exp(-x), "box": lambda x: (x < 1) * 1.0,
            "gamma": lambda x: np.exp(-3 * x) * (1 + 3 * x + 4.5 * x**2), "linear": lambda x: np.maximum(1 - x / 2, 0)}


def arguments(words=None):
    p = argparse.ArgumentParser()
    p.add_argument("out", type=pathlib.Path)
    for name, kind, default in (("seed", int, 1), ("size", int, 128), ("slices", int, 8), ("step", float, 1.5), ("seconds", float, 66), ("noise", float, 3),
                                ("late", float, 0), ("width", float, 1), ("peak", float, 0), ("side-delay", float, 0), ("jump", float, 0), ("turn", float, 0), ("drift", float, 0), ("missing", int, 0), ("late-artery", float, 0),
                                ("kernel", float, 0.6), ("ventricles", float, 1), ("skull", float, 1), ("hematocrit", float, 0.733)):
        p.add_argument(f"--{name}", type=kind, default=default)
    p.add_argument("--lesion", choices=("large", "small", "core", "none"), default="large")
    p.add_argument("--residue", choices=tuple(RESIDUES), default="exponential")
    p.add_argument("--again", type=float, default=0, metavar="PART")
    p.add_argument("--territory", choices=tuple(TERRITORIES), default="middle")
    for name in ("no-contrast", "stay", "through", "jog", "old-infarct", "mirrored", "random-order", "late-start", "varied"):
        p.add_argument(f"--{name}", action="store_true")
    o = p.parse_args(words)
    o.difficulty, o.expected = "", "done"
    if o.varied:
        vary(o)
    return o


def vary(o):
    rng = np.random.default_rng([o.seed, 7])
    o.slices, o.step, o.noise = int(rng.integers(4, 7)), float(rng.choice((0.8, 1, 1.5, 2, 2.5, 3))), rng.uniform(1.8, 4)
    o.kernel, o.ventricles, o.skull, o.hematocrit = rng.uniform(0.4, 1), rng.uniform(0.6, 2.2), rng.uniform(0.6, 1.6), rng.uniform(0.68, 0.8)
    o.lesion = str(rng.choice(("large", "small", "core", "none"), p=(0.35, 0.25, 0.1, 0.3)))
    o.territory = str(rng.choice(tuple(TERRITORIES), p=(0.55, 0.15, 0.15, 0.15)))
    o.old_infarct, o.mirrored, o.random_order = bool(rng.random() < 0.2), bool(rng.random() < 0.15), bool(rng.random() < 0.3)
    names, odds = zip(*DIFFICULTIES)
    o.difficulty = str(rng.choice(names, p=odds))
    if o.difficulty == "late side":
        o.side_delay, o.lesion, o.expected = rng.uniform(1.5, 5), str(rng.choice(("none", o.lesion))), None
    elif o.difficulty == "weak heart":
        o.width, o.late, o.seconds = rng.uniform(1.4, 2), rng.uniform(3, 6), 80
    elif o.difficulty == "jumps":
        o.jump, o.turn, o.through, o.stay = rng.uniform(1, 5), rng.uniform(0, 4), bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    elif o.difficulty == "drift":
        o.drift = rng.uniform(1, 4)
    elif o.difficulty == "far jump":
        o.jump, o.stay, o.expected = 40, bool(rng.random() < 0.5), None
    elif o.difficulty == "two slabs":
        o.jog, o.step = True, 3
    elif o.difficulty == "no contrast":
        o.no_contrast, o.expected = True, "not evaluable"
    elif o.difficulty == "cut off":
        o.seconds, o.late, o.expected = rng.uniform(31, 37), 6, "not evaluable"
    elif o.difficulty == "ends early":
        o.seconds, o.late, o.expected = rng.uniform(40, 46), rng.uniform(2, 5), None
    elif o.difficulty == "little contrast":
        o.peak, o.noise, o.expected = rng.uniform(25, 60), 5, "not evaluable"
    elif o.difficulty == "noise":
        o.noise, o.expected = rng.uniform(5, 10), None
    elif o.difficulty == "missing images":
        o.missing, o.expected = int(rng.integers(1, 5)), None


def ball(grid, centre, radii):
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii)) <= 1


def place_lesion(labels, grid, o, rng, side, axes):
    """Core inside late tissue inside a ring, all within the brain of one side."""
    x, y, z = grid
    scale = {"large": rng.uniform(0.8, 1.1), "small": rng.uniform(0.5, 0.6), "core": rng.uniform(0.65, 0.8), "none": 0}[o.lesion]
    if not scale:
        return
    high = o.slices * THICK_MM
    across, along, half = TERRITORIES[o.territory]
    centre = (side * axes[0] * rng.uniform(*across), rng.uniform(*along) * axes[1], high * rng.uniform(0.4, 0.6))
    radii = np.array([axes[0] * half[0], axes[1] * half[1], high * 1.4]) * scale
    core_share = {"large": rng.uniform(0.4, 0.6), "small": rng.uniform(0.3, 0.5), "core": 0.97}[o.lesion]
    here = (x * side > 4) & np.isin(labels, (L_GREY, L_WHITE))
    for share, grey in ((1.12, L_GREY_RING), (1.0, L_GREY_LATE), (core_share, L_GREY_CORE)):
        part = here & ball(grid, centre, radii * share)
        labels[part & (labels % 2 == L_GREY % 2)] = grey
        labels[part & (labels % 2 == L_WHITE % 2)] = grey + 1


def where_it_was(points, o, pose):
    """Places of a head that was moved by pose (mm, degrees about x, y, z), before it moved."""
    centre = np.array([0, 0, o.slices * THICK_MM / 2])
    a, b, c = np.deg2rad(pose[3:])
    turn = (np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
            @ np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
            @ np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]))
    moved = np.stack(points, -1) - centre - pose[:3]
    return np.moveaxis(moved @ turn + centre, -1, 0)  # rows times a rotation: its inverse


def anatomy(o, rng, pose=(0,) * 6):
    """Labels [slice][row][column], side of the lesion (1: patient's left), pixel size, places in the head."""
    pixel = FOV_MM / o.size
    at = (np.arange(o.size) + 0.5) * pixel - FOV_MM / 2
    z, y, x = np.meshgrid((np.arange(o.slices) + 0.5) * THICK_MM, at, at, indexing="ij")
    x, y, z = where_it_was((x, y, z), o, np.array(pose, float)) if any(pose) else (x, y, z)
    places = (x, y, z)
    turn, shift = np.deg2rad(rng.uniform(-8, 8)), rng.uniform(-5, 5, 2)
    x, y = (x - shift[0]) * np.cos(turn) + (y - shift[1]) * np.sin(turn), (y - shift[1]) * np.cos(turn) - (x - shift[0]) * np.sin(turn)
    grid = (x, y, z)
    axes = np.array([rng.uniform(60, 68), rng.uniform(76, 88), 1e9])  # of the brain
    taper = 1 - 0.1 * (z / (o.slices * THICK_MM)) ** 2
    r = np.sqrt((x / axes[0]) ** 2 + (y / axes[1]) ** 2) / taper
    radius = axes[:2].mean()
    fluid, bone, scalp = rng.uniform(1.5, 3), rng.uniform(5, 9) * o.skull, rng.uniform(3, 7)
    labels = np.full(x.shape, L_AIR, np.uint8)
    labels[r <= 1 + (fluid + bone + scalp) / radius] = L_SCALP
    labels[r <= 1 + (fluid + bone) / radius] = L_BONE
    labels[r <= 1 + fluid / radius] = L_FLUID
    # Cortex: a ribbon whose inner border is folded.
    angle = np.arctan2(y / axes[1], x / axes[0])
    fold = 0.05 * np.sin(rng.integers(9, 15) * angle + rng.uniform(0, 6) + z / 9) + 0.03 * np.sin(23 * angle + z / 7)
    labels[r <= 1] = L_GREY
    labels[r <= 0.8 + fold] = L_WHITE
    for side in (-1, 1):
        labels[ball(grid, (side * 22, -5, o.slices * THICK_MM / 2), (11, 14, 1e9)) & (r < 0.7)] = L_GREY  # deep nuclei
        labels[ball(grid, (side * rng.uniform(7, 9), rng.uniform(-5, 5), o.slices * THICK_MM * 0.6), (rng.uniform(3, 6) * o.ventricles, rng.uniform(16, 26), o.slices * THICK_MM * 0.35)) & (side * x > 1)] = L_FLUID
    side = int(rng.choice((-1, 1)))
    place_lesion(labels, grid, o, rng, side, axes)
    if o.old_infarct:
        old = ball(grid, (-side * 40, rng.uniform(-30, 30), o.slices * THICK_MM / 2), (9, 12, 1e9)) & np.isin(labels, (L_GREY, L_WHITE))
        labels[old] = L_OLD
    low = rng.integers(0, max(o.slices // 3, 1))
    for where in ((-32, -8), (32, -8), (0, -0.55 * axes[1])):  # middle and anterior cerebral arteries
        spot = np.array(where) + rng.uniform(-4, 4, 2)
        size = max(rng.uniform(1.7, 2.6), 1.15 * pixel)
        artery = ball((x, y), spot, (size, size)) & (z > low * THICK_MM) & (z < (low + 3) * THICK_MM) & (r < 1)
        labels[artery] = L_ARTERY
    size = max(rng.uniform(3.5, 5), 1.5 * pixel)
    labels[ball((x, y), (rng.uniform(-3, 3), axes[1] * 0.93), (size, size)) & (r < 1.02)] = L_VEIN
    return labels, side, pixel, places


def gamma(t, start, alpha, beta):
    u = np.maximum(t - start, 0)
    return (u / (alpha * beta)) ** alpha * np.exp(alpha - u / beta)


def delayed(curve, seconds):
    n = int(round(seconds / FINE_S))
    return np.concatenate([np.zeros(n), curve[:len(curve) - n]]) if n else curve


def flow_table(o, rng):
    """Of each label: CBF mL/100 g/min, CBV mL/100 g, delay s."""
    grey, white = rng.uniform(50, 65), rng.uniform(21, 26)
    grey_v, white_v = rng.uniform(3.6, 4.2), rng.uniform(1.9, 2.3)
    late, core = rng.uniform(5.5, 8), rng.uniform(8, 11)
    drop, core_drop = rng.uniform(0.6, 0.75), rng.uniform(0.08, 0.18)
    ring = rng.uniform(0.4, 1.2)
    return {L_GREY: (grey, grey_v, 0), L_WHITE: (white, white_v, 0.3), L_GREY_RING: (0.9 * grey, 1.05 * grey_v, ring), L_WHITE_RING: (0.9 * white, 1.05 * white_v, ring),
            L_GREY_LATE: (drop * grey, grey_v, late), L_WHITE_LATE: (drop * white, white_v, late),
            L_GREY_CORE: (core_drop * grey, 0.35 * grey_v, core), L_WHITE_CORE: (core_drop * white, 0.35 * white_v, core), L_OLD: (0.02 * white, 0.01 * white_v, 0.5)}


def curves(o, rng, table, seconds):
    """Enhancement of each label in HU, every FINE_S."""
    t = np.arange(0, seconds, FINE_S)
    found = np.zeros((15, len(t)))
    if o.no_contrast:
        return found
    start = 1.0 if o.late_start else rng.uniform(7, 11) + o.late
    alpha, beta = rng.uniform(2.6, 3.4), rng.uniform(1.2, 1.6) * o.width
    peak = o.peak or rng.uniform(200, 350)
    first = gamma(t, start, alpha, beta)
    again = gamma(t, start + 12 * o.width, 3, 3.5 * o.width)
    share = rng.uniform(0.04, 0.1)
    artery = peak * (first + (o.again or share) * again)
    found[L_ARTERY] = artery
    transit = rng.uniform(3.5, 4.5)
    residue = np.exp(-t / transit) / transit * FINE_S
    found[L_VEIN] = delayed(np.convolve(artery, residue)[:len(t)], rng.uniform(2.5, 4))
    for label, (cbf, cbv, late) in table.items():
        residue = RESIDUES[o.residue](t * cbf / (60 * cbv)) * FINE_S
        found[label] = delayed(np.convolve(artery, residue)[:len(t)] * cbf / (6000 * o.hematocrit / DENSITY), late)
    found[L_SCALP] = 0.02 * found[L_VEIN]
    return found


def write_image(folder, name, o, values, k, p, time, pixel):
    ds = Dataset()
    number = p * o.slices + k + 1
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"{UID}.{o.seed}.3.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = f"{UID}.{o.seed}.1", f"{UID}.{o.seed}.2", f"{UID}.{o.seed}.4"
    ds.Modality, ds.PatientName, ds.PatientID, ds.StudyID = "CT", "Phantom^Perfusion", "PERF1", "1"
    ds.StudyDate = ds.AcquisitionDate = "20200101"
    ds.StudyTime, ds.AccessionNumber, ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName = "120000", "", "", "", ""
    ds.AcquisitionTime = f"12{int(time // 60):02d}{time % 60:09.6f}"
    ds.AcquisitionNumber = p + 1
    ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription, ds.BodyPartExamined = 1, number, "CT perfusion phantom", "HEAD"
    ds.ImageType, ds.SliceThickness, ds.KVP, ds.ConvolutionKernel = ["ORIGINAL", "PRIMARY", "AXIAL"], f"{THICK_MM:g}", "80", "H20f"
    ds.PatientPosition = "HFS"
    ds.ImagePositionPatient = [f"{(pixel - FOV_MM) / 2:.4f}"] * 2 + [f"{k * THICK_MM:g}"]
    ds.ImageOrientationPatient, ds.PixelSpacing = [1, 0, 0, 0, 1, 0], [f"{pixel:.6f}"] * 2
    if o.mirrored:
        ds.ImagePositionPatient[0] = f"{(FOV_MM - pixel) / 2:.4f}"
        ds.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]
        values = values[:, ::-1]
    ds.Rows = ds.Columns = o.size
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "HU"
    ds.PixelData = np.rint(values).astype("<i2").tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = CTImageStorage, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.save_as(folder / name, write_like_original=False)


def is_target(late, core):
    """DEFUSE 3."""
    return bool(core < 70 and late - core >= 15 and late >= 1.8 * core)


def truth_of(o, labels, side, pixel, table):
    voxel = pixel**2 * THICK_MM / 1000
    ml = {n: float((labels == n).sum() * voxel) for n in range(15)}
    by_slice = {name: [float(np.isin(part, kinds).sum() * voxel) for part in labels]
                for name, kinds in (("late_slices_ml", (L_GREY_LATE, L_WHITE_LATE, L_GREY_CORE, L_WHITE_CORE)), ("core_slices_ml", (L_GREY_CORE, L_WHITE_CORE)))}
    core = ml[L_GREY_CORE] + ml[L_WHITE_CORE]
    late = core + ml[L_GREY_LATE] + ml[L_WHITE_LATE]
    return {**by_slice, "core_ml": core, "late_ml": late, "side": "left" if side > 0 else "right", "target": is_target(late, core),
            "brain_ml": sum(ml[n] for n in TISSUE), "difficulty": o.difficulty, "expected": o.expected, "flow": {str(n): v for n, v in table.items()}}


def poses(o, rng, points):
    """Where the head is at each point: mm along x, y, z and degrees about them."""
    found = np.zeros((points, 6))
    jumps = list(range(points // 2, points)) if o.stay else sorted(rng.choice(np.arange(3, points), 3, replace=False).tolist())
    if o.jump or o.turn:
        found[jumps] = o.jump * 0.6, o.jump * 0.8, 0, 0, 0, o.turn
        if o.through:
            found[jumps] = o.jump * 0.5, o.jump * 0.5, o.jump * 0.7, o.turn * 0.7, 0, o.turn * 0.7
    if o.drift:
        found += np.linspace(0, 1, points)[:, None] * (o.drift * 0.5, o.drift * 0.7, o.drift * 0.4, o.drift * 0.4, 0, o.drift * 0.5)
    return np.round(found, 2)


def texture(o, rng):
    """How blood differs from place to place: a function of (x, y, z) in the head."""
    waves = [(rng.normal(0, 0.13, 3) * (1, 1, 0.5), rng.uniform(0, 6.3)) for _ in range(12)]
    return lambda places: np.clip(1 + 0.04 * sum(np.sin(sum(f * v for f, v in zip(wave, places)) + phase) for wave, phase in waves), 0.8, 1.2)


class Head:
    """What the scanner sees of the head in one pose: native values, and which curve runs where."""
    def __init__(self, o, pose, unlike):
        self.labels, self.side, self.pixel, places = anatomy(o, np.random.default_rng(o.seed), pose)
        self.native = np.array(NATIVE, float)[self.labels]
        self.on_side = self.side * places[0] > 0
        self.late_artery = self.side * places[0] > 12
        self.unlike = np.where(np.isin(self.labels, TISSUE), unlike(places), 1)


def make(o):
    """Writes the series and returns the truth."""
    rng = np.random.default_rng(o.seed)
    o.out.mkdir(parents=True, exist_ok=True)
    anatomy(o, rng)  # what is drawn for it is drawn once
    table = flow_table(o, rng)
    points = int(o.seconds / o.step) + 1
    found = curves(o, rng, table, o.seconds + 5)
    slow = delayed_side(o, found)
    behind = behind_narrow_place(o, found[L_ARTERY])
    unlike = texture(o, rng)
    missing = set(rng.choice(points * o.slices, o.missing, replace=False).tolist()) if o.missing else set()
    pose = poses(o, rng, points)
    names = list(rng.permutation(points * o.slices)) if o.random_order else range(points * o.slices)
    blur = 0.5
    first = head = Head(o, tuple(pose[0]), unlike)
    for p in range(points):
        if p and (pose[p] != pose[p - 1]).any():
            head = Head(o, tuple(pose[p]), unlike) if pose[p].any() else first
        for k in range(o.slices):
            time = p * o.step + (o.step / 2 if o.jog and k >= o.slices // 2 else 0)
            n = min(int(round(time / FINE_S)), found.shape[1] - 1)
            labels = head.labels[k]
            enhanced = found[labels, n]
            if o.late_artery:
                enhanced = np.where((labels == L_ARTERY) & head.late_artery[k], behind[n], enhanced)
            if o.side_delay:
                enhanced = np.where(head.on_side[k], slow[labels, n], enhanced)
            values = ndimage.gaussian_filter(head.native[k] + enhanced * head.unlike[k], blur)
            noise = ndimage.gaussian_filter(rng.normal(size=values.shape), o.kernel)
            values = values + noise * (o.noise / noise.std())
            if p * o.slices + k not in missing:
                write_image(o.out, f"im-{names[p * o.slices + k]:04d}.dcm", o, values, k, p, time, head.pixel)
    truth = truth_of(o, first.labels, first.side, first.pixel, table)
    (o.out / "truth.json").write_text(json.dumps(truth))
    np.savez_compressed(o.out / "labels.npz", labels=first.labels[:, :, ::-1] if o.mirrored else first.labels)
    return truth


def behind_narrow_place(o, artery):
    """The curve of an artery whose blood comes late and spread out: by --late-artery seconds, a third of it spread."""
    if not o.late_artery:
        return artery
    spread = o.late_artery / 3
    t = np.arange(0, 10 * spread, FINE_S)
    return delayed(np.convolve(artery, np.exp(-t / spread) / spread * FINE_S)[:len(artery)], o.late_artery - spread)


def delayed_side(o, found):
    """Curves of a side whose artery is narrow upstream: tissue is later, vessels are not."""
    slow = found.copy()
    for label in TISSUE:
        slow[label] = delayed(found[label], o.side_delay)
    return slow


if __name__ == "__main__":
    print(make(arguments()))
