#!/usr/bin/python3
"""A short-axis cine MR of a heart whose volumes are known, and the truth about it.

usage: cardiac.py OUT [--seed N] [--kind KIND] [--edv ML] [--ef PERCENT] [--mass G] [--slices N] [--phases N] [--gap MM] [--thick MM]
                  [--size N] [--pixel MM] [--noise S] [--shading S] [--shift MM] [--cover F] [--series one|slices] [--random-order]
                  [--mirrored] [--crop N] [--no-papillary] [--long-axis] [--still] [--fewer N] [--turn DEG]

OUT gets im-00001.dcm ... and truth.json. What no option fixes is drawn from the seed.

The pool is half an ellipsoid below the plane of the mitral valve, the muscle what lies between it and a larger half ellipsoid;
the volume of muscle is the same in all phases; the apex stays, the valve moves towards it. Papillary muscles and trabeculae are of
the pool. Above the valve lies an atrium with a thin wall that fills while the ventricle empties, and an aorta. Around: the right
ventricle, fat, lung, liver, chest wall. Pixels are means of 2 x 2 points in planes spread over the thickness of a slice.

truth.json: for each phase `pool_ml` is the sum over the slices below the valve of the area of the pool in the middle plane, times
the distance of slices; `exact_ml` the volume of the half ellipsoid. They differ by what the slices cut at the valve.
`walls_mm` is the wall along directions of 5 degrees at end diastole and end systole, `septum_deg` the direction of the right ventricle,
`insertions_deg` how far to both sides of it it reaches in the middle.

KIND: normal, hypertrophic (asymmetric), dilated, scar (a thin sector that does not move), aneurysm (of the apex), rv (a large right
ventricle), effusion (bright fluid around the heart), trabeculae, banding (dark stripes), void (dark streaks of flow in the pool).
"""
import argparse
import json
import pathlib

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

UID = "1.2.826.0.1.3680043.8.498.79"
BLOOD, MUSCLE, FAT, LIVER, LUNG, BODY, FLUID, RIGHT_BLOOD = 600, 200, 800, 260, 30, 300, 700, 570
DENSITY = 1.05
KINDS = ("normal", "hypertrophic", "dilated", "scar", "aneurysm", "rv", "effusion", "trabeculae", "banding", "void")
U, V = np.array([0.693252, 0.673689, 0.256017]), np.array([0.0220038, 0.335277, -0.941863])  # rows run along U, columns along V
N = np.cross(U, V)
DOWN = -N  # from the base to the apex: to the left, the front and the feet


def arguments(words=None):
    p = argparse.ArgumentParser()
    p.add_argument("out", type=pathlib.Path)
    for name, kind, default in (("seed", int, 1), ("edv", float, 0), ("ef", float, 0), ("mass", float, 0), ("slices", int, 10), ("phases", int, 20),
                                ("gap", float, 10), ("thick", float, 0), ("size", int, 160), ("pixel", float, 1.6), ("noise", float, 18), ("shading", float, 0.25),
                                ("shift", float, 0), ("cover", float, 1), ("crop", int, 0), ("fewer", int, 0), ("turn", float, 0)):
        p.add_argument(f"--{name}", type=kind, default=default)
    p.add_argument("--kind", choices=KINDS, default="normal")
    p.add_argument("--series", choices=("one", "slices"), default="one")
    for name in ("random-order", "mirrored", "no-papillary", "no-right", "long-axis", "still"):
        p.add_argument(f"--{name}", action="store_true")
    return p.parse_args(words)


def emptying(f):
    """Part of the stroke volume that has left at a part of the cycle: ejection, fast filling, diastasis, atrial contraction."""
    f = f % 1
    if f < 0.35:
        return (1 - np.cos(np.pi * f / 0.35)) / 2
    if f < 0.6:
        return 0.25 + 0.75 * (1 + np.cos(np.pi * (f - 0.35) / 0.25)) / 2
    if f < 0.85:
        return 0.25 - 0.03 * (f - 0.6) / 0.25
    return 0.22 * (1 + np.cos(np.pi * (f - 0.85) / 0.15)) / 2


