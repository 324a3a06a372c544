#!/usr/bin/python3
"""However a cine comes, it has the same numbers: all slices in one series, a series a slice, one object of many frames, phases in
another order. The same images give the same objects, to the UID and to the byte of what was measured.
"""
import copy
import pathlib
import random
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
import pydicom  # noqa: E402
from golden.test_cardiac import SMALL  # noqa: E402
from phantom import cardiac  # noqa: E402
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.sequence import Sequence  # noqa: E402
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian  # noqa: E402
from results import Result  # noqa: E402

UID = "1.2.826.0.1.3680043.8.498.79"
PHASES = 12
# By the heart rate, which an enhanced object has as an interval in whole ms.
OF_RATE = ("82799009", "54993008", "8867-4", "122616", "122618")


def place(path):
    """Slice and phase."""
    number = int(pydicom.dcmread(path, stop_before_pixels=True).InstanceNumber) - 1
    return number // PHASES, number % PHASES


def resave(files, folder, change):
    """The same images with a changed header; change(data set, slice, phase) may give a name for the file."""
    folder.mkdir()
    for path in files:
        ds = pydicom.dcmread(path)
        name = change(ds, *place(path))
        ds.save_as(folder / (name or path.name), write_like_original=False)
    return peers.dicom_files(folder)


def of_slices(ds, k, _):
    ds.SeriesNumber, ds.SeriesInstanceUID, ds.SeriesDescription = 20 + k, f"{UID}.1.{20 + k}", f"tfi_{k}_SA"


def of_phases(ds, _, p):
    ds.SeriesNumber, ds.SeriesInstanceUID = 40 + p, f"{UID}.1.{40 + p}"


def shuffle(order):
    """Numbers and names that tell another order than that of the trigger times."""
    def change(ds, k, p):
        ds.InstanceNumber = order[k * PHASES + p] + 1
        return f"{order[-1 - k * PHASES - p]:04d}.dcm"
    return change


def groups(**sequences):
    ds = Dataset()
    for name, values in sequences.items():
        item = Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        setattr(ds, name, Sequence([item]))
    return ds


def enhance(files, path):
    """All images as the frames of one Enhanced MR object, the last ones first."""
    images = sorted((pydicom.dcmread(f) for f in files), key=lambda d: -int(d.InstanceNumber))
    first = images[0]
    ds = Dataset()
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "Modality", "PatientName", "PatientID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber",
                 "PatientBirthDate", "PatientSex", "PatientWeight", "PatientSize", "ReferringPhysicianName", "Rows", "Columns", "SamplesPerPixel",
                 "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SeriesDescription", "ImageType"):
        setattr(ds, name, copy.deepcopy(getattr(first, name)))
    ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID = EnhancedMRImageStorage, f"{UID}.9.1", f"{UID}.9.2"
    ds.SeriesNumber, ds.InstanceNumber, ds.NumberOfFrames = 1, 1, len(images)
    ds.ContentDate, ds.ContentTime, ds.AcquisitionDateTime = "20200101", "120000", "20200101120000"
    ds.ImageType[3:] = ["NONE"]
    ds.PixelPresentation, ds.VolumetricProperties, ds.VolumeBasedCalculationTechnique = "MONOCHROME", "VOLUME", "NONE"
    ds.CardiacSynchronizationTechnique, ds.CardiacSignalSource = "RETROSPECTIVE", "ECG"
    ds.PixelData = b"".join(d.PixelData for d in images)
    ds.SharedFunctionalGroupsSequence = Sequence([groups(
        PixelMeasuresSequence={"PixelSpacing": first.PixelSpacing, "SliceThickness": first.SliceThickness},
        PlaneOrientationSequence={"ImageOrientationPatient": first.ImageOrientationPatient},
        MRImageFrameTypeSequence={"FrameType": ["ORIGINAL", "PRIMARY", "M", "NONE"]},
        PixelValueTransformationSequence={"RescaleIntercept": 0, "RescaleSlope": 1, "RescaleType": "US"})])
    ds.PerFrameFunctionalGroupsSequence = Sequence([groups(
        FrameContentSequence={"FrameAcquisitionNumber": n + 1, "StackID": "1", "InStackPositionNumber": place_of(d)[0] + 1, "TemporalPositionIndex": place_of(d)[1] + 1},
        PlanePositionSequence={"ImagePositionPatient": d.ImagePositionPatient},
        CardiacSynchronizationSequence={"NominalCardiacTriggerDelayTime": float(d.TriggerTime), "RRIntervalTimeNominal": float(d.NominalInterval)})
        for n, d in enumerate(images)])
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.save_as(path, write_like_original=False)


