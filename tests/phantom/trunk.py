#!/usr/bin/python3
"""A synthetic chest and upper abdomen as a CT series, and the truth about its structures.

usage: trunk.py OUT [options]      OUT gets im-001.dcm ..., truth.json (volumes in mL) and truth.npy

truth.npy names each voxel by the index of its structure in STRUCTURES, [slice][row][column], slices from
the feet up. Shapes are quadrics and tubes in millimetres (x to the patient's left, y to the back, z to the
head); sizes and attenuations follow from the seed. Where shapes overlap the later one holds. Slices are
averaged over 3 x 3 points a pixel, blurred and given noise.
"""
import argparse
import json
import pathlib

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from scipy import ndimage

STRUCTURES = ("air", "rest", "fat", "right lung", "left lung", "airways", "bones")
AIR, REST, FAT, RIGHT, LEFT, AIRWAYS, BONES = range(len(STRUCTURES))
UID = "1.2.826.0.1.3680043.8.498.78"
POINTS = 3  # of a pixel along each axis


def ellipse(x, y, cx, cy, a, b, power=2):
    return np.abs((x - cx) / a) ** power + np.abs((y - cy) / b) ** power <= 1


class Trunk:
    def __init__(self, o):
        rng = np.random.default_rng(o.seed)
        self.o, s = o, rng.uniform(0.9, 1.1)
        self.scale = s
        self.body = (160 * s, 112 * s)
        self.fat_mm = rng.uniform(10, 25)
        self.hu = {"fat": rng.uniform(-110, -90), "muscle": rng.uniform(45, 60), "liver": rng.uniform(50, 65), "lung": rng.uniform(-880, -820),
                   "cortex": rng.uniform(600, 900), "marrow": rng.uniform(130, 230), "blood": o.contrast or 42.0}
        self.lung = (60 * s, 78 * s, 120 * s)
        self.apart = rng.uniform(72, 76) * s
        self.rib_step, self.aorta_mm = rng.uniform(22, 28), rng.uniform(11, 14)

    def slice(self, x, y, z):
        """Attenuation and structure at points of one height."""
        s, hu = self.scale, self.hu
        value, kind = np.full(x.shape, -1000.0), np.full(x.shape, AIR, np.uint8)

        def put(where, attenuation, structure):
            value[where], kind[where] = attenuation, structure

        if self.o.cushion:
            put((y > 100 * s) & (y < 126 * s) & (np.abs(x) < 180), -930, AIR)
        if self.o.table:
            put((y > 128 * s) & (y < 131 * s) & (np.abs(x) < 190), -90, AIR)
        a, b = self.body
        for side in (-1, 1) if self.o.arms else ():
            arm = side * (a + 46)
            put(ellipse(x, y, arm, 20, 38, 42), hu["fat"], FAT)
            put(ellipse(x, y, arm, 20, 30, 34), hu["muscle"], REST)
            put(ellipse(x, y, arm, 20, 11, 11), hu["cortex"], BONES)
            put(ellipse(x, y, arm, 20, 7, 7), hu["marrow"], BONES)
        put(ellipse(x, y, 0, 0, a, b, 2.5), hu["muscle"], REST)
        put(ellipse(x, y, 0, 0, a - 1.5, b - 1.5, 2.5), hu["fat"], FAT)  # under a skin
        a, b = a - self.fat_mm, b - self.fat_mm
        wall = ellipse(x, y, 0, 0, a, b, 2.5)
        put(wall, hu["muscle"], REST)
        height = (z + 30 * np.abs(y + 80) / 100) % self.rib_step
        rib = ellipse(x, y, 0, 0, a - 2, b - 2, 2.5) & ~ellipse(x, y, 0, 0, a - 10, b - 10, 2.5) & (height < 9) & (np.abs(x) > 40)
        put(rib, hu["cortex"] * 0.8, BONES)
        if z < -20:  # abdomen: a liver in fat
            put(ellipse(x, y, 0, -8, a - 16, b - 16, 2.5), hu["fat"], FAT)
            put(ellipse(x, y, -50 * s, -5, 60 * s, 55 * s), hu["liver"], REST)
            if self.o.gas:
                put(ellipse(x, y, 55 * s, -20, 38, 30), -990, REST)
                put(ellipse(x, y, 55 * s, -20, 38, 30) & (y > -8), 10, REST)
        top = 120 * s
        dome = np.sqrt(max(0, 1 - ((z - 40) / top) ** 2)) if z > -15 else 0
        for side, structure in ((-1, RIGHT), (1, LEFT)):
            if dome:
                lung = ellipse(x, y, side * self.apart, -2, self.lung[0] * dome, self.lung[1] * dome)
                put(lung, hu["lung"], structure)
                if self.o.effusion and side > 0:
                    put(lung & (y > 30 * s), 12, REST)
        if dome:
            put(ellipse(x, y, 12 * s, -38 * s, 32 * s, 28 * s), hu["blood"], REST)  # heart
        spine = 62 * s
        put(ellipse(x, y, 0, spine, 21 * s, 17 * s), hu["cortex"], BONES)
        put(ellipse(x, y, 0, spine, 19 * s, 15 * s), hu["marrow"], BONES)
        put((np.abs(x) < 6) & (y > spine + 15 * s) & (y < spine + 44 * s), hu["cortex"] * 0.7, BONES)
        put((np.abs(x) < 3.5) & (y > spine + 15 * s) & (y < spine + 42 * s), hu["marrow"], BONES)
        put(ellipse(x, y, 0, spine + 24 * s, 11, 9), hu["cortex"], BONES)
        put(ellipse(x, y, 0, spine + 24 * s, 8.5, 6.5), 25, REST)  # canal
        put(ellipse(x, y, 18 * s, spine - 31 * s, self.aorta_mm, self.aorta_mm), hu["blood"], REST)
        if self.o.calcified and int(z / 12) % 3 == 0:
            put(ellipse(x, y, 18 * s, spine - 31 * s, self.aorta_mm, self.aorta_mm) & ~ellipse(x, y, 18 * s, spine - 31 * s, self.aorta_mm - 2, self.aorta_mm - 2)
                & (x > 22 * s), 700, REST)
        if z > 10:
            put(ellipse(x, y, 0, 8, 11.5, 11.5), 20, REST)
            put(ellipse(x, y, 0, 8, 9.5, 9.5), -980, AIRWAYS)
        if self.o.metal and 20 < z < 40:
            put(ellipse(x, y, 60 * s, 85 * s, 6, 6), 3000, REST)
        return value, kind


