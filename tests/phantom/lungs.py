#!/usr/bin/python3
"""A synthetic chest as a CT series, and the truth about its lungs.

usage: lungs.py OUT [options]      OUT gets im-0001.dcm ... and truth.json

Shapes are implicit functions in millimetres (x to the patient's left, y to the back, z to the head, the
origin between the hila), negative inside; all sizes, the waves on every surface, the vessels and the
holes of emphysema follow from the seed. A slice is painted from the outside in, averaged over its
thickness, blurred and given noise.

truth.json is counted on the stored values, within the shapes themselves: a voxel belongs to a lung where
its centre lies inside the lung's surface and outside the airways with their walls. It shares no code
with the program under test.
"""
import argparse
import hashlib
import json
import pathlib

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from scipy import ndimage

AIR, FAT, MUSCLE, BLOOD, LIVER, BONE, WALL, LUMEN, HOLE = -1000, -95, 50, 45, 60, 420, 20, -980, -975
SIDES = {"right": -1, "left": 1}
CONTRAST_HU = 280


class Waves:
    """A smooth random function of a place, of about unit size: a sum of waves of 40 to 120 mm."""

    def __init__(self, rng, count=6):
        self.k = rng.normal(size=(count, 3))
        self.k *= (2 * np.pi / rng.uniform(40, 120, count) / np.linalg.norm(self.k, axis=1))[:, None]
        self.phase = rng.uniform(0, 2 * np.pi, count)

    def __call__(self, p):
        return sum(np.sin(p[0] * k[0] + p[1] * k[1] + p[2] * k[2] + f) for k, f in zip(self.k, self.phase)) / np.sqrt(len(self.k) / 2)


def oval(p, centre, radii, power=2.0):
    """Negative inside; near the surface about the distance to it."""
    u = sum(np.abs((a - c) / r) ** power for a, c, r in zip(p, centre, radii)) ** (1 / power)
    return (u - 1) * min(radii)  # with two of each: a column along z


def rod(p, a, b, ra, rb):
    """Distance to a straight tube whose radius goes from ra to rb."""
    d = np.subtract(b, a).astype(float)
    q = [u - v for u, v in zip(p, a)]
    t = np.clip(sum(u * v for u, v in zip(q, d)) / (d @ d), 0, 1)
    return np.sqrt(sum((u - t * v) ** 2 for u, v in zip(q, d))) - (ra + t * (rb - ra))


