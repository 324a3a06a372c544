#!/usr/bin/python3
"""The mammography stage on an exam of known outlines: what is measured, what is said not to have been looked for, refusals.
Sanitized: Clusters.test_clusters_are_marked_where_they_are
"""
import json
import math
import pathlib
import sys
import tempfile
import unittest

import numpy as np
import pydicom

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
import sr  # noqa: E402
from evaluate.mammo import marks  # noqa: E402
from phantom import mammo  # noqa: E402
from results import Result  # noqa: E402

PIXEL_MM, SHAPE = 0.3, (777, 597)
AREA = 0.03  # of the breast: half a pixel of the work grid around it
GEOMETRY, COMPOSITION, FATTY, NOT_ATTEMPTED, NOT_ALL = "111100", "129715009", "129716005", "111225", "111243"


def walk(item):
    yield item
    for child in item.get("ContentSequence", []):
        yield from walk(child)


def single(report, code):
    return [i for i in walk(report) if (sr.name(i) or ("",))[0] == "111059" and sr.code(i.ConceptCodeSequence)[0] == code]


def coded(report, concept):
    return [sr.code(i.ConceptCodeSequence)[0] for i in walk(report) if i.get("ValueType") == "CODE" and (sr.name(i) or ("",))[0] == concept]


def words(report):
    return next(i.TextValue for i in walk(report) if (sr.name(i) or ("",))[0] == "111033")


def run_with(folder, name, files, **options):
    path = folder / f"{name}.yaml"
    path.write_text(f"node: {{data_dir: {folder}}}\npeers: [{{ae_title: A, host: 127.0.0.1, port: 104}}]\n"
                    f"routes: [{{name: r, when: {{Modality: [MG, RG]}}, run: mammo, options: {json.dumps(options)}}}]\n")
    return Result(files, folder / f"{name}-out", "mammo", path)


def area(points):
    x, y = np.reshape(points, (-1, 2)).T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


class Exam(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="anode-mammo-")
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        cls.truth = mammo.make(cls.folder / "in", seed=2, pixel=PIXEL_MM, rows=SHAPE[0], columns=SHAPE[1])
        cls.result = Result(peers.dicom_files(cls.folder / "in"), cls.folder / "out", "mammo")
        cls.report = cls.result.objects["SR"][1]

    def film(self, name, body_part):
        """The first view as a digitised film, which states no size of pixels."""
        ds = pydicom.dcmread(self.folder / "in" / "1.dcm")
        ds.Modality, ds.BodyPartExamined = "RG", body_part
        del ds.ImagerPixelSpacing
        ds.save_as(self.folder / name)
        return [self.folder / name]

    def test_outlines_enclose_the_breast(self):
        found = single(self.report, GEOMETRY)
        self.assertEqual(len(found), 4)
        for item, truth in zip(found, self.truth):
            outline, = sr.children(item, "SCOORD", "111007")
            measured = area(outline.GraphicData) * PIXEL_MM**2
            print(f"{truth['side']} {truth['view']}: {measured:.0f} mm2, true {truth['breast_mm2']:.0f}")
            self.assertLess(abs(measured / truth["breast_mm2"] - 1), AREA)

    def test_what_was_not_looked_for_is_never_called_not_found(self):
        self.assertEqual([coded(self.report, c) for c in ("111017", "111064", "111065")], [[NOT_ALL], [NOT_ATTEMPTED], ["111222"]])
        self.assertEqual(coded(self.report, "111022"), [])  # Detection Performed
        self.assertEqual(self.result.entry["verdict"], "done")
        for part in ("Masses were not looked for: ", "Clusters of calcifications were not looked for: ", "Density is experimental"):
            self.assertIn(part, words(self.report))
        texts = [t.UnformattedTextValue for a in self.result.objects["PR"][1].GraphicAnnotationSequence for t in a.get("TextObjectSequence", [])
                 if a.GraphicLayer == "CAD_TEXT"]
        self.assertEqual(len(texts), 4)
        layers = {layer.GraphicLayer for layer in self.result.objects["PR"][1].GraphicLayerSequence}
        self.assertEqual(layers, {"BREAST", "CAD_TEXT", "NOTICE"})  # none of marks
        for text in texts:
            self.assertNotIn("no findings", text)
            self.assertEqual(text.count("not looked for"), 2)

    def test_a_class_of_which_the_range_is_not_sure_is_not_coded(self):
        self.assertEqual(single(self.report, COMPOSITION), [])
        self.assertIn("No density class on 4 of 4 images", words(self.report))

    def test_a_sure_class_is_coded_with_its_share(self):
        result = run_with(self.folder, "cuts", peers.dicom_files(self.folder / "in"), density_scattered=98, density_heterogeneous=99, density_extreme=100)
        found = single(result.objects["SR"][1], COMPOSITION)
        self.assertEqual([coded(i, COMPOSITION) for i in found], [[FATTY]] * 4)
        for item in found:
            number, = sr.children(item, "NUM", "111046")
            self.assertTrue(0 < float(number.MeasuredValueSequence[0].NumericValue) < 60)

    def test_classes_that_do_not_grow_are_refused(self):
        entry = run_with(self.folder, "wrong", self.film("wrong.dcm", "BREAST"), density_scattered=60).entry
        self.assertEqual(entry["verdict"], "not evaluable")
        self.assertIn("60, 50 and 75 %", entry["reason"])

    def test_a_film_needs_the_size_of_its_pixels(self):
        files = self.film("film.dcm", "BREAST")
        unknown = run_with(self.folder, "unknown", files)
        self.assertEqual(unknown.entry["verdict"], "not evaluable")
        self.assertIn("the size of its pixels is not known", words(unknown.objects["SR"][1]))
        told = run_with(self.folder, "told", files, film_pixel_mm=PIXEL_MM)
        outline, = sr.children(single(told.objects["SR"][1], GEOMETRY)[0], "SCOORD", "111007")
        self.assertLess(abs(area(outline.GraphicData) * PIXEL_MM**2 / self.truth[0]["breast_mm2"] - 1), AREA)

    def test_a_radiograph_of_something_else_is_set_aside(self):
        other = run_with(self.folder, "other", self.film("chest.dcm", "CHEST"), film_pixel_mm=PIXEL_MM)
        self.assertEqual(other.entry["verdict"], "not evaluable")
        self.assertIn("its header does not say that it shows a breast", words(other.objects["SR"][1]))

    def test_validators_are_silent(self):
        self.assertEqual(self.result.errors(), [])