def paint(o):
    """Values and structures, [slice][row][column], slices from the feet up."""
    trunk, rng = Trunk(o), np.random.default_rng(o.seed + 1)
    pixel = o.fov / o.size
    fine = (np.arange(o.size * POINTS) + 0.5) * pixel / POINTS - o.fov / 2
    x, y = np.meshgrid(fine + o.shift, fine)
    values, kinds = [], []
    for z in np.arange(o.bottom, o.top + 1e-6, o.increment):
        value, kind = trunk.slice(x, y, z)
        value = value.reshape(o.size, POINTS, o.size, POINTS).mean((1, 3))
        smooth = ndimage.gaussian_filter(value, 0.6 / pixel)
        value = smooth + o.sharp * (smooth - ndimage.gaussian_filter(value, 1.2 / pixel))
        values.append(value)
        kinds.append(kind[POINTS // 2::POINTS, POINTS // 2::POINTS])
    values = np.stack(values)
    return np.rint(values + rng.normal(0, o.noise, values.shape)).clip(-1024, 3071).astype(np.int16), np.stack(kinds)


def write_slice(o, k, stored, number):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"{UID}.{o.seed}.3.{k + 1}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = (f"{UID}.{o.seed}.{n}" for n in (1, 2, 4))
    ds.Modality, ds.PatientName, ds.PatientID, ds.StudyID = "CT", "Phantom^Trunk", "TRUNK1", "1"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20200101", "120000", ""
    ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName = "", "", ""
    ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription = 1, number, "Trunk phantom"
    ds.ImageType, ds.SliceThickness = ["ORIGINAL", "PRIMARY", "AXIAL"], f"{o.increment:g}"
    pixel = o.fov / o.size
    corner, sign = ((o.fov - pixel) / 2, -1) if o.mirrored else ((pixel - o.fov) / 2, 1)
    ds.ImagePositionPatient = [f"{corner:.4f}"] * 2 + [f"{o.bottom + k * o.increment:g}"]
    ds.ImageOrientationPatient, ds.PixelSpacing = [sign, 0, 0, 0, sign, 0], [f"{pixel:.6f}"] * 2
    ds.Rows, ds.Columns = stored.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "HU"
    ds.PixelData = (stored[::-1, ::-1] if o.mirrored else stored).astype("<i2").tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = CTImageStorage, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.save_as(o.out / f"im-{number:03d}.dcm", write_like_original=False)


def parse(arguments=None):
    p = argparse.ArgumentParser()
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--size", type=int, default=192, help="rows and columns")
    p.add_argument("--fov", type=float, default=400.0, help="mm")
    p.add_argument("--increment", type=float, default=4.0, help="mm between slices")
    p.add_argument("--bottom", type=float, default=-60.0, help="z of the lowest slice, mm")
    p.add_argument("--top", type=float, default=170.0, help="z of the highest slice, mm")
    p.add_argument("--noise", type=float, default=12.0, help="standard deviation, HU")
    p.add_argument("--contrast", type=float, default=0.0, help="attenuation of blood, HU; 0: none")
    p.add_argument("--shift", type=float, default=0.0, help="mm that the middle of the image lies left of the patient's")
    p.add_argument("--sharp", type=float, default=0.0, help="how much a sharp kernel adds at edges")
    for name in ("metal", "arms", "cushion", "gas", "effusion", "calcified"):
        p.add_argument(f"--{name}", action="store_true")
    p.add_argument("--mirrored", action="store_true", help="columns run to the right, rows to the front")
    p.add_argument("--down", action="store_true", help="instances numbered from the head down")
    p.add_argument("--table", action=argparse.BooleanOptionalAction, default=True)
    return p.parse_args(arguments)


def write(o, values, kinds):
    """The series of painted values, as the options say it is stored."""
    o.out.mkdir(parents=True, exist_ok=True)
    for k, stored in enumerate(values):
        write_slice(o, k, stored, len(values) - k if o.down else k + 1)
    ml = (o.fov / o.size) ** 2 * o.increment / 1000
    truth = {name: float(np.count_nonzero(kinds == n) * ml) for n, name in enumerate(STRUCTURES) if n} | {"voxel_ml": ml}
    (o.out / "truth.json").write_text(json.dumps(truth))
    np.save(o.out / "truth.npy", kinds)


if __name__ == "__main__":
    options = parse()
    write(options, *paint(options))
