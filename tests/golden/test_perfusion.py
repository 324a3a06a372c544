#!/usr/bin/python3
"""The perfusion stage on phantoms: volumes and maps against the truth, objects against each other, refusals.
Sanitized: Head.test_volumes_are_those_of_the_phantom

The shared phantoms (skipped where they are absent) are made by another program than tests/phantom/perfusion.py.
"""
import json
import os
import pathlib
import sys
import tarfile
import tempfile
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
import pydicom  # noqa: E402
from phantom import perfusion  # noqa: E402
from scipy import ndimage  # noqa: E402
from results import Result  # noqa: E402

SHARED = pathlib.Path(os.environ.get("ANODE_TEST_DATA", "../shared/data")) / "perfusion" / "phantoms"
QUANTITIES = {"cbf": "126390", "cbv": "126391", "mtt": "113052", "tmax": "113084", "ttp": "113069"}


def volumes(result):
    """mL by threshold, of both sides."""
    return {m["method"][0]: m["value"] for m in reversed(result.entry["measurements"]) if "method" in m}


def number(result, group, name):
    return next(m["value"] for m in result.entry["measurements"] if m["group"] == group and m["name"] == name)


def map_of(result, name):
    """Values [slice][row][column], NaN where there is none; in the order of the slices from low to high."""
    ds = pydicom.dcmread(result.out / f"perfusion-pmap-{name}.dcm")
    values = np.frombuffer(ds.FloatPixelData, "<f4").reshape(ds.NumberOfFrames, ds.Rows, ds.Columns).copy()
    padding = ds.get("FloatPixelPaddingValue")
    if padding is not None:
        values[values == np.float32(padding)] = np.nan
    heights = [float(f.PlanePositionSequence[0].ImagePositionPatient[2]) for f in ds.PerFrameFunctionalGroupsSequence]
    return values[np.argsort(heights)], ds


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="anode-perfusion-")
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)

    def run_phantom(self, name, *words, options=None):
        o = perfusion.arguments([str(self.folder / name), *words])
        truth = perfusion.make(o)
        return truth, Case.run_again(self, name, f"{name}-out", options)  # self: a class, in setUpClass

    def run_again(self, name, out, options=None):
        config = self.folder / f"{out}.yaml" if options else None
        if config:
            config.write_text(f"node: {{data_dir: {self.folder}}}\npeers: [{{ae_title: A, host: 127.0.0.1, port: 104}}]\n"
                              f"routes: [{{name: r, when: {{Modality: CT}}, run: perfusion, results: [sr, pmap, gsps], options: {json.dumps(options)}}}]\n")
        return Result(peers.dicom_files(self.folder / name), self.folder / out, "perfusion", config)

    def within(self, result, truth):
        found = volumes(result)
        late, core = found["TMAX-6"], found["CBF-30"]
        print(f"late {late:.1f} mL of {truth['late_ml']:.1f}, core {core:.1f} mL of {truth['core_ml']:.1f}")
        self.assertLessEqual(abs(late - truth["late_ml"]), max(0.10 * truth["late_ml"], 3))
        self.assertLessEqual(abs(core - truth["core_ml"]), max(0.25 * truth["core_ml"], 5))


