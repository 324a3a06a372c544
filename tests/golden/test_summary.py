#!/usr/bin/python3
"""Reports of one study through `anode analyze -s summary`: the numbers are theirs, what was refused stands
there with its reason, a later report makes a new summary that replaces the old one, and a summary is never
taken for a report of the analyses that it tells of.

Sanitized: Small.test_a_result_and_a_refusal
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
from pydicom.uid import generate_uid  # noqa: E402

HEART = ("--seed", "14", "--size", "320", "--fov", "350", "--noise", "16", "--tilt", "20")  # as golden/calcium_sr's
CHEST = ("--size", "128", "--increment", "6", "--thickness", "6")  # too coarse for calcium: the refused series
STUDY = generate_uid()


class Study(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="anode-summary-"))
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        cls.chest = cls.of_study("chest", peers.phantom(*CHEST, generator="lungs"), "20200101")
        cls.lungs = cls.analyse("lungs", cls.chest) / "lungs-sr.dcm"
        cls.refused = cls.analyse("calcium", cls.chest) / "calcium-sr.dcm"

    @classmethod
    def of_study(cls, name, source, date):
        """The series as one of the study."""
        folder, series = cls.scratch / name, generate_uid()
        folder.mkdir()
        for path in peers.dicom_files(source):
            ds = pydicom.dcmread(path)
            ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.StudyDate = STUDY, series, date
            ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Phantom^Summary", "SUM1", "", ""
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{series[:50]}.{ds.InstanceNumber}"
            ds.save_as(folder / path.name)
        return peers.dicom_files(folder)

    @classmethod
    def run_anode(cls, stage, files, *options):
        out = pathlib.Path(tempfile.mkdtemp(dir=cls.scratch)) / "out"
        done = subprocess.run([peers.ANODE, "analyze", "-s", stage, "-o", out, *options, *files], capture_output=True, text=True, timeout=peers.HANG_S)
        return done.returncode, done.stdout + done.stderr, out

    @classmethod
    def analyse(cls, stage, files, *options):
        status, said, out = cls.run_anode(stage, files, *options)
        if status != 0:
            raise AssertionError(said)
        return out

    @staticmethod
    def entry(out):
        [entry] = json.loads((out / "report.json").read_text())["results"]
        return entry

    @staticmethod
    def numbers(path):
        """{(group, concept, modifiers): (value as it stands, unit, uncertainties)}"""
        found = {}

        def walk(items, group):
            for item in items:
                content = item.get("ContentSequence", [])
                for child in content:
                    if child.ValueType == "TEXT" and child.ConceptNameCodeSequence[0].CodeValue == "112039":
                        group = child.TextValue
                if item.ValueType == "NUM":
                    measured = item.MeasuredValueSequence[0]
                    modifiers = tuple(sorted(c.ConceptCodeSequence[0].CodeValue for c in content if c.ValueType == "CODE"))
                    range_ = tuple(str(c.MeasuredValueSequence[0].NumericValue) for c in content if c.ValueType == "NUM")
                    found[group, item.ConceptNameCodeSequence[0].CodeValue, modifiers] = (
                        str(measured.NumericValue), measured.MeasurementUnitsCodeSequence[0].CodeValue, range_)
                else:
                    walk(content, group)

        walk(pydicom.dcmread(path).ContentSequence, None)
        return found

    def expect_the_numbers_of(self, told, stage, path):
        theirs = {(f"{stage}: {group}", *rest): value for (group, *rest), value in self.numbers(path).items()}
        mine = {key: value for key, value in told.items() if key[0].startswith(f"{stage}: ")}
        self.assertGreater(len(mine), 3)
        for key, value in mine.items():
            self.assertEqual(value, theirs[key], key)


class Small(Study):
    def test_a_result_and_a_refusal(self):
        out = self.analyse("summary", [self.lungs, self.refused])
        self.expect_the_numbers_of(self.numbers(out / "summary-sr.dcm"), "lungs", self.lungs)
        self.assertEqual([e["reason"] for e in self.entry(out)["exclusions"]], ["not evaluable: " + self.entry(self.refused.parent)["reason"]])


class Summary(Study):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.calcium = cls.analyse("calcium", cls.of_study("heart", peers.phantom(*HEART), "20200101")) / "calcium-sr.dcm"
        cls.first = cls.analyse("summary", [cls.calcium, cls.refused])
        cls.whole = cls.analyse("summary", [cls.calcium, cls.refused, cls.lungs, cls.first / "summary-sr.dcm"])

    def test_numbers_are_those_of_the_reports(self):
        told = self.numbers(self.whole / "summary-sr.dcm")
        self.expect_the_numbers_of(told, "calcium", self.calcium)
        self.expect_the_numbers_of(told, "lungs", self.lungs)
        self.assertIn(("calcium: Coronary arteries", "450360000", ("112055",)), told)

    def test_what_was_refused_stands_there_with_its_reason(self):
        entry = self.entry(self.whole)
        reason = self.entry(self.refused.parent)["reason"]
        self.assertIn("too coarse", reason)
        [left_out] = entry["exclusions"]
        self.assertIn(reason, left_out["reason"])
        self.assertIn(pydicom.dcmread(self.refused).CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].SeriesInstanceUID,
                      left_out["what"])
        counts = {m["code"][0]: m["value"] for m in entry["measurements"] if m["group"] == "Study"}
        self.assertEqual(counts, {"SUMMARY-DONE": 2, "SUMMARY-NONE": 1})

    def test_it_refers_to_the_reports(self):
        ds = pydicom.dcmread(self.first / "summary-sr.dcm")
        theirs = {pydicom.dcmread(p).SOPInstanceUID for p in (self.calcium, self.refused)}
        evidence = {i.ReferencedSOPInstanceUID for s in ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
                    for i in s.ReferencedSOPSequence}
        self.assertEqual(evidence, theirs)
        [gathered] = [c for c in ds.ContentSequence if c.ConceptNameCodeSequence[0].CodeValue == "GATHERED"]
        self.assertEqual({c.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for c in gathered.ContentSequence}, theirs)
        self.assertEqual({r["report"] for r in self.entry(self.first)["reports"]}, theirs)

    def test_a_later_summary_replaces_the_earlier(self):
        old, new = (pydicom.dcmread(p / "summary-sr.dcm") for p in (self.first, self.whole))
        self.assertNotIn("PredecessorDocumentsSequence", old)
        before = new.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
        self.assertEqual(before.ReferencedSOPInstanceUID, old.SOPInstanceUID)

    def test_the_pdf_can_be_searched(self):
        peers.need("pdftotext")
        ds = pydicom.dcmread(self.whole / "summary-pdf.dcm")
        done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=ds.EncapsulatedDocument[:ds.EncapsulatedDocumentLength],
                              capture_output=True, check=True, timeout=peers.HANG_S)
        text = done.stdout.decode()
        score = self.numbers(self.calcium)["Coronary arteries", "450360000", ("112055",)][0]
        for words in ("Summary of the study", "calcium", "lungs", "too coarse", score, "NOT FOR DIAGNOSTIC USE"):
            self.assertIn(words, text)

    def test_a_summary_is_no_report_of_what_it_tells(self):
        """The first group that names an analysis says whose report it is: dimse/read/report.cc."""
        root = pydicom.dcmread(self.whole / "summary-sr.dcm")
        [measured] = [c for c in root.ContentSequence if c.ConceptNameCodeSequence[0].CodeValue == "126010"]
        names = [c.TextValue for c in measured.ContentSequence[0].ContentSequence if c.ConceptNameCodeSequence[0].CodeValue == "111001"]
        self.assertEqual(names, ["anode summary"])
        again = self.entry(self.analyse("summary", [self.whole / "summary-sr.dcm", self.refused]))
        self.assertEqual([r["stage"] for r in again["reports"] if r["report"] == root.SOPInstanceUID], ["summary"])

    def test_only_refused_reports_are_not_evaluable(self):
        entry = self.entry(self.analyse("summary", [self.refused]))
        self.assertEqual((entry["verdict"], entry["reason"]), ("not evaluable", "none of 1 analyses of the study gave a result"))
        self.assertEqual(len(entry["exclusions"]), 1)
        entry = self.entry(self.analyse("summary", [self.first / "summary-sr.dcm"]))
        self.assertEqual((entry["verdict"], entry["reason"]), ("not evaluable", "no report of an analysis in the study"))

    def test_every_object_is_valid(self):
        peers.need("dciodvfy")
        for path in sorted(self.whole.glob("*.dcm")):
            done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, errors="replace", timeout=peers.HANG_S)
            self.assertEqual([line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")], [], path.name)


if __name__ == "__main__":
    unittest.main()