class Heart:
    """All in mm: x along rows, y along columns, z from the valve at end diastole towards the apex."""

    def __init__(self, o, rng):
        kind = o.kind
        self.kind, self.o = kind, o
        edv = {"hypertrophic": (90, 140), "dilated": (200, 300), "aneurysm": (160, 220)}.get(kind, (110, 180))
        ef = {"hypertrophic": (60, 75), "dilated": (20, 35), "scar": (35, 50), "aneurysm": (30, 45)}.get(kind, (50, 68))
        mass = {"hypertrophic": (150, 220), "dilated": (130, 200)}.get(kind, (80, 140))
        self.edv = o.edv or rng.uniform(*edv)
        self.ef = 0 if o.still else o.ef or rng.uniform(*ef)
        self.mass = o.mass or rng.uniform(*mass)
        self.long0 = (self.edv * 1000 / (2 / 3 * np.pi)) ** (1 / 3) * rng.uniform(1.45, 1.6)  # of the pool: longer than wide
        self.short = 0.24 * self.ef / 100  # of the long axis
        self.tilt = rng.uniform(-0.1, 0.1, 2)  # of the axis against the normal of the slices
        self.centre = rng.uniform(-8, 8, 2)
        self.septum = np.pi + rng.uniform(-0.4, 0.4)  # direction of the right ventricle
        self.uneven = rng.uniform(0.3, 0.45) if kind == "hypertrophic" else rng.uniform(0, 0.12)  # thicker septum
        self.scar_at, self.scar_half = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 0.6)
        self.papillary = [(self.septum + a + rng.uniform(-0.2, 0.2), rng.uniform(3, 4.5)) for a in (2.2, -2.2)]
        self.right = rng.uniform(1.15, 1.25) if kind == "rv" else rng.uniform(0.85, 1.0)
        self.phase_noise = rng.uniform(0, 2 * np.pi, 6)

    def state(self, f):
        out = emptying(f)
        pool = self.edv * (1 - self.ef / 100 * out) * 1000
        long = self.long0 * (1 - self.short * out)
        radius = np.sqrt(pool / (2 / 3 * np.pi * long))
        outer_long = long + 7  # the apex is thinner than the wall
        outer = np.sqrt((pool + self.mass * 1000 / DENSITY) / (2 / 3 * np.pi * outer_long))
        return {"out": out, "valve": self.long0 - long, "long": long, "radius": radius, "outer_long": outer_long, "outer": outer}

    def pool_factor(self, angle, s):
        """Of the radius, by direction; its square has the mean 1, so that areas stay, but where a scar bulges."""
        a = 1 + 0.05 * np.cos(2 * (angle - self.phase_noise[0]))
        a = a / np.sqrt(1 + 0.05**2 / 2)
        return a

    def radii(self, z, angle, s):
        """Inner and outer radius at a height and direction; 0 beyond the apex."""
        h = z - s["valve"]
        inner = s["radius"] * np.sqrt(np.maximum(1 - (h / s["long"]) ** 2, 0)) * self.pool_factor(angle, s)
        outer = s["outer"] * np.sqrt(np.maximum(1 - (h / s["outer_long"]) ** 2, 0)) * self.pool_factor(angle, s)
        wall = outer - inner
        if self.kind == "scar":
            off = np.abs((angle - self.scar_at + np.pi) % (2 * np.pi) - np.pi)
            weight = 1 / (1 + np.exp((off - self.scar_half) / 0.1)) * (h > 0.15 * s["long"])
            still = self.state(0)
            inner0 = still["radius"] * np.sqrt(np.maximum(1 - (np.maximum(h, 0) / still["long"]) ** 2, 0)) * self.pool_factor(angle, s)
            inner = inner + weight * (np.maximum(inner0 * 0.97, inner) - inner)
            outer = np.where(weight > 0, inner + wall + weight * (np.minimum(wall, 4.5) - wall), outer)
        elif self.kind == "aneurysm":
            bulge = np.clip((h / s["long"] - 0.55) / 0.2, 0, 1)
            still = self.state(0)
            inner0 = still["radius"] * np.sqrt(np.maximum(1 - (h / still["long"]) ** 2, 0)) * (1 + 0.08 * s["out"]) * self.pool_factor(angle, s)
            inner = inner + bulge * (np.maximum(inner0, inner) - inner)
            outer = inner + wall + bulge * (np.minimum(wall, 4.5) - wall)
        else:
            outer = inner + wall * (1 + self.uneven * np.cos(angle - self.septum))
        return inner, outer

    def area(self, z, s):
        """Of the pool in a plane below the valve, mm2."""
        if z < s["valve"]:
            return 0.0, 0.0
        angle = np.arange(720) * 2 * np.pi / 720
        inner, outer = self.radii(np.full(720, float(z)), angle, s)
        return float((inner**2).mean() * np.pi), float(((outer**2).mean() - (inner**2).mean()) * np.pi)


