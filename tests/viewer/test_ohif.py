#!/usr/bin/python3
"""A viewer shows what the node answered: OHIF in a headless Chromium on Orthanc with DICOMweb opens
the study; outlines of the report stand with their values on CT slices, the page is drawn, so are
segments in their colours and the document.

The viewer and the library that drives the browser are npm packages; they are fetched once, with
nothing installed and no browser downloaded, and kept in the user's cache. Screenshots go to
build/viewer.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
import numpy as np  # noqa: E402
import peers  # noqa: E402
import pydicom  # noqa: E402
import serve  # noqa: E402
import sr  # noqa: E402
from results import PLAIN_CHEST, Result  # noqa: E402
from PIL import Image  # noqa: E402

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "anode" / "npm"
PACKAGES = {"@ohif/app": "3.13.2", "playwright-core": "1.65.1"}
OUT = peers.ROOT / "build" / "viewer"


def package(name, version):
    """The folder of an unpacked npm package; skips the test when it cannot be had."""
    folder = CACHE / f"{name.replace('@', '').replace('/', '-')}-{version}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as draft:
            command = ["npm", "pack", "--loglevel=error", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=60000", f"{name}@{version}"]
            done = subprocess.run(command, cwd=draft, capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                peers.skip(f"npm package {name} cannot be had: {' '.join(done.stderr.split())[:200]}")
            with tarfile.open(pathlib.Path(draft) / done.stdout.split()[-1]) as tar:
                tar.extractall(pathlib.Path(draft) / "out")
            (pathlib.Path(draft) / "out").rename(folder)
    return folder / "package"


def fresh(name):
    """An empty folder for screenshots."""
    shutil.rmtree(OUT / name, ignore_errors=True)
    (OUT / name).mkdir(parents=True)
    return OUT / name


def look(url, studies, playwright):
    """What ohif.js saw of each study (its UID, its folder, its wanted series)."""
    wanted = [f"{study}={out}={','.join(series)}" for study, out, series in studies]
    command = ["node", HERE / "ohif.js", playwright, shutil.which("chromium"), url, "300", *wanted]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=len(studies) * peers.HANG_S)
    if done.returncode != 0:
        raise AssertionError(f"the browser failed: {done.stderr[-2000:]}")
    seen = json.loads(done.stdout)
    for (_, out, _), one in zip(studies, seen):
        (out / "seen.json").write_text(json.dumps(one, indent=1))
    return seen


def study_of(files):
    return pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID


def setUpModule():
    """All studies lie in one archive and are looked at by one browser: what it has compiled of the viewer
    serves every page."""
    playwright, viewer = package("playwright-core", PACKAGES["playwright-core"]), package("@ohif/app", PACKAGES["@ohif/app"])
    ports = peers.free_ports(3)
    with tempfile.TemporaryDirectory(prefix="anode-viewer-") as scratch:
        scratch = pathlib.Path(scratch)
        with peers.Orthanc(scratch / "pacs", *ports, StableAge=1) as pacs, \
                peers.Node(scratch / "node", ports[2], {"ORTHANC": ports[0]}) as node:
            studies = [Ohif.answer(scratch, ports, pacs, node)]
        # The same archive, that sends nothing on any more.
        with peers.Orthanc(scratch / "pacs", *ports, route=False), serve.Viewer(viewer / "dist", ports[1]) as web:
            studies += Verdicts.answer(scratch, ports)
            seen = look(web.url, studies, playwright)
    Ohif.take(seen[0])
    Verdicts.take(seen[1:])


class Ohif(unittest.TestCase):
    @classmethod
    def answer(cls, scratch, ports, pacs, node):
        """A study in the archive with what the node answered, and what the browser is to look at."""
        folder = peers.phantom("--seed", "1")
        files = peers.dicom_files(folder)
        study = study_of(files)
        peers.store(files, ports[0])
        found = peers.wait_results(pacs, node, study)
        cls.report = sr.read(pacs.read(found["SR"]["Instances"][0]))
        cls.page = pacs.read(found["OT"]["Instances"][0])
        lungs = scratch / "lungs"
        subprocess.run([peers.ANODE, "analyze", "-s", "lungs", "-o", lungs, folder], check=True, capture_output=True, timeout=peers.HANG_S)
        cls.segments = pydicom.dcmread(lungs / "lungs-seg.dcm").SegmentSequence
        peers.store([lungs / "lungs-seg.dcm", lungs / "lungs-pdf.dcm"], ports[0])
        return study, fresh("study"), ["CT", "SR", "OT", "SEG", "DOC"]

    @classmethod
    def take(cls, seen):
        cls.seen, cls.views = seen, {view["name"]: view for view in seen["series"]}

    def view(self, name):
        view = self.views[name]
        self.assertEqual(view["errors"], [], "\n".join(view["said"][-20:]))
        self.assertEqual(view["trouble"], [])
        self.assertEqual(view["canvases"] > 0, name != "DOC")
        return view, np.asarray(Image.open(view["viewport"]).convert("RGB")).astype(int)

    def test_all_series_of_the_study_are_listed(self):
        listed = {one["modality"]: one for one in self.seen["sets"]}
        for modality in ("CT", "SR", "OT", "PR", "SEG", "DOC"):
            self.assertIn(modality, listed)
            self.assertEqual(listed[modality]["unsupported"], modality == "PR", modality)  # it draws no GSPS

    def test_the_series_itself_is_drawn(self):
        _, pixels = self.view("CT")
        self.assertGreater((pixels.max(axis=2) > 60).mean(), 0.05)

    def test_outlines_of_the_report_stand_with_their_values_on_a_slice(self):
        view, pixels = self.view("SR")
        self.assertGreater(view["shapes"], 0)
        self.assertGreater((pixels.max(axis=2) > 60).mean(), 0.05, "no slice is drawn below the outlines")
        coloured = (pixels.max(axis=2) - pixels.min(axis=2) > 60).sum()
        self.assertGreater(coloured, 50, "no outline is drawn")

    def test_every_score_of_the_report_can_be_reached(self):
        view, _ = self.view("SR")
        text = "\n".join(t for step in view["steps"] for t in step["texts"])
        numbers = {float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", text)}
        scores = {n.value for g in self.report.groups for n in g.numbers if n.concept[0] == sr.SCORE}
        self.assertGreater(len(scores), 3)
        missing = {s for s in scores if not any(abs(s - n) < 0.06 for n in numbers)}
        self.assertFalse(missing, text)

    def test_no_numbers_are_drawn_over_others(self):
        """Texts on one slice stand beside outlines of different places."""
        view, _ = self.view("SR")
        for step in view["steps"]:
            at = [tuple(round(v) for v in where[:2]) for where in step["places"]]
            self.assertEqual(len(set(at)), len(at), step["texts"])

    def test_the_report_page_is_drawn_as_it_is(self):
        _, pixels = self.view("OT")
        page = self.page.pixel_array.reshape(-1, self.page.Rows, self.page.Columns, 3)[0].astype(int)
        # The middle of the viewport against the page, both made small: the same bright and dark places.
        small = np.asarray(Image.fromarray(page.astype(np.uint8)).convert("L").resize((48, 48)), float)
        height, width = pixels.shape[:2]
        scale = min(height / page.shape[0], width / page.shape[1])
        h, w = int(page.shape[0] * scale), int(page.shape[1] * scale)
        top, left = (height - h) // 2, (width - w) // 2
        part = pixels[top:top + h, left:left + w].astype(np.uint8)
        seen = np.asarray(Image.fromarray(part).convert("L").resize((48, 48)), float)
        self.assertGreater(np.corrcoef(small.ravel(), seen.ravel())[0, 1], 0.8)

    def test_each_segment_is_drawn_in_its_colour(self):
        """A viewer draws its own colours where it does not take those of the object: what is looked for
        are two segments side by side in colours that differ, where the lungs are."""
        _, pixels = self.view("SEG")
        self.assertEqual(len(self.segments), 2)
        coloured = pixels.max(axis=2) - pixels.min(axis=2) > 40
        middle = pixels.shape[1] // 2
        halves = [pixels[:, side][coloured[:, side]] for side in (slice(None, middle), slice(middle, None))]
        for half in halves:
            self.assertGreater(len(half), 0.02 * coloured.size, "a lung is not drawn")
        hues = [np.median(half, axis=0) for half in halves]
        self.assertGreater(np.abs(hues[0] - hues[1]).max(), 40, hues)

    def test_the_document_is_drawn(self):
        """The red band on white: ohif.js waits for it."""
        _, pixels = self.view("DOC")
        self.assertGreater((pixels.min(axis=2) > 240).mean(), 0.2, "no white page")


def score_lines(text):
    """What a text says of calcium scores, each once: {"0.0"}, {"23.0 to 361.5"}, {"84.00 {score}"}."""
    return set(re.findall(r"Coronary artery calcium score:? ([^\n]*?):? *$", text, re.MULTILINE))


class Verdicts(unittest.TestCase):
    """What a radiologist reads of a zero, a range, a scan that is not evaluable and a score: the words on the
    screen, and that they lie within the viewport."""
    SMALL = ("--size", "320", "--fov", "350", "--noise", "16")
    PHANTOMS = {
        "not evaluable": ("calcium", ("--seed", "11", *SMALL, "--contrast")),
        "zero": ("chest", ("--seed", "3", *PLAIN_CHEST, "plaques=0")),
        "range": ("chest", ("--seed", "5", *PLAIN_CHEST, "plaques=4")),
    }

    @classmethod
    def answer(cls, scratch, ports):
        cls.steps, cls.reports, studies = {}, {}, []
        for name, (generator, arguments) in cls.PHANTOMS.items():
            files = peers.dicom_files(peers.phantom(*arguments, generator=generator))
            result = Result(files, scratch / name)
            peers.store([*files, *result.paths], ports[0])
            cls.reports[name] = result.report
            studies.append((study_of(files), fresh(name.replace(" ", "-")), ["SR"]))
        return studies

    @classmethod
    def take(cls, seen):
        for name, one in zip(cls.PHANTOMS, seen):
            (view,) = one["series"]
            if view["errors"] or view["trouble"]:
                raise AssertionError(f"{name}: {view['errors']} {view['trouble']}")
            cls.steps[name] = view["steps"]

    def assert_within_the_viewport(self, step):
        for left, top, right, bottom in step["places"]:
            self.assertGreaterEqual(min(left, top), 0, step["texts"])
            self.assertLessEqual(right, step["width"], step["texts"])
            self.assertLessEqual(bottom, step["height"], step["texts"])

    def test_what_is_not_evaluable_says_so_and_why(self):
        (step,) = self.steps["not evaluable"]
        (text,) = step["texts"]
        self.assertTrue(text.startswith("NOT EVALUABLE: contrast agent: the blood pool"), text)
        self.assertNotIn("score", text)
        self.assert_within_the_viewport(step)

    def test_a_zero_reads_as_zero(self):
        steps = self.steps["zero"]
        self.assertEqual(len(steps), 5)
        for step, label in zip(steps, ("Coronary arteries", "LM", "LAD", "LCX", "RCA")):
            (text,) = step["texts"]
            self.assertTrue(text.startswith(label + ":"), text)
            self.assertEqual(score_lines(text), {"0.0"}, text)
            self.assertIn("Number of calcifications 0", text)
            self.assertNotRegex(text, r"(?<!mm)[1-9]")
            self.assert_within_the_viewport(step)

    def test_a_range_reads_as_a_range(self):
        report = self.reports["range"]
        total = self.steps["range"][0]
        (text,) = total["texts"]
        self.assertTrue(text.startswith("Coronary arteries:"), text)
        low = report.total()["agatston"]
        (said,) = score_lines(text)
        self.assertRegex(said, rf"^{low:.1f} to \d+\.\d$")
        self.assertGreater(float(said.split()[-1]), low)
        self.assert_within_the_viewport(total)

    def test_scores_of_arteries_and_lesions_are_read(self):
        read = [score_lines("\n".join(step["texts"])) for step in self.steps["range"]]
        scored = {f"{g.number(sr.SCORE):.2f} {{score}}" for g in self.reports["range"].lesions()}
        self.assertGreater(len(scored), 1)
        self.assertLessEqual(scored, set().union(*read))
        # An artery without calcium of its own, beside those with: the spot that no artery can be told of may be its.
        self.assertTrue(any(re.fullmatch(r"0\.0 to [1-9][0-9.]*", line) for line in set().union(*read)), read)


if __name__ == "__main__":
    peers.need("chromium", "node", "npm")
    unittest.main(verbosity=2)
