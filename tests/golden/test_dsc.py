#!/usr/bin/python3
"""The dsc stage on a phantom: volume and flow, late tissue, leakage, objects against each other, refusals.
Sanitized: Head.test_blood_volume_is_within_five_percent
"""
import json
import pathlib
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
import pydicom  # noqa: E402
from phantom import dsc  # noqa: E402
from results import Result  # noqa: E402

CODES = {"cbf": ("126390", "ml/min/[100]g"), "cbv": ("126391", "ml/[100]g"), "mtt": ("113052", "s"), "tmax": ("113084", "s"), "ttp": ("113069", "s"), "k2": ("LEAK-K2", "/s")}
TISSUE = (dsc.L_WHITE, dsc.L_GREY, dsc.L_LATE)


def map_of(result, name):
    ds = pydicom.dcmread(result.out / f"dsc-pmap-{name}.dcm")
    values = np.frombuffer(ds.FloatPixelData, "<f4").reshape(ds.NumberOfFrames, ds.Rows, ds.Columns).copy()
    padding = ds.get("FloatPixelPaddingValue")
    if padding is not None:
        values[values == np.float32(padding)] = np.nan
    return values, ds


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="anode-dsc-")
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)

    def run_phantom(self, name, *words, config=None):
        o = dsc.arguments([str(self.folder / name), *words])
        truth, labels = dsc.make(o)
        return truth, labels, Result(peers.dicom_files(o.out), self.folder / f"{name}-out", "dsc", config)

    def medians(self, result, labels, name):
        values, _ = map_of(result, name)
        return {n: float(np.nanmedian(values[:, labels == n])) for n in range(dsc.L_WHITE, dsc.L_ARTERY)}


class Head(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.truth, cls.labels, cls.result = Case.run_phantom(cls, "head")

    def test_the_objects_are_valid(self):
        self.assertEqual(self.result.errors(), [])

    def test_blood_volume_is_within_five_percent(self):
        self.assertEqual(self.result.entry["verdict"], "done", self.result.entry["reason"])
        found = self.medians(self.result, self.labels, "cbv")
        print("CBV", found)
        for n in TISSUE:
            self.assertLess(abs(found[n] / dsc.FLOW[n][1] - 1), 0.05)

    def test_flow_is_low_by_a_quarter_at_most_and_in_order(self):
        found = self.medians(self.result, self.labels, "cbf")
        print("CBF", found)
        for n in TISSUE:
            self.assertTrue(0.75 <= found[n] / dsc.FLOW[n][0] <= 1.05, found)

    def test_late_tissue_is_found(self):
        group = self.result.report.groups[0]
        self.assertLess(abs(group.number("118565006") / self.truth["late_ml"] - 1), 0.1)
        late = self.medians(self.result, self.labels, "tmax")
        self.assertLess(abs(late[dsc.L_LATE] - late[dsc.L_WHITE] - 9), 1)

    def test_the_segment_has_the_volume(self):
        seg = self.result.objects["SEG"][1]
        voxels = int(seg.pixel_array.sum())
        self.assertAlmostEqual(voxels * dsc.PIXEL_MM**2 * dsc.THICK_MM / 1000, self.result.report.groups[0].number("118565006"), delta=0.06)

    def test_leaking_tissue_is_said_and_not_corrected(self):
        self.assertIn("mL of tissue leak", self.result.report.said())
        self.assertLess(self.medians(self.result, self.labels, "cbv")[dsc.L_LEAK], 0.5 * dsc.FLOW[dsc.L_LEAK][1])

    def test_maps_have_quantity_and_unit(self):
        for name, (code, unit) in CODES.items():
            values, ds = map_of(self.result, name)
            mapping = ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
            self.assertEqual(mapping.MeasurementUnitsCodeSequence[0].CodeValue, unit)
            self.assertIn(code, [q.ConceptCodeSequence[0].CodeValue for q in mapping.QuantityDefinitionSequence])
            self.assertEqual(values.shape, (dsc.SLICES, dsc.SIZE, dsc.SIZE))

    def test_artery_and_vein_lie_in_vessels(self):
        wanted, seen = {"ARTERY": dsc.L_ARTERY, "VEIN": dsc.L_VEIN}, set()
        for annotation in self.result.objects["PR"][1].GraphicAnnotationSequence:
            for graphic in annotation.get("GraphicObjectSequence", []):
                if annotation.GraphicLayer in wanted:
                    x, y = np.array(graphic.GraphicData).reshape(-1, 2).mean(0)
                    self.assertEqual(self.labels[int(y), int(x)], wanted[annotation.GraphicLayer])
                    seen.add(annotation.GraphicLayer)
        self.assertEqual(seen, set(wanted))


class Others(Case):
    def test_leakage_is_corrected_on_request(self):
        config = self.folder / "leak.yaml"
        config.write_text(f"node: {{data_dir: {self.folder}}}\npeers: [{{ae_title: A, host: 127.0.0.1, port: 104}}]\n"
                          f"routes: [{{name: r, when: {{Modality: MR}}, run: dsc, results: [sr, pmap], options: {json.dumps({'leakage': True})}}}]\n")
        _, labels, result = self.run_phantom("leak", config=config)
        found = self.medians(result, labels, "cbv")
        print("CBV corrected", found)
        for n in (*TISSUE, dsc.L_LEAK):
            self.assertLess(abs(found[n] / dsc.FLOW[n][1] - 1), 0.12)
        k2 = self.medians(result, labels, "k2")
        self.assertGreater(k2[dsc.L_LEAK], 0.015)
        self.assertLess(abs(k2[dsc.L_WHITE]), 0.005)

    def test_noise_of_one_percent(self):
        truth, labels, result = self.run_phantom("noise", "--noise", "0.01", "--leak", "0")
        found = self.medians(result, labels, "cbv")
        print("CBV", found, "CBF", self.medians(result, labels, "cbf"))
        for n in TISSUE:
            self.assertLess(abs(found[n] / dsc.FLOW[n][1] - 1), 0.1)
        self.assertLess(abs(result.report.groups[0].number("118565006") / truth["late_ml"] - 1), 0.1)
        self.assertNotIn("tissue leak", result.report.said())

    def test_nothing_late_gives_nothing(self):
        _, _, result = self.run_phantom("none", "--late", "0", "--noise", "0.005")
        self.assertEqual((result.entry["verdict"], result.report.groups[0].number("118565006")), ("done", 0))

    def test_points_before_the_signal_is_steady_are_left_out(self):
        _, labels, result = self.run_phantom("unsteady", "--unsteady")
        self.assertEqual([e["reason"] for e in result.entry["exclusions"]], ["the signal is not steady yet"] * 2)
        found = self.medians(result, labels, "cbv")
        for n in TISSUE:
            self.assertLess(abs(found[n] / dsc.FLOW[n][1] - 1), 0.05)

    def test_what_cannot_be_judged_is_refused(self):
        for name, words, why in (("contrast", ("--no-contrast",), "no bolus"), ("start", ("--late-start",), "no baseline"), ("few", ("--points", "18"), "18 points in time"),
                                 ("slow", ("--step", "4"), "every 4.0 s"), ("short", ("--points", "21", "--step", "1.2"), "the scan lasts 24 s"), ("noise", ("--noise", "0.3"), "")):
            with self.subTest(name):
                _, _, result = self.run_phantom(f"refused-{name}", *words)
                self.assertEqual(result.entry["verdict"], "not evaluable", name)
                self.assertIn(why, result.entry["reason"])
                self.assertEqual(result.entry["measurements"], [])


if __name__ == "__main__":
    unittest.main()