class Chest:
    def __init__(self, o):
        rng = self.rng = np.random.default_rng(o.seed)
        self.o = o
        s = self.size = o.scale * rng.uniform(0.92, 1.08, 3)
        self.body = (172 * s[0], 118 * s[1])
        self.waves = {name: Waves(rng) for name in ("right", "left", "heart", "dome", "density")}
        self.lungs = {
            "right": ((-72 * s[0], 4, -14), (60 * s[0], 88 * s[1], 128 * s[2])),
            "left": ((72 * s[0], 6, -12), (55 * s[0], 86 * s[1], 124 * s[2])),
        }
        self.heart = ((22 * s[0], -28, -62), (58 * s[0], 46 * s[1], 52 * s[2]))
        high = rng.uniform(-75, -55) * s[2]  # of the right dome
        self.domes = {"right": ((-70 * s[0], 0, high - 110), (92, 100, 110)), "left": ((72 * s[0], 4, high - 122), (88, 96, 112))}
        self.gap = -2.0 if o.touching else rng.uniform(5, 9)  # half of what lies between the lungs, in front
        c = self.carina = np.array([rng.uniform(-4, 4), 22.0, rng.uniform(24, 36)])
        r = self.trachea_mm = rng.uniform(7.5, 10.5) * o.scale
        self.airways = [(c + (0, 4, 160), c, r, r * 0.95), (c, c + (-34 * s[0], 2, -26), r * 0.85, r * 0.7), (c, c + (42 * s[0], 5, -24), r * 0.8, r * 0.65)]
        self.vessels = {side: self.branches(rng, sign) for side, sign in SIDES.items()}
        self.holes = self.emphysema(rng) if o.emphysema else []
        self.level = rng.uniform(-880, -835)

    def branches(self, rng, sign):
        root = np.array([sign * 46 * self.size[0], 14, 8.0])
        ends = [(root, np.array([sign * 0.8, 0.2, 0]) + 0.8 * rng.normal(size=3), rng.uniform(2.2, 3.8)) for _ in range(12)]
        found = []
        while ends and len(found) < 220:
            p, d, r = ends.pop(0)
            d = d / np.linalg.norm(d)
            q = p + d * rng.uniform(12, 22)
            found.append((p, q, r))
            if r > 0.9:
                ends += [(q, d + 0.5 * rng.normal(size=3), r * rng.uniform(0.62, 0.85)) for _ in range(2)]
        return found

    def emphysema(self, rng):
        """Holes until their volume is the wanted share of both lungs' boxes: what of it lies in a lung is counted."""
        volume = sum(4 / 3 * np.pi * np.prod(radii) for _, radii in self.lungs.values()) * self.o.emphysema
        found = []
        while volume > 0:
            centre, radii = self.lungs[rng.choice(list(SIDES))]
            r = rng.uniform(2, 9)
            found.append((np.array(centre) + rng.uniform(-0.9, 0.9, 3) * radii, r))
            volume -= 4 / 3 * np.pi * r**3
        return found

    def lung(self, p, side):
        """Signed distance to a lung: its own shape without chest wall, heart, mediastinum and diaphragm."""
        sign = SIDES[side]
        centre, radii = self.lungs[side]
        d = oval(p, centre, radii, 2.6) + 2.5 * self.waves[side](p)
        front = np.clip(-(p[1] + 25) / 50, 0, 1)  # 0 at the hila and behind, 1 at the sternum
        between = self.gap + (26 * self.size[0] - self.gap) * (1 - front)
        for other in (between - sign * p[0], -oval(p, *self.heart) - 2 * self.waves["heart"](p), -oval(p, *self.domes[side]) - 2 * self.waves["dome"](p)):
            d = np.maximum(d, other)
        return d

    def airway(self, p):
        return np.minimum.reduce([rod(p, *one) for one in self.airways])

    def near(self, p, centre, reach):
        """The part of a slice (rows, columns) within reach of a place, or None."""
        if abs(p[2].flat[0] - centre[2]) > reach + 2:
            return None
        j = np.flatnonzero(np.abs(p[0][0] - centre[0]) <= reach + 2)
        i = np.flatnonzero(np.abs(p[1][:, 0] - centre[1]) <= reach + 2)
        return np.s_[i[0]:i[-1] + 1, j[0]:j[-1] + 1] if len(i) and len(j) else None

    def paint(self, p, pixel):
        """Hounsfield units of one plane."""
        o, value = self.o, np.full(p[0].shape, AIR, np.float32)

        def put(distance, hu, part=np.s_[:, :], within=None):
            cover = np.clip(0.5 - distance / pixel, 0, 1)
            cover = cover if within is None else cover * within
            value[part] += (hu - value[part]) * cover
        z = p[2].flat[0]
        narrow = 1 - 0.45 / (1 + np.exp(-(z - 150) / 12))  # the neck
        a, b = self.body[0] * narrow, self.body[1] * narrow
        if o.table:
            put(np.maximum(np.abs(p[1] - self.body[1] - 8) - 1.5, np.abs(p[0]) - 200), -250)
        if o.arms:
            for x in (-1, 1):
                put(oval(p, (x * (self.body[0] + 45), 20), (38, 40)), MUSCLE)
                put(oval(p, (x * (self.body[0] + 45), 20), (11, 11)), BONE)
        put(oval(p, (0, 0), (a, b), 2.3), FAT)
        put(oval(p, (0, 0), (a - 16, b - 14), 2.3), MUSCLE)
        put(np.maximum(np.abs(oval(p, (0, 0), (a - 27, b - 22), 2.3)) - 3, np.abs((z - 0.4 * p[1]) % 24 - 12) - 6), BONE)  # ribs
        put(oval(p, (0, b - 42), (19, 16)), BONE)  # vertebra
        put(oval(p, (0, b - 22), (8, 8)), 20)  # canal
        blood = CONTRAST_HU if o.contrast else BLOOD
        put(oval(p, *self.heart), blood)
        put(rod(p, (26, 46, -200), (22, 44, 60), 12, 12), blood)  # aorta
        for side, (centre, radii) in self.domes.items():
            put(oval(p, centre, radii), LIVER if side == "right" else MUSCLE, within=oval(p, (0, 0), (a - 34, b - 28), 2.3) < 0)
        put(oval(p, (70 * self.size[0], -30, self.domes["left"][0][2] + 60), (30, 24, 26)), -960)  # gas in the stomach
        for side in SIDES:
            if side == o.absent:
                continue
            d = self.lung(p, side)
            if d.min() > pixel:
                continue
            within = np.clip(0.5 - d / pixel, 0, 1)
            put(d, self.level + 0.3 * p[1] + 12 * self.waves["density"](p))
            for centre, r in self.holes:
                part = self.near(p, centre, r)
                if part is not None:
                    put(np.sqrt(sum((u[part] - c) ** 2 for u, c in zip(p, centre))) - r, HOLE, part, within[part])
            for start, end, r in self.vessels[side]:
                part = self.near(p, (start + end) / 2, np.linalg.norm(end - start) / 2 + r)
                if part is not None:
                    put(rod([u[part] for u in p], start, end, r, 0.8 * r), blood, part, within[part])
        airway = self.airway(p)
        put(airway - 1.5, WALL)
        put(airway, LUMEN)
        return value


