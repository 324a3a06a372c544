#!/usr/bin/python3
"""MR of a head as a DICOM series: of a volume as it is, or painted from a label map.

usage: head.py OUT --labels FILE [options]      OUT gets im-001.dcm ..., truth.json (volumes in mL) and truth.npy

The truth is the label map that it was painted from, so that it shares no code with the program under test. truth.npy
names each voxel by the index of its tissue in CLASSES, [slice][row][column] as the series is stored. FILE is a NIfTI
of FreeSurfer's labels, those from 500 up being what lies around the brain. Signals, bias field and noise follow
from the seed.
"""
import argparse
import gzip
import json
import pathlib
import struct

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

UID = "1.2.826.0.1.3680043.8.498.79"
# Of labels of FreeSurfer: tissue, and mean signal on T1 (white matter is 1). What is named nowhere is air.
WHITE, GREY, FLUID, SOFT, BONE = "white", "grey", "fluid", "soft", "bone"
T1 = {WHITE: 1.0, GREY: 0.68, FLUID: 0.25, SOFT: 0.62, BONE: 0.2}
TISSUE = {**dict.fromkeys((2, 41, 7, 46, 16, 77, 251, 252, 253, 254, 255, 28, 60), WHITE),
          **dict.fromkeys((3, 42, 8, 47, 10, 49, 11, 50, 12, 51, 13, 52, 17, 53, 18, 54, 26, 58), GREY),
          **dict.fromkeys((4, 43, 5, 44, 14, 15, 24), FLUID)}
# What is painted around them: muscle and fat, skin, mucosa, glands; eyes; vessels; compact bone; marrow, which is fat.
AROUND = {**dict.fromkeys((507, 508, 509, 511, 85, 530), SOFT), 512: WHITE, **dict.fromkeys((506, 502, 514, 30, 62, 72), FLUID), 515: BONE, 516: SOFT}
CLASSES = ("other", WHITE, GREY)


def read_nifti(path):
    """Voxels [i, j, k] and the affine to RAS mm of a little-endian NIfTI-1."""
    data = gzip.open(path).read()
    dim = struct.unpack("<8h", data[40:56])
    code = struct.unpack("<h", data[70:72])[0]
    dtype = {2: "<u1", 4: "<i2", 8: "<i4", 16: "<f4", 512: "<u2"}[code]
    offset = int(struct.unpack("<f", data[108:112])[0])
    shape = dim[1:4]
    voxels = np.frombuffer(data, dtype, int(np.prod(shape)), offset).reshape(shape, order="F")
    affine = np.vstack([np.array(struct.unpack("<12f", data[280:328])).reshape(3, 4), [0, 0, 0, 1]])
    return voxels, affine


def write_series(folder, voxels, affine, slices=2, te_ms=3.0, flip=(), number=1):
    """A series whose slices lie along axis `slices` of voxels; rows and columns are the others in their order.
    flip: axes whose index is turned round, which moves no voxel in the patient. Returns the affine to LPS of
    (column, row, slice)."""
    folder.mkdir(parents=True, exist_ok=True)
    lps = np.diag([-1, -1, 1, 1.0]) @ affine
    for axis in flip:
        voxels = np.flip(voxels, axis)
        turn = np.eye(4)
        turn[axis, axis], turn[axis, 3] = -1, voxels.shape[axis] - 1
        lps = lps @ turn
    order = [a for a in range(3) if a != slices] + [slices]
    voxels, lps = np.transpose(voxels, order), lps[:, order + [3]]
    steps = np.linalg.norm(lps[:3, :3], axis=0)
    stored = np.clip(np.rint(voxels), 0, 32767).astype("<u2")
    for k in range(stored.shape[2]):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, f"{UID}.{number}.3.{k + 1}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = f"{UID}.{number}.1", f"{UID}.{number}.2", f"{UID}.{number}.4"
        ds.Modality, ds.PatientName, ds.PatientID, ds.StudyID = "MR", "Phantom^Head", "HEAD1", "1"
        ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20200101", "120000", ""
        ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName, ds.PatientPosition = "", "", "", "HFS"
        ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription = number, k + 1, "T1 head phantom"
        ds.ImageType, ds.SliceThickness = ["ORIGINAL", "PRIMARY", "M", "ND"], f"{steps[2]:g}"
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = "GR", "SP", "", "3D"
        ds.RepetitionTime, ds.EchoTime, ds.InversionTime, ds.FlipAngle = "2300", f"{te_ms:g}", "900", "9"
        ds.EchoTrainLength, ds.Manufacturer, ds.MagneticFieldStrength = 1, "Phantom", "3"
        ds.ImagePositionPatient = [f"{v:.6g}" for v in (lps @ [0, 0, k, 1])[:3]]
        ds.ImageOrientationPatient = [f"{v:.6g}" for v in np.concatenate([lps[:3, 0] / steps[0], lps[:3, 1] / steps[1]])]
        ds.PixelSpacing = [f"{steps[1]:g}", f"{steps[0]:g}"]
        ds.PositionReferenceIndicator = ""
        ds.Columns, ds.Rows = stored.shape[0], stored.shape[1]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        ds.PixelData = np.ascontiguousarray(stored[:, :, k].T).tobytes()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = MRImageStorage, ds.SOPInstanceUID
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.is_little_endian, ds.is_implicit_VR = True, False
        ds.save_as(folder / f"im-{k + 1:03d}.dcm", write_like_original=False)
    return lps


