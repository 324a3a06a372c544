#!/usr/bin/python3
"""A CT series of a chest that nobody has seen before, and the truth about its coronary calcium.

usage: chest.py OUT [--seed N] [--size N] [KEY=VALUE...]      OUT gets im-0001.dcm ... and truth.json

Everything is drawn from the seed: body, heart, disease, calcium that is coronary and calcium that is not,
metal, and how it was scanned; KEY=VALUE puts one's own value for a drawn one (`--list` prints them all).
A slice is painted from the outside in (solid.py, heart.py), averaged over its thickness, filtered by the
kernel's modulation transfer function and given noise of that kernel's texture, both in the frequency domain.

truth.json: params; total {LM, LAD, LCX, RCA, TOTAL: {agatston, volume_mm3, mass_mg}} of the noise-free image of a
soft kernel with all plaques at rest, read {the same} as a reader who knows every plaque would mark it in the
stored image; plaques and others, each with place and score; reasons: why a reader would not sign a plain
score, empty where one would. Scores are by the published rules (>= 130 HU, 8-connected islands of at least
1 mm2, weight by the island's maximum, increment / 3 mm). It shares no code with the program under test.
"""
import argparse
import hashlib
import json
import pathlib

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

from heart import ARTERIES, FAT, Heart
from solid import Plane, ellipsoid, rod, smooth_step, spline, superellipse, unit

AIR, MUSCLE, LIVER, SPINE, CORTEX, CARTILAGE = -1000, 55, 58, 190, 520, 95
MASS_FACTOR = 0.7692307692307692  # mg/cm3 a HU
# Direction cosines of the rows and columns, and where the table is, by Patient Position (PS3.3 C.7.3.1.1.2).
POSITIONS = {
    "HFS": ((1, 0, 0), (0, 1, 0), (0, 1)), "FFS": ((1, 0, 0), (0, 1, 0), (0, 1)),
    "HFP": ((-1, 0, 0), (0, -1, 0), (0, -1)), "FFP": ((-1, 0, 0), (0, -1, 0), (0, -1)),
    "HFDR": ((0, 1, 0), (-1, 0, 0), (-1, 0)), "HFDL": ((0, -1, 0), (1, 0, 0), (1, 0)),
}
KERNELS = {"soft": (0.62, 0.0, "B35f"), "smooth": (0.85, 0.0, "B20f"), "medium": (0.5, 0.35, "B46f"), "sharp": (0.38, 1.3, "B60f"), "lung": (0.3, 2.6, "B80f")}


def draw(seed):
    """What nobody chose: {name: value}."""
    rng = np.random.default_rng([seed, 7])
    chance = lambda p: bool(rng.random() < p)
    gated = chance(0.65)
    size = np.clip(rng.normal(1, 0.07), 0.85, 1.15)
    p = {
        "sex": str(rng.choice(["F", "M"])), "scale": float(size), "girth_mm": float(np.clip(rng.gamma(3, 8), 5, 60)), "gated": gated,
        "rotation": float(rng.normal(0, 5)), "scoliosis_mm": float(rng.normal(0, 6)), "kyphosis_mm": float(rng.uniform(0, 25)),
        "position": str(rng.choice(["HFS", "FFS", "HFP", "HFDR", "HFDL"], p=[0.84, 0.05, 0.05, 0.03, 0.03])),
        "arms": "down" if chance(0.1 if gated else 0.25) else "up", "table": chance(0.95), "mattress": chance(0.6), "blanket": chance(0.4),
        "heart": float(np.clip(rng.normal(1, 0.09), 0.82, 1.25)), "heart_x": float(rng.normal(20, 5)), "heart_y": float(rng.normal(-28, 4)),
        "axis_azimuth": float(rng.uniform(32, 60)), "axis_down": float(rng.uniform(18, 45)), "axis_roll": float(rng.normal(0, 8)),
        "fat_mm": float(np.clip(rng.lognormal(np.log(4.0), 0.75), 0.2, 15)), "groove_mm": float(rng.uniform(2.0, 6.0)), "root_fat_mm": float(rng.uniform(0, 7)),
        "pericardial_fat_mm": float(np.clip(rng.gamma(2, 3), 0, 20)), "aorta_mm": float(np.clip(rng.normal(31, 3.5), 24, 44)), "blood_hu": float(np.clip(rng.normal(41, 5), 28, 55)),
        "effusion": float(rng.uniform(0.1, 0.4)) if chance(0.08) else 0.0, "consolidation": int(rng.integers(1, 5)) if chance(0.1) else 0,
        "hernia": chance(0.06), "emphysema": chance(0.1),
        "plaques": 0 if chance(0.25) else int(rng.integers(1, 13)),
    }
    p["others"] = [kind for kind, share in (("aortic valve", 0.2), ("mitral annulus", 0.1), ("ascending aorta", 0.2), ("aortic sinus", 0.1), ("descending aorta", 0.4), ("pericardium", 0.03),
                                            ("papillary muscle", 0.04), ("hilar node", 0.15), ("mediastinal node", 0.1), ("pacemaker lead", 0.04), ("stent", 0.04), ("clips", 0.03)) if chance(share)]
    p |= {"cartilage": chance(0.35), "osteophytes": chance(0.4), "granuloma": chance(0.12), "wires": chance(0.03)}
    increment, thickness = [(3.0, 3.0), (2.5, 2.5), (1.5, 3.0), (3.0, 3.0), (1.0, 1.0), (0.5, 0.5)][rng.choice(6, p=[0.4, 0.3, 0.1, 0.1, 0.07, 0.03])] if gated else \
        [(1.0, 1.0), (1.25, 1.25), (2.0, 2.0), (3.0, 3.0), (5.0, 5.0), (2.0, 3.0)][rng.choice(6, p=[0.12, 0.18, 0.2, 0.2, 0.2, 0.1])]
    p |= {
        "increment": increment, "thickness": thickness, "fov": float(rng.choice([160, 180, 200, 220, 250, 300]) if gated else rng.uniform(320, 400)),
        "kernel": str(rng.choice(["soft", "smooth", "medium", "sharp", "lung"], p=[0.7, 0.14, 0.06, 0.06, 0.04])), "kernel_named": chance(0.7),
        "noise": float(np.clip(rng.lognormal(np.log(17), 0.3), 9, 45)), "iterative": chance(0.4), "motion_mm": 0.0 if chance(0.93 if gated else 0.75) else float(rng.uniform(2, 6)),
        "kvp": float(rng.choice([120, 119, 121, 100, 140], p=[0.88, 0.03, 0.03, 0.04, 0.02])), "tilt": float(rng.uniform(-20, 20)) if chance(0.03) else 0.0,
        "contrast": chance(0.03), "derived": str(rng.choice(["", "MIP", "VNC", "MONO"], p=[0.955, 0.015, 0.015, 0.015])), "cut": chance(0.03),
        "missing": chance(0.02), "padded": chance(0.3), "reversed": chance(0.3),
    }
    return p