def right_ventricle(heart, s, z):
    """Centre, and half axes along the direction of the septum and across it, of the ellipse that the left ventricle cuts."""
    ed = heart.state(0)
    h = z - s["valve"]
    shape = np.sqrt(max(1 - (h / (s["outer_long"] * 0.95)) ** 2, 0))
    squeeze = 1 - 0.28 * s["out"] * heart.ef / 60
    width = ed["outer"] * (0.95 + 0.55 * heart.right) * shape * squeeze
    far = ed["outer"] * 0.75 * heart.right * shape
    return far, max(width * 0.72, 1), max(width * 0.98, 1)


def insertions(heart, s, z):
    """Directions, from the middle of the septum, in which the left ventricle's outside leaves the right ventricle."""
    angle = heart.septum + np.deg2rad(np.arange(-180, 180))
    _, outer = heart.radii(np.full(angle.shape, float(z)), angle, s)
    far, along, across = right_ventricle(heart, s, z)
    inside = ((outer * np.cos(angle - heart.septum) - far) / along) ** 2 + (outer * np.sin(angle - heart.septum) / across) ** 2 <= 1
    return float(inside[:180][::-1].argmin()), float(inside[180:].argmin())


def background(x, y, o, rng_phase):
    """What does not move: body, lung, liver, chest wall."""
    values = np.full(x.shape, float(LUNG))
    values[(y > 42 + 0.1 * x)] = LIVER
    body = (x / 125) ** 2 + (y / 105) ** 2
    values[body > 1] = FAT
    values[body > 1.12] = 5
    values[(body > 0.86) & (body <= 1)] = BODY
    spine = ((x - 55) / 18) ** 2 + ((y - 70) / 18) ** 2 <= 1
    values[spine] = 220
    aorta = ((x - 62) / 11) ** 2 + ((y - 38) / 11) ** 2 <= 1
    values[aorta] = 560
    return values


