#!/usr/bin/python3
"""A mammography exam as one job: the CAD report (TID 4000), the presentation states and the sheet, of
marks that are made (tests/shapes/marks.c)."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import pydicom

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import sr  # noqa: E402
from golden import results_peer  # noqa: E402

PHANTOM = pathlib.Path(__file__).resolve().parent.parent / "phantom" / "exam.py"
EXAM = ("R:CC:top=3002", "L:CC:own", "R:MLO:top=3002:own", "L:ML:top=3010:nocode", "R:CC:magnified", "L:CC:raw")
CAD_SR, GSPS = "1.2.840.10008.5.1.4.1.1.88.50", "1.2.840.10008.5.1.4.1.1.11.1"
DENSITY, MASS, CLUSTER, CALC, COMPOSITION = "129793001", "129788004", "129769006", "129770007", "129715009"


def walk(item):
    yield item
    for child in item.get("ContentSequence", []):
        yield from walk(child)


def coded(item, concept):
    """Values of the CODE items of a concept anywhere below an item."""
    return [sr.code(i.ConceptCodeSequence)[0] for i in walk(item) if i.get("ValueType") == "CODE" and (sr.name(i) or ("",))[0] == concept]


def analyze(views, folder):
    subprocess.run([sys.executable, PHANTOM, folder / "in", *views], check=True)
    done = subprocess.run([os.environ["ANODE_SHAPES"], "analyze", "-s", "shape-marks", "-o", folder / "out", folder / "in"],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return {path.name: pydicom.dcmread(path) for path in sorted((folder / "out").glob("*.dcm"))}


def follow(root, position):
    """The item that a position names (PS3.3 C.17.3.2.5): numbers from 1, the root first."""
    item = root
    for number in position[1:]:
        item = item.ContentSequence[number - 1]
    return item


class Exam(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="anode-exam-")
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.objects = analyze(EXAM, cls.folder)
        cls.report = next(d for d in cls.objects.values() if d.SOPClassUID == CAD_SR)
        cls.sources = {int(p.stem): pydicom.dcmread(p) for p in (cls.folder / "in").glob("*.dcm")}

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def image_of(self, reference):
        entry = follow(self.report, list(reference.ReferencedContentItemIdentifier))
        self.assertEqual(entry.ValueType, "IMAGE")
        return int(str(entry.ReferencedSOPSequence[0].ReferencedSOPInstanceUID).rsplit(".", 1)[1])

    def findings(self, code):
        return [i for i in walk(self.report) if (sr.name(i) or ("",))[0] == "111059" and sr.code(i.ConceptCodeSequence)[0] == code]

    def test_validators_are_silent(self):
        bad = []
        for name in self.objects:
            bad += results_peer.validate(str(self.folder / "out" / name), "projections")
        self.assertEqual(bad, [])

    def test_every_image_is_in_the_library(self):
        library, = sr.children(self.report, "CONTAINER", "111028")
        named = {str(i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for i in library.ContentSequence}
        self.assertEqual(named, {str(d.SOPInstanceUID) for d in self.sources.values()})

    def test_marks_have_centre_outline_certainty_and_maker(self):
        found = self.findings(DENSITY) + self.findings(CLUSTER)
        self.assertEqual(len(found), 4)
        images = []
        for item in found:
            center, = sr.children(item, "SCOORD", "111010")
            outline, = sr.children(item, "SCOORD", "111041")
            x, y = center.GraphicData
            self.assertEqual(list(outline.GraphicData)[:4], [x - 3, y - 3, x + 3, y - 3])
            images.append(self.image_of(center.ContentSequence[0]))
            self.assertEqual(images[-1], self.image_of(outline.ContentSequence[0]))
            self.assertEqual(len(sr.children(item, "TEXT", "111001")), 1)
            certainty, = sr.children(item, "NUM", "111012")
            cluster = sr.code(item.ConceptCodeSequence)[0] == CLUSTER
            self.assertEqual(float(certainty.MeasuredValueSequence[0].NumericValue), 50 if cluster else 75)
            self.assertEqual(coded(item, "111056")[0], "111150")
        self.assertEqual(sorted(images), [1, 1, 3, 3])
        self.assertEqual(len(self.findings(CALC)), 6)

    def test_marks_of_two_views_are_not_joined(self):
        self.assertEqual((coded(self.report, "111015"), coded(self.report, MASS)), ([], []))  # Composite Feature
        self.assertNotIn("133884007", str(self.report))  # Spatial collocation analysis

    def test_what_was_done_and_what_not_is_told_apart(self):
        self.assertEqual(coded(self.report, "111017"), ["111244"])
        self.assertEqual(coded(self.report, "111064"), ["111223"])
        for container, images in (("111063", [1, 2, 3]), ("111025", [4])):
            item, = [i for i in walk(self.report) if (sr.name(i) or ("",))[0] == container]
            for search in item.ContentSequence:
                looked = [self.image_of(i) for i in search.ContentSequence if "ReferencedContentItemIdentifier" in i]
                self.assertEqual(sorted(looked), images)
        text, = [i.TextValue for i in walk(self.report) if (sr.name(i) or ("",))[0] == "111033"]
        for part in ("NOT FOR DIAGNOSTIC USE", "L ML was not analysed: no breast is seen", "Missing views: L MLO", "a magnification view",
                     "the same view is there for presentation", "R CC: 4 calcifications: along a vessel"):
            self.assertIn(part, text)

    def test_symbols_are_drawn_apart_from_outlines(self):
        layers = {}
        for d in self.objects.values():
            if d.SOPClassUID != GSPS:
                continue
            for a in d.GraphicAnnotationSequence:
                for g in a.get("GraphicObjectSequence", []):
                    layers.setdefault(a.GraphicLayer, []).append(int(g.NumberOfGraphicPoints))
        self.assertEqual(layers, {"BREAST": [5] * 3, "CAD_OUTLINE": [5] * 4, "CAD_CALC": [4] * 2, "CAD_MASS": [13] * 2})


class OtherExams(unittest.TestCase):
    def run_exam(self, *views):
        with tempfile.TemporaryDirectory(prefix="anode-exam-") as scratch:
            objects = analyze(views, pathlib.Path(scratch))
        return next(d for d in objects.values() if d.SOPClassUID == CAD_SR), objects

    def test_nothing_found_is_not_the_same_as_not_looked(self):
        report, objects = self.run_exam("L:CC", "R:CC", "L:MLO", "R:MLO")
        self.assertEqual([coded(report, c) for c in ("111017", "111064")], [["111241"], ["111222"]])
        texts = [t.UnformattedTextValue for d in objects.values() if d.SOPClassUID == GSPS
                 for a in d.GraphicAnnotationSequence for t in a.get("TextObjectSequence", [])]
        self.assertEqual(sum("no findings" in t for t in texts), 4)

    def test_what_was_looked_for_on_some_images_failed_on_the_others(self):
        report, _ = self.run_exam("L:CC:top=3002", "R:CC:top=3011")
        self.assertEqual([coded(report, c) for c in ("111017", "111064")], [["111244"], ["111223"]])
        text, = [i.TextValue for i in walk(report) if (sr.name(i) or ("",))[0] == "111033"]
        self.assertIn("R CC: Masses were not looked for: the made reason.", text)
        self.assertNotIn("L CC: Masses", text)

    def test_a_wrong_side_is_said(self):
        report, _ = self.run_exam("L:CC:flipped", "R:CC:implant")
        text, = [i.TextValue for i in walk(report) if (sr.name(i) or ("",))[0] == "111033"]
        self.assertIn("Image Laterality and Patient Orientation name different breasts", text)
        self.assertIn("a breast with an implant", text)

    def test_an_exam_that_cannot_be_judged_says_so(self):
        report, _ = self.run_exam("L:CC:spot", "R:CC:tomo")
        self.assertEqual([coded(report, c) for c in ("111017", "111064", "111065")], [["111245"], ["111225"], ["111225"]])


if __name__ == "__main__":
    unittest.main()