class Body:
    """All but the heart. Space: x to the patient's left, y to the back, z to the head, mm before scaling, the
    origin at the height of the heart's centre."""

    def __init__(self, rng, p, heart):
        self.p, self.heart = p, heart
        self.cavity = (rng.uniform(118, 136), rng.uniform(80, 96))
        self.middle_y = -rng.uniform(0, 4)
        self.wall = rng.uniform(20, 27)
        self.pitch, self.slope, self.first = rng.uniform(22, 27), rng.uniform(45, 85), rng.uniform(0, 25)
        self.spine_y = self.cavity[1] - rng.uniform(20, 26)
        self.disc = rng.uniform(24, 29)
        high = -rng.uniform(16, 34)
        self.domes = ((-66, high, 62), (66, high - rng.uniform(8, 20), 58))
        self.carina = np.array([rng.uniform(-3, 5), 24.0, heart.split_z + rng.uniform(8, 20)])
        self.trachea = spline([(*(self.carina + (0, -4, 130)), 9), (*(self.carina + (0, -2, 60)), 9), (*self.carina, 9.5)], 6.0)
        self.bronchi = [spline([(*self.carina, 8), (*(self.carina + (d * 24, 3, -20)), 7), (*(self.carina + (d * 46, 6, -38)), 5)], 5.0) for d in (-1, 1)]
        self.vessels = self.branches(rng)
        self.spots = [(np.array([rng.choice([-1, 1]) * rng.uniform(60, 95), rng.uniform(0, 60), rng.uniform(-40, 20)]), rng.uniform(14, 34, 3)) for _ in range(p["consolidation"])]
        self.holes = [(np.array([rng.choice([-1, 1]) * rng.uniform(45, 100), rng.uniform(-60, 60), rng.uniform(-30, 110)]), rng.uniform(3, 12)) for _ in range(120 if p["emphysema"] else 0)]
        self.phase = rng.uniform(0, 6, 4)
        self.level = rng.uniform(-880, -830)

    def branches(self, rng):
        found = []
        for d in (-1, 1):
            root = np.array([d * 48.0, 14, self.heart.split_z - 12])
            ends = [(root, unit(np.array([d * 0.7, 0.1, -0.3]) + rng.normal(size=3)), rng.uniform(2.2, 4)) for _ in range(10)]
            count = 0
            while ends and count < 160:
                at, way, r = ends.pop(0)
                to = at + way * rng.uniform(12, 24)
                found.append((at, to, r))
                count += 1
                if r > 0.9:
                    ends += [(to, unit(way + 0.5 * rng.normal(size=3)), r * rng.uniform(0.65, 0.85)) for _ in range(2)]
        middles = np.array([(a + b) / 2 for a, b, _ in found])
        return found, middles, np.array([np.linalg.norm(b - a) / 2 + r + 2 for a, b, r in found])

    def diaphragm(self, p):
        """Height of the diaphragm above each place."""
        z = np.full_like(p[0], -150)
        for x, top, wide in self.domes:
            z = np.maximum(z, top + 62 - np.sqrt(((p[0] - x) * 62 / wide) ** 2 + (p[1] - 2) ** 2 * 0.55 + 62.0**2))
        return np.maximum(z, -50 * np.float32(self.p["heart"]) - 0.012 * ((p[0] - 10) ** 2 + 0.6 * (p[1] + 10) ** 2))

    def paint(self, plane, down):
        p, at = self.p, plane.points()
        z = float(at[2].mean())
        girth = p["girth_mm"]
        q = [at[0], at[1] - self.middle_y]
        top = 1 - 0.5 * smooth_step(np.float32(z), 120, 210)
        apex = 1 - 0.6 * smooth_step(np.float32(z), 70, 190) ** 2
        outer = superellipse(q, ((self.cavity[0] + self.wall + girth) * top, (self.cavity[1] + self.wall + 0.55 * girth) * top), 2.4)
        if p["table"]:
            self.paint_table(plane, down)
        plane.put(outer, FAT)
        if p["sex"] == "F":
            full = 22 + 0.7 * girth
            for x in (-1, 1):
                centre = (x * 68, -(self.cavity[1] + self.wall + 0.3 * girth - 8), 4)
                plane.ellipsoid(centre, (52, full, 58), FAT)
                plane.ellipsoid((centre[0], centre[1] - 4, 0), (26, full * 0.6, 30), 20)
        plane.put(np.abs(outer + 1) - 1, 10)  # skin
        if p["arms"] == "down":
            for x in (-1, 1):
                centre = np.array([x * (self.cavity[0] + self.wall + girth + 48), 12.0, 0])
                for r, hu in ((42, FAT), (34, MUSCLE), (11, CORTEX), (7, SPINE)):
                    plane.tube(np.array([(*(centre + (0, 0, 260)), r), (*(centre + (0, 0, -260)), r * 0.8)]), hu)
        muscle = superellipse(q, ((self.cavity[0] + self.wall - 4) * top, (self.cavity[1] + self.wall - 7) * top), 2.4)
        plane.put(muscle, MUSCLE)
        cavity = superellipse(q, (self.cavity[0] * apex, self.cavity[1] * apex))
        self.paint_ribs(plane, cavity, q)
        inside = np.clip(0.5 - cavity / plane.pixel, 0, 1)
        plane.put(cavity, FAT)
        self.paint_abdomen(plane, inside)
        self.paint_lungs(plane, cavity, inside, down)
        self.paint_spine(plane)
        self.paint_front(plane)

    def paint_table(self, plane, down):
        at = plane.points()
        side = (-down[1], down[0])
        v, u = at[0] * down[0] + at[1] * down[1], at[0] * side[0] + at[1] * side[1]
        half = (self.cavity[0] if down[0] else self.cavity[1]) + self.wall + self.p["girth_mm"] * (1 if down[0] else 0.55)
        low = half + 4 - 0.0011 * u**2
        if self.p["mattress"]:
            plane.put(np.maximum(np.maximum(half - 25 - v, v - low - 24), np.abs(u) - 210), -895)
            low = low + 24
        plane.put(np.maximum(np.abs(v - low - 4) - 4, np.abs(u) - 220), -780)
        plane.put(np.maximum(np.abs(v - low) - 0.9, np.abs(u) - 220), 60)
        if self.p["blanket"]:
            a = np.arctan2(at[1], at[0])
            r = np.hypot(at[0] / (self.cavity[0] + self.wall + self.p["girth_mm"]), at[1] / (self.cavity[1] + self.wall + 0.55 * self.p["girth_mm"]))
            off = (r - 1.09 - 0.03 * np.sin(5 * a + self.phase[0]) - 0.02 * np.sin(11 * a + self.phase[1] + at[2] / 40)) * 150
            plane.put(np.maximum(np.abs(off) - 4, v - 40), -840)

    def paint_ribs(self, plane, cavity, q):
        at = plane.points()
        front = np.clip((self.cavity[1] - q[1]) / (2 * self.cavity[1]), 0, 1.1)
        dz = (at[2] + self.slope * front * (0.4 + 0.6 * front) + self.first + self.pitch / 2) % self.pitch - self.pitch / 2
        rib = np.hypot((cavity - 6.5) / 3.8, dz / 6.5) - 1
        cartilage = front > 0.9 - 0.0004 * np.abs(q[0])
        plane.put(rib * 3.8, np.where(cartilage, CARTILAGE, 430))
        plane.put(rib * 3.8 + 1.5, np.where(cartilage, CARTILAGE, SPINE))

    def paint_abdomen(self, plane, inside):
        at = plane.points()
        below = at[2] - self.diaphragm(at)
        if below.min() > 4:
            return
        plane.put(below - 1, MUSCLE, within=inside)
        wall = np.minimum(inside, np.clip(0.5 - (below + 3) / plane.pixel, 0, 1))
        liver = at[0] - 25 + 0.25 * at[1] + 8 * np.sin(at[1] / 30 + self.phase[2])
        plane.put(liver, self.p["blood_hu"] + 16, within=wall)
        plane.put(-liver, -85, within=wall)
        plane.ellipsoid((68, -22, -78), (38, 34, 34), 30, wall)
        plane.ellipsoid((66, -38, -70), (26, 14, 20), -980, wall)
        plane.ellipsoid((88, 44, -82), (28, 34, 40), self.p["blood_hu"] + 10, wall)

    def middle(self, at):
        """Signed distance to what lies between the lungs, without the heart."""
        z = float(at[2].mean())
        wide = 8 + 18 * smooth_step(at[1], -50, 5) + 6 * float(smooth_step(np.float32(z), 30, 90)) + self.p["pericardial_fat_mm"] * 0.3
        return np.abs(at[0] - 2) - wide

    def paint_lungs(self, plane, cavity, inside, down):
        p, at = self.p, plane.points()
        lung = np.maximum.reduce([cavity + 2, self.diaphragm(at) - at[2], -self.middle(at), -superellipse([at[0], at[1] - self.spine_y], (28, 26), 2)])
        lung = np.maximum(lung, 6 - plane.distance(self.heart.aorta[::2]))
        for line in self.heart.veins[:3]:
            lung = np.maximum(lung, 3 - plane.distance(line[::2]))
        covered = np.clip(0.5 - lung / plane.pixel, 0, 1)
        slope = at[0] * down[0] + at[1] * down[1]
        plane.put(lung, self.level + 0.35 * slope + 6 * np.sin(at[0] / 17 + self.phase[3]) * np.sin(at[1] / 23))
        vessels, middles, reaches = self.vessels
        near = np.flatnonzero(np.abs((middles - plane.origin) @ plane.normal) < reaches)
        for k in near:
            a, b, r = vessels[k]
            plane.tube(np.array([(*a, r), (*b, 0.8 * r)]), self.p["blood_hu"], within=covered)
        for centre, r in self.holes:
            plane.ellipsoid(centre, (r, r, r), -965, covered)
        for centre, radii in self.spots:
            part = plane.box(centre, max(radii) + 4)
            if part is not None:
                q = plane.points(part)
                dense = np.clip(0.5 - ellipsoid(q, centre, radii) / 8, 0, 1) * (0.88 + 0.12 * np.sin(q[0] / 3) * np.sin(q[1] / 4) * np.sin(q[2] / 5))
                plane.value[part] += (38 - plane.value[part]) * dense * covered[part]
        if p["effusion"]:
            deep = self.cavity[1] * (1 - 1.2 * p["effusion"])
            plane.put(deep - slope + 0.18 * np.abs(at[2] + 60), 12, within=covered * (at[0] < 0))
        if p["hernia"]:
            plane.ellipsoid((10, 24, -52), (24, 18, 26), FAT)
            plane.ellipsoid((8, 26, -50), (15, 12, 18), 35)
            plane.ellipsoid((8, 20, -48), (8, 5, 9), -950)
        for line in (self.trachea, *self.bronchi):
            plane.tube(line, 20, 1.4)
        for line in (self.trachea, *self.bronchi):
            plane.tube(line, -985)
        plane.tube(np.array([(0, 36, 150, 8), (2, 38, 0, 7), (14, 30, -120, 8)], float), 40)  # oesophagus

    def paint_spine(self, plane):
        part = plane.box((0, self.spine_y + 8, float(plane.at[2].mean())), 60)
        if part is None:
            return
        at = plane.points(part)
        q = [at[0], at[1] - self.spine_y]
        disc = np.abs((at[2] + self.first) % self.disc - self.disc / 2) < 2.6
        body = superellipse(q, (17.5, 15), 2.3)
        plane.put(superellipse([q[0], q[1] - 22], (34, 17), 2), MUSCLE, part)
        plane.put(body, np.where(disc, 80, 360), part)
        plane.put(body + 1.6, np.where(disc, 80, SPINE), part)
        plane.put(np.abs(superellipse([q[0], q[1] - 22], (12, 9.5), 2)) - 2.6, 430, part)
        plane.put(np.maximum(np.abs(np.abs(q[0]) - 22 + 0.1 * q[1]) - 9, np.abs(q[1] - 18 - 0.25 * np.abs(q[0])) - 4), 380, part)
        plane.put(np.maximum(np.abs(q[0]) - 3, np.abs(q[1] - 42) - 11), 400, part)
        plane.put(superellipse([q[0], q[1] - 22], (9.5, 7), 2), 25, part)
        if self.p["osteophytes"]:
            bridge = np.abs((at[2] + self.first) % self.disc - self.disc / 2) < 5
            plane.put(np.hypot(q[0] + 13, q[1] + 12) - np.where(bridge, 6.0, -1.0), 480, part)

    def paint_front(self, plane):
        y = self.middle_y - self.cavity[1] - 5
        z = float(plane.at[2].mean())
        part = plane.box((0, y, z), 40)
        if part is not None and z > -45:
            at = plane.points(part)
            bone = superellipse([at[0], at[1] - y], (18 + 6 * float(smooth_step(np.float32(z), 60, 110)), 5.5), 3)
            plane.put(bone, 380, part)
            plane.put(bone + 1.3, 120, part)
        if self.p["cartilage"]:
            for x, dy, dz, r in ((26, 1, -8, 2.6), (-28, 2, 12, 3.4), (38, 4, -36, 2.2), (-40, 5, -22, 2.0), (31, 0, 26, 1.6)):
                plane.ellipsoid((x, y + dy, dz), (r * 1.6, r, r * 2), 380)
        if self.p["wires"]:
            for dz in (-30, -8, 14, 36):
                ring = [(16 * np.cos(a), y + 8 * np.sin(a), dz, 0.6) for a in np.linspace(0, 2 * np.pi, 20)]
                plane.tube(np.array(ring), 3000)
        if self.p["granuloma"]:
            plane.ellipsoid((-74, 22, 8), (2.4, 2.2, 2.5), 480)