def grid(o, index):
    """Centre of the pixels of a slice: coordinates [3][rows][columns]."""
    half = o.pixel * (o.size - 1) / 2
    x, y = np.meshgrid(np.arange(o.size) * o.pixel - half + o.centre[0], np.arange(o.size) * o.pixel - half + o.centre[1])
    return [x, y, np.full_like(x, o.bottom + index * o.increment)]


def stored_slice(chest, o, index):
    p = grid(o, index)
    planes = max(1, round(o.thickness / 1.25))
    offsets = (np.arange(planes) + 0.5) / planes * o.thickness - o.thickness / 2
    value = sum(chest.paint([p[0], p[1], p[2] + d], o.pixel) for d in offsets) / planes
    value = ndimage.gaussian_filter(value, o.blur / o.pixel)
    noise = ndimage.gaussian_filter(np.random.default_rng([o.seed, index]).standard_normal(value.shape), 0.6)
    value = np.clip(np.round(value + noise * (o.noise / noise.std())), -1024, 3071)
    if o.padded:
        value[np.hypot(p[0] - o.centre[0], p[1] - o.centre[1]) > o.pixel * o.size / 2] = -2000
    return value.astype(np.int16)


def masks(chest, o, index):
    p = grid(o, index)
    outside = chest.airway(p) > 1.5
    return {side: (chest.lung(p, side) < 0) & outside & (side != o.absent) for side in SIDES}