def place_of(ds):
    return (int(ds.InstanceNumber) - 1) // PHASES, (int(ds.InstanceNumber) - 1) % PHASES


def values(result, but=()):
    """Everything measured but for where it stands."""
    return [{k: v for k, v in m.items() if k != "region"} for m in result.entry["measurements"] if m["code"][0] not in but]


def contours(result):
    """By image and layer: where the points are. A presentation state has the images of one series."""
    found = {}
    for path in result.out.glob("*gsps*.dcm"):
        for annotation in pydicom.dcmread(path).GraphicAnnotationSequence:
            uid = annotation.ReferencedImageSequence[0].ReferencedSOPInstanceUID
            found[uid, annotation.GraphicLayer] = [tuple(g.GraphicData) for g in annotation.get("GraphicObjectSequence", [])]
    return found


class Inputs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="anode-cardiac-inputs-")
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        cardiac.make(cardiac.arguments([str(cls.folder / "one"), *SMALL]))
        cls.files = peers.dicom_files(cls.folder / "one")
        cls.one = Result(cls.files, cls.folder / "one-out", "cardiac")

    def same(self, result, but=()):
        self.assertEqual(self.one.entry["verdict"], "done", self.one.entry["reason"])
        self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
        self.assertGreater(len(values(self.one, but)), 40)
        self.assertEqual(values(result, but), values(self.one, but))

    def test_a_series_a_slice(self):
        result = Result(resave(self.files, self.folder / "slices", of_slices), self.folder / "slices-out", "cardiac")
        self.same(result)
        self.assertEqual(contours(result), contours(self.one))
        self.assertEqual(len(result.entry["series"]), len({place(f)[0] for f in self.files}))

    def test_a_series_a_phase(self):
        self.same(Result(resave(self.files, self.folder / "phases", of_phases), self.folder / "phases-out", "cardiac"))

    def test_another_order_of_images(self):
        order = np.random.default_rng(4).permutation(len(self.files)).tolist()
        self.same(Result(resave(self.files, self.folder / "order", shuffle(order)), self.folder / "order-out", "cardiac"))

    def test_an_object_of_many_frames(self):
        (self.folder / "frames").mkdir()
        enhance(self.files, self.folder / "frames" / "all.dcm")
        result = Result(peers.dicom_files(self.folder / "frames"), self.folder / "frames-out", "cardiac")
        self.same(result, OF_RATE)
        for code in OF_RATE:
            a, b = (next(m["value"] for m in r.entry["measurements"] if m["code"][0] == code) for r in (result, self.one))
            self.assertLess(abs(a / b - 1), 0.02, code)

    def test_again_in_another_order_of_files_beside_a_long_axis_it_is_the_same_to_the_byte(self):
        """What was measured, and the UIDs; times of the work differ, and what was left out."""
        files = list(self.files)
        random.Random(1).shuffle(files)
        again = Result(files, self.folder / "again-out", "cardiac")
        self.assertEqual(values(again), values(self.one))
        self.assertEqual([e[1].SOPInstanceUID for e in again.objects.values()], [e[1].SOPInstanceUID for e in self.one.objects.values()])
        for modality, keyword in (("PR", "GraphicAnnotationSequence"), ("SEG", "PixelData"), ("SR", "ContentSequence"), ("OT", "PixelData")):
            self.assertEqual(again.objects[modality][1][keyword], self.one.objects[modality][1][keyword], modality)


if __name__ == "__main__":
    unittest.main()
