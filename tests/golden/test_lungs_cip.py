#!/usr/bin/python3
"""A real chest CT with labels made by others, and the densities counted again by numpy in the label
map that the analysis wrote. Skipped where the data are absent."""
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ANODE = os.environ.get("ANODE", "build/anode")
SOURCE = pathlib.Path(os.environ.get("ANODE_TEST_DATA", "../shared/data")) / "ct" / "cip_chest64"
ROOT = "1.2.826.0.1.3680043.8.498.64"
DICE = 0.93
DIGITS = (0, 1, 2, 2, 0)  # after the point, as the report has them


def nrrd(name):
    """Voxels [slice][row][column], spacing and origin along x, y, z."""
    header, data = (SOURCE / name).read_bytes().split(b"\n\n", 1)
    fields = dict(line.split(": ", 1) for line in header.decode().splitlines() if ": " in line)
    sizes = [int(n) for n in fields["sizes"].split()]
    kind = {"short": "<i2", "unsigned short": "<u2"}[fields["type"]]
    rows = [[float(n) for n in row.strip("()").split(",")] for row in fields["space directions"].split()]
    origin = [float(n) for n in fields["space origin"].strip("()").split(",")]
    voxels = np.frombuffer(gzip.decompress(data), kind).reshape(sizes[::-1])
    return voxels, [rows[n][n] for n in range(3)], origin


def write_series(voxels, spacing, origin, folder):
    folder.mkdir()
    for k, plane in enumerate(voxels):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"{ROOT}.3.{k + 1}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.4"
        ds.Modality, ds.PatientName, ds.PatientID, ds.StudyID = "CT", "Chest^64", "CIP64", "1"
        ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20200101", "120000", ""
        ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName = "", "", ""
        ds.SeriesNumber, ds.InstanceNumber = 1, k + 1
        ds.ImageType, ds.SliceThickness = ["DERIVED", "SECONDARY", "AXIAL"], f"{spacing[2]:.4f}"
        ds.ImagePositionPatient = [f"{v:.4f}" for v in (origin[0], origin[1], origin[2] + k * spacing[2])]
        ds.ImageOrientationPatient, ds.PixelSpacing = [1, 0, 0, 0, 1, 0], [f"{spacing[1]:.6f}", f"{spacing[0]:.6f}"]
        ds.Rows, ds.Columns = plane.shape
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "HU"
        ds.PixelData = plane.astype("<i2").tobytes()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = CTImageStorage, ds.SOPInstanceUID
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.is_little_endian, ds.is_implicit_VR = True, False
        ds.save_as(folder / f"{k + 1:04d}.dcm", write_like_original=False)


def read_nifti(path):
    """Voxels [slice][row][column]."""
    data = path.read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    dim = np.frombuffer(data, "<i2", 8, 40)
    kind = {2: "u1", 4: "<i2", 512: "<u2"}[int(np.frombuffer(data, "<i2", 1, 70)[0])]
    start = int(np.frombuffer(data, "<f4", 1, 108)[0])
    return np.frombuffer(data, kind, int(np.prod(dim[1:4])), start).reshape(dim[3:0:-1])


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


class Cip(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="anode-lungs-")
        cls.addClassCleanup(scratch.cleanup)
        folder = pathlib.Path(scratch.name)
        cls.hu, cls.spacing, origin = nrrd("ct-64.nrrd")
        cls.truth = nrrd("lm-64.nrrd")[0]
        write_series(cls.hu, cls.spacing, origin, folder / "in")
        subprocess.run([ANODE, "analyze", "-s", "lungs", "--nifti", "-o", folder / "out", folder / "in"], check=True, timeout=1800)
        cls.entry = json.loads((folder / "out" / "report.json").read_text())["results"][0]
        maps = list((folder / "out").rglob("*.nii*"))
        assert len(maps) == 1, maps
        cls.labels = read_nifti(maps[0])

    def test_lungs_are_those_of_the_labels(self):
        self.assertEqual(self.entry["verdict"], "done", self.entry["reason"])
        mine = (self.labels == 1) | (self.labels == 2)
        found = dice(mine, self.truth_lung())
        print(f"Dice of both lungs {found:.4f}")
        self.assertGreaterEqual(found, DICE)

    def truth_lung(self):
        # The label map names a region in the low byte and a structure, such as an airway, in the high one.
        region = self.truth & 0xFF
        return region > 0

    def test_right_and_left_are_the_patients(self):
        middle = np.mean(np.nonzero(self.labels == 1)[2]), np.mean(np.nonzero(self.labels == 2)[2])
        self.assertLess(middle[0], middle[1])  # x grows to the left

    def test_densities_equal_a_count_in_the_label_map(self):
        groups = {"Right lung": self.labels == 1, "Left lung": self.labels == 2, "Lungs": (self.labels == 1) | (self.labels == 2)}
        for name, mask in groups.items():
            values = np.sort(self.hu[mask].astype(int))
            wanted = [values.size * np.prod(self.spacing) / 1000, values.mean(), 100 * np.mean(values < -950), 100 * np.mean(values < -910),
                      values[int(np.ceil(0.15 * values.size)) - 1]]
            found = [m["value"] for m in self.entry["measurements"] if m["group"] == name]
            self.assertEqual(len(found), len(wanted), name)
            for value, right, digits in zip(found, wanted, DIGITS):
                self.assertLessEqual(abs(value - right), 0.5 * 10**-digits + 1e-6, (name, found, wanted))
            self.assertEqual(found[4], wanted[4], name)


if __name__ == "__main__":
    if not SOURCE.is_dir():
        print(f"skipped: {SOURCE} is absent")
        sys.exit(77)
    unittest.main()
