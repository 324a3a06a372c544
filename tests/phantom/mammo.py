#!/usr/bin/python3
"""Four mammograms of known truth: outline, pectoral muscle, masses, clusters of calcifications.

usage: mammo.py OUT [--seed N] [--pixel MM] [--rows N] [--columns N] [--masses] [--clusters] [--plain]
  OUT gets 1.dcm to 4.dcm (L CC, R CC, L MLO, R MLO) and truth.json
  --masses, --clusters   one in each view
  --plain                no vessels, label, clip

A picture is the logarithm of attenuation: fat, glandular tissue, skin, muscle, calcium with coefficients near those at
20 keV, over a thickness that falls off at the rim; glandular tissue is noise with a power law of the frequency
(exponent 3, Burgess et al., Med Phys 2001;28:419) below an envelope; then the blur of the detector, the noise of so many
photons a pixel, and the rim evened out as for presentation.
"""
import argparse
import json
import pathlib
import sys

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from phantom import exam  # noqa: E402

FAT, GLAND, MUSCLE, TUMOUR, CALCIUM = 0.045, 0.080, 0.080, 0.085, 1.2  # 1/mm near 20 keV
SCATTER = 0.6  # of the contrast is left by a grid
BLUR_MM = 0.05
VIEWS = (("L", "CC"), ("R", "CC"), ("L", "MLO"), ("R", "MLO"))


def texture(rng, shape, beta, mm, largest_mm=60):
    """Noise of unit deviation whose power falls with the frequency to the beta."""
    fy, fx = np.fft.fftfreq(shape[0], mm)[:, None], np.fft.rfftfreq(shape[1], mm)[None]
    f = np.maximum(np.hypot(fy, fx), 1 / largest_mm)
    field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=shape)) * f ** (-beta / 2), s=shape)
    return (field - field.mean()) / field.std()


def enlarge(field, shape, times):
    return ndimage.zoom(field, times, order=1)[: shape[0], : shape[1]] if times > 1 else field


