#!/usr/bin/python3
"""DSC-MR of a head that is computed from its own blood flow, and the truth about it.

usage: dsc.py OUT [--noise N] [--seed N] [--leak K] [--late S] [--no-contrast] [--points N] [--step S] [--echo MS] [--late-start] [--unsteady]

OUT gets *.dcm, truth.json and labels.npz. A brain of two tissues, an artery and a vein in three slices; a piece of one side has its inflow
--late seconds later (default 9), another has the flow of its tissue and leaks: what leaks out lowers the change of R2* by --leak times the
integral of the curve (1/s). Tissue is the arterial curve convolved with an exponential every 0.05 s. Noise is in parts of the signal.
"""
import argparse
import json
import pathlib

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

UID = "1.2.826.0.1.3680043.8.498.82"
SIZE, PIXEL_MM, SLICES, THICK_MM, FINE_S, S0, KH_RHO = 96, 2.2, 4, 5.0, 0.05, 4000.0, 0.733 / 1.04
L_AIR, L_WHITE, L_GREY, L_LATE, L_LEAK, L_ARTERY, L_VEIN = range(7)
FLOW = {L_WHITE: (25, 2.2), L_GREY: (60, 4.2), L_LATE: (25, 2.6), L_LEAK: (60, 4.2)}  # mL/100 g/min, mL/100 g
NATIVE = [0, 0.8, 1.0, 0.8, 1.0, 0.9, 0.9]


def arguments(words=None):
    p = argparse.ArgumentParser()
    p.add_argument("out", type=pathlib.Path)
    for name, kind, default in (("noise", float, 0.0), ("seed", int, 1), ("leak", float, 0.02), ("late", float, 9), ("points", int, 50), ("step", float, 1.5), ("echo", float, 30)):
        p.add_argument(f"--{name}", type=kind, default=default)
    for name in ("no-contrast", "late-start", "unsteady"):
        p.add_argument(f"--{name}", action="store_true")
    return p.parse_args(words)


def anatomy():
    at = (np.arange(SIZE) + 0.5) * PIXEL_MM - SIZE * PIXEL_MM / 2
    y, x = np.meshgrid(at, at, indexing="ij")
    labels = np.full((SIZE, SIZE), L_AIR)
    r = np.hypot(x / 66, y / 82)
    labels[r <= 1] = L_GREY
    labels[r <= 0.78] = L_WHITE
    labels[(np.hypot((x - 38) / 20, y / 26) <= 1) & (labels == L_WHITE)] = L_LATE
    labels[(np.hypot((x + 38) / 15, (y - 10) / 18) <= 1)] = L_LEAK
    for cx, cy in ((-12, -45), (12, -45), (0, -62)):
        labels[np.hypot(x - cx, y - cy) <= 3.6] = L_ARTERY
    labels[np.hypot(x, y - 74) <= 5.5] = L_VEIN
    return labels


def curves(o):
    """Change of R2* of each label, 1/s, every FINE_S."""
    t = np.arange(0, o.points * o.step + 1, FINE_S)
    found = np.zeros((7, len(t)))
    if o.no_contrast:
        return found
    u = np.maximum(t - (1 if o.late_start else 18), 0)
    artery = 60 * (u / 4.2) ** 3 * np.exp(3 * (1 - u / 4.2))
    found[L_ARTERY] = artery
    found[L_VEIN] = np.roll(np.convolve(artery, np.exp(-t / 4) / 4 * FINE_S)[:len(t)], int(3 / FINE_S))
    for label, (flow, volume) in FLOW.items():
        curve = np.convolve(artery, np.exp(-t * flow / (60 * volume)) * FINE_S)[:len(t)] * flow / (6000 * KH_RHO)
        found[label] = np.roll(curve, int(o.late / FINE_S)) if label == L_LATE else curve
    found[L_LEAK] -= o.leak * np.cumsum(found[L_LEAK]) * FINE_S
    return found


def write_image(o, name, values, k, number, time):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, f"{UID}.{o.seed}.3.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = f"{UID}.{o.seed}.1", f"{UID}.{o.seed}.2", f"{UID}.{o.seed}.4"
    ds.Modality, ds.PatientName, ds.PatientID, ds.StudyID = "MR", "Phantom^Susceptibility", "DSC1", "1"
    ds.StudyDate = ds.AcquisitionDate = "20200101"
    ds.StudyTime, ds.AccessionNumber, ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName = "120000", "", "", "", ""
    ds.AcquisitionTime = f"12{int(time // 60):02d}{time % 60:09.6f}"
    ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription, ds.BodyPartExamined = 1, number, "DSC phantom", "BRAIN"
    ds.ImageType, ds.SliceThickness, ds.MagneticFieldStrength = ["ORIGINAL", "PRIMARY", "M"], f"{THICK_MM:g}", "3"
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = ["EP", "GR"], ["SK"], "", "2D"
    ds.RepetitionTime, ds.EchoTime, ds.FlipAngle, ds.EchoTrainLength = f"{1000 * o.step:g}", f"{o.echo:g}", "60", "64"
    ds.ImagePositionPatient = [f"{(PIXEL_MM - SIZE * PIXEL_MM) / 2:g}"] * 2 + [f"{k * THICK_MM:g}"]
    ds.ImageOrientationPatient, ds.PixelSpacing, ds.PatientPosition = [1, 0, 0, 0, 1, 0], [f"{PIXEL_MM:g}"] * 2, "HFS"
    ds.Rows, ds.Columns = values.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = np.rint(values).astype("<u2").tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = MRImageStorage, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.save_as(o.out / name, write_like_original=False)


def make(o):
    """Writes the series and returns the truth and the labels of each slice."""
    o.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(o.seed)
    labels, found = anatomy(), curves(o)
    native = S0 * np.array(NATIVE)[labels]
    for p in range(o.points):
        change = found[:, min(int(round(p * o.step / FINE_S)), found.shape[1] - 1)]
        for k in range(SLICES):
            values = native * np.exp(-o.echo / 1000 * change[labels]) * (1.4 if o.unsteady and p == 0 else 1.1 if o.unsteady and p == 1 else 1)
            if o.noise:
                values = np.hypot(values + rng.normal(0, o.noise * S0, values.shape), rng.normal(0, o.noise * S0, values.shape))
            write_image(o, f"im-{p:03d}-{k}.dcm", values, k, p * SLICES + k + 1, p * o.step)
    voxel = PIXEL_MM**2 * THICK_MM / 1000 * SLICES
    truth = {"late_ml": float((labels == L_LATE).sum() * voxel), "flow": {str(n): v for n, v in FLOW.items()}}
    (o.out / "truth.json").write_text(json.dumps(truth))
    np.savez_compressed(o.out / "labels.npz", labels=labels)
    return truth, labels


if __name__ == "__main__":
    make(arguments())