def place(p, at):
    """Patient's space -> the solids' space: scale, scoliosis and kyphosis, rotation."""
    a = np.radians(p["rotation"])
    x, y, z = (np.asarray(v, float) / p["scale"] for v in at)
    u = z / 150
    return np.cos(a) * x + np.sin(a) * y - p["scoliosis_mm"] * np.sin(2 * u), np.cos(a) * y - np.sin(a) * x + p["kyphosis_mm"] * u * u * 0.5, z


def place_back(p, at):
    a = np.radians(p["rotation"])
    x, y, z = (np.asarray(v, float) for v in at)
    u = z / 150
    x, y = x + p["scoliosis_mm"] * np.sin(2 * u), y - p["kyphosis_mm"] * u * u * 0.5
    return tuple(p["scale"] * v for v in (np.cos(a) * x - np.sin(a) * y, np.sin(a) * x + np.cos(a) * y, z))


class Scan:
    def __init__(self, seed, p, size):
        self.seed, self.p, self.size = seed, p, size
        rng = np.random.default_rng([seed, 11])
        self.heart = Heart(rng, p)
        self.body = Body(rng, p, self.heart)
        self.items = self.calcium(np.random.default_rng([seed, 13]))
        self.across, self.down, self.table = POSITIONS[p["position"]]
        self.pixel = p["fov"] / size
        low, high = (-62 * p["heart"] * p["scale"], min(75, self.heart.split_z + 6) * p["scale"]) if p["gated"] else (-95 * p["scale"], 120 * p["scale"])
        count = int((high - low) / p["increment"]) + 1
        self.z = low + np.arange(count) * p["increment"]
        wanted = place_back(p, self.heart.centre) if p["fov"] < 310 else place_back(p, (0, self.body.middle_y, 0))
        jitter = np.random.default_rng([seed, 17]).uniform(-1, 1, 2) * (4 if p["fov"] < 310 else 12)
        self.middle = np.array([wanted[0] + jitter[0], wanted[1] + jitter[1]])
        if p["cut"]:
            self.middle += (-0.30 * p["fov"], 0.22 * p["fov"])
        f = np.fft.rfftfreq(size, self.pixel)[None, :] ** 2 + np.fft.fftfreq(size, self.pixel)[:, None] ** 2
        sigma, sharp, _ = KERNELS[p["kernel"]]
        soft = KERNELS["soft"][0]
        mtf = lambda s: np.exp(-2 * np.pi**2 * s**2 * f)
        self.kernel = (mtf(sigma) * (1 + sharp * (1 - mtf(0.9)))).astype(np.float32)
        self.ideal = mtf(sigma if not sharp else soft).astype(np.float32)
        self.texture = (np.sqrt(np.sqrt(f)) if not p["iterative"] else np.sqrt(np.sqrt(f)) * mtf(0.45)) * self.kernel
        power = 2 * (self.texture[:, 1:-1] ** 2).sum() + (self.texture[:, 0] ** 2).sum() + (self.texture[:, -1] ** 2).sum()
        self.texture = self.texture / np.sqrt(power / size**2)

    def calcium(self, rng):
        p, heart = self.p, self.heart
        higher = 120 / p["kvp"] if p["kvp"] < 119 else 1
        names = ("LM", "LAD", "LAD", "LAD", "LAD", "LCX", "LCX", "RCA", "RCA", "RCA", "D1", "OM", "PDA")
        found = [heart.plaque(rng, str(rng.choice(names))) for _ in range(p["plaques"])]
        for kind in p["others"]:
            balls, hu = heart.not_coronary(rng, kind)
            apart = min((np.linalg.norm(a["balls"][:, None, :3] - balls[None, :, :3], axis=2).min() for a in found if "artery" in a), default=99)
            if apart > 5:  # what lies nearer could not be told apart by anyone
                found.append({"kind": kind, "hu": float(hu), "balls": balls})
        for item in found:
            item["hu"] *= higher if item["hu"] < 1400 else 1
        return found

    def corner(self, z):
        """Patient's place of the first pixel, and the column's direction with the gantry's tilt."""
        tilt = np.radians(self.p["tilt"])
        down = np.array(self.down, float) * np.cos(tilt) + (0, 0, np.sin(tilt))
        half = (self.size - 1) / 2 * self.pixel
        return np.array([*self.middle, z]) - half * np.array(self.across, float) - half * down, down

    def plane(self, z, move=(0, 0, 0)):
        first, down = self.corner(z)
        step = self.pixel * 10
        o, i, j = (np.array(place(self.p, first + v)) for v in (0, down * step, np.array(self.across) * step))
        plane = Plane(o - move, (i - o) / 10, (j - o) / 10, (self.size, self.size), AIR)
        return plane

    def cover(self, plane, item):
        """Part of the plane, share of each of its pixels that an item takes: 4 x 4 places a pixel."""
        balls = item["balls"]
        low, high = (balls[:, :3] - balls[:, 3:]).min(0), (balls[:, :3] + balls[:, 3:]).max(0)
        part = plane.box((low + high) / 2, np.linalg.norm(high - low) / 2 + 1)
        if part is None:
            return None, None
        at = plane.points(part)
        near = balls[np.abs((balls[:, :3] - plane.origin) @ plane.normal) < balls[:, 3]]
        if not len(near):
            return None, None
        total = np.zeros(at[0].shape, np.float32)
        for a in (-0.375, -0.125, 0.125, 0.375):
            for b in (-0.375, -0.125, 0.125, 0.375):
                q = [v + a * d + b * c for v, d, c in zip(at, plane.down, plane.across)]
                hit = np.zeros(total.shape, bool)
                for x, y, z, r in near:
                    hit |= (q[0] - x) ** 2 + (q[1] - y) ** 2 + (q[2] - z) ** 2 < r * r
                total += hit
        return part, total / 16

    def layers(self):
        n = max(1, round(self.p["thickness"] / 1.5))
        return (np.arange(n) + 0.5) / n * self.p["thickness"] - self.p["thickness"] / 2

    def anatomy(self, z):
        """Noise-free plane without calcium, averaged over thickness and motion; contributions of the items there: [(item,
        part, HU added)]"""
        p, layers = self.p, self.layers()
        moves = [(0, 0, 0)] if not p["motion_mm"] else [(0, 0, 0), tuple(p["motion_mm"] * v for v in (0.6, 0.5, 0.62))]
        value, added = 0, []
        fine = np.linspace(-0.5, 0.5, max(4, round(p["thickness"] / 0.5)), endpoint=False)
        fine = (fine + 0.5 / len(fine)) * p["thickness"]
        for layer in layers:
            rest = self.plane(z + layer)
            self.body.paint(rest, self.table)
            for move in moves:
                plane = self.plane(z + layer, move)
                plane.value = rest.value.copy()
                self.heart.paint(plane)
                value = value + plane.value / (len(layers) * len(moves))
        for index, item in enumerate(self.items):
            for number, move in enumerate(moves):
                for step in fine:
                    plane = self.plane_box(z + step, move, item)
                    if plane is not None:
                        part, cover = self.cover(*plane)
                        if part is not None:
                            added.append((index, number, part, cover / len(fine)))
        return value, added, len(moves)

    def plane_box(self, z, move, item):
        first, _ = self.corner(z)
        height = place(self.p, [*self.middle, z])[2] - move[2]
        balls = item["balls"]
        reach = (self.size * abs(self.pixel * np.sin(np.radians(self.p["tilt"]))) / 2) / self.p["scale"]
        if height < (balls[:, 2] - balls[:, 3]).min() - reach or height > (balls[:, 2] + balls[:, 3]).max() + reach:
            return None
        key = (z, move)
        if self.__dict__.get("_key") != key:
            self._key, self._plane = key, self.plane(z, move)
        return self._plane, item

    def filtered(self, image, response):
        return np.fft.irfft2(np.fft.rfft2(image) * response, image.shape)

    def noise(self, index):
        count = max(1, round(self.p["thickness"] / self.p["increment"]))
        white = sum(np.random.default_rng([self.seed, 19, index + k]).standard_normal((self.size, self.size)) for k in range(count)) / np.sqrt(count)
        return self.filtered(white, self.texture) * self.p["noise"]

    def slice(self, index):
        """Stored values, and what is true of the slice: {"ideal": image, "zone": {item: mask}}"""
        value, added, moves = self.anatomy(self.z[index])
        clean = {}
        real, still = value.copy(), value.copy() if moves > 1 else None
        for item, number, part, cover in added:
            hu = self.items[item]["hu"]
            real[part] += (hu - value[part]) * cover / moves
            if still is not None and number == 0:
                still[part] += (hu - value[part]) * cover
            if number == 0:
                alone = clean.setdefault(item, np.zeros_like(value))
                alone[part] += (hu - value[part]) * cover
        ideal, zones = None, {}
        if clean:
            ideal = self.filtered(real if still is None else still, self.ideal)
            for item, alone in clean.items():
                spread = self.filtered(alone, self.ideal)
                zones[item] = (spread > max(8.0, 0.04 * spread.max()), spread)
        image = self.filtered(real, self.kernel)
        for item in {i for i, *_ in added if self.items[i]["hu"] >= 1400}:
            image += self.streaks(clean.get(item))
        stored = np.clip(np.round(image + self.noise(index)), -1024, 3071).astype(np.int16)
        if self.p["padded"]:
            k = np.arange(self.size) - (self.size - 1) / 2
            stored[np.hypot(k[:, None], k[None, :]) > self.size / 2] = -2000
        return stored, ideal, zones

    def streaks(self, alone):
        """Rays of too much and too little round metal."""
        if alone is None or alone.max() < 300:
            return 0
        i, j = np.unravel_index(np.argmax(alone), alone.shape)
        y, x = np.arange(self.size)[:, None] - i, np.arange(self.size)[None, :] - j
        r = np.hypot(x, y) * self.pixel + 0.1
        return 220 * np.minimum(1, alone.max() / 2500) * np.cos(7 * np.arctan2(y, x)) * smooth_step(r, 1.0, 3.0) * np.exp(-r / 14)