class View:
    """One picture in the making. Lengths in mm; x from the chest wall, y downwards."""

    def __init__(self, rng, shape, mm, oblique):
        self.rng, self.shape, self.mm, self.oblique = rng, shape, mm, oblique
        self.y, self.x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
        self.x, self.y = (self.x + 0.5) * np.float32(mm), (self.y + 0.5) * np.float32(mm)
        height, width = shape[0] * mm, shape[1] * mm
        self.a, self.b = rng.uniform(0.4, 0.6) * width, rng.uniform(0.28, 0.4) * height
        self.cy = height * rng.uniform(0.45, 0.55)
        self.thick = rng.uniform(35, 65)
        r = np.hypot(self.x / self.a, (self.y - self.cy) / self.b)
        depth = (1 - r) * min(self.a, self.b)
        self.breast = r < 1
        self.muscle = np.zeros(shape, bool)
        if oblique:
            top, down = rng.uniform(0.25, 0.4) * width, rng.uniform(0.35, 0.5) * height
            axilla = (self.x < 0.62 * self.a) & (self.y < self.cy)  # the breast goes on to the upper edge
            self.breast |= axilla
            depth = np.where(axilla, np.maximum(depth, np.minimum(0.62 * self.a - self.x, min(self.a, self.b))), depth)
            self.muscle = self.breast & (self.y < down * (1 - self.x / top))
        rim = self.thick / 2
        self.depth = np.where(self.breast, depth, 0)
        self.t = self.thick * np.sqrt(np.clip(1 - (1 - np.clip(self.depth / rim, 0, 1)) ** 2, 0, 1))
        self.gland_mm = self.make_gland()
        self.mu = FAT * (self.t - self.gland_mm) + GLAND * self.gland_mm
        self.mu[self.muscle] = MUSCLE * self.t[self.muscle] * 1.1
        self.truth = []

    def make_gland(self):
        times = max(1, round(0.28 / self.mm))
        small = tuple(-(-n // times) for n in self.shape)
        field = enlarge(texture(self.rng, small, 3.0, self.mm * times), self.shape, times)
        cx, spread = self.rng.uniform(0.35, 0.6) * self.a, self.rng.uniform(0.5, 0.9)
        envelope = np.exp(-(((self.x - cx) / (0.55 * self.a * spread)) ** 2 + ((self.y - self.cy) / (0.7 * self.b * spread)) ** 2))
        share = np.clip(self.rng.uniform(0.15, 0.5) + 0.22 * field, 0, 1) * (0.08 + 0.92 * envelope)
        return np.where(self.depth > 3, share * self.t, 0)

    def place(self, margin):
        while True:
            x, y = self.rng.uniform(8, self.a), self.rng.uniform(self.cy - self.b, self.cy + self.b)
            i, j = int(y / self.mm), int(x / self.mm)
            if 0 <= i < self.shape[0] and 0 <= j < self.shape[1] and self.depth[i, j] > margin and not self.muscle[i, j]:
                return x, y

    def window(self, x, y, reach):
        i, j, n = int(y / self.mm), int(x / self.mm), int(reach / self.mm) + 1
        return np.s_[max(i - n, 0) : i + n + 1, max(j - n, 0) : j + n + 1]

    def add_mass(self):
        radius, spiculated = self.rng.uniform(4, 9), self.rng.random() < 0.5
        x, y = self.place(radius + 4)
        at = self.window(x, y, 3 * radius)
        dx, dy = self.x[at] - x, self.y[at] - y
        angle, d = np.arctan2(dy, dx), np.hypot(dx, dy)
        lobes = sum(self.rng.uniform(0, 0.08) * np.cos(k * angle + self.rng.uniform(0, 6.3)) for k in range(2, 6))
        edge = radius * (1 + lobes)
        t = 1.5 * radius * np.sqrt(np.clip(1 - (d / edge) ** 2, 0, 1))
        if spiculated:
            for _ in range(self.rng.integers(10, 22)):
                turn, length = self.rng.uniform(-np.pi, np.pi), radius * self.rng.uniform(1.5, 2.6)
                u, v = dx * np.cos(turn) + dy * np.sin(turn), -dx * np.sin(turn) + dy * np.cos(turn)
                t = np.maximum(t, 2.0 * np.exp(-((v / 0.35) ** 2)) * ((u > 0) & (u < length)) * (1 - np.clip(u / length, 0, 1)))
        t = ndimage.gaussian_filter(t, self.rng.uniform(0.2, 0.6) / self.mm)
        share = np.clip(self.gland_mm[at] / np.maximum(self.t[at], 1), 0, 1)  # what it takes the place of
        self.mu[at] += t * (TUMOUR - FAT - share * (GLAND - FAT))
        self.truth.append({"kind": "mass", "x": x / self.mm, "y": y / self.mm, "radius_mm": radius, "spiculated": bool(spiculated)})

    def add_grain(self, x, y, size, strength=1.0):
        at = self.window(x, y, 2 * size + 0.2)
        d = np.hypot((self.x[at] - x) * self.rng.uniform(0.8, 1.25), self.y[at] - y)
        self.mu[at] += strength * CALCIUM * 0.7 * size * np.clip((size / 2 - d) / self.mm + 0.5, 0, 1)

    def add_cluster(self):
        radius = self.rng.uniform(2.5, 5)
        x, y = self.place(radius + 4)
        count = int(self.rng.integers(5, 16))
        for _ in range(count):
            r, turn = radius * np.sqrt(self.rng.random()), self.rng.uniform(0, 6.3)
            self.add_grain(x + r * np.cos(turn), y + r * np.sin(turn), self.rng.uniform(0.15, 0.5))
        self.truth.append({"kind": "cluster", "x": x / self.mm, "y": y / self.mm, "radius_mm": radius, "count": count})

    def add_path(self, calcified):
        """A vessel: a bending line; calcified, with pieces along both walls."""
        x, y = self.place(8)
        turn, width = self.rng.uniform(-np.pi, np.pi), self.rng.uniform(0.8, 2)
        for step in range(int(self.rng.uniform(60, 160))):
            turn += self.rng.normal() * 0.06
            x, y = x + 0.5 * np.cos(turn), y + 0.5 * np.sin(turn)
            i, j = int(y / self.mm), int(x / self.mm)
            if not (0 <= i < self.shape[0] and 0 <= j < self.shape[1]) or self.depth[i, j] < 3:
                return
            at = self.window(x, y, width)
            d = np.abs(-(self.x[at] - x) * np.sin(turn) + (self.y[at] - y) * np.cos(turn))
            near = np.abs((self.x[at] - x) * np.cos(turn) + (self.y[at] - y) * np.sin(turn)) <= 0.25
            self.mu[at] += near * (GLAND - FAT) * np.sqrt(np.clip(width**2 - 4 * d**2, 0, None))
            if calcified and self.rng.random() < 0.5:
                for wall in (-1, 1):
                    self.add_grain(x - wall * width / 2 * np.sin(turn), y + wall * width / 2 * np.cos(turn), self.rng.uniform(0.25, 0.45), 0.6)

    def add_distractors(self):
        for _ in range(int(self.rng.integers(3, 9))):
            self.add_path(False)
        if self.rng.random() < 0.4:
            self.add_path(True)
        for _ in range(int(self.rng.integers(0, 4))):  # single grains and coarse benign ones
            self.add_grain(*self.place(4), self.rng.uniform(0.2, 0.5))
        if self.rng.random() < 0.4:
            self.add_grain(*self.place(6), self.rng.uniform(1.2, 3), 0.4)

    def picture(self, label):
        mu = SCATTER * ndimage.gaussian_filter(self.mu, BLUR_MM / self.mm)
        photons = self.rng.uniform(400, 1500) * (self.mm / 0.07) ** 2  # behind the densest tissue
        counts = self.rng.poisson(photons * np.exp(np.percentile(mu[self.breast], 95) - mu))
        shown = -np.log(np.maximum(counts, 1))
        rim = ndimage.gaussian_filter(np.where(self.breast, FAT * SCATTER * (self.thick - self.t), 0), 1 / self.mm)
        shown += 0.8 * rim * self.breast
        air = np.percentile(shown[~self.breast], 50)
        top = np.percentile(shown[self.breast], 99.8)
        grey = np.clip(120 + 3300 * (shown - air) / (top - air), 0, 4095)
        if label:
            at = np.s_[int(8 / self.mm) : int(14 / self.mm), int(0.8 * self.shape[1]) : int(0.8 * self.shape[1]) + int(12 / self.mm)]
            grey[at] = 4095
        return grey.astype("<u2")


def make_view(seed, number, shape, mm, masses=False, clusters=False, plain=False):
    """(picture with the chest wall on the left, view with its truth)"""
    rng = np.random.default_rng([seed, number])
    view = View(rng, shape, mm, VIEWS[number][1] == "MLO")
    if not plain:
        view.add_distractors()
    if masses:
        view.add_mass()
    if clusters:
        view.add_cluster()
    return view.picture(not plain), view


def make(folder, seed=1, pixel=0.07, rows=3328, columns=2560, masses=False, clusters=False, plain=False):
    """Writes the exam and returns the truth: marks with the areas of breast (muscle included) and muscle in mm2."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    truth = []
    for number, (side, position) in enumerate(VIEWS):
        picture, view = make_view(seed, number, (rows, columns), pixel, masses, clusters, plain)
        marks = view.truth
        if side == "R":
            picture = picture[:, ::-1]
            marks = [{**m, "x": columns - m["x"]} for m in marks]
        exam.mammogram(folder / f"{number + 1}.dcm", number + 1, side, position, (), picture, pixel)
        truth.append({"side": side, "view": position, "breast_mm2": float(view.breast.sum()) * pixel**2,
                      "muscle_mm2": float(view.muscle.sum()) * pixel**2, "marks": marks})
    (folder / "truth.json").write_text(json.dumps(truth))
    return truth


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pixel", type=float, default=0.07)
    parser.add_argument("--rows", type=int, default=3328)
    parser.add_argument("--columns", type=int, default=2560)
    for word in ("masses", "clusters", "plain"):
        parser.add_argument(f"--{word}", action="store_true")
    args = vars(parser.parse_args())
    print(json.dumps(make(args.pop("out"), **args)))


if __name__ == "__main__":
    main()
