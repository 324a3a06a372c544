#!/usr/bin/python3
"""The other toolkits' side of the analyses in tests/shapes: studies that they take, and what their
results must be.

  shapes_peer.py sources FOLDER                  writes FOLDER/views, cine, unreferenced: <series>-<instance>.dcm
  shapes_peer.py views|cine|said FOLDER RESULTS  looks at the results of these
"""
import pathlib
import shutil
import sys
import tempfile
import unittest

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import sr  # noqa: E402
from golden import results_peer  # noqa: E402
from net.node import PATIENT, ROOT_UID, measurements, texts  # noqa: E402

MR, MG = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.1.2"
SR, GSPS = "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.11.1"
PAGE, FRAMES = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.4"
SEG, MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.30"
NAMES = {SR: "sr", GSPS: "gsps", PAGE: "sc", FRAMES: "sc", SEG: "seg", MAP: "pmap"}
NEW_TERM = "Unrecognized defined term = <QUANTITY>"  # newer than dciodvfy
MEAN, MAXIMUM, MINIMUM = "373098007", "56851009", "255605001"


# --- sources ---

def instance(path, sop_class, modality, study, series, number, pixels):
    """A data set of what both kinds of source have."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = f"{ROOT_UID}.{study}.3{modality == 'MG':d}.{series}.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    d.is_little_endian, d.is_implicit_VR = True, False
    d.SOPClassUID, d.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    d.StudyInstanceUID, d.SeriesInstanceUID = f"{ROOT_UID}.{study}.1", f"{ROOT_UID}.{study}.2{modality == 'MG':d}.{series}"
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = PATIENT, f"ID{study}", "19500101", "F"
    d.StudyDate, d.StudyTime, d.StudyID, d.AccessionNumber = "20260101", "120000", str(study), f"A{study}"
    d.ReferringPhysicianName, d.Modality, d.Manufacturer = "", modality, "phantom"
    d.SeriesNumber, d.InstanceNumber = series, number
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
    d.Rows, d.Columns = pixels.shape
    d.PixelData = pixels.astype("<u2").tobytes()
    return d


def save(d, folder):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{d.SeriesNumber}-{d.InstanceNumber}.dcm"
    d.save_as(str(path), write_like_original=False)
    return path


def view(folder, study, number, side, position, shape):
    """A mammogram that gets brighter to the right, with one pixel that is the brightest."""
    y, x = np.mgrid[0:shape[0], 0:shape[1]]
    pixels = 100 * number + x + y // 7
    pixels[10 * number, 20] = 3000 + number
    d = instance(folder, MG, "MG", study, number, 1, pixels)
    d.ImageType, d.BodyPartExamined, d.SeriesDescription = ["DERIVED", "PRIMARY"], "BREAST", f"{side} {position}"
    d.ImageLaterality, d.ViewPosition, d.PatientOrientation = side, position, ["A", "F"]
    d.ImagerPixelSpacing = [0.1, 0.1]
    d.RescaleSlope, d.RescaleIntercept, d.RescaleType = 1, 0, "US"
    d.WindowCenter, d.WindowWidth = 1500, 3000
    return save(d, folder), pixels


def write_views(folder, study=801):
    """Three of the four views, as {name: (file, pixels)}; nobody has the left oblique one."""
    return {name: view(folder, study, number, side, position, shape) for name, number, side, position, shape in (
        ("left cc", 1, "L", "CC", (120, 80)), ("right cc", 2, "R", "CC", (120, 96)), ("right mlo", 4, "R", "MLO", (130, 80)))}


SLICES, PHASES, SIDE, STEP_MS = 3, 5, 48, 40


def bright(k, phase):
    """A disc that is smallest in the middle of the cycle."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    return (x - 24) ** 2 + (y - 22) ** 2 < (6 + k + abs(phase - 2)) ** 2


def cine_pixels(k, phase):
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    return np.where(bright(k, phase), 800 + 10 * k, 100 + x + 3 * phase * (y > 24))


def cine(folder, study=802, referenced=True):
    """A series a slice of the short axis, and one of the long axis: files, pixels [phase][slice]."""
    files, pixels = [], np.zeros((PHASES, SLICES, SIDE, SIDE))
    for k in range(SLICES + 1):
        for phase in range(PHASES):
            values = cine_pixels(min(k, SLICES - 1), phase)
            d = instance(folder, MR, "MR", study, k + 1, phase + 1, values)
            d.ImageType, d.BodyPartExamined = ["ORIGINAL", "PRIMARY", "M"], "HEART"
            d.SeriesDescription = "cine long axis" if k == SLICES else f"cine short axis {k + 1}"
            d.FrameOfReferenceUID, d.PositionReferenceIndicator, d.PatientPosition = f"{ROOT_UID}.{study}.4", "", "HFS"
            d.ScanningSequence, d.SequenceVariant, d.ScanOptions, d.MRAcquisitionType = "GR", "SK", "", "2D"
            d.EchoTime, d.EchoTrainLength, d.RepetitionTime, d.TriggerTime = 1.2, 1, 3, STEP_MS * phase
            d.PixelSpacing, d.SliceThickness = [1.5, 1.25], 6
            d.ImagePositionPatient, d.ImageOrientationPatient = [-30, -36, 8 * k], [1, 0, 0, 0, 1, 0]
            if not referenced:
                del d.FrameOfReferenceUID
            if k == SLICES:
                d.ImagePositionPatient, d.ImageOrientationPatient = [-30, 0, 40], [1, 0, 0, 0, 0, -1]
            else:
                pixels[phase, k] = values
            files.append(save(d, folder))
    return files, pixels


