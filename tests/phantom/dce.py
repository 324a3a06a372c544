#!/usr/bin/python3
"""Dynamic contrast-enhanced MR of known leakage, after the digital reference object of QIBA: tiles of Ktrans by ve, an artery, and
images at several flip angles before it.

usage: dce.py OUT [--noise N] [--vp V] [--points N] [--step S] [--angles A...] [--no-contrast] [--late-start] [--echo MS] [--epi]
                  [--one-series] [--series-each] [--relaxivity R] [--gain-drift P]

OUT gets *.dcm and truth.json. Tissue is the extended model of Tofts, convolved every 0.05 s with the exponential itself, where the
program fits integrals; signal is that of a spoiled gradient echo. Each column of tiles has a T1 of its own. Noise is in parts of the signal
of tissue before contrast. The artery is a block at the lower edge, its curve none that the program knows.
"""
import argparse
import json
import pathlib

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

UID = "1.2.826.0.1.3680043.8.498.81"
KTRANS = (0.02, 0.05, 0.1, 0.2, 0.35)  # 1/min: rows of tiles
VE = (0.1, 0.2, 0.35, 0.5)  # columns
T1_S = (0.8, 1.0, 1.2, 1.5)  # of the same columns
BLOOD_T1_S, HEMATOCRIT, TILE, SLICES, PIXEL_MM, THICK_MM = 1.5, 0.45, 10, 3, 1.5, 5.0
TR_S, TE_S, FLIP_DEG, M0, FINE_S = 0.005, 0.002, 20.0, 150000.0, 0.05
L_AIR, L_REST, L_ARTERY, L_TILE = 0, 1, 2, 3  # tile n: L_TILE + n


def arguments(words=None):
    p = argparse.ArgumentParser()
    p.add_argument("out", type=pathlib.Path)
    for name, kind, default in (("noise", float, 0), ("vp", float, 0), ("points", int, 90), ("step", float, 3), ("echo", float, 1000 * TE_S), ("relaxivity", float, 4.5),
                                ("gain-drift", float, 0), ("seed", int, 1)):
        p.add_argument(f"--{name}", type=kind, default=default)
    p.add_argument("--angles", type=float, nargs="*", default=[2, 5, 10, 15])
    for name in ("no-contrast", "late-start", "epi", "one-series", "series-each"):
        p.add_argument(f"--{name}", action="store_true")
    return p.parse_args(words)


def plasma(o, t):
    """mmol/L: a first pass, a second, and slow loss."""
    u = np.maximum(t - (2 if o.late_start else 24), 0)
    first = (u / 7.5) ** 3 * np.exp(3 * (1 - u / 7.5))
    again = np.maximum(u - 12, 0) / 14
    return 0 * t if o.no_contrast else 7 * first + 1.1 * again**2 * np.exp(2 * (1 - again)) * (again < 1) + 1.1 * (again >= 1) * np.exp(-np.maximum(u - 26, 0) / 400)


def convolve(cp, k):
    """Integral of cp with exp(-k t): k in 1/min, in mmol/L min."""
    out, step = np.zeros_like(cp), FINE_S / 60
    for n in range(1, len(cp)):
        out[n] = out[n - 1] * np.exp(-k * step) + step / 2 * (cp[n] + cp[n - 1] * np.exp(-k * step))
    return out


def spgr(rate, flip_deg, tr=TR_S):
    e = np.exp(-tr * rate)
    a = np.deg2rad(flip_deg)
    return M0 * np.sin(a) * (1 - e) / (1 - np.cos(a) * e)


def anatomy():
    """Labels [row][column] of each slice, T1 of each label."""
    rows, columns = (len(KTRANS) + 2) * TILE, (len(VE) + 2) * TILE
    labels = np.full((rows, columns), L_AIR)
    labels[3:-3, 3:-3] = L_REST
    t1 = {L_AIR: 1.0, L_REST: 1.1, L_ARTERY: BLOOD_T1_S}
    for i in range(len(KTRANS)):
        for j in range(len(VE)):
            n = L_TILE + i * len(VE) + j
            labels[(i + 1) * TILE - 5:(i + 2) * TILE - 5, (j + 1) * TILE:(j + 2) * TILE] = n
            t1[n] = T1_S[j]
    labels[-13:-7, 12:30] = L_ARTERY
    return labels, t1


