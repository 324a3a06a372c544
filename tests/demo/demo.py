#!/usr/bin/python3
"""A series' way from the PACS through the node and back, on this machine.

usage: demo.py [DIR]    DIR holds the DICOM files of a CT series (and perhaps truth.json);
                        without it a synthetic thorax is made
Starts Orthanc with the router of conf/ and `anode serve`, sends the series to Orthanc, waits until
the results are in Orthanc, prints and draws them. Everything is left in build/demo.
Exit status: 0 all results came, 1 one is missing or DIR is no series, 2 a program failed.
"""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import numpy as np  # noqa: E402
import peers  # noqa: E402
import pydicom  # noqa: E402
import sr  # noqa: E402
from PIL import Image  # noqa: E402
from render import gsps  # noqa: E402

OUT = peers.ROOT / "build" / "demo"


def say(text=""):
    print(text, flush=True)


def series_in(folder):
    """{(study, series): [files]} of the CT images below folder."""
    found = {}
    for path in peers.dicom_files(folder):
        ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "SeriesInstanceUID", "Modality"])
        if ds.get("Modality") == "CT":
            found.setdefault((ds.StudyInstanceUID, ds.SeriesInstanceUID), []).append(path)
    return found


def make_phantom(folder):
    say("making a synthetic thorax with coronary calcium")
    subprocess.run(["/usr/bin/python3", HERE.parent / "phantom" / "calcium.py", folder], check=True)
    return folder


def keep(pacs, series):
    """The series' instances as files and data sets."""
    found = []
    for index, instance in enumerate(series["Instances"]):
        path = OUT / f"{series['Modality'].lower()}-{index + 1}.dcm"
        path.write_bytes(pacs.file(instance))
        found.append((path, pydicom.dcmread(path)))
    return found


def show_series(pacs, study):
    say(f"\nseries of study {study}")
    for s in sorted(pacs.series(study), key=lambda s: int(s.get("SeriesNumber") or 0)):
        say(f"  {s.get('SeriesNumber', '-'):>5}  {s['Modality']:<3} {len(s['Instances']):>4} x  {s.get('SeriesDescription', '')}")


def row(label, values, unit=""):
    say(f"  {label:<16}" + "".join(f"{'-' if v is None else format(v, '.1f'):>12}" for v in values) + unit)


def show_measurements(report, truth):
    say("\nmeasurements in the SR")
    for group in report.groups:
        numbers = "  ".join(f"{n.concept[2]} {n.value:g} {n.unit}" for n in group.numbers)
        statements = "  ".join(f"{a}: {b}" for a, b in group.texts if "lgorithm" not in a)
        say(f"  {group.tracking:<24} {numbers}  {statements}")
    for concept, text in report.judgements:
        say(f"  {concept}: {text}")
    if truth is None:
        return
    say("\nAgatston against the truth")
    say(f"  {'':<16}{'SR':>12}{'truth':>12}{'difference':>12}")
    got = dict(report.artery_scores(), TOTAL=report.total())
    for artery in ("LM", "LAD", "LCX", "RCA", "TOTAL"):
        true = truth["total"].get(artery, {}).get("agatston", 0.0)
        mine = (got.get(artery) or {}).get("agatston")
        row(artery, [mine, true, None if mine is None else mine - true])
    unassigned = next((g.number(sr.SCORE) for g in report.groups if g.tracking == "UNASSIGNED"), None)
    if unassigned:
        row("unassigned", [unassigned, None, None])


def draw(results, files):
    """PNG files of the pages and of the overlay on its images. Returns their paths."""
    made = []
    for path, page in results["OT"]:
        for number, frame in enumerate(page.pixel_array.reshape(-1, page.Rows, page.Columns, 3)):
            made.append(OUT / f"page-{path.stem[3:]}-{number + 1}.png")
            Image.fromarray(frame.astype(np.uint8)).save(made[-1])
    for path, _ in results.get("PR", []):
        made += gsps.render(path, files, OUT)
    return made


def run(folder):
    series = series_in(folder)
    if len(series) != 1:
        say(f"{folder}: {len(series)} CT series; one is needed")
        return 1
    (study, _), files = next(iter(series.items()))
    truth_file = pathlib.Path(folder) / "truth.json"
    truth = json.loads(truth_file.read_text()) if truth_file.exists() else None
    dicom, http, port = peers.free_ports(3)
    with tempfile.TemporaryDirectory(prefix="anode-demo-") as scratch:
        scratch = pathlib.Path(scratch)
        try:
            with peers.Orthanc(scratch / "pacs", dicom, http, port, StableAge=1) as pacs, \
                    peers.Node(scratch / "node", port, {"ORTHANC": dicom}) as node:
                say(f"Orthanc takes DICOM on port {dicom}, shows itself at {pacs.url}; anode listens on port {port}")
                say(f"sending {len(files)} images to Orthanc, which routes them to anode")
                peers.store(files, dicom)
                start = time.monotonic()
                found = peers.wait_results(pacs, node, study)
                say(f"results were in the PACS {time.monotonic() - start:.1f} s after the last image")
                show_series(pacs, study)
                results = {modality: keep(pacs, s) for modality, s in found.items()}
        finally:
            for log in scratch.glob("*/*.log"):
                shutil.copy(log, OUT)
    show_measurements(sr.read(results["SR"][0][1]), truth)
    say("\npictures")
    for path in draw(results, files):
        say(f"  {path}")
    return 0


def main(arguments):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the blocks above end what they began
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    try:
        return run(arguments[0] if arguments else make_phantom(OUT / "series"))
    except peers.PeerError as error:
        say(f"demo: {error}")
        return 1
    except (OSError, subprocess.SubprocessError) as error:
        say(f"demo: {error}")
        return 2
    except KeyboardInterrupt:
        say("stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
