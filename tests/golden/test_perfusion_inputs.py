#!/usr/bin/python3
"""However a perfusion scan comes, it has the same numbers: as one series, one for each point in time or one for each slab, as
one object of many frames, beside other series of its study, and mixed with another study.
"""
import copy
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
import pydicom  # noqa: E402
from phantom import perfusion  # noqa: E402
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.sequence import Sequence  # noqa: E402
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian  # noqa: E402
from results import Result  # noqa: E402

SLICES = 4
UID = "1.2.826.0.1.3680043.8.498.79"


def key(path):
    """Point in time and slice."""
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    return int(ds.AcquisitionNumber) - 1, (int(ds.InstanceNumber) - 1) % SLICES


def resort(files, folder, series_of):
    """The same images in the series that series_of(point, slice) names by a number."""
    folder.mkdir()
    for path in files:
        ds = pydicom.dcmread(path)
        number = series_of(*key(path))
        ds.SeriesNumber, ds.SeriesInstanceUID = number, f"{UID}.1.{number}"
        ds.save_as(folder / path.name, write_like_original=False)
    return peers.dicom_files(folder)


def groups(**sequences):
    ds = Dataset()
    for name, item in sequences.items():
        setattr(ds, name, Sequence([item]))
    return ds


def item(**values):
    ds = Dataset()
    for name, value in values.items():
        setattr(ds, name, value)
    return ds


def enhance(files, path):
    """All images as the frames of one Enhanced CT object, the last ones first."""
    images = sorted((pydicom.dcmread(f) for f in files), key=lambda d: -int(d.InstanceNumber))
    first = images[0]
    ds = Dataset()
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "Modality", "PatientName", "PatientID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber",
                 "PatientBirthDate", "PatientSex", "ReferringPhysicianName", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
                 "BitsStored", "HighBit", "PixelRepresentation", "SeriesDescription", "PatientPosition", "ImageType"):
        setattr(ds, name, copy.deepcopy(getattr(first, name)))
    ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID = EnhancedCTImageStorage, f"{UID}.9.1", f"{UID}.9.2"
    ds.SeriesNumber, ds.InstanceNumber, ds.NumberOfFrames = 1, 1, len(images)
    ds.ContentDate, ds.ContentTime, ds.AcquisitionDateTime = "20200101", "120000", "20200101120000"
    ds.ImageType[3:] = ["NONE"]
    ds.PixelPresentation, ds.VolumetricProperties, ds.VolumeBasedCalculationTechnique = "MONOCHROME", "VOLUME", "NONE"
    ds.PixelData = b"".join(d.PixelData for d in images)
    ds.SharedFunctionalGroupsSequence = Sequence([groups(
        PixelMeasuresSequence=item(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness),
        PlaneOrientationSequence=item(ImageOrientationPatient=first.ImageOrientationPatient),
        CTImageFrameTypeSequence=item(FrameType=["ORIGINAL", "PRIMARY", "AXIAL", "NONE"]),
        CTReconstructionSequence=item(ConvolutionKernel=first.ConvolutionKernel),
        CTXRayDetailsSequence=item(KVP=first.KVP),
        PixelValueTransformationSequence=item(RescaleIntercept=0, RescaleSlope=1, RescaleType="HU"))])
    ds.PerFrameFunctionalGroupsSequence = Sequence([groups(
        FrameContentSequence=item(FrameAcquisitionDateTime=f"20200101{d.AcquisitionTime}", TemporalPositionIndex=int(d.AcquisitionNumber)),
        PlanePositionSequence=item(ImagePositionPatient=d.ImagePositionPatient)) for d in images])
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.save_as(path, write_like_original=False)


def maps(result):
    return {p.name: pydicom.dcmread(p).FloatPixelData for p in sorted(result.out.glob("*-pmap-*.dcm"))}


def uids(folder):
    return sorted(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in folder.rglob("*.dcm"))