def measure(values, voxel_ml):
    if not len(values):
        return None
    ordered = np.sort(values)
    return {"volume_ml": len(values) * voxel_ml, "mean_hu": float(values.mean()), "below_950": 100 * float((values < -950).mean()),
            "below_910": 100 * float((values < -910).mean()), "perc15": int(ordered[-(-15 * len(ordered) // 100) - 1])}


def uid(o, *parts):
    text = json.dumps([{k: v for k, v in vars(o).items() if k != "out"}, parts], sort_keys=True, default=str)
    return "2.25." + str(int(hashlib.sha256(text.encode()).hexdigest()[:31], 16))


def data_set(o, stored, index, number):
    """As the scanner writes it; with o.mirrored columns run to the right and rows to the front."""
    half = o.pixel * (o.size - 1) / 2
    first, sign = [o.centre[0] - half, o.centre[1] - half], 1
    if o.mirrored:
        stored, sign, first = stored[::-1, ::-1], -1, [o.centre[0] + half, o.centre[1] + half]
    ds = Dataset()
    ds.ImageType, ds.Modality, ds.Manufacturer = ["ORIGINAL", "PRIMARY", "AXIAL"], "CT", "SYNTHETIC"
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid(o, "instance", index)
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = uid(o, "study"), uid(o, "series"), uid(o, "frame")
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20240229", "101500", "1", ""
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName = "PHANTOM^LUNGS", "lungs1", "", "O", ""
    ds.SeriesDescription, ds.BodyPartExamined, ds.PatientPosition = "Thorax 1.25 B30f inspiration", "CHEST", "HFS"
    ds.SliceThickness, ds.KVP, ds.ConvolutionKernel = f"{o.thickness:g}", "120", "B30f"
    if o.contrast:
        ds.ContrastBolusAgent = "iodine"
    ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber, ds.PositionReferenceIndicator = 2, 1, number, ""
    ds.ImagePositionPatient = [f"{first[0]:.6g}", f"{first[1]:.6g}", f"{o.bottom + index * o.increment:.6g}"]
    ds.ImageOrientationPatient = [sign, 0, 0, 0, sign, 0]
    ds.PixelSpacing, ds.Rows, ds.Columns = [f"{o.pixel:.10g}"] * 2, o.size, o.size
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "HU"
    ds.PixelData = np.ascontiguousarray(stored).tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.is_little_endian, ds.is_implicit_VR = True, False
    return ds


def parse(arguments=None):
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--size", type=int, default=256, help="rows and columns")
    p.add_argument("--fov", type=float, default=400.0, help="mm")
    p.add_argument("--centre", type=float, nargs=2, default=[0.0, 0.0], metavar=("X", "Y"), help="of the field of view, mm")
    p.add_argument("--increment", type=float, default=2.5, help="mm between slices")
    p.add_argument("--thickness", type=float, default=2.5, help="mm")
    p.add_argument("--bottom", type=float, default=-200.0, help="z of the lowest slice, mm")
    p.add_argument("--top", type=float, default=160.0, help="z of the highest slice, mm")
    p.add_argument("--scale", type=float, default=1.0, help="patient size")
    p.add_argument("--noise", type=float, default=20.0, help="standard deviation, HU")
    p.add_argument("--blur", type=float, default=0.7, help="of the kernel, standard deviation in mm")
    p.add_argument("--emphysema", type=float, default=0.0, help="share of the lungs")
    p.add_argument("--touching", action="store_true", help="lungs that meet in front")
    p.add_argument("--absent", choices=tuple(SIDES), help="a lung that is not there")
    p.add_argument("--contrast", action="store_true")
    p.add_argument("--arms", action="store_true", help="arms beside the body")
    p.add_argument("--padded", action="store_true", help="-2000 outside the reconstructed circle")
    p.add_argument("--mirrored", action="store_true", help="columns run to the patient's right, rows to the front")
    p.add_argument("--table", action=argparse.BooleanOptionalAction, default=True)
    p.add_argument("--missing", type=int, nargs="*", default=[], help="slices left out, 0 is the lowest")
    p.add_argument("--order", choices=("up", "down", "random"), default="up", help="of the instance numbers and files")
    o = p.parse_args(arguments)
    o.pixel = o.fov / o.size
    return o


def main(arguments=None):
    o = parse(arguments)
    o.out.mkdir(parents=True, exist_ok=True)
    chest = Chest(o)
    count = int((o.top - o.bottom) / o.increment) + 1
    kept = [k for k in range(count) if k not in o.missing]
    order = {"up": kept, "down": kept[::-1], "random": list(np.random.default_rng(o.seed).permutation(kept))}[o.order]
    number = {k: n for n, k in enumerate(order, 1)}
    values = {side: [] for side in SIDES}
    for k in kept:
        stored = stored_slice(chest, o, k)
        for side, mask in masks(chest, o, k).items():
            values[side].append(stored[mask])
        data_set(o, stored, k, number[k]).save_as(o.out / f"im-{number[k]:04d}.dcm", write_like_original=False)
    values = {side: np.concatenate(list_) for side, list_ in values.items()}
    values["both"] = np.concatenate(list(values.values()))
    voxel_ml = o.pixel**2 * o.increment / 1000
    result = {"params": {k: v for k, v in vars(o).items() if k != "out"}, **{side: measure(v, voxel_ml) for side, v in values.items()}}
    (o.out / "truth.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"{len(kept)} slices in {o.out}, {result['both']['volume_ml']:.0f} mL")


if __name__ == "__main__":
    main()