def islands(mask):
    """8-connected pieces of a mask: [(rows, columns)]"""
    left = set(zip(*np.nonzero(mask)))
    found = []
    while left:
        ends, piece = [left.pop()], []
        while ends:
            i, j = ends.pop()
            piece.append((i, j))
            for near in [(i + a, j + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    ends.append(near)
        found.append(tuple(np.array(piece).T))
    return found


class Score:
    """Agatston score, volume and mass, by item."""

    def __init__(self, pixel, increment):
        self.area, self.increment, self.sums = pixel**2, increment, {}

    def add(self, image, zones):
        """zones: {item: (mask, how much it adds)}; an island counts for the item that adds most to it."""
        if not zones:
            return
        mask = np.logical_or.reduce([m for m, _ in zones.values()]) & (image >= 130)
        for piece in islands(mask):
            values = image[piece]
            if values.size * self.area < 1.0:
                continue
            weight = 1 + (values.max() >= 200) + (values.max() >= 300) + (values.max() >= 400)
            best = max(zones, key=lambda item: zones[item][1][piece].sum())
            sums = self.sums.setdefault(best, np.zeros(3))
            sums += (values.size * self.area * weight * self.increment / 3, values.size * self.area * self.increment,
                     values.mean() * values.size * self.area * self.increment * MASS_FACTOR / 1000)

    def of(self, items):
        sums = sum((self.sums[i] for i in items if i in self.sums), np.zeros(3))
        return {"agatston": round(float(sums[0]), 2), "volume_mm3": round(float(sums[1]), 2), "mass_mg": round(float(sums[2]), 3)}


def reasons(p, lost):
    """Why a reader would not sign a plain score of this scan."""
    said = {
        "kernel": p["kernel"] in ("medium", "sharp", "lung"), "noise": p["noise"] > 25, "motion": p["motion_mm"] > 0,
        "thickness": p["thickness"] > 3.01 or p["thickness"] < 2, "voltage": abs(p["kvp"] - 120) > 2, "contrast agent": p["contrast"], "derived": bool(p["derived"]),
        "field of view": p["cut"] or lost, "missing slice": p["missing"], "metal": any(k in ("stent", "clips", "pacemaker lead") for k in p["others"]),
    }
    return [name for name, is_so in said.items() if is_so]


def uid(*parts):
    return "2.25." + str(int(hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:31], 16))


def data_set(scan):
    """All that the slices have in common."""
    p, known = scan.p, (scan.seed, scan.size, scan.p)
    ds = Dataset()
    ds.ImageType = {"": ["ORIGINAL", "PRIMARY", "AXIAL"], "MIP": ["DERIVED", "SECONDARY", "AXIAL", "MIP"], "VNC": ["DERIVED", "PRIMARY", "AXIAL", "MAT_REMOVED"],
                    "MONO": ["DERIVED", "PRIMARY", "AXIAL", "VMI"]}[p["derived"]]
    ds.Modality, ds.Manufacturer, ds.SOPClassUID = "CT", "SYNTHETIC", "1.2.840.10008.5.1.4.1.1.2"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = uid(known, "study"), uid(known, "series"), uid(known, "frame")
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber, ds.PositionReferenceIndicator = "20240229", "101500", "1", "", ""
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex, ds.PatientAge, ds.ReferringPhysicianName = "PHANTOM^CHEST", f"chest{scan.seed}", "", p["sex"], "061Y", ""
    ds.SeriesDescription, ds.BodyPartExamined, ds.PatientPosition = "CaSc gated" if p["gated"] else "Chest native", "HEART" if p["gated"] else "CHEST", p["position"]
    ds.SliceThickness, ds.ConvolutionKernel = f"{p['thickness']:g}", KERNELS[p["kernel"]][2] if p["kernel_named"] else ""
    if not (p["derived"] == "VNC"):
        ds.KVP = f"{p['kvp']:g}"
    if p["derived"] == "MONO":
        ds.DerivationDescription = "Monoenergetic 70 keV"
    if p["gated"]:
        ds.TriggerTime, ds.NominalPercentageOfCardiacPhase, ds.CardiacSynchronizationTechnique = "650", 70.0, "PROSPECTIVE"
    if p["contrast"]:
        ds.ContrastBolusAgent = "iodine"
    ds.ReconstructionDiameter, ds.GantryDetectorTilt = f"{p['fov']:g}", f"{p['tilt']:g}"
    ds.SeriesNumber, ds.AcquisitionNumber = 2, 1
    ds.PixelSpacing, ds.Rows, ds.Columns = [f"{scan.pixel:.10g}"] * 2, scan.size, scan.size
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "HU"
    if p["padded"]:
        ds.PixelPaddingValue = -2000
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.is_little_endian, ds.is_implicit_VR = True, False
    return ds


def make(out, seed, p, size):
    """Writes the series; returns its truth."""
    scan = Scan(seed, p, size)
    apart = p["increment"] * np.cos(np.radians(p["tilt"]))
    ideal, read = Score(scan.pixel, apart), Score(scan.pixel, apart)
    count = len(scan.z)
    kept = [k for k in range(count) if not (p["missing"] and k == count // 2)]
    order = kept[::-1] if p["reversed"] else kept
    number = {k: n for n, k in enumerate(order, 1)}
    ds = data_set(scan)
    for k in kept:
        stored, image, zones = scan.slice(k)
        if zones:
            ideal.add(image, zones)
            read.add(stored.astype(np.float32), {i: z for i, z in zones.items() if "artery" in scan.items[i]})
        first, down = scan.corner(scan.z[k])
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid(seed, size, p, k)
        ds.ImagePositionPatient = [f"{v:.9g}" for v in first]
        ds.ImageOrientationPatient = [f"{v:.9g}" for v in (*scan.across, *down)]
        ds.InstanceNumber, ds.PixelData = number[k], stored.tobytes()
        ds.save_as(out / f"im-{number[k]:04d}.dcm", write_like_original=False)
    coronary = {i: item["artery"] for i, item in enumerate(scan.items) if "artery" in item}
    where = lambda item: [round(float(v), 1) for v in place_back(p, item["balls"][:, :3].mean(0))]
    spans = lambda item: [[round(float(v), 1) for v in place_back(p, b[:3])] for b in item["balls"][:: max(1, len(item["balls"]) // 24)]]
    totals = lambda score: {**{a: score.of([i for i in coronary if coronary[i] == a]) for a in ARTERIES}, "TOTAL": score.of(list(coronary))}
    return {
        "params": {"seed": seed, "size": size, **p}, "mass_cal_mg_per_cc_per_HU": MASS_FACTOR, "total": totals(ideal), "read": totals(read),
        "reasons": reasons(p, lost_calcium(scan)),
        "plaques": [{"artery": item["artery"], "of": item["of"], "hu": round(item["hu"]), "center_mm_xyz": where(item), "places": spans(item), **ideal.of([i]), "read": read.of([i])}
                    for i, item in enumerate(scan.items) if "artery" in item],
        "others": [{"kind": item["kind"], "hu": round(item["hu"]), "center_mm_xyz": where(item), "places": spans(item), **ideal.of([i])} for i, item in enumerate(scan.items) if "kind" in item],
    }


def lost_calcium(scan):
    """Whether the heart leaves the field of view or the slices."""
    theta, phi = np.meshgrid(np.arange(0, 181, 10.0), np.arange(0, 360, 10.0))
    r = scan.heart.look(scan.heart.muscle, theta.ravel(), phi.ravel())
    at = np.array([place_back(scan.p, scan.heart.centre + scan.heart.direction(t, f) * d) for t, f, d in zip(theta.ravel(), phi.ravel(), r)])
    out = np.hypot(at[:, 0] - scan.middle[0], at[:, 1] - scan.middle[1]) > scan.p["fov"] / 2 - 2
    return bool(out.mean() > 0.01)


def value_of(text, like):
    if isinstance(like, bool):
        return text not in ("0", "false", "no")
    if isinstance(like, list):
        return [word for word in text.split(",") if word]
    return type(like)(text)


def main(arguments=None):
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("out", type=pathlib.Path)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--size", type=int, default=512, help="rows and columns")
    a.add_argument("--list", action="store_true", help="print what the seed draws, and make nothing")
    a.add_argument("values", nargs="*", metavar="KEY=VALUE", help="instead of what is drawn")
    o = a.parse_intermixed_args(arguments)
    p = draw(o.seed)
    for pair in o.values:
        key, text = pair.split("=", 1)
        if key not in p:
            a.error(f"{key}: none of {', '.join(p)}")
        p[key] = value_of(text, p[key])
    if p["contrast"]:
        p["blood_hu"] = 310.0
    if o.list:
        print(json.dumps(p, indent=1))
        return
    o.out.mkdir(parents=True, exist_ok=True)
    truth = make(o.out, o.seed, p, o.size)
    (o.out / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    print(f"{len(list(o.out.glob('im-*.dcm')))} slices in {o.out}, Agatston {truth['total']['TOTAL']['agatston']}, read {truth['read']['TOTAL']['agatston']}; {', '.join(truth['reasons']) or 'plain'}")


if __name__ == "__main__":
    main()