# --- what came back ---

def kinds(objects):
    return {name: [d for d in objects if NAMES[d.SOPClassUID] == name] for name in sorted(set(NAMES.values()))}


def derived(group, derivation):
    """The only number of a group with this derivation."""
    value, = [n.value for n in group.numbers if n.derivation and n.derivation[0] == derivation]
    return value


def predecessor(d):
    """The SOP Instance UID of the report that this one replaces, or None."""
    found = [str(i.ReferencedSOPInstanceUID) for s in d.get("PredecessorDocumentsSequence", [])
             for r in s.ReferencedSeriesSequence for i in r.ReferencedSOPSequence]
    return found[0] if found else None


class Checks(unittest.TestCase):
    maxDiff = None
    folder = None  # where files are put to be looked at

    def assert_valid(self, objects, sources, slot):
        """Clean by all validators, of the study, in series of the numbers that the analysis has."""
        folder = self.folder / "valid"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        paths, bad, series = [], [], {}
        source = pydicom.dcmread(str(sources[0]), stop_before_pixels=True)
        for n, d in enumerate(objects):
            kind = NAMES[d.SOPClassUID]
            path = folder / f"shape-{kind}-{n}.dcm"
            d.save_as(str(path))
            paths.append(str(path))
            bad += [line for line in results_peer.validate(str(path), "projections") if NEW_TERM not in line]
            self.assertEqual([d.StudyInstanceUID, d.PatientID, d.PatientName], [source.StudyInstanceUID, source.PatientID, source.PatientName])
            index = 6 if "FrameTime" in d else ["sr", "gsps", "sc", "seg", "pmap"].index(kind)
            self.assertEqual(d.SeriesNumber, 9000 + 10 * slot + index)
            series.setdefault(d.SeriesInstanceUID, []).append((kind, d.InstanceNumber))
        for members in series.values():
            self.assertEqual(len({kind for kind, _ in members}), 1)
            self.assertEqual(sorted(number for _, number in members), list(range(1, len(members) + 1)))
        _, text = results_peer.run("dcentvfy", *map(str, sources), *paths)
        bad += results_peer.complaints("dcentvfy", text, "phantom")
        self.assertEqual(bad, [])

    def assert_evidence(self, report, sources):
        named = {str(i.ReferencedSOPInstanceUID) for s in report.CurrentRequestedProcedureEvidenceSequence
                 for r in s.ReferencedSeriesSequence for i in r.ReferencedSOPSequence}
        self.assertLessEqual({str(pydicom.dcmread(str(f), stop_before_pixels=True).SOPInstanceUID) for f in sources}, named)

    def assert_views(self, objects, views):
        """views: {name: (file, pixels)}"""
        found = kinds(objects)
        self.assertEqual({name: len(v) for name, v in found.items()}, {"sr": 1, "gsps": len(views), "sc": 1, "seg": 0, "pmap": 0})
        report, = found["sr"]
        files = {name: path for name, (path, _) in views.items()}
        self.assert_valid(objects, list(files.values()), 91)
        self.assert_evidence(report, files.values())
        groups = {g.tracking: g for g in sr.read(report).groups}
        self.assertEqual(groups.keys(), views.keys())
        marked = {}
        for d in found["gsps"]:
            image, = [str(i.ReferencedSOPInstanceUID) for s in d.ReferencedSeriesSequence for i in s.ReferencedImageSequence]
            marked[image] = d
        for name, (path, pixels) in views.items():
            self.assertAlmostEqual(derived(groups[name], MEAN), pixels.mean(), delta=0.0051)
            self.assertEqual(derived(groups[name], MAXIMUM), pixels.max())
            uid = str(pydicom.dcmread(str(path), stop_before_pixels=True).SOPInstanceUID)
            self.assertEqual({image for image, _ in groups[name].outline_points}, {uid})
            outline, = [o for a in marked.pop(uid).GraphicAnnotationSequence for o in a.get("GraphicObjectSequence", [])]
            y, x = np.unravel_index(pixels.argmax(), pixels.shape)
            self.assertEqual(list(outline.GraphicData)[:6], [x - 8, y - 8, x + 9, y - 8, x + 9, y + 9])
        self.assertEqual(marked, {})
        return report

    def assert_cine(self, objects, files, pixels):
        found = kinds(objects)
        self.assertEqual({name: len(v) for name, v in found.items()}, {"sr": 1, "gsps": 0, "sc": 2, "seg": PHASES, "pmap": 1})
        self.assert_valid(objects, files, 92)
        self.assert_cine_report(found["sr"][0], files, pixels)
        self.assert_deviation(found["pmap"][0], pixels)
        self.assertEqual(sorted(self.assert_phase(d) for d in found["seg"]), list(range(PHASES)))
        self.assert_motion([d for d in found["sc"] if "FrameTime" in d])

    def assert_cine_report(self, report, files, pixels):
        self.assert_evidence(report, files)
        group, = sr.read(report).groups
        volumes = (pixels >= 500).sum(axis=(1, 2, 3)) * 1.5 * 1.25 * 8
        self.assertAlmostEqual(derived(group, MAXIMUM), volumes.max(), delta=0.051)
        self.assertAlmostEqual(derived(group, MINIMUM), volumes.min(), delta=0.051)
        self.assertAlmostEqual(derived(group, MEAN), pixels.std(axis=0).mean(), delta=0.00051)
        self.assertEqual(len(measurements(report)), 3 + self.library_numbers(report))
        self.assertRegex(texts(report), rf"cine long axis \({PHASES} images\)")
        self.assertRegex(texts(report), r"another plane")

    @staticmethod
    def library_numbers(report):
        """Numbers of the image library: pixel spacing and the like of each image."""
        def count(item):
            return sum((c.ValueType == "NUM") + count(c) for c in item.get("ContentSequence", []))
        return sum(count(c) for c in report.ContentSequence if c.ValueType == "CONTAINER" and c.ConceptNameCodeSequence[0].CodeValue == "111028")

    def assert_deviation(self, d, pixels):
        want = pixels.std(axis=0)
        values = np.frombuffer(d.FloatPixelData, np.float32).reshape(-1, SIDE, SIDE)
        self.assertEqual(len(values), SLICES)
        for frame, item in zip(values, d.PerFrameFunctionalGroupsSequence):
            k = round(float(item.PlanePositionSequence[0].ImagePositionPatient[2]) / 8)
            self.assertLess(np.abs(frame - want[k]).max(), 1e-3)

    def assert_phase(self, d):
        """The one phase that a segmentation refers to; its voxels are those that are bright."""
        phases, seen = set(), set()
        for frame, item in zip(d.pixel_array.reshape(-1, SIDE, SIDE), d.PerFrameFunctionalGroupsSequence):
            source, = [str(s.ReferencedSOPInstanceUID) for i in item.DerivationImageSequence for s in i.SourceImageSequence]
            series, number = source.split(".")[-2:]
            k = int(series) - 1
            phases.add(int(number) - 1)
            seen.add(k)
            self.assertEqual(float(item.PlanePositionSequence[0].ImagePositionPatient[2]), 8 * k)
            self.assertTrue(np.array_equal(frame != 0, bright(k, int(number) - 1)))
        self.assertEqual(seen, set(range(SLICES)))
        phase, = phases
        return phase

    def assert_motion(self, moving):
        d, = moving
        self.assertEqual([d.NumberOfFrames, float(d.FrameTime), d.CineRate], [PHASES, STEP_MS, round(1000 / STEP_MS)])
        self.assertTrue(d.SeriesDescription.split(" - ")[0].endswith("SC cine"), d.SeriesDescription)
        frames = d.pixel_array.reshape(PHASES, d.Rows, d.Columns, 3).astype(int)
        # The disc shrinks to the middle of the cycle and grows again.
        light = [(f[..., 0] > 150).sum() for f in frames]
        self.assertTrue(light[0] > light[1] > light[2] < light[3] < light[4], light)


def main(command, folder, results=None):
    folder = pathlib.Path(folder)
    if command == "sources":
        write_views(folder / "views")
        cine(folder / "cine")
        cine(folder / "unreferenced", 804, referenced=False)
        return
    objects = [pydicom.dcmread(str(path)) for path in sorted(pathlib.Path(results).glob("*.dcm"))]
    checks = Checks()
    with tempfile.TemporaryDirectory() as scratch:
        checks.folder = pathlib.Path(scratch)
        if command == "views":  # without the one that is late
            views = write_views(checks.folder / "in")
            checks.assert_views(objects, {name: views[name] for name in ("left cc", "right cc")})
        elif command == "said":  # what could not be given, in the report too
            report, = kinds(objects)["sr"]
            for what in ("segmentation", "parametric map"):
                checks.assertIn(f"No {what}: the images have no Frame of Reference.", texts(report))
        elif command == "cine":
            checks.assert_cine(objects, *cine(checks.folder / "in"))


if __name__ == "__main__":
    main(*sys.argv[1:])