class Clusters(unittest.TestCase):
    """Four views of 90 x 130 mm with pixels of 0.1 mm, a cluster in each, vessels and single grains beside it."""

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="anode-mammo-")
        cls.addClassCleanup(scratch.cleanup)
        folder = pathlib.Path(scratch.name)
        cls.truth = mammo.make(folder / "in", seed=5, pixel=0.1, rows=1300, columns=900, clusters=True)
        cls.result = run_with(folder, "clusters", peers.dicom_files(folder / "in"), clusters=True)
        cls.report = cls.result.objects["SR"][1]

    def test_clusters_are_marked_where_they_are(self):
        found = marks(self.report)
        for number, view in enumerate(self.truth, 1):
            true, = view["marks"]
            print(f"{view['side']} {view['view']}: cluster of {true['count']} at ({true['x']:.0f}, {true['y']:.0f}), marked {found.get(number)}")
        hits = [any(math.dist(m, (v["marks"][0]["x"], v["marks"][0]["y"])) * 0.1 < v["marks"][0]["radius_mm"] + 2 for m in found.get(n, []))
                for n, v in enumerate(self.truth, 1)]
        self.assertGreaterEqual(sum(hits), 3)
        self.assertLessEqual(sum(map(len, found.values())), 5)

    def test_clusters_were_looked_for_and_masses_not(self):
        self.assertEqual([coded(self.report, c) for c in ("111017", "111064")], [["111244"], ["111222"]])
        self.assertEqual(coded(self.report, "111022"), ["129769006"])  # Detection Performed: clusters only
        self.assertIn("Masses were not looked for: ", words(self.report))
        self.assertNotIn("Clusters of calcifications were not looked for", words(self.report))

    def test_rejected_calcifications_are_counted_by_reason(self):
        self.assertRegex(words(self.report), r"Left out: [LR] (CC|MLO): \d+ calcifications: ")

    def test_validators_are_silent(self):
        self.assertEqual(self.result.errors(), [])


if __name__ == "__main__":
    unittest.main()
