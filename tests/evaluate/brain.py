"""White and grey matter on T1-weighted MR painted from label maps of the shared test data, by a network of ../shared/models that
conf/models describes: brain-tissue-small, or what ANODE_BRAIN_MODEL names. Painted heads are simpler than real ones.
Asymmetry and intracranial volume are not measured: no network tells left from right, or draws the fluid around the brain."""
import os
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import peers
import pydicom
from evaluate.row import Row
from phantom import head

GENERATOR = "head"
MODEL = os.environ.get("ANODE_BRAIN_MODEL", "brain-tissue-small")
MAPS = ("training_seg_01", "training_seg_07")
NAMES = {"White matter": head.WHITE, "Grey matter": head.GREY}
DICE, BRAIN_DICE = 85.0, 95.0  # percent
VOLUME_ML, LEAST_PERCENT = 0.05, 10  # rounding of a volume; and how far from the truth one is called wrong
REFUSED = "not evaluable"

# Name, arguments of the phantom, and what is expected.
PHANTOMS = {
    "plain": ((), "done"),
    "noise, field": (("--noise", "0.08", "--bias", "0.6"), "done"),
    "sagittal, turned": (("--slices", "0", "--flip", "0", "--flip", "1"), "done"),
    "2 mm": (("--slices", "2", "--thick", "2"), "done"),
    "stripped": (("--stripped",), "done"),
    "cut": (("--slices", "1", "--cut", "90"), REFUSED),  # the head is not in the images
    "grey is brighter": (("--inverted",), REFUSED),
}


def model_folder():
    """A models_dir with the network, which lasts as long as the program."""
    networks = peers.shared_data("..", "models", "brainchop")
    if not networks:
        sys.exit("evaluate: models/brainchop of the shared test data is absent")
    scratch = tempfile.TemporaryDirectory(prefix="anode-brain-")
    folder = pathlib.Path(scratch.name) / MODEL
    folder.mkdir()
    description = peers.ROOT / "conf" / "models" / f"{MODEL}.yaml"
    shutil.copy(description, folder / "model.yaml")
    source = next(line for line in description.read_text().splitlines() if line.startswith("source:")).split()[-1]
    for path in (networks / source).iterdir():
        if path.suffix == ".bin" or path.name == "model.json":
            shutil.copyfile(path, folder / path.name)
    return scratch


MODELS = model_folder()
CONFIGURATION = (f"node: {{models_dir: {MODELS.name}, bind: 127.0.0.1}}\npeers: [{{ae_title: PACS, host: 127.0.0.1, port: 104}}]\n"
                 f"routes: [{{name: mr, when: {{Modality: MR}}, run: {MODEL}, results: [sr, sc, seg, pdf]}}]\n")


def cases(seed):
    found = []
    for number, (name, (arguments, expected)) in enumerate(PHANTOMS.items()):
        labels = peers.shared_data("brain", "labelmaps", f"{MAPS[(seed + number) % len(MAPS)]}.nii.gz")
        if not labels:
            sys.exit("evaluate: brain/labelmaps of the shared test data is absent")
        found.append((name, ("--seed", seed, "--labels", labels, *arguments), expected))
    return found


def drawn(seg, shape, files):
    """{structure: mask}, [slice][row][column] as the series is stored."""
    names = {s.SegmentNumber: s.SegmentLabel for s in seg.SegmentSequence}
    found = {name: np.zeros(shape, bool) for name in names.values()}
    slices = {pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID: k for k, f in enumerate(sorted(files))}
    for frame, plane in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        found[names[frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber]][slices[source]] = plane
    return found


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / max(1, np.count_nonzero(a) + np.count_nonzero(b))


def rows(truth, expected, result):
    entry = result.entry
    found = [Row(f"warning: {text}", None, None) for _, text in result.report.judgements if not text.startswith("NOT FOR")]
    found.append(Row("verdict", expected, entry["verdict"]))
    if entry["verdict"] != "done":
        return [*found, Row(f"reason: {entry['reason']}", None, None)]
    volumes = {m["group"]: m["value"] for m in entry["measurements"] if m["code"][0] == "118565006"}
    if truth is None:
        return found + [Row(name, None, volume) for name, volume in volumes.items()]
    kinds = np.load(result.files[0].parent / "truth.npy")
    masks = drawn(result.objects["SEG"][1], kinds.shape, result.files)
    for name, tissue in NAMES.items():
        true, mask = kinds == head.CLASSES.index(tissue), masks.get(name, np.zeros(kinds.shape, bool))
        value = 100 * dice(mask, true)
        found.append(Row(f"{name}, Dice in %", max(value, DICE), value, 0.05))
        if name in volumes:
            found.append(Row(f"{name}, mL in SR and SEG", np.count_nonzero(mask) * truth["voxel_ml"], volumes[name], VOLUME_ML, "mL in SR and SEG"))
            found.append(Row(f"{name}, mL", truth[tissue], volumes[name], truth[tissue] * LEAST_PERCENT / 100))
    brain = 100 * dice(np.logical_or.reduce(list(masks.values())), kinds > 0)
    found.append(Row("brain, Dice in %", max(brain, BRAIN_DICE), brain, 0.05))
    return found
