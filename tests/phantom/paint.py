#!/usr/bin/python3
"""Puts calcium of known score into a real CT series, and shows one series in other ways.

usage: paint.py DIR OUT PLACES.json [--seed N] [--blur MM]

PLACES.json: {"coronary": {ARTERY: [[x, y, z], ...]}, "not": {WHAT: [[x, y, z], ...]}}, mm in patient space:
points along an artery's course (or a list of such courses), and places where calcium must not count. A course
is cut into equal pieces and gets a plaque in each, faint and dense, small and large; each place gets a spot.
OUT gets im-0001.dcm ... and truth.json, as chest.py writes it.

JPEG, JPEG-LS and RLE are decoded by DCMTK's dcmdjpeg, dcmdjpls and dcmdrle.

A plaque is drawn on a quarter of the pixel spacing, averaged over the slice, blurred as the scan's kernel does,
and added to what is there: the scan keeps its own noise. Its score is that of the painted series minus that of the
series before, within the reach of what was painted. It shares no code with the program under test.
"""
import argparse
import copy
import hashlib
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import pydicom

from chest import Score
from heart import ARTERIES
from solid import spline


PIECE_MM = 15.0  # of a course with one plaque: no two of them merge
DECODERS = {"dcmdjpeg": ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"),
            "dcmdjpls": ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"), "dcmdrle": ("1.2.840.10008.1.2.5",)}


NOISE_HU = 5.0  # added for another view: as much as between two scans of low noise


class Unfit(ValueError):
    """Files that cannot be painted or shown in other ways; says why."""


def decoded(path):
    """A data set whose pixels need no decoder."""
    ds = pydicom.dcmread(path)
    syntax = ds.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return ds
    decoder = next((name for name, known in DECODERS.items() if syntax in known), None)
    if not decoder:
        raise Unfit(f"{path}: no decoder for {syntax.name}")
    with tempfile.TemporaryDirectory(prefix="anode-decode-") as scratch:
        plain = pathlib.Path(scratch) / "plain.dcm"
        subprocess.run([decoder, path, plain], check=True)
        return pydicom.dcmread(plain)


class Series:
    """Slices of one CT series by rising place along their normal; values in HU. Raises Unfit."""

    def __init__(self, files):
        heads = [decoded(f) for f in files]
        heads = [ds for ds in heads if "PixelData" in ds and "ImagePositionPatient" in ds]
        if len(heads) < 2:
            raise Unfit(f"{len(heads)} of {len(files)} files are slices with a place: two are needed")
        for what in ("SeriesInstanceUID", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns"):
            several = {str(ds.get(what)) for ds in heads}
            if len(several) > 1:
                raise Unfit(f"{what} differs: {', '.join(sorted(several)[:3])}")
        row, column = np.array(heads[0].ImageOrientationPatient, float).reshape(2, 3)
        self.normal = np.cross(row, column)
        self.slices = sorted(heads, key=lambda ds: np.array(ds.ImagePositionPatient, float) @ self.normal)
        self.row, self.column = row, column
        self.spacing = [float(v) for v in self.slices[0].PixelSpacing]
        at = [np.array(ds.ImagePositionPatient, float) @ self.normal for ds in self.slices]
        self.increment = float(np.median(np.diff(at)))
        if self.increment < 0.01:
            raise Unfit(f"{len(at)} slices lie {self.increment} mm apart: several stacks in one series?")
        self.values = []
        for ds in self.slices:
            self.values.append(ds.pixel_array * float(ds.get("RescaleSlope", 1)) + float(ds.get("RescaleIntercept", 0)))
        self.thickness = float(self.slices[0].get("SliceThickness") or self.increment)

    def index(self, k, place):
        """Row and column of a place in slice k, and its distance from the slice."""
        d = np.asarray(place, float) - np.array(self.slices[k].ImagePositionPatient, float)
        return d @ self.column / self.spacing[0], d @ self.row / self.spacing[1], d @ self.normal


def blurred(image, sigma):
    """Gaussian, sigma in pixels."""
    reach = int(np.ceil(3 * sigma)) or 1
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    bell /= bell.sum()
    for axis in (0, 1):
        image = np.apply_along_axis(np.convolve, axis, image, bell, mode="same")
    return image


def chain(rng, line):
    """Calcium within a piece of a course, a row of balls: x, y, z, radius. From 200 to 1200 HU, small and large."""
    width, length = rng.uniform(1.8, 4.5), rng.uniform(0, 0.6 * len(line))
    first = rng.uniform(0, len(line) - length)
    index = np.unique(np.clip(np.round(np.arange(first, first + length + 0.1)), 0, len(line) - 1)).astype(int)
    return {"hu": float(np.exp(rng.uniform(np.log(200), np.log(1200)))), "balls": np.array([(*line[i], width / 2) for i in index])}


def plaques(rng, courses):
    """One plaque in each piece of an artery's courses."""
    for points in courses if np.ndim(courses[0][0]) else [courses]:
        line = spline(points, 1.0)
        pieces = max(1, int(len(line) / PIECE_MM))
        for piece in np.array_split(line, pieces):
            yield chain(rng, piece)


def added(series, k, item, blur):
    """Part of slice k, HU that an item adds to each of its pixels."""
    balls = item["balls"]
    reach = series.thickness / 2 + balls[:, 3].max() + 0.1
    near = [(*series.index(k, b[:3]), b[3]) for b in balls]
    near = [b for b in near if abs(b[2]) < reach]
    if not near:
        return None, None
    shape, margin = series.values[k].shape, int(np.ceil(10 / series.spacing[0]))
    low = [max(0, int(min(b[a] for b in near)) - margin) for a in (0, 1)]
    high = [min(shape[a], int(max(b[a] for b in near)) + margin + 1) for a in (0, 1)]
    if low[0] >= high[0] or low[1] >= high[1]:
        return None, None
    part = np.s_[low[0]:high[0], low[1]:high[1]]
    depths = (np.arange(8) + 0.5) / 8 * series.thickness - series.thickness / 2
    i = (np.arange(low[0] * 4, high[0] * 4) + 0.5)[:, None] / 4 - 0.5
    j = (np.arange(low[1] * 4, high[1] * 4) + 0.5)[None, :] / 4 - 0.5
    cover = 0
    for depth in depths:
        hit = np.zeros((i.size, j.size), bool)
        for row, column, off, r in near:
            hit |= ((i - row) * series.spacing[0]) ** 2 + ((j - column) * series.spacing[1]) ** 2 + (off - depth) ** 2 < r * r
        cover = cover + hit / len(depths)
    cover = cover.reshape(i.size // 4, 4, j.size // 4, 4).mean((1, 3))
    background = blurred(np.maximum(series.values[k][part], -150), 1.5)
    return part, blurred(np.maximum(item["hu"] - background, 0) * cover, blur / series.spacing[0])


def write(series, out, values=None, change=lambda ds, number: None, order=None):
    """Writes slices as a new series, uncompressed, with other values or another change to each."""
    out.mkdir(parents=True, exist_ok=True)
    known = hashlib.sha256(str(out).encode()).hexdigest()
    for number, k in enumerate(order or range(len(series.slices)), 1):
        ds = copy.deepcopy(series.slices[k])
        stored = ds.pixel_array
        if values is not None:
            stored = np.round((values[k] - float(ds.get("RescaleIntercept", 0))) / float(ds.get("RescaleSlope", 1)))
        limit = 2 ** int(ds.BitsStored) - 1 if ds.PixelRepresentation == 0 else 2 ** (int(ds.BitsStored) - 1) - 1
        ds.PixelData = np.clip(stored, -limit - 1 if ds.PixelRepresentation else 0, limit).astype(np.int16 if ds.PixelRepresentation else np.uint16).tobytes()
        ds["PixelData"].VR = "OW"
        ds.InstanceNumber = number
        ds.SeriesInstanceUID = "2.25." + str(int(known[:30], 16))
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"2.25.{int(known[:28], 16)}{number:05d}"
        change(ds, number)
        ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        ds.is_little_endian, ds.is_implicit_VR = True, False
        ds.save_as(out / f"im-{number:04d}.dcm", write_like_original=False)


def paint(series, out, places, seed, blur=0.7):
    """Writes the painted series; returns its truth."""
    rng = np.random.default_rng([seed, 23])
    items = []
    for artery, courses in places.get("coronary", {}).items():
        items += [{"artery": artery, **plaque} for plaque in plaques(rng, courses)]
    for kind, points in places.get("not", {}).items():
        items += [{"kind": kind, "hu": float(rng.uniform(400, 1000)), "balls": np.array([(*at, rng.uniform(1.5, 3.5))])} for at in points]
    values, before, after = [v.copy() for v in series.values], None, None
    area = series.spacing[0] * series.spacing[1]
    before, after = Score(np.sqrt(area), series.increment), Score(np.sqrt(area), series.increment)
    for k, value in enumerate(values):
        zones = {}
        for number, item in enumerate(items):
            part, hu = added(series, k, item, blur)
            if part is not None:
                value[part] += hu
                spread = np.zeros(value.shape)
                spread[part] = hu
                zones[number] = (spread > max(8.0, 0.04 * spread.max()), spread)
        before.add(series.values[k], zones)
        after.add(value, zones)
    write(series, out, values)
    def score(numbers):
        one, two = before.of(numbers), after.of(numbers)
        return {key: round(two[key] - one[key], 3) for key in one}
    coronary = [n for n, item in enumerate(items) if "artery" in item]
    total = {**{a: score([n for n in coronary if items[n]["artery"] == a]) for a in ARTERIES}, "TOTAL": score(coronary)}
    described = lambda n: {"center_mm_xyz": items[n]["balls"][:, :3].mean(0).round(1).tolist(), "places": items[n]["balls"][:, :3].round(1).tolist(), "hu": items[n]["hu"], **score([n])}
    truth = {"params": {"seed": seed}, "total": total, "read": total, "reasons": [], "painted": True,
             "plaques": [{"artery": items[n]["artery"], **described(n)} for n in coronary],
             "others": [{"kind": item["kind"], **described(n)} for n, item in enumerate(items) if "kind" in item]}
    (out / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    return truth


def turned(ds, rows, columns, position):
    """The same voxels in another order: rows or columns reversed, exchanged, with what that makes of the geometry."""
    image = ds.pixel_array
    row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
    at, spacing = np.array(ds.ImagePositionPatient, float), [float(v) for v in ds.PixelSpacing]
    if rows:
        at, column, image = at + column * spacing[0] * (image.shape[0] - 1), -column, image[::-1]
    if columns:
        at, row, image = at + row * spacing[1] * (image.shape[1] - 1), -row, image[:, ::-1]
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [f"{v:.10g}" for v in at], [f"{v:.10g}" for v in (*row, *column)]
    ds.PixelData, ds.PatientPosition = np.ascontiguousarray(image).tobytes(), position


def exchanged(ds, _):
    """Rows become columns, then columns are reversed: the patient on the side."""
    row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
    image, spacing, at = ds.pixel_array.T[:, ::-1], [float(v) for v in ds.PixelSpacing], np.array(ds.ImagePositionPatient, float)
    at = at + column * spacing[0] * (image.shape[1] - 1)
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [f"{v:.10g}" for v in at], [f"{v:.10g}" for v in (*-column, *row)]
    ds.Rows, ds.Columns, ds.PixelSpacing, ds.PatientPosition = image.shape[0], image.shape[1], spacing[::-1], "HFDL"
    ds.PixelData = np.ascontiguousarray(image).tobytes()


def halved(ds, _):
    """Each pixel as four of half its spacing, of the middle half of the image where that is too large."""
    image, spacing, at = ds.pixel_array, [float(v) / 2 for v in ds.PixelSpacing], np.array(ds.ImagePositionPatient, float)
    row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
    ds.ImagePositionPatient = [f"{v:.10g}" for v in at - row * spacing[1] / 2 - column * spacing[0] / 2]
    ds.PixelSpacing, ds.Rows, ds.Columns = spacing, 2 * image.shape[0], 2 * image.shape[1]
    ds.PixelData = image.repeat(2, 0).repeat(2, 1).tobytes()


def cropped(millimetres, middle):
    """A field of view of so many mm around a place."""
    def change(ds, _):
        image, spacing, at = ds.pixel_array, [float(v) for v in ds.PixelSpacing], np.array(ds.ImagePositionPatient, float)
        row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
        i, j = (middle - at) @ column / spacing[0], (middle - at) @ row / spacing[1]
        half = millimetres / 2 / spacing[0], millimetres / 2 / spacing[1]
        top, left = max(0, int(i - half[0])), max(0, int(j - half[1]))
        image = image[top:int(i + half[0]), left:int(j + half[1])]
        ds.ImagePositionPatient = [f"{v:.10g}" for v in at + column * spacing[0] * top + row * spacing[1] * left]
        ds.Rows, ds.Columns, ds.PixelData = *image.shape, np.ascontiguousarray(image).tobytes()
    return change


def noisy(series, seed):
    """The values with white noise of NOISE_HU."""
    rng = np.random.default_rng([seed, 29])
    return [v + rng.normal(0, NOISE_HU, v.shape) for v in series.values]


def shown(series, out, middle):
    """The series shown in other ways, of the same voxels: yields (name, folder). middle: of the heart, mm."""
    ways = {
        "rows and columns reversed": (lambda ds, _: turned(ds, True, True, "HFS"), None),
        "prone": (lambda ds, _: turned(ds, True, True, "HFP"), None),
        "on the side": (exchanged, None),
        **{f"cropped to {side} mm": (cropped(side, middle), None) for side in (250, 200, 160)},
        "half the spacing": (halved, None),
        "reversed order": (lambda ds, _: None, range(len(series.slices) - 1, -1, -1)),
    }
    for name, (change, order) in ways.items():
        folder = out / name.replace(" ", "_")
        write(series, folder, None, change, list(order) if order else None)
        yield name, folder


def main(arguments=None):
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("series", type=pathlib.Path)
    a.add_argument("out", type=pathlib.Path)
    a.add_argument("places", type=pathlib.Path)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--blur", type=float, default=0.7, help="of the kernel, standard deviation in mm")
    o = a.parse_args(arguments)
    files = [f for f in sorted(o.series.rglob("*")) if f.is_file() and pydicom.misc.is_dicom(f)]
    truth = paint(Series(files), o.out, json.loads(o.places.read_text()), o.seed, o.blur)
    print(f"{len(truth['plaques'])} plaques, Agatston {truth['total']['TOTAL']['agatston']} in {o.out}")


if __name__ == "__main__":
    main()
