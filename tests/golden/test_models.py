#!/usr/bin/python3
"""A model is a folder: a stranger's network becomes an analysis, its results are what its arithmetic says, and
the same folder broken in many ways is refused with a place and a value.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import onnx_file  # noqa: E402
import peers  # noqa: E402
from phantom import head  # noqa: E402
from results import Result  # noqa: E402

SHAPE, SPACING = (24, 30, 20), (2.0, 1.5, 2.5)  # of the image, along its axes
CUBE = (slice(6, 14), slice(8, 20), slice(5, 12))
LEVEL = 0.5  # of the range of values, above which the network sees the structure

MODEL = """\
name: cube
title: Bright cube
version: "1"
slot: 50
help: Volume of a bright cube.
licence: CC0
source: made by a test
caution: Of little use
network: model.json
input:
  help: an MR of anything
  when: {Modality: MR}
  extent_mm: 30
axes: LIA
spacing_mm: [2, 2.5, 1.5]
scale: {method: minmax}
keep: largest
labels:
  - class: 1
    name: Cube
    type: [85756007, SCT, Tissue]
    colour: [0, 158, 115]
    volume_ml: [1, 100]
"""


def network(folder):
    """Two classes by a 1 x 1 x 1 convolution: the second wins above LEVEL."""
    layers = [{"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [None, None, None, None, 1], "dtype": "float32"}},
              {"class_name": "Conv3D", "config": {"name": "out", "filters": 2, "kernel_size": [1, 1, 1], "strides": [1, 1, 1], "padding": "same",
                                                  "dilation_rate": [1, 1, 1], "activation": "linear", "use_bias": True, "data_format": "channels_last"},
               "inbound_nodes": [[["in", 0, 0, {}]]]}]
    weights = [{"name": "out/kernel", "shape": [1, 1, 1, 1, 2], "dtype": "float32"}, {"name": "out/bias", "shape": [2], "dtype": "float32"}]
    topology = {"model_config": {"class_name": "Functional", "config": {"name": "m", "layers": layers, "input_layers": [["in", 0, 0]], "output_layers": [["out", 0, 0]]}}}
    (folder / "model.json").write_text(json.dumps({"format": "layers-model", "modelTopology": topology,
                                                   "weightsManifest": [{"paths": ["w.bin"], "weights": weights}]}))
    (folder / "w.bin").write_bytes(np.array([0, 1, LEVEL, 0], "<f4").tobytes())


WINDOW = (8, 16, 16)  # of the ONNX file, which is moved over the grid


def onnx_network(folder, operator="Conv", window=None):
    """The same as an ONNX file, of open axes."""
    weights = {"kernel": np.array([0, 1], float).reshape(2, 1, 1, 1, 1), "bias": np.array([LEVEL, 0], float)}
    (folder / "net.onnx").write_bytes(onnx_file.model([onnx_file.node(operator, ["in", "kernel", "bias"], ["out"], kernel_shape=[1, 1, 1])], weights,
                                                      {"in": (1, 1, None, None, None)}, {"out": (1, 2, None, None, None)}))
    replaced("network: model.json", "network: net.onnx" + (f"\nwindow: {list(window)}" if window else ""))(folder)


def replaced(old, new):
    def breaks(folder):
        text = (folder / "model.yaml").read_text()
        assert old in text
        (folder / "model.yaml").write_text(text.replace(old, new))
    return breaks


def cut_weights(folder):
    (folder / "w.bin").write_bytes(b"\0" * 9)


def unknown_layer(folder):
    text = (folder / "model.json").read_text()
    (folder / "model.json").write_text(text.replace('"Conv3D"', '"Lambda"'))


# What is done to the folder, and what the error names.
BROKEN = {
    "unknown key": (replaced("version:", "verson:"), 'model.yaml:3:1: unknown key "verson" (did you mean "version"?)'),
    "axes": (replaced("axes: LIA", "axes: LRA"), 'axes: "LRA" is no orientation'),
    "spacing": (replaced("[2, 2.5, 1.5]", "[2, 0, 1.5]"), "spacing_mm: 0 is outside 0.1 to 20"),
    "size": (replaced("axes: LIA", "axes: LIA\nsize: [1000, 1000, 1000]"), "size: 1000000000 voxels are too many"),
    "scaling": (replaced("minmax", "minmix"), 'method: "minmix" is none of none, minmax, quantile, zscore, ct'),
    "keyword": (replaced("Modality: MR", "Modalty: MR"), 'no DICOM attribute "Modalty" (did you mean "Modality"?)'),
    "class": (replaced("class: 1", "class: 2"), 'gives the classes 0 to 1, and label "Cube" is class 2'),
    "code": (replaced("[85756007, SCT, Tissue]", "[85756007, SCT]"), "type: is no list of 3"),
    "path": (replaced("network: model.json", "network: ../model.json"), 'network: "../model.json" is no plain name'),
    "slot": (replaced("slot: 50", "slot: 1"), "slot: 1 is outside 40 to 99"),
    "name": (replaced("name: cube", "name: lungs"), 'name: there is an analysis "lungs" already'),
    "link": (lambda folder: os.symlink("/etc/hostname", folder / "more"), "m/more: is no plain file"),
    "folder": (lambda folder: (folder / "more").mkdir(), "m/more: is no plain file"),
    "absent": (lambda folder: (folder / "model.json").unlink(), "model.json"),
    "weights": (cut_weights, "out/bias: 8 bytes at 8, the files have 9"),
    "layer": (unknown_layer, "Lambda"),
    "operator": (lambda folder: onnx_network(folder, "Bogus"), "Bogus_out (Bogus): this operator is not known here"),
    "window": (onnx_network, "network: leaves its axis 3 open: window or size must say how long it is"),
    "window of layers": (replaced("axes: LIA", "axes: LIA\nwindow: [8, 8, 8]"), "network: window is of ONNX files only"),
    "not YAML": (lambda folder: (folder / "model.yaml").write_text("name: [\n"), "model.yaml:2:1"),
    "no contrast": (replaced("keep: largest", "keep: largest\nbrighter: [Cube, Ball]"), 'brighter: "Ball" is no label'),
}


class Models(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="anode-models-")
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        (cls.folder / "good" / "m").mkdir(parents=True)
        (cls.folder / "good" / "m" / "model.yaml").write_text(MODEL)
        network(cls.folder / "good" / "m")
        shutil.copytree(cls.folder / "good", cls.folder / "onnx")
        onnx_network(cls.folder / "onnx" / "m", window=WINDOW)
        cls.conf = cls.configuration("good")
        image = np.full(SHAPE, 100.0)
        image[CUBE] = 900
        image[2, 2, 2] = 900  # a second piece, which keep: largest leaves out
        affine = np.diag([*SPACING, 1.0])
        cls.results = {}
        for name, models, slices, flip in (("plain", "good", 2, ()), ("turned", "onnx", 0, (0, 1))):
            head.write_series(cls.folder / name, image, affine, slices=slices, flip=flip)
            cls.results[name] = cls.analysed(name, cls.configuration(models))

    @classmethod
    def configuration(cls, models):
        path = cls.folder / f"{models}.yaml"
        path.write_text(f"node: {{models_dir: {cls.folder / models}, bind: 127.0.0.1}}\n"
                        "peers: [{ae_title: PACS, host: 127.0.0.1, port: 104}]\n"
                        "routes: [{name: mr, when: {Modality: MR}, run: cube, results: [sr, sc, seg, pdf]}]\n")
        return path

    @classmethod
    def analysed(cls, name, conf=None):
        return Result(peers.dicom_files(cls.folder / name), cls.folder / f"out-{name}", config=conf or cls.conf)

    def test_numbers_are_those_of_its_arithmetic(self):
        voxels = np.prod([s.stop - s.start for s in CUBE])
        for name, result in self.results.items():
            with self.subTest(name):
                group = result.report.groups[0]
                self.assertAlmostEqual(group.number("118565006"), voxels * np.prod(SPACING) / 1000, delta=0.06)
                seg = result.objects["SEG"][1]
                self.assertEqual(int(seg.pixel_array.sum()), voxels)
                self.assertEqual(result.errors(), [])

    def test_the_segment_lies_where_the_cube_does(self):
        wanted = {tuple(np.round(np.array(at) * SPACING * (-1, -1, 1), 2)) for at in
                  np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in CUBE], indexing="ij"), -1).reshape(-1, 3)}
        for name, result in self.results.items():
            with self.subTest(name):
                self.assertEqual(places(result.objects["SEG"][1]), wanted)

    def test_who_found_it_is_told_and_what_is_known_of_it(self):
        self.assertIn("Of little use", [text for _, text in self.results["plain"].report.judgements])
        segment = self.results["plain"].objects["SEG"][1].SegmentSequence[0]
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        self.assertEqual(algorithm.AlgorithmFamilyCodeSequence[0].CodeValue, "123110")
        self.assertRegex(algorithm.AlgorithmVersion, "^1-[0-9a-f]{12}$")

    def test_an_image_that_is_too_small_is_refused(self):
        head.write_series(self.folder / "small", np.arange(8.0**3).reshape(8, 8, 8), np.diag([2, 2, 2, 1.0]))
        entry = self.analysed("small").entry
        self.assertEqual((entry["verdict"], entry["reason"]),
                         ("not evaluable", "the image reaches over 16 mm only (at least 30 mm along each axis)"))

    def test_what_the_edge_cuts_is_not_measured(self):
        image = np.full(SHAPE, 100.0)
        image[0:8, 8:20, 5:12] = 900
        head.write_series(self.folder / "cut", image, np.diag([*SPACING, 1.0]))
        self.assertIsNone(next((m for m in self.analysed("cut").entry["measurements"] if m["code"][0] == "118565006"), None))
        shutil.copytree(self.folder / "good", self.folder / "small-cube")
        replaced("[1, 100]", "[1, 4]")(self.folder / "small-cube" / "m")  # what is cut is larger than a whole one
        result = Result(peers.dicom_files(self.folder / "cut"), self.folder / "out-large", config=self.configuration("small-cube"))
        self.assertEqual((result.entry["verdict"], result.entry["reason"]), ("not evaluable", "Cube of 5.0 mL is implausible (1 to 4 mL)"))

    def test_broken_folders_are_refused_by_place_and_value(self):
        for name, (breaks, wanted) in BROKEN.items():
            with self.subTest(name):
                shutil.rmtree(self.folder / "bad", ignore_errors=True)
                shutil.copytree(self.folder / "good", self.folder / "bad")
                breaks(self.folder / "bad" / "m")
                done = subprocess.run([peers.ANODE, "check", "-c", self.configuration("bad")], capture_output=True, text=True, timeout=peers.HANG_S)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(wanted, done.stderr)
                self.assertIn("bad.yaml:1:", done.stderr)

    def test_it_is_listed(self):
        done = subprocess.run([peers.ANODE, "stages", "-c", self.conf], capture_output=True, text=True, timeout=peers.HANG_S)
        self.assertIn("cube: Bright cube, version 1-", done.stdout)


def places(seg):
    """The voxels of a segmentation in mm, LPS, by its own geometry."""
    shared = seg.SharedFunctionalGroupsSequence[0]
    found = set()
    for frame, item in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence):
        def group(keyword):
            return (item if keyword in item else shared)[keyword].value[0]
        position = np.array(group("PlanePositionSequence").ImagePositionPatient, float)
        orientation = np.array(group("PlaneOrientationSequence").ImageOrientationPatient, float)
        rows, columns = map(float, group("PixelMeasuresSequence").PixelSpacing)
        for j, i in np.argwhere(frame):
            found.add(tuple(np.round(position + i * columns * orientation[:3] + j * rows * orientation[3:], 2) + 0.0))
    return found


if __name__ == "__main__":
    unittest.main()
