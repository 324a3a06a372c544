"""What one run of `anode analyze` left: its entry in report.json and its objects."""
import json
import pathlib
import subprocess

import peers
import pydicom
import sr

# Of tests/phantom/chest.py: a gated scan that leaves nothing to doubt but what is in the arteries.
PLAIN_CHEST = ("--size", "320", "gated=true", "fov=330", "kernel=soft", "kernel_named=true", "noise=12", "contrast=false", "increment=3", "thickness=3",
               "motion_mm=0", "kvp=120", "derived=", "cut=false", "missing=false", "position=HFS", "tilt=0", "fat_mm=7", "root_fat_mm=6", "effusion=0",
               "consolidation=0", "hernia=false", "wires=false", "cartilage=false", "osteophytes=false", "granuloma=false", "others=")


class Result:
    def __init__(self, files, out, stage="calcium", config=None):
        """config: a configuration whose routes say what is run instead."""
        out = pathlib.Path(out)
        out.mkdir(parents=True)
        how = ["-c", config] if config else ["-s", stage]
        done = subprocess.run([peers.ANODE, "analyze", *how, "-o", out, *map(str, files)],
                              capture_output=True, text=True, timeout=peers.HANG_S)
        if done.returncode != 0:
            raise AssertionError(f"anode analyze ended with {done.returncode}: {done.stdout}{done.stderr}")
        self.files = [pathlib.Path(f) for f in files]
        self.out, self.entry = out, json.loads((out / "report.json").read_text())["results"][0]
        self.objects = {}  # by modality: path, data set
        for path in sorted(out.glob("*.dcm")):
            ds = pydicom.dcmread(path)
            self.objects[ds.Modality] = (path, ds)
        self.report = sr.read(self.objects["SR"][1])

    @property
    def paths(self):
        return [path for path, _ in self.objects.values()]

    def errors(self):
        """What dciodvfy finds wrong in any of the objects."""
        found = []
        for path in sorted(self.out.glob("*.dcm")):
            done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, errors="replace", timeout=peers.HANG_S)
            found += [f"{path.name}: {line}" for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
        return found