def write_image(o, name, values, k, series, number, time, **more):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, f"{UID}.{o.seed}.3.{series}.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = f"{UID}.{o.seed}.1", f"{UID}.{o.seed}.2.{series}", f"{UID}.{o.seed}.4"
    ds.Modality, ds.PatientName, ds.PatientID, ds.StudyID = "MR", "Phantom^Dynamic", "DCE1", "1"
    ds.StudyDate = ds.AcquisitionDate = "20200101"
    ds.StudyTime, ds.AccessionNumber, ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName = "120000", "", "", "", ""
    ds.AcquisitionTime = f"12{int(time // 60):02d}{time % 60:09.6f}"
    ds.SeriesNumber, ds.InstanceNumber = series, number
    ds.ImageType, ds.SliceThickness, ds.MagneticFieldStrength = ["ORIGINAL", "PRIMARY", "M"], f"{THICK_MM:g}", "3"
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = ["GR"], ["SP", "SK"], "", "3D"
    ds.RepetitionTime, ds.EchoTime, ds.FlipAngle, ds.EchoTrainLength = f"{1000 * TR_S:g}", f"{o.echo:g}", f"{FLIP_DEG:g}", "1"
    ds.ImagePositionPatient, ds.ImageOrientationPatient = ["0", "0", f"{k * THICK_MM:g}"], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.PatientPosition = [f"{PIXEL_MM:g}"] * 2, "HFS"
    if o.epi:
        ds.ScanningSequence = ["EP", "GR"]
    for key, value in more.items():
        setattr(ds, key, value)
    ds.Rows, ds.Columns = values.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = np.rint(np.clip(values, 0, 65535)).astype("<u2").tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = MRImageStorage, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.save_as(o.out / name, write_like_original=False)


def make(o):
    """Writes the series and returns the truth."""
    o.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(o.seed)
    labels, t1 = anatomy()
    t = np.arange(0, o.points * o.step + 1, FINE_S)
    cp = plasma(o, t)
    curves = {L_AIR: 0 * t, L_REST: 0 * t, L_ARTERY: (1 - HEMATOCRIT) * cp}
    for i, k in enumerate(KTRANS):
        for j, ve in enumerate(VE):
            curves[L_TILE + i * len(VE) + j] = k * convolve(cp, k / ve) + o.vp * cp
    scale = np.where(labels == L_AIR, 0, 1)
    sigma = o.noise * spgr(1 / T1_S[1], FLIP_DEG)

    def image(rates, flip):
        values = np.array([spgr(rates[n], flip) for n in range(len(rates))])[labels] * scale
        return np.abs(values + rng.normal(0, 1, labels.shape) * sigma) if o.noise else values

    count = len(t1)
    before = [1 / t1[n] for n in range(count)]
    for a, flip in enumerate(o.angles):
        for k in range(SLICES):
            series = 1 if o.one_series else 10 + a
            write_image(o, f"angle-{a}-{k}.dcm", image(before, flip), k, series, 1 + a * SLICES + k, 20.0 * a, FlipAngle=f"{flip:g}", SeriesDescription=f"T1 map {flip:g}")
    for p in range(o.points):
        rates = [before[n] + o.relaxivity * curves[n][int(round(p * o.step / FINE_S))] for n in range(count)]
        for k in range(SLICES):
            series = 100 + p if o.series_each else 1
            values = image(rates, FLIP_DEG) * (1 + o.gain_drift * p / o.points)
            write_image(o, f"dynamic-{p}-{k}.dcm", values, k, series, 100 + p * SLICES + k, 100 + p * o.step, SeriesDescription="Dynamic")
    truth = {"ktrans": [k for k in KTRANS for _ in VE], "ve": list(VE) * len(KTRANS), "vp": o.vp, "t1_ms": [1000 * v for v in T1_S] * len(KTRANS), "noise": o.noise}
    (o.out / "truth.json").write_text(json.dumps(truth))
    np.savez_compressed(o.out / "labels.npz", labels=labels)
    return truth, labels


if __name__ == "__main__":
    make(arguments())
