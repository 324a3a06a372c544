#!/usr/bin/python3
"""Phantoms with a known answer through `anode analyze` to the report, re-read by pydicom: scores and
arteries right, distractors uncounted, what cannot be judged refused, every object valid, and the
same answer for any order of files. More phantoms: ./run evaluate calcium.

Sanitized: Analysis.test_scores_of_a_tilted_series
"""
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np  # noqa: E402
import peers  # noqa: E402
import pydicom  # noqa: E402
import sr  # noqa: E402
from evaluate import calcium  # noqa: E402
from results import PLAIN_CHEST, Result  # noqa: E402

SMALL = ("--size", "320", "--fov", "350", "--noise", "16")  # fewer pixels: a third of the time
SCORED = {
    "plain": ("--seed", "1"),
    "not gated": ("--seed", "9", *SMALL, "--no-gated"),
    "turned and moved": ("--seed", "4", *SMALL, "--rotate", "7", "--shift", "12", "-9", "250"),
    "pacemaker lead": ("--seed", "8", *SMALL, "--metal"),
    "tilted gantry": ("--seed", "14", *SMALL, "--tilt", "20"),
}
ZERO, OTHER_KVP = ("--seed", "10", *SMALL, "--zero"), ("--seed", "14", *SMALL, "--kvp", "100")
# Arguments, and a word that the reason must hold.
REFUSED = {
    "contrast in the blood pool": (("--seed", "11", *SMALL, "--contrast"), "contrast"),
    "field of view cuts the heart": (("--seed", "12", *SMALL, "--fov-cut"), "field of view"),
    "missing slice": (("--seed", "13", *SMALL, "--missing", "20"), "missing"),
}


