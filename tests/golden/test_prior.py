#!/usr/bin/python3
"""An earlier report of our own beside a new scan: read back as it was written, compared on the page, in the
SR and in report.json, and part of the UIDs; reports that are none of ours, of another patient or broken are
refused or left out with the reason.

Sanitized: Prior.test_what_is_no_report_of_ours_is_refused
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
import pydicom  # noqa: E402
import sr  # noqa: E402
from pydicom.dataset import Dataset  # noqa: E402
from pydicom.sequence import Sequence  # noqa: E402
from pydicom.uid import generate_uid  # noqa: E402

SCAN = ("--seed", "14", "--size", "320", "--fov", "350", "--noise", "16", "--tilt", "20")  # as golden/calcium_sr's
SCORE = "450360000"


def repeatability(score, bmi):
    """Chung et al., AJR 2008;190:W87."""
    return max(0.17 * score + 4.89 * score**0.5 + 0.44 * bmi - 10.84, 0)


class Prior(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="anode-prior-"))
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        cls.made = 0

    @classmethod
    def run_anode(cls, files, *priors):
        """(exit status, what it said, folder of the results)"""
        cls.made += 1
        out = cls.scratch / f"out{cls.made}"
        options = [o for p in priors for o in ("--prior", p)]
        done = subprocess.run([peers.ANODE, "analyze", "-s", "calcium", "-o", out, *options, *files], capture_output=True, text=True, timeout=peers.HANG_S)
        return done.returncode, done.stdout + done.stderr, out

    @classmethod
    def result(cls, files, *priors):
        status, said, out = cls.run_anode(files, *priors)
        if status != 0:
            raise AssertionError(said)
        return json.loads((out / "report.json").read_text())["results"][0], out / "calcium-sr.dcm"

    @classmethod
    def moved(cls, name, change):
        """The scan with other attributes, as files of its own."""
        folder = cls.scratch / name
        folder.mkdir()
        for path in peers.dicom_files(peers.phantom(*SCAN)):
            ds = pydicom.dcmread(path)
            change(ds)
            ds.save_as(folder / path.name)
        return peers.dicom_files(folder)

    def test_a_later_scan_is_compared_with_an_earlier_report(self):
        study, series = generate_uid(), generate_uid()

        def later(ds):
            ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.StudyDate = study, series, "20260301"
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{series[:50]}.{ds.InstanceNumber}"
            ds.PatientSize, ds.PatientWeight = "1.80", "81"

        earlier, report = self.result(peers.dicom_files(peers.phantom(*SCAN)))
        now, document = self.result(self.moved("later", later), report)
        self.assertEqual(earlier["comparisons"], [])
        [said] = now["comparisons"]
        old, new = pydicom.dcmread(report), pydicom.dcmread(document)
        self.assertEqual(said["with"], old.SOPInstanceUID)
        # What came of it follows from the two reports and the published limit alone.
        score = next(m for m in earlier["measurements"] if m["group"] == "Coronary arteries" and m["code"][0] == SCORE)
        low, high = score.get("low", score["value"]), score.get("high", score["value"])
        print(said["text"])
        self.assertIn(f"2024-02-29: Agatston {low:.1f}" + (f" to {high:.1f}" if high > low else ""), said["text"])
        spread, limit = high - low, repeatability(low, 81 / 1.8**2)
        self.assertIn("no change" if spread <= limit else "not judged", said["text"])
        self.assertIn(f"within {limit:.1f}", said["text"])
        # The SR says the same and refers to the earlier one, which is evidence of another study.
        [container] = sr.children(new, "CONTAINER", "121068")
        [text] = sr.children(container, "TEXT", "121069")
        [composite] = sr.children(container, "COMPOSITE", "122075")
        self.assertEqual(text.TextValue, said["text"])
        self.assertEqual(composite.ReferencedSOPSequence[0].ReferencedSOPInstanceUID, old.SOPInstanceUID)
        [other] = new.PertinentOtherEvidenceSequence
        self.assertEqual(other.StudyInstanceUID, old.StudyInstanceUID)
        self.assertEqual(other.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID, old.SOPInstanceUID)
        done = subprocess.run(["dciodvfy", "-new", document], capture_output=True, text=True, errors="replace", timeout=peers.HANG_S)
        self.assertEqual([line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")], [])
        # How the images were acquired is in the library, for the next comparison.
        [library] = sr.children(new, "CONTAINER", "111028")
        group = sr.children(library, "CONTAINER", "126200")[0]
        self.assertEqual(float(sr.children(group, "NUM", "113733")[0].MeasuredValueSequence[0].NumericValue), 120)
        self.assertEqual(float(sr.children(group, "NUM", "112225")[0].MeasuredValueSequence[0].NumericValue), 3)

    def report_of(self, change=None):
        """A report of ours that nobody made: as small as one can be."""
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.34", "2.25.1"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = "2.25.2", "2.25.3"
        ds.Modality, ds.Manufacturer, ds.PatientID, ds.PatientName = "SR", "anode", "calcium1", "A"
        ds.ValueType = "CONTAINER"
        template = Dataset()
        template.MappingResource, template.TemplateIdentifier = "DCMR", "1500"
        ds.ContentTemplateSequence = Sequence([template])
        ds.ContentSequence = Sequence([])
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
        ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        ds.is_little_endian, ds.is_implicit_VR = True, False
        if change:
            change(ds)
        return ds

    def test_what_is_no_report_of_ours_is_refused(self):
        def deep(ds):
            for _ in range(60):
                inner, ds.ContentSequence = Dataset(), Sequence([])
                inner.ValueType = "CONTAINER"
                ds.ContentSequence.append(inner)
                ds = inner

        cases = {
            "an image": (lambda ds: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"), "no structured report"),
            "another maker": (lambda ds: setattr(ds, "Manufacturer", "Anyone"), "of another maker"),
            "another template": (lambda ds: setattr(ds.ContentTemplateSequence[0], "TemplateIdentifier", "4000"), 'template "4000"'),
            "no template": (lambda ds: delattr(ds, "ContentTemplateSequence"), 'template ""'),
            "no analysis": (None, "names no analysis"),
            "no study": (lambda ds: setattr(ds, "StudyInstanceUID", ""), "Study Instance UID"),
            "nested too deep": (deep, "nested"),
        }
        for name, (change, why) in cases.items():
            with self.subTest(name):
                path = self.scratch / "hostile.dcm"
                self.report_of(change).save_as(path, write_like_original=False)
                self.assert_refused(path, why)
        with self.subTest("cut short"):
            bytes_ = path.read_bytes()
            path.write_bytes(bytes_[: len(bytes_) // 2])
            self.assert_refused(path, "")
        with self.subTest("too large"):
            with path.open("wb") as f:
                f.truncate((8 << 20) + 1)
            self.assert_refused(path, "larger than 8388608 bytes")
        with self.subTest("no file"):
            self.assert_refused(self.scratch / "nothing.dcm", "nothing.dcm")

    def assert_refused(self, path, why):
        status, said, out = self.run_anode([path], path)
        self.assertEqual(status, 1, said)
        self.assertIn(f"--prior {path}", said)
        self.assertIn(why, said)
        self.assertFalse(out.exists())


if __name__ == "__main__":
    unittest.main()
