#!/usr/bin/python3
"""Mammograms as headers have them, with pictures that are none: for tests of what is made of an exam,
not of what is found in it.

usage: exam.py OUT VIEW ...   VIEW: SIDE:POSITION[:WORD]..., as L:CC:top=3002 or R:MLO:magnified

  top=N         value of the brightest pixel, 3000 by default
  magnified, spot, implant, raw, nocode, noposition, flipped, partial, tomo   what the header says
All views of one series, but those with the word own.
"""
import pathlib
import sys

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

SHOWN, RAW = "1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.1.2.1"
UID = "1.2.826.0.1.3680043.8.498.81"
CODES = {"CC": ("399162004", "cranio-caudal"), "MLO": ("399368009", "medio-lateral oblique"), "ML": ("399260004", "medio-lateral")}
MODIFIERS = {"magnified": ("399163009", "Magnification"), "spot": ("399055006", "Spot Compression")}
ROWS, COLUMNS, PIXEL_MM = 300, 240, 0.1
ORIENTATIONS = {("L", "CC"): ["A", "R"], ("R", "CC"): ["P", "L"], ("L", "MLO"): ["A", "FR"], ("R", "MLO"): ["P", "FL"]}


def coded(value, scheme, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def view_of(position, words):
    item = coded(CODES[position][0], "SCT", CODES[position][1])
    item.ViewModifierCodeSequence = [coded(MODIFIERS[w][0], "SCT", MODIFIERS[w][1]) for w in words if w in MODIFIERS]
    return item


def ramp(number, words):
    top = next((int(w[4:]) for w in words if w.startswith("top=")), 3000)
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    pixels = (500 + x + y).astype("<u2")
    pixels[10, 5 + number] = top
    return pixels


def mammogram(path, number, side, position, words, pixels, pixel_mm=PIXEL_MM):
    """Writes an image. pixels: [rows][columns], 0 to 4095"""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RAW if "raw" in words else SHOWN
    meta.MediaStorageSOPInstanceUID = f"{UID}.3.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    d.is_little_endian, d.is_implicit_VR = True, False
    d.SOPClassUID, d.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    d.StudyInstanceUID, d.SeriesInstanceUID = f"{UID}.1", f"{UID}.2.{number if 'own' in words else 0}"
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = "EXAM^PHANTOM", "EXAM", "19600101", "F"
    d.StudyDate, d.StudyTime, d.StudyID, d.AccessionNumber = "20260101", "120000", "E1", "EA1"
    d.ContentDate, d.ContentTime = "20260101", f"1201{number:02}"
    d.ReferringPhysicianName, d.Modality, d.Manufacturer = "", "MG", "phantom"
    d.SeriesNumber, d.InstanceNumber = number if "own" in words else 1, number
    d.ImageType = ["ORIGINAL" if "raw" in words else "DERIVED", "PRIMARY", "TOMOSYNTHESIS" if "tomo" in words else ""]
    d.PresentationIntentType = "FOR PROCESSING" if "raw" in words else "FOR PRESENTATION"
    d.BodyPartExamined, d.ImageLaterality = "BREAST", side
    d.PatientOrientation = ORIENTATIONS.get(({"L": "R", "R": "L"}[side] if "flipped" in words else side, position), ["A", "F"])
    if "noposition" not in words:
        d.ViewPosition = position
    if "nocode" not in words:
        d.ViewCodeSequence = [view_of(position, words)]
    if "implant" in words:
        d.BreastImplantPresent = "YES"
    d.ImagerPixelSpacing = [pixel_mm, pixel_mm]
    d.PositionerPrimaryAngle = 45 if position == "MLO" else 0
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
    d.Rows, d.Columns, d.WindowCenter, d.WindowWidth = *pixels.shape, 2048, 4096
    d.RescaleSlope, d.RescaleIntercept, d.RescaleType = 1, 0, "US"
    d.PixelData = pixels.astype("<u2").tobytes()
    d.save_as(str(path), write_like_original=False)


def main(out, *views):
    folder = pathlib.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for number, view in enumerate(views, 1):
        side, position, *words = view.split(":")
        mammogram(folder / f"{number}.dcm", number, side, position, words, ramp(number, words))


if __name__ == "__main__":
    main(*sys.argv[1:])