class Analysis(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if not peers.ANODE.exists():
            raise AssertionError(f"{peers.ANODE} is not built")
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="anode-golden-"))
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        cls.done = {}

    def analyze(self, folder):
        if folder not in self.done:
            self.done[folder] = Result(peers.dicom_files(folder), self.scratch / str(len(self.done)))
        return self.done[folder]

    def assert_scores(self, folder, truth):
        """The total within 5 %, or in the range that is said; no artery too much, or within two points:
        an island of a few pixels. What no artery can be told of stands under the total alone."""
        result = self.analyze(folder)
        self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
        reading, true = calcium.Reading(result), truth["total"]["TOTAL"]["agatston"]
        self.assertLessEqual(reading.low, 1.05 * true)
        self.assertGreaterEqual(reading.high, 0.95 * true)
        self.assertGreaterEqual(reading.low, 0.85 * true, "most of it is certain")
        got = result.report.artery_scores()
        for artery in calcium.ARTERIES:
            known = truth["total"].get(artery, {"agatston": 0, "volume_mm3": 0})
            mine = got.get(artery, {"agatston": 0, "volume_mm3": 0})
            for key in ("agatston", "volume_mm3"):
                self.assertLessEqual(mine[key], known[key] + calcium.tolerance(known[key]), f"{artery} {key}: {got}")
        said = {m["group"]: m["value"] for m in result.entry["measurements"] if m["unit"] == "{score}"}
        parts = sum(said.get(name, 0) for name in (*calcium.ARTERIES, "UNASSIGNED"))
        self.assertAlmostEqual(said["Coronary arteries"], parts, delta=0.25, msg="parts and total")
        return result

    def assert_places(self, folder, truth):
        """Every outline lies on a true lesion of its artery, and none on a distractor."""
        result = self.analyze(folder)
        slices = {}
        for path in peers.dicom_files(folder):
            ds = pydicom.dcmread(path, stop_before_pixels=True)
            slices[ds.SOPInstanceUID] = ds
        outlines = 0
        for group in result.report.lesions():
            for image, points in group.outline_points:
                ds = slices[image]
                column, row = np.mean(np.reshape(points, (-1, 2)), axis=0) - 0.5
                o, spacing = np.array(ds.ImageOrientationPatient, float), ds.PixelSpacing
                at = np.array(ds.ImagePositionPatient, float) + o[:3] * column * float(spacing[1]) + o[3:] * row * float(spacing[0])
                reach = lambda known, size: np.linalg.norm(at - known["center_mm_xyz"]) <= size / 2 + 6
                near = {known["artery"] for known in truth["lesions"] if reach(known, known.get("length_mm", known["diameter_mm"]))}
                self.assertTrue(near, f"{group.tracking} at {at}")
                self.assertTrue(group.artery in near or group.artery is None, f"{group.tracking} at {at}")
                outlines += 1
        self.assertGreater(outlines, 0)

    def assert_phantom(self, name):
        folder = peers.phantom(*SCORED[name])
        truth = json.loads((folder / "truth.json").read_text())
        self.assert_scores(folder, truth)
        self.assert_places(folder, truth)

    def test_scores_and_arteries_of_phantoms(self):
        for name in SCORED:
            with self.subTest(name):
                self.assert_phantom(name)

    def test_scores_of_a_tilted_series(self):
        self.assert_phantom("tilted gantry")

    def test_scores_of_the_shared_phantom(self):
        folder = peers.unpacked("ct", "calcium_phantom_1.tar.xz")
        if folder is None:
            self.skipTest("shared test data is absent")
        truth = json.loads(next(folder.rglob("truth.json")).read_text())
        self.assert_scores(folder, truth)
        self.assert_places(folder, truth)

    def test_no_calcium_is_a_report_that_says_zero(self):
        result = self.analyze(peers.phantom(*ZERO))
        reading = calcium.Reading(result)
        self.assertEqual(reading.low, 0)
        self.assertEqual(sum(v["agatston"] for v in result.report.artery_scores().values()), 0)
        self.assertTrue(any(n.value == 0 and n.concept[0] == sr.SCORE for g in result.report.groups for n in g.numbers))
        # Calcium in the middle of the aortic root is the valve's: nothing is left that might be an artery's.
        self.assertEqual(result.entry["verdict"], "nothing found", result.entry["reason"])
        self.assertTrue(any("aortic root" in e["reason"] for e in result.entry["exclusions"]), result.entry["exclusions"])
        self.assertIn("PR", result.objects)

    def test_what_cannot_be_judged_is_refused_with_the_reason(self):
        for name, (arguments, word) in REFUSED.items():
            with self.subTest(name):
                result = self.analyze(peers.phantom(*arguments))
                self.assertEqual(result.entry["verdict"], "not evaluable")
                self.assertIn(word, result.entry["reason"].lower())
                self.assertIn(result.entry["reason"], result.report.said())
                numbers = [n.concept[0] for g in result.report.groups for n in g.numbers]
                self.assertEqual(numbers, ["121140"], "how many frames there are, and no other number in spite of the refusal")
                self.assertNotIn("PR", result.objects)
                self.assertIn("OT", result.objects)

    def test_another_tube_voltage_is_never_scored_silently(self):
        result = self.analyze(peers.phantom(*OTHER_KVP))
        said = result.report.said() + result.entry["reason"]
        self.assertIn("kv", said.lower())
        self.assertTrue(result.entry["verdict"] == "not evaluable" or "130" in said, said)

    def test_a_series_without_gating_is_marked_as_an_estimate(self):
        result = self.analyze(peers.phantom(*SCORED["not gated"]))
        self.assertIn("estimate", result.report.said().lower())
        gated = self.analyze(peers.phantom(*SCORED["plain"]))
        self.assertNotIn("estimate", gated.report.said().lower())

    def test_the_order_of_files_changes_nothing(self):
        folder = peers.phantom(*SCORED["plain"])
        first = self.analyze(folder)
        files = peers.dicom_files(folder)
        random.Random(5).shuffle(files)
        shuffled = self.scratch / "shuffled"
        shuffled.mkdir()
        for index, path in enumerate(files):
            shutil.copy(path, shuffled / f"{index:03d}")
        again = Result(sorted(shuffled.iterdir()), self.scratch / "again")
        self.assertEqual(json.dumps(first.entry["measurements"]), json.dumps(again.entry["measurements"]))
        for modality, (_, ds) in first.objects.items():
            other = again.objects[modality][1]
            self.assertEqual(ds.SOPInstanceUID, other.SOPInstanceUID)
            self.assertEqual(ds.SeriesInstanceUID, other.SeriesInstanceUID)
        self.assertEqual(str(first.objects["SR"][1].ContentSequence[-1]), str(again.objects["SR"][1].ContentSequence[-1]))

    def run_tool(self, *command):
        return subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace", timeout=peers.HANG_S)

    def test_validators_find_no_error(self):
        for program in ("dciodvfy", "dcentvfy", "dcmpschk", "dsrdump", "dcsrdump"):
            if shutil.which(program) is None:
                self.skipTest(f"{program} is not installed")
        variants = [SCORED["plain"], SCORED["not gated"], ZERO, REFUSED["contrast in the blood pool"][0], REFUSED["missing slice"][0]]
        for arguments in variants:
            folder = peers.phantom(*arguments)
            result = self.analyze(folder)
            for path in result.paths:
                with self.subTest(path=path.name, arguments=arguments):
                    done = self.run_tool("dciodvfy", "-new", path)
                    said = done.stdout + done.stderr
                    self.assertNotIn("Error", said)
            done = self.run_tool("dcentvfy", *peers.dicom_files(folder), *result.paths)
            said = done.stdout + done.stderr
            # The tool counts Accession Number of any SR among the series' attributes.
            wrong = [line for line in said.splitlines() if line.startswith("Error") and "Accession" not in line]
            self.assertEqual(wrong, [])
            report = result.objects["SR"][0]
            for tool in ("dsrdump", "dcsrdump"):
                done = self.run_tool(tool, report)
                self.assertEqual(done.returncode, 0, done.stderr)
            if "PR" in result.objects:
                done = self.run_tool("dcmpschk", result.objects["PR"][0])
                self.assertNotIn("Error", done.stdout + done.stderr)

    def analyze_with_table(self, name, rows):
        """The SR of the phantom without calcium with a table of percentiles; or what the program says of the table."""
        table, conf, out = (self.scratch / f"{name}.{kind}" for kind in ("csv", "yaml", "out"))
        table.write_text("source: Nobody 2024\nsex,age_from,age_to,p25,p50,p75,p90\n" + rows)
        conf.write_text(f"peers: [{{ae_title: A, host: 127.0.0.1, port: 104}}]\nroutes: [{{name: a, when: {{Modality: CT}}, run: calcium, options: {{percentiles: {table}}}}}]\n")
        folder = peers.phantom("--seed", "3", *PLAIN_CHEST, "plaques=0", generator="chest")
        done = self.run_tool(peers.ANODE, "analyze", "-c", conf, "-s", "calcium", "-o", out, *peers.dicom_files(folder))
        return pydicom.dcmread(out / "calcium-sr.dcm") if done.returncode == 0 else done.stdout + done.stderr

    def test_percentiles_come_from_the_sites_table(self):
        first = self.analyze_with_table("first", "M,0,120,0,0,1,200\nF,0,120,0,0,1,200\n")
        other = self.analyze_with_table("other", "M,0,120,0,0,1,900\nF,0,120,0,0,1,900\n")
        said = [s[1] for s in sr.read(first).judgements + sr.read(first).statements if s[0] == "Percentile Ranking of measurement"]
        self.assertRegex(said[0], r"percentile of (men|women) of 0 to 120 years \(Nobody 2024\)$")
        self.assertNotEqual(first.SOPInstanceUID, other.SOPInstanceUID, "another table, another result")
        wrong = self.analyze_with_table("wrong", "M,0,120,0,0,1,2OO\n")
        self.assertIn("wrong.csv:3: p90: \"2OO\" is no score", wrong)


if __name__ == "__main__":
    unittest.main(verbosity=2)
