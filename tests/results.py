"""What one run of `anode analyze` left: its entry in report.json and its objects."""
import json
import pathlib
import subprocess

import peers
import pydicom
import sr


class Result:
    def __init__(self, files, out, stage="calcium"):
        out = pathlib.Path(out)
        out.mkdir(parents=True)
        done = subprocess.run([peers.ANODE, "analyze", "-s", stage, "-o", out, *map(str, files)],
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