class Inputs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="anode-perfusion-inputs-")
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        o = perfusion.arguments([str(cls.folder / "one"), "--seed", "2", "--slices", str(SLICES), "--step", "2"])
        perfusion.make(o)
        cls.files = peers.dicom_files(o.out)
        cls.one = Result(cls.files, cls.folder / "one-out", "perfusion")
        cls.points = resort(cls.files, cls.folder / "points", lambda point, k: point + 1)
        cls.of_points = Result(cls.points, cls.folder / "points-out", "perfusion")

    def same(self, result):
        self.assertEqual(self.one.entry["verdict"], "done", self.one.entry["reason"])
        self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
        self.assertGreater(max(m["value"] for m in self.one.entry["measurements"]), 10)
        self.assertEqual(result.entry["measurements"], self.one.entry["measurements"])
        self.assertEqual(maps(result), maps(self.one))
        self.assertEqual(len(maps(result)), 5)

    def test_a_series_for_each_point(self):
        self.same(self.of_points)
        self.assertEqual(len(self.of_points.entry["series"]), len({key(f)[0] for f in self.points}))
        self.assertEqual(self.of_points.entry["exclusions"], self.one.entry["exclusions"])

    def test_a_series_for_each_slab(self):
        self.same(Result(resort(self.files, self.folder / "slabs", lambda point, k: 1 + k // 2), self.folder / "slabs-out", "perfusion"))

    def test_an_object_of_many_frames(self):
        (self.folder / "frames").mkdir()
        enhance(self.files, self.folder / "frames" / "all.dcm")
        result = Result(peers.dicom_files(self.folder / "frames"), self.folder / "frames-out", "perfusion")
        self.same(result)

    def test_other_series_of_the_study_are_set_aside(self):
        """A scan before it with the same geometry, and the same scan with another kernel at half the points."""
        extra = self.folder / "beside"
        extra.mkdir()
        for path in self.files:
            point, k = key(path)
            ds = pydicom.dcmread(path)
            if point == 0:  # four minutes before
                ds.SeriesInstanceUID, ds.SOPInstanceUID, ds.AcquisitionTime, ds.SeriesDescription = f"{UID}.5.1", f"{UID}.5.2.{k + 1}", "115600", "Head plain"
            elif point % 2:
                ds.SeriesInstanceUID, ds.SOPInstanceUID, ds.ConvolutionKernel, ds.SeriesDescription = f"{UID}.6.1", f"{UID}.6.2.{ds.InstanceNumber}", "H60f", "sharp"
            else:
                continue
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            ds.save_as(extra / path.name, write_like_original=False)
        result = Result(self.files + peers.dicom_files(extra), self.folder / "beside-out", "perfusion")
        self.same(result)
        print([(e["what"], e["reason"]) for e in result.entry["exclusions"]])
        self.assertEqual(sorted(e["what"].split(" (")[0] for e in result.entry["exclusions"]), ["Head plain", "sharp"])

    def test_two_scans_alike_are_not_chosen_between(self):
        again = self.folder / "again"
        again.mkdir()
        for path in self.files:
            ds = pydicom.dcmread(path)
            ds.SeriesInstanceUID, ds.SOPInstanceUID, ds.AcquisitionTime = f"{UID}.7.1", f"{UID}.7.2.{ds.InstanceNumber}", f"13{ds.AcquisitionTime[2:]}"
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            ds.save_as(again / path.name, write_like_original=False)
        result = Result(self.files + peers.dicom_files(again), self.folder / "again-out", "perfusion")
        self.assertEqual(result.entry["verdict"], "not evaluable")
        self.assertIn("two scans of 136 images over time", result.entry["reason"])

    def test_mixed_with_another_study_each_has_its_own(self):
        """The same objects, to the UID, as each study has alone, whatever the order."""
        o = perfusion.arguments([str(self.folder / "two"), "--seed", "3", "--slices", str(SLICES), "--step", "2", "--lesion", "none"])
        perfusion.make(o)
        other = peers.dicom_files(o.out)
        alone = Result(other, self.folder / "two-out", "perfusion")
        files = self.points + other
        random.Random(1).shuffle(files)
        done = subprocess.run([peers.ANODE, "analyze", "-s", "perfusion", "-o", self.folder / "mixed-out", *map(str, files)],
                              capture_output=True, text=True, timeout=peers.HANG_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        mixed = uids(self.folder / "mixed-out")
        self.assertEqual(mixed, sorted(uids(alone.out) + uids(self.of_points.out)))
        self.assertEqual(len(set(mixed)), len(mixed))


if __name__ == "__main__":
    unittest.main()