class Head(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.truth, cls.result = Case.run_phantom(cls, "head", "--seed", "2", "--slices", "6")
        cls.labels = np.load(cls.folder / "head" / "labels.npz")["labels"]

    def test_the_objects_are_valid(self):
        self.assertEqual(self.result.errors(), [])

    def test_volumes_are_those_of_the_phantom(self):
        self.assertEqual(self.result.entry["verdict"], "done", self.result.entry["reason"])
        self.within(self.result, self.truth)
        side, other = ("Left", "Right") if self.truth["side"] == "left" else ("Right", "Left")
        self.assertGreater(number(self.result, f"{side} hemisphere", "Volume"), 0.95 * volumes(self.result)["TMAX-6"])
        self.assertLess(number(self.result, f"{other} hemisphere", "Volume"), 3)
        target = next(e["value"] for e in self.result.entry["evaluations"] if e["code"][0] == "TARGET")
        self.assertEqual(target.split(":")[0], "yes" if self.truth["target"] else "no")

    def test_the_segmentation_has_the_volumes(self):
        ds = self.result.objects["SEG"][1]
        voxel = perfusion.FOV_MM**2 / 128**2 * perfusion.THICK_MM / 1000
        frames = [int(f.SegmentIdentificationSequence[0].ReferencedSegmentNumber) for f in ds.PerFrameFunctionalGroupsSequence]
        counts = [sum(int(p.sum()) for p, n in zip(np.atleast_3d(ds.pixel_array), frames) if n == s) for s in (1, 2)]
        found = volumes(self.result)
        self.assertEqual([s.SegmentLabel for s in ds.SegmentSequence], ["Mismatch", "Core"])
        self.assertAlmostEqual(counts[1] * voxel, found["CBF-30"], delta=0.06)
        self.assertAlmostEqual((counts[0] + counts[1]) * voxel, found["TMAX-6"], delta=0.06)

    def test_maps_are_parametric_maps_with_units(self):
        units = {"cbf": "ml/min/[100]g", "cbv": "ml/[100]g", "mtt": "s", "tmax": "s", "ttp": "s"}
        for name, unit in units.items():
            values, ds = map_of(self.result, name)
            mapping = ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
            self.assertEqual(mapping.MeasurementUnitsCodeSequence[0].CodeValue, unit)
            concepts = [q.ConceptCodeSequence[0].CodeValue for q in mapping.QuantityDefinitionSequence]
            self.assertIn(QUANTITIES[name], concepts)
            self.assertEqual(values.shape, (6, 128, 128))

    def test_late_tissue_has_high_tmax_and_core_little_flow(self):
        tmax, flow, volume = (map_of(self.result, name)[0] for name in ("tmax", "cbf", "cbv"))
        median = {n: (np.nanmedian(tmax[self.labels == n]), np.nanmedian(flow[self.labels == n]), np.nanmedian(volume[self.labels == n])) for n in perfusion.TISSUE if (self.labels == n).any()}
        self.assertLess(median[perfusion.L_GREY][0], 4)
        self.assertGreater(median[perfusion.L_WHITE_LATE][0], 6)
        self.assertLess(median[perfusion.L_WHITE_CORE][1], 0.3 * median[perfusion.L_GREY][1])
        for n, true in ((perfusion.L_GREY, 4), (perfusion.L_WHITE, 5)):
            self.assertLess(abs(median[n][2] / self.truth["flow"][str(true)][1] - 1), 0.2)
        self.assertTrue(np.isnan(tmax[self.labels == perfusion.L_BONE]).all())

    def test_colours_show_every_slice(self):
        ds = pydicom.dcmread(self.result.out / "perfusion-sc-tmax.dcm")
        self.assertEqual(ds.NumberOfFrames, 6)
        self.assertGreater(int(ds.pixel_array.max(axis=-1).max()), 200)

    def test_segments_lie_where_the_maps_say(self):
        """Core and mismatch, read back with their places, are late by the map of Tmax; the grids are those of the images."""
        ds = self.result.objects["SEG"][1]
        tmax, _ = map_of(self.result, "tmax")
        late = np.zeros(tmax.shape, bool)
        for frame, groups in zip(ds.pixel_array, ds.PerFrameFunctionalGroupsSequence):
            position = groups.PlanePositionSequence[0].ImagePositionPatient
            self.assertAlmostEqual(float(position[0]), (perfusion.FOV_MM / 128 - perfusion.FOV_MM) / 2, delta=1e-3)
            late[round(float(position[2]) / perfusion.THICK_MM)] |= frame > 0
        self.assertGreater((tmax[late] > 6).mean(), 0.97)  # holes are filled, and no flow has no delay
        self.assertGreater(late[tmax > 6].mean(), 0.9)  # small pieces go
        spacing = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
        self.assertAlmostEqual(float(spacing[0]), perfusion.FOV_MM / 128, delta=1e-4)

    def test_colours_are_the_values_of_the_map(self):
        """Colours are turned back into values by the bar beside them, and compared with the parametric map."""
        for name, most in (("cbf", 80), ("cbv", 6), ("mtt", 16), ("tmax", 12)):
            with self.subTest(name):
                values, _ = map_of(self.result, name)
                colours = pydicom.dcmread(self.result.out / f"perfusion-sc-{name}.dcm").pixel_array.astype(int)
                height, width = (2 * n for n in values.shape[1:])  # each voxel is 2 x 2 pixels
                bar = colours[0, :, width + 15]  # from the highest value at the top to 0, which is black like what surrounds it
                lit = np.flatnonzero(np.ptp(bar[:height], axis=-1) > 200)  # not the frame around it
                red, blue = lit[0], lit[np.argmin(np.abs(bar[lit] - (0, 0, 255)).sum(-1))]
                self.assertTrue((bar[red] > (240, -1, -1)).all() and (np.abs(bar[blue] - (0, 0, 255)) < 16).all(), (bar[red], bar[blue]))
                bottom = red + (blue - red) / 0.8  # pure blue is at a fifth of the palette
                at = np.arange(red, blue)
                share = 1 - (at - red) / (bottom - red)
                # Voxels in whose surroundings the map is nearly flat, of values between blue and red.
                flat = ndimage.maximum_filter(values, (1, 3, 3)) - ndimage.minimum_filter(values, (1, 3, 3)) < 0.1 * most
                chosen = np.argwhere(flat & (values > 0.25 * most) & (values < 0.95 * most))
                self.assertGreater(len(chosen), 30)
                seen = np.array([colours[k, 2 * y, 2 * x] for k, y, x in chosen])
                off = np.abs(seen[:, None, :] - bar[at][None]).sum(-1)
                on_bar = off.min(1) < 30  # not under a mark or a letter
                found = most * share[off.argmin(1)]
                error = np.abs(found - np.array([values[tuple(c)] for c in chosen]))[on_bar] / most
                print(f"{name}: {on_bar.sum()} of {len(chosen)} voxels compared, median difference {100 * np.median(error):.1f} %, 95th centile {100 * np.quantile(error, 0.95):.1f} %")
                self.assertGreater(on_bar.mean(), 0.9)
                self.assertLess(np.quantile(error, 0.95), 0.04)
                self.assertLess(np.median(error), 0.015)

    def test_artery_and_vein_lie_in_vessels(self):
        ds = self.result.objects["PR"][1]
        by_uid = {pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID: f for f in self.result.files}
        found = {"ARTERY": [], "VEIN": []}
        for annotation in ds.GraphicAnnotationSequence:
            for image in annotation.ReferencedImageSequence:
                k = round(float(pydicom.dcmread(by_uid[image.ReferencedSOPInstanceUID], stop_before_pixels=True).ImagePositionPatient[2]) / perfusion.THICK_MM)
                for graphic in annotation.get("GraphicObjectSequence", []):
                    if annotation.GraphicLayer in found:
                        x, y = np.array(graphic.GraphicData).reshape(-1, 2).mean(0)
                        found[annotation.GraphicLayer].append(int(self.labels[k, int(y), int(x)]))
        print(found)
        self.assertTrue(found["ARTERY"] and set(found["ARTERY"]) == {perfusion.L_ARTERY})
        self.assertTrue(found["VEIN"] and set(found["VEIN"]) == {perfusion.L_VEIN})


class Others(Case):
    def test_no_lesion_gives_nothing(self):
        _, result = self.run_phantom("none", "--seed", "3", "--lesion", "none", "--slices", "5")
        found = volumes(result)
        self.assertEqual(result.entry["verdict"], "done")
        self.assertLess(found["TMAX-6"], 3)
        self.assertEqual(found["CBF-30"], 0)

    def test_a_lesion_that_is_core_up_to_its_border(self):
        """Voxels of the border have the delay of normal tissue, which has more flow; they belong to the lesion all the same."""
        truth, result = self.run_phantom("core", "--seed", "98932", "--varied")
        self.assertGreater(truth["core_ml"], 0.9 * truth["late_ml"])
        self.within(result, truth)

    def test_a_thin_artery_of_a_head_that_drifts_is_enlarged(self):
        truth, result = self.run_phantom("drift", "--seed", "31188", "--varied")
        self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
        self.assertIn("of the area of the vein (limit 0.50)", result.report.said())
        self.within(result, truth)

    def test_two_arteries_that_differ_give_a_range(self):
        """The artery of the side of the lesion has its bolus 2.4 s later than the others: by it half of the tissue is in time."""
        truth, result = self.run_phantom("two arteries", "--seed", "16", "--slices", "4", "--late-artery", "2.4")
        self.within(result, truth)
        late = next(m for m in result.entry["measurements"] if m.get("method", [""])[0] == "TMAX-6" and m["group"] == "Late inflow")
        self.assertLess(late["low"], 0.8 * truth["late_ml"])
        self.assertLessEqual(late["high"], truth["late_ml"] + 3)
        self.assertIn("which artery", late["range_reason"])
        self.assertIn("With another artery", result.report.said())
        self.late_artery_given(late["low"])

    def late_artery_given(self, late_ml):
        """The late artery, named by its place, gives the other end of the range, and the vein is as it was."""
        labels = np.load(self.folder / "two arteries" / "labels.npz")["labels"]
        truth = json.loads((self.folder / "two arteries" / "truth.json").read_text())
        side = 1 if truth["side"] == "left" else -1
        pixel = perfusion.FOV_MM / 128
        at = [(k, (y + 0.5) * pixel - perfusion.FOV_MM / 2, (x + 0.5) * pixel - perfusion.FOV_MM / 2) for k, y, x in np.argwhere(labels == perfusion.L_ARTERY)]
        k, y, x = sorted(a for a in at if a[2] * side > 12)[0]
        result = self.run_again("two arteries", "given", {"artery_at": f"{x:.1f} {y:.1f} {k * perfusion.THICK_MM:g}"})
        self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
        self.assertAlmostEqual(volumes(result)["TMAX-6"], late_ml, delta=max(0.1 * late_ml, 3))
        self.assertEqual(result.entry["parameters"]["artery_at"], f"{x:.1f} {y:.1f} {k * perfusion.THICK_MM:g}")
        for place, why in (("somewhere", "is no place"), ("0 0 900", "outside of the images"), ("0 -105 5", "nothing rises")):
            refused = self.run_again("two arteries", f"given {place}", {"artery_at": place})
            self.assertEqual(refused.entry["verdict"], "not evaluable", place)
            self.assertIn(why, refused.entry["reason"])

    def test_late_tissue_with_the_flow_of_its_kind_is_said(self):
        """White matter of a side that is late as a whole has less flow than the mean of normal tissue, and all of its own."""
        _, result = self.run_phantom("late flow", "--seed", "53886", "--varied")
        self.assertGreater(volumes(result)["TMAX-6"], 3)
        self.assertIn("without lack of it", result.report.said())
        target = next(e["value"] for e in result.entry["evaluations"] if e["code"][0] == "TARGET")
        self.assertTrue(target.startswith("uncertain"), target)

    def test_a_lesion_of_a_side_that_is_late_as_a_whole(self):
        """Its own late tissue is the low end of a range, all that is late the high one."""
        truth, result = self.run_phantom("late side", "--seed", "411", "--side-delay", "2.5", "--slices", "4", "--noise", "2")
        side = "Left" if truth["side"] == "left" else "Right"
        self.assertIn(f"Blood comes to the {side.lower()} side 2.", result.report.said())
        for group in ("Late inflow", f"{side} hemisphere"):
            late = next(m for m in result.entry["measurements"] if m.get("method", [""])[0] == "TMAX-6" and m["group"] == group)
            self.assertIn("late as a whole", late["range_reason"])
            self.assertAlmostEqual(late["low"], truth["late_ml"], delta=max(0.1 * truth["late_ml"], 3))
            self.assertGreater(late["high"], 1.1 * truth["late_ml"])

    def test_two_slow_images_before_the_bolus_are_a_baseline(self):
        truth, result = self.run_phantom("slow", "--seed", "408", "--varied")  # two slabs, an image of each every 3 s
        self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
        self.assertIn("Images every 3.0 s", result.report.said())
        for method, group, known in (("TMAX-6", "Late inflow", truth["late_ml"]), ("CBF-30", "Core", truth["core_ml"])):
            ml = next(m for m in result.entry["measurements"] if m.get("method", [""])[0] == method and m["group"] == group)
            self.assertIn("images far apart", ml["range_reason"], method)
            self.assertLess(ml["low"], ml["value"], method)
            self.assertTrue(ml["low"] <= known <= ml["high"], f"{method}: {known} is not in {ml['low']} to {ml['high']}")
        self.assertAlmostEqual(volumes(result)["TMAX-6"], truth["late_ml"], delta=max(0.16 * truth["late_ml"], 3))

    def test_finer_pixels_mirrored_and_in_any_order(self):
        truth, result = self.run_phantom("finer", "--seed", "2", "--size", "256", "--slices", "5", "--mirrored", "--random-order")
        self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
        self.within(result, truth)
        side = "Left" if truth["side"] == "left" else "Right"
        self.assertGreater(number(result, f"{side} hemisphere", "Volume"), 0.95 * volumes(result)["TMAX-6"])

    def test_motion_is_corrected(self):
        for name, words in (("for a while", ()), ("for good", ("--stay",))):
            with self.subTest(name):
                truth, result = self.run_phantom(f"moved {name}", "--seed", "2", "--slices", "6", "--jump", "3", "--turn", "3", "--through", *words)
                self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
                self.assertIn("The head moved by up to 4.", result.report.said())
                # A slice at the end of which the head has left shows nothing that could be followed.
                gone = [int(e["what"].split()[1]) - 1 for e in result.entry["exclusions"] if e["what"].startswith("slice ")]
                self.assertLessEqual(len(gone), 1)
                self.within(result, {which: truth[which] - sum(truth[which.replace("_ml", "_slices_ml")][k] for k in gone) for which in ("late_ml", "core_ml")})

    def test_points_that_moved_too_far_are_left_out(self):
        truth, result = self.run_phantom("far", "--seed", "2", "--slices", "5", "--jump", "30")
        self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
        self.assertEqual([e["reason"].split(" ")[:3] for e in result.entry["exclusions"]], [["the", "head", "moved"]] * 3)
        self.within(result, truth)

    def test_what_cannot_be_judged_is_refused(self):
        small = ("--seed", "2", "--slices", "3")
        for name, words, why in (("none", ("--no-contrast",), "no bolus"), ("short", ("--seconds", "36", "--late", "6"), "truncated"),
                                 ("gone", ("--jump", "40", "--stay"), "points are of no use"), ("little", ("--peak", "54", "--noise", "5"), "low contrast"),
                                 ("late", ("--late-start",), "no baseline"), ("few", ("--step", "5"), "14 points in time"), ("noise", ("--noise", "12"), "low contrast")):
            with self.subTest(name):
                _, result = self.run_phantom(f"refused-{name}", *small, *words)
                self.assertEqual(result.entry["verdict"], "not evaluable", name)
                self.assertIn(why, result.entry["reason"])
                self.assertEqual(result.entry["measurements"], [])


class Shared(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not SHARED.is_dir():
            raise unittest.SkipTest(f"no {SHARED}")

    def analyse(self, name, out, options=None):
        if not (self.folder / name).exists():
            with tarfile.open(SHARED / name / "dicom.tar.xz") as tar:
                tar.extractall(self.folder / name)
        result = self.run_again(name, out, options)
        self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
        return result, json.loads((SHARED / name / "truth.json").read_text())

    def grid(self, method, change_most):
        result, truth = self.analyse("grid_noisefree", f"grid-{method}", {"method": method, "smooth_mm": 0, "hematocrit_factor": 1, "density": 1})
        flow, volume, transit = (map_of(result, name)[0] for name in ("cbf", "cbv", "mtt"))
        rows = []
        for s in truth["slices"]:
            for t in s["tiles"]:
                inner = (s["z_index"], slice(t["row0"] + 6, t["row0"] + 10), slice(t["col0"] + 6, t["col0"] + 10))
                rows.append((s["residue"], t["CBF_ml_100ml_min"], np.nanmean(flow[inner]), t["CBV_ml_100ml"], np.nanmean(volume[inner]),
                             t["MTT_s"], np.nanmean(transit[inner]), t["delay_s"]))
        for residue in ("exponential", "linear", "box"):
            those = [r for r in rows if r[0] == residue]
            r_flow = np.corrcoef([r[1] for r in those], [r[2] for r in those])[0, 1]
            r_transit = np.corrcoef([r[5] for r in those], [r[6] for r in those])[0, 1]
            volume_off = max(abs(r[4] / r[3] - 1) for r in those if r[5] <= 12)
            by_tile = {}
            for r in those:
                by_tile.setdefault((r[3], r[5]), []).append(r[2])
            change = max((max(v) - min(v)) / np.mean(v) for v in by_tile.values())
            print(f"{residue}: CBF r {r_flow:.4f}, MTT r {r_transit:.4f}, CBV off by {100 * volume_off:.1f} %, CBF change over delays {100 * change:.1f} %")
            self.assertGreaterEqual(r_flow, 0.97)
            self.assertGreaterEqual(r_transit, 0.95)
            self.assertLessEqual(volume_off, 0.05)
            self.assertLessEqual(change, change_most)

    def test_grid_without_noise_osvd(self):
        self.grid("osvd", 0.15)

    def test_grid_without_noise_csvd(self):
        self.grid("csvd", 0.05)

    def test_stroke(self):
        result, truth = self.analyse("stroke_a", "stroke-out")
        true = truth["volumes_ml"]
        self.within(result, {"late_ml": true["Tmax_gt_6s"], "core_ml": true["core_rCBF_lt_30pct"]})
        target = next(e["value"] for e in result.entry["evaluations"] if e["code"][0] == "TARGET")
        self.assertTrue(target.startswith("yes"), target)


if __name__ == "__main__":
    unittest.main()