def classes_of(labels):
    """Index in CLASSES of each voxel of a label map."""
    found = np.zeros(labels.shape, np.uint8)
    for number, name in enumerate(CLASSES):
        found[np.isin(labels, [label for label, tissue in TISSUE.items() if tissue == name])] = number
    return found


def paint(labels, o):
    """Signals of a label map, as a scanner of the seed's contrast, bias field and noise gives them."""
    from scipy import ndimage  # of those who paint only
    rng = np.random.default_rng(o.seed)
    contrast = {WHITE: 1.0, GREY: rng.uniform(0.62, 0.74), FLUID: rng.uniform(0.15, 0.3), SOFT: rng.uniform(0.45, 0.8), BONE: rng.uniform(0.05, 0.2)}
    if o.inverted:
        contrast |= {WHITE: 0.55, GREY: 0.75, FLUID: 1.3}
    value = np.zeros(labels.shape, np.float32)
    for label, tissue in {**TISSUE, **AROUND}.items():
        value[labels == label] = contrast[tissue] * rng.normal(1, 0.03)
    if o.stripped:
        value[~np.isin(labels, list(TISSUE))] = 0
    value = ndimage.gaussian_filter(value, o.blur)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in labels.shape), indexing="ij", sparse=True)
    a = rng.uniform(-1, 1, 6) * o.bias / 2
    value *= np.exp(a[0] * x + a[1] * y + a[2] * z + a[3] * x * y + a[4] * y * z + a[5] * (x * x - y * y))
    noise = rng.normal(0, o.noise, (2, *labels.shape)).astype(np.float32)
    return 600 * np.hypot(value + noise[0], noise[1])


def parse(arguments=None):
    p = argparse.ArgumentParser()
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--labels", type=pathlib.Path, required=True)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--noise", type=float, default=0.03, help="standard deviation; white matter is 1")
    p.add_argument("--bias", type=float, default=0.3, help="how far the field of the coil varies")
    p.add_argument("--blur", type=float, default=0.5, help="standard deviation, voxels")
    p.add_argument("--slices", type=int, default=2, choices=(0, 1, 2), help="axis of the label map along which slices lie")
    p.add_argument("--thick", type=int, default=1, help="voxels of the label map a slice")
    p.add_argument("--cut", type=int, default=0, help="voxels left out at either end of the slices' axis")
    p.add_argument("--flip", type=int, action="append", default=[], help="axis that is turned round")
    p.add_argument("--inverted", action="store_true", help="grey matter brighter than white")
    p.add_argument("--stripped", action="store_true", help="nothing around the brain")
    return p.parse_args(arguments)


def slabs(voxels, axis, thick):
    """Means of so many neighbouring slices."""
    moved = np.moveaxis(voxels, axis, 0)
    moved = moved[:len(moved) // thick * thick]
    return np.moveaxis(moved.reshape(-1, thick, *moved.shape[1:]).mean(1), 0, axis)


def main(o):
    labels, affine = read_nifti(o.labels)
    keep = [slice(None)] * 3
    keep[o.slices] = slice(o.cut, labels.shape[o.slices] - o.cut)
    value, kinds = paint(labels, o)[tuple(keep)], classes_of(labels)[tuple(keep)]
    affine[:3, 3] += affine[:3, o.slices] * (o.cut + (o.thick - 1) / 2)
    affine[:3, o.slices] *= o.thick
    value = slabs(value, o.slices, o.thick)
    parts = np.stack([slabs((kinds == n).astype(np.float32), o.slices, o.thick) for n in range(len(CLASSES))])
    write_series(o.out, value, affine, o.slices, flip=o.flip)
    kinds = np.flip(parts.argmax(0), o.flip).astype(np.uint8)
    order = [a for a in range(3) if a != o.slices]
    np.save(o.out / "truth.npy", np.transpose(kinds, [o.slices, *reversed(order)]))
    ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    truth = {name: float(np.count_nonzero(kinds == n) * ml) for n, name in enumerate(CLASSES) if n} | {"voxel_ml": ml}
    (o.out / "truth.json").write_text(json.dumps(truth))


if __name__ == "__main__":
    main(parse())