def paint(values, heart, s, x, y, z, o):
    cx = heart.centre[0] + heart.tilt[0] * (z - heart.long0 / 2)
    cy = heart.centre[1] + heart.tilt[1] * (z - heart.long0 / 2)
    dx, dy = x - cx, y - cy
    angle, r = np.arctan2(dy, dx), np.hypot(dx, dy)
    h = z - s["valve"]
    zz = np.full(x.shape, float(z))
    ed = heart.state(0)
    reach = max(ed["outer"] * 1.25 + 3, 20)
    if h >= 0:
        inner, outer = heart.radii(zz, angle, s)
        shape = np.sqrt(max(1 - (h / (s["outer_long"] * 0.95)) ** 2, 0))
        # The right ventricle: a crescent that is cut by the left one; it empties too.
        squeeze = 1 - 0.28 * s["out"] * heart.ef / 60
        width = ed["outer"] * (0.95 + 0.55 * heart.right) * shape * squeeze
        rx = cx + np.cos(heart.septum) * ed["outer"] * 0.75 * heart.right * shape
        ry = cy + np.sin(heart.septum) * ed["outer"] * 0.75 * heart.right * shape
        along = (x - rx) * np.cos(heart.septum) + (y - ry) * np.sin(heart.septum)
        beside = -(x - rx) * np.sin(heart.septum) + (y - ry) * np.cos(heart.septum)
        rv = (along / max(width * 0.72, 1)) ** 2 + (beside / max(width * 0.98, 1)) ** 2
        if o.no_right:
            rv = np.full(x.shape, np.inf)
        fat = (r <= outer + 4) & (np.abs((angle - heart.septum + np.pi) % (2 * np.pi) - np.pi) < 2.2)
        if heart.kind == "effusion":
            values[r <= outer + 9] = FLUID
            values[rv <= 1.6] = FLUID
        else:
            values[fat] = FAT
        values[rv <= 1 + 7 / max(width, 7)] = MUSCLE
        values[rv <= 1] = RIGHT_BLOOD
        values[r <= outer] = MUSCLE
        pool = r <= inner
        values[pool] = BLOOD
        if heart.kind == "trabeculae":
            ring = pool & (r > inner - 5)
            pattern = np.sin(18 * angle + heart.phase_noise[1] + z / 4) + np.sin(29 * angle + heart.phase_noise[2] - z / 3) + np.sin(1.8 * r)
            values[ring & (pattern > 0.6)] = MUSCLE
        if not o.no_papillary and 0.2 < h / s["long"] < 0.8:
            for where, size in heart.papillary:
                at = (s["radius"] * np.sqrt(max(1 - (h / s["long"]) ** 2, 0))) - size * (0.9 if s["out"] > 0.5 else 1.1)
                spot = (x - cx - at * np.cos(where)) ** 2 + (y - cy - at * np.sin(where)) ** 2 <= size**2
                values[spot & pool] = MUSCLE
        if heart.kind == "void":
            streak = pool & (np.abs(dx * np.sin(1.0) - dy * np.cos(1.0)) < 2) & (s["out"] > 0.1) & (s["out"] < 0.9)
            values[streak] = BLOOD * 0.55
    else:
        # The atrium fills in systole; aorta and right outflow tract beside it.
        fill = 1 + 0.25 * s["out"] * heart.ef / 60
        left = s["radius"] * 0.0 + ed["radius"] * 0.62 * np.sqrt(fill)
        ax, ay = cx - 0.25 * ed["radius"] * np.cos(heart.septum), cy + 0.35 * ed["radius"]
        ra = np.hypot(x - ax, y - ay)
        ox, oy = cx + 0.55 * ed["radius"] * np.cos(heart.septum), cy - 0.45 * ed["radius"]
        ro = np.hypot(x - ox, y - oy)
        right = np.hypot(x - cx - 1.7 * ed["radius"] * np.cos(heart.septum), y - cy - 0.2 * ed["radius"])
        values[(ra <= left + 6) | (ro <= 20) | (right <= 0.8 * ed["radius"] + 6)] = FAT
        values[(ra <= left + 2.5) | (ro <= 16.5) | (right <= 0.8 * ed["radius"] + 2.5)] = MUSCLE
        values[right <= 0.8 * ed["radius"] * np.sqrt(fill)] = RIGHT_BLOOD
        values[ra <= left] = BLOOD
        values[ro <= 14] = BLOOD
    return reach


def write_image(folder, name, o, pixels, k, p, number, position, times, series):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, f"{UID}.{o.seed}.3.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = f"{UID}.{o.seed}.1", f"{UID}.{o.seed}.2.{series}", f"{UID}.{o.seed}.4"
    ds.Modality, ds.PatientName, ds.PatientID, ds.StudyID = "MR", "Phantom^Cardiac", "CARD1", "1"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20200101", "120000", ""
    ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName = "", "", ""
    ds.PatientWeight, ds.PatientSize = "80", "1.80"
    ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription = series, number, "cine sa" if series < 90 else "cine 4ch"
    ds.ImageType, ds.SliceThickness = ["ORIGINAL", "PRIMARY", "M"], f"{o.thick or o.gap:g}"
    ds.ScanningSequence, ds.SequenceVariant, ds.MRAcquisitionType = "GR", "SS", "2D"
    ds.RepetitionTime, ds.EchoTime, ds.FlipAngle = "3", "1.5", "50"
    ds.TriggerTime, ds.NominalInterval, ds.HeartRate, ds.CardiacNumberOfImages = f"{times[0]:.3f}", f"{times[1]:.0f}", f"{60000 / times[1]:.0f}", o.phases
    ds.ImagePositionPatient = [f"{c:.4f}" for c in position]
    ds.ImageOrientationPatient = [f"{c:.6f}" for c in [*(-U if o.mirrored else U), *V]]
    if series >= 90:
        ds.ImageOrientationPatient = [f"{c:.6f}" for c in [*U, *DOWN]]
    ds.PixelSpacing, ds.Rows, ds.Columns = [f"{o.pixel:.6f}"] * 2, pixels.shape[0], pixels.shape[1]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.WindowCenter, ds.WindowWidth = "450", "900"
    ds.PixelData = np.clip(np.rint(pixels), 0, 4095).astype("<u2").tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = MRImageStorage, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.save_as(folder / name, write_like_original=False)


def frame(o, heart, base, s, x, y, z, field, box, rng):
    """One image: heart over background, blurred by the scanner, shaded, with noise."""
    planes = [z + (n + 0.5) / 3 * (o.thick or o.gap) - (o.thick or o.gap) / 2 for n in range(3)]
    total = 0
    for plane in planes:
        values = base[box].copy()
        paint(values, heart, s, x[box], y[box], plane, o)
        total = total + values / 3
    fine = base.copy()
    fine[box] = total
    size = fine.shape[0] // 2
    pixels = fine.reshape(size, 2, size, 2).mean((1, 3)) * field
    if heart.kind == "banding":
        column = np.arange(size) * o.pixel - size * o.pixel / 2
        pixels = pixels * (1 - 0.5 * np.exp(-(((column - 62 + 4 * np.sin(np.arange(size)[:, None] / 20)) / 5) ** 2)))
    return np.hypot(pixels + rng.normal(0, o.noise, pixels.shape), rng.normal(0, o.noise, pixels.shape))


def make(o):
    """Writes the series and returns the truth."""
    rng = np.random.default_rng(o.seed)
    o.out.mkdir(parents=True, exist_ok=True)
    heart = Heart(o, rng)
    at = (np.arange(2 * o.size) + 0.5) * o.pixel / 2 - o.size * o.pixel / 2
    x, y = np.meshgrid(at, at)
    turn = np.deg2rad(o.turn)
    coarse = (np.arange(o.size) + 0.5) * o.pixel - o.size * o.pixel / 2
    gx, gy = np.meshgrid(coarse, coarse)
    field = 1 + o.shading * np.sin((gx * np.cos(heart.phase_noise[3]) + gy * np.sin(heart.phase_noise[3])) / 90)
    first = -rng.uniform(1.2, 2.2) * o.gap  # z of the first slice: above the valve
    interval = 60000 / rng.uniform(55, 85)
    shifts = rng.uniform(-o.shift, o.shift, (o.slices, 2))
    half = int((heart.state(0)["outer"] * 3.2 + 12) / (o.pixel / 2))
    middle = 2 * o.size // 2
    low, high = max(middle - half, 0), min(middle + half, 2 * o.size)
    box = (slice(low, high), slice(low, high))
    numbers = list(range(1, o.slices * o.phases + 1))
    names = list(np.random.default_rng(o.seed).permutation(numbers)) if o.random_order else numbers
    base = background(x, y, o, heart.phase_noise)
    zs = [first + k * o.gap for k in range(o.slices)]
    for k, z in enumerate(zs):
        count = o.phases - (o.fewer if k % 2 else 0)
        for p in range(count):
            s = heart.state(o.cover * p / count)
            sx, sy = x - shifts[k, 0], y - shifts[k, 1]
            ca, sa = np.cos(turn), np.sin(turn)
            pixels = frame(o, heart, base, s, ca * sx + sa * sy, ca * sy - sa * sx, z, field, box, rng)
            position = DOWN * z + U * at[0] + V * at[0] + (U + V) * o.pixel / 4
            if o.crop:
                pixels = pixels[o.crop:, o.crop:]
                position = position + (U + V) * o.pixel * o.crop
            if o.mirrored:
                pixels = pixels[:, ::-1]
                position = position + U * o.pixel * (pixels.shape[1] - 1)
            number = k * o.phases + p + 1
            write_image(o.out, f"im-{names[number - 1]:05d}.dcm", o, pixels, k, p, number, position, (o.cover * p / count * interval + 10, interval),
                        k + 1 if o.series == "slices" else 1)
    if o.long_axis:
        for p in range(o.phases):
            flat = np.full((o.size, o.size), 100.0) + rng.normal(0, 10, (o.size, o.size))
            write_image(o.out, f"la-{p:05d}.dcm", o, flat, 0, p, 90000 + p, U * at[0] + DOWN * at[0], (p / o.phases * interval + 10, interval), 91)
    truth = truth_of(o, heart, zs, interval)
    (o.out / "truth.json").write_text(json.dumps(truth))
    return truth


def truth_of(o, heart, zs, interval):
    states = [heart.state(o.cover * p / o.phases) for p in range(o.phases)]
    areas = np.array([[heart.area(z, s) for z in zs] for s in states])  # [phase][slice][pool, muscle]
    pool = areas[:, :, 0].sum(1) * o.gap / 1000
    ed, es = int(pool.argmax()), int(pool.argmin())
    walls = []  # [end diastole, end systole][slice][directions of 5 degrees]: mm; nothing above the valve
    angle = np.deg2rad(np.arange(0, 360, 5))
    for p in (ed, es):
        radii = [heart.radii(np.full(angle.shape, z), angle, states[p]) if z >= states[p]["valve"] else None for z in zs]
        walls.append([(outer - inner).tolist() if inner is not None and inner.min() > 0 else None for inner, outer in (r or (None, None) for r in radii)])
    middle = min(range(len(zs)), key=lambda k: abs(zs[k] - heart.long0 / 2))
    return {"walls_mm": walls, "septum_deg": float(np.rad2deg(heart.septum)), "insertions_deg": insertions(heart, states[ed], zs[middle]),
            "kind": heart.kind, "pool_ml": pool.tolist(), "exact_ml": [heart.edv * (1 - heart.ef / 100 * s["out"]) for s in states],
            "edv_ml": float(pool[ed]), "esv_ml": float(pool[es]), "ef": float(100 * (1 - pool[es] / pool[ed])), "ed": ed, "es": es,
            "mass_g": float(areas[ed, :, 1].sum() * o.gap / 1000 * DENSITY), "areas_mm2": areas[:, :, 0].tolist(), "rate": 60000 / interval,
            "phases": o.phases, "fewer": o.fewer, "pixel_mm": o.pixel}


if __name__ == "__main__":
    made = make(arguments())
    print({n: made[n] for n in ("kind", "edv_ml", "esv_ml", "ef", "mass_g", "ed", "es")})
