#!/usr/bin/python3
"""A synthetic thorax with coronary calcium as a CT series, and the truth about it.

usage: calcium.py OUT [options]      OUT gets im-0001.dcm ... and truth.json

Anatomy is a list of closed surfaces given by signed distances in millimetres (x to the patient's
left, y to the back, z to the head; the origin is in the middle of the heart). A slice is painted
from the outside in; the part of a pixel that a surface covers follows from the distance to it, the
slice thickness is averaged over planes, a Gaussian stands for the point spread, noise comes last.
Coronary arteries run at a fixed distance above the chambers, in the epicardial fat.

truth.json is scored here on the stored values by scipy within masks of the known lesions, by the
published rules (>= 130 HU, 8-connected islands of at least 1 mm2, weight by the island's maximum,
increment / 3 mm); it shares no code with the program under test.
"""
import argparse
import functools
import hashlib
import json
import multiprocessing
import pathlib

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from scipy import ndimage

ARTERIES = ("LM", "LAD", "LCX", "RCA")
AIR, LUNG, FAT, BLOOD, MUSCLE, LIVER, BONE, MARROW = -1000, -860, -100, 42, 54, 60, 480, 170

# Centre, radii in mm, and the direction of the first radius (None: along the axes).
CHAMBERS = {
    "LV": ((38, -22, -20), (46, 31, 31), (0.53, -0.62, -0.58)),
    "RV": ((-4, -42, -22), (36, 24, 32), (0.80, -0.35, -0.49)),
    "RVOT": ((15, -46, 8), (17, 16, 22), None),
    "RA": ((-36, -8, -8), (22, 27, 31), None),
    "LA": ((6, 20, 10), (34, 19, 23), None),
    "appendage": ((38, -3, 22), (11, 16, 10), None),
    "base": ((2, -14, -12), (28, 20, 24), None),
}
CAVITIES = {"LV": ((40, -24, -18), (35, 20, 20), (0.53, -0.62, -0.58)), "RV": ((-6, -43, -22), (31, 20, 28), (0.80, -0.35, -0.49))}
# Tubes: points with radius, straight between them.
GREAT_VESSELS = {
    "root": [((3, -15, 2), 14), ((1, -18, 14), 17), ((-3, -22, 26), 15)],
    "ascending": [((-3, -22, 26), 15), ((-12, -27, 50), 16), ((-12, -24, 80), 16)],
    "pulmonary trunk": [((17, -46, 20), 13), ((22, -34, 38), 14), ((20, -14, 54), 13)],
    "right pulmonary artery": [((16, -8, 50), 10), ((-20, 2, 46), 10), ((-46, 8, 42), 8)],
    "left pulmonary artery": [((22, -10, 54), 11), ((38, 14, 54), 9), ((50, 22, 46), 7)],
    "SVC": [((-32, -10, 10), 9), ((-31, -14, 80), 9)],
    "IVC": [((-34, 2, -30), 11), ((-30, 8, -90), 12)],
    "right upper vein": [((-20, 18, 18), 7), ((-52, 10, 24), 5)],
    "left lower vein": [((36, 26, 8), 7), ((58, 36, -4), 5)],
}
DESCENDING = [((26, 48, 90), 12.5), ((25, 47, 30), 12.5), ((20, 45, -30), 12), ((14, 42, -90), 11.5)]
# Way points that are then lifted to the surface of the heart.
COURSES = {
    "LM": [(16, -20, 21), (22, -21, 21), (29, -22, 20)],
    "LAD": [(29, -22, 20), (36, -34, 16), (38, -49, 6), (41, -60, -10), (45, -68, -28), (52, -68, -46)],
    "LCX": [(29, -22, 20), (41, -16, 15), (52, -4, 8), (52, 12, -2), (42, 23, -12), (28, 24, -22)],
    "RCA": [(-10, -32, 20), (-22, -40, 14), (-36, -40, -2), (-40, -34, -18), (-34, -22, -34), (-20, -8, -44), (-2, 2, -42)],
}
EPICARDIAL_MM = 3.2  # from a chamber's surface to an artery's centre
ARTERY_RADIUS_MM = {"LM": 2.2, "LAD": 1.8, "LCX": 1.6, "RCA": 1.8}


@functools.lru_cache(maxsize=None)
def basis(direction):
    """Rows: an orthonormal frame whose first vector is direction."""
    a = np.asarray(direction, float)
    a /= np.linalg.norm(a)
    b = np.cross((0, 0, 1), a)
    b /= np.linalg.norm(b)
    return np.stack([a, b, np.cross(a, b)])


def between_0_and_1(values):
    """As np.clip(), which takes longer than all else on the small arrays here."""
    return np.minimum(np.maximum(values, 0), 1)


def ellipsoid(points, shape, grow=0.0):
    """Approximate signed distance; exact on the surface."""
    centre, radii, direction = shape
    r = np.asarray(radii, float) + grow
    q = [p - c for p, c in zip(points, centre)]
    if direction is not None:
        q = [q[0] * u[0] + q[1] * u[1] + q[2] * u[2] for u in basis(direction)]
    k0 = np.sqrt(sum((a / b) ** 2 for a, b in zip(q, r)))
    k1 = np.sqrt(sum((a / b**2) ** 2 for a, b in zip(q, r)))
    return k0 * (k0 - 1) / np.maximum(k1, 1e-6)


def tube(points, nodes, grow=0.0):
    best = None
    for (a, ra), (b, rb) in zip(nodes, nodes[1:]):
        a, d = np.asarray(a, float), np.subtract(b, a).astype(float)
        rel = [p - c for p, c in zip(points, a)]
        t = between_0_and_1(sum(u * v for u, v in zip(rel, d)) / max(d @ d, 1e-6))
        dist = np.sqrt(sum((u - t * v) ** 2 for u, v in zip(rel, d))) - (ra + t * (rb - ra)) - grow
        best = dist if best is None else np.minimum(best, dist)
    return best


def vary(shapes, fraction, rng):
    """Nobody's heart is the mean heart: other sizes, other places."""
    changed = {}
    for name, (centre, radii, direction) in shapes.items():
        size, move = 1 + fraction * rng.standard_normal(3).clip(-2, 2), 30 * fraction * rng.standard_normal(3).clip(-2, 2)
        changed[name] = (tuple(np.add(centre, move)), tuple(np.multiply(radii, size)), direction)
    return changed


def heart_distance(points, chambers):
    """To the outside of everything that the arteries run on."""
    shapes = [ellipsoid(points, s) for s in chambers.values()]
    shapes += [tube(points, GREAT_VESSELS[n]) for n in ("root", "ascending", "pulmonary trunk")]
    return np.minimum.reduce(shapes)


def curve(way):
    """Way points -> a smooth line with a point every 0.5 mm (Catmull-Rom)."""
    p = np.asarray(way, float)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, 1, 60, endpoint=False)[:, None]
    line = [0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
            for a, b, c, d in zip(p, p[1:], p[2:], p[3:])]
    line = np.vstack(line + [p[-2:-1]])
    s = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.arange(0, s[-1], 0.5)
    return np.stack([np.interp(at, s, line[:, i]) for i in range(3)], 1)


def lift(line, distance, chambers):
    """Moves every point to the given distance above the heart's surface."""
    p = line.copy()
    for _ in range(40):
        d = heart_distance(p.T, chambers)
        e = 0.25
        g = np.stack([heart_distance((p + e * axis).T, chambers) - heart_distance((p - e * axis).T, chambers) for axis in np.eye(3)], 1)
        g /= np.maximum(np.linalg.norm(g, axis=1, keepdims=True), 1e-6)
        p += 0.5 * (distance - d)[:, None] * g
        p = ndimage.gaussian_filter1d(p, 2, axis=0, mode="nearest")
    return p


def arteries(chambers):
    lines = {name: lift(curve(way), EPICARDIAL_MM, chambers) for name, way in COURSES.items()}
    start = lines["LM"][-1]
    for name in ("LAD", "LCX"):  # both leave the end of the left main
        away = np.exp(-np.arange(len(lines[name])) / 8.0)[:, None]
        lines[name] = lines[name] + away * (start - lines[name][0])
    return lines


def chain(line, fraction, length, diameter):
    """A piece of an artery's wall as balls: [(centre, radius)], thinner at its ends."""
    middle, half = fraction * (len(line) - 1), max(length - diameter, 0)
    index = np.unique(np.clip(np.round(middle + np.arange(-half, half + 0.01, 1.0)), 0, len(line) - 1)).astype(int)
    return [(tuple(line[i]), diameter / 2 * (1 - 0.3 * (abs(i - middle) / max(half, 1)) ** 2)) for i in index]


def around(centre, radius, angles, z, thickness):
    """An arc of balls on a vessel's wall in the plane z."""
    return [((centre[0] + radius * np.cos(a), centre[1] + radius * np.sin(a), z + 1.5 * np.sin(7 * a)), thickness / 2)
            for a in np.radians(angles)]


def centre_at(nodes, z):
    p = np.array([n[0] + (n[1],) for n in nodes], float)
    order = np.argsort(p[:, 2])
    return [np.interp(z, p[order, 2], p[order, i]) for i in (0, 1, 3)]


def distractors(options):
    x, y, r = centre_at(DESCENDING, 12)
    x2, y2, r2 = centre_at(DESCENDING, -36)
    ax, ay, ar = centre_at(GREAT_VESSELS["ascending"], 48)
    found = [
        ("aorta_wall", around((x, y), r - 0.5, range(20, 90, 8), 12, 3.5), 620),
        ("aorta_wall", around((x2, y2), r2 - 0.5, range(150, 190, 10), -36, 3), 500),
        ("ascending_aorta", around((ax, ay), ar - 0.8, range(-150, -100, 8), 48, 3), 560),
        ("aortic_valve", [((3, -17, 9), 2.2), ((6, -14, 10), 1.7), ((0, -13, 8), 1.7)], 600),
        ("mitral_annulus", [((24 + i, 6 + 1.6 * i, -6 + 0.4 * i), 2.2) for i in range(-1, 4)], 700),
        ("costal_cartilage", [((44, -82, -14), 2.6), ((48, -81, -16), 2.0)], 420),
        ("hilar_node", [((54, 20, 34), 3.6), ((57, 23, 33), 2.6)], 520),
        ("lung_granuloma", [((-92, 18, -2), 2.4)], 560),
        ("osteophyte", [((-13, 46, -20), 4.5), ((-17, 49, -20), 3.5)], 600),
    ]
    if options.metal:
        lead = [(-31, -14, 75), (-32, -10, 20), (-36, -14, -10), (-20, -30, -28), (4, -44, -36), (20, -50, -40)]
        found.append(("pacemaker_lead", [(tuple(p), 1.0) for p in curve(lead)[::2]], 3000))
    return found


def lesions(options, lines, rng):
    """[(artery, fraction, diameter, length, HU)]"""
    if options.zero:
        return []
    if options.lesion:
        parts = [text.split(":") for text in options.lesion]
        return [(a, float(f), float(d), float(n), float(h)) for a, f, d, n, h in parts]
    chosen = [("LM", rng.uniform(0.35, 0.6), rng.uniform(3.0, 3.8), rng.uniform(3, 4.5), rng.uniform(550, 800))]
    for artery, low, high in (("LAD", 0.14, 0.8), ("LCX", 0.2, 0.85), ("RCA", 0.12, 0.85)):
        count = int(rng.integers(2, 5))
        places = low + (np.arange(count) + rng.uniform(0.3, 0.7, count)) * (high - low) / count
        for place in places:
            diameter = rng.choice([1.2, 3.0, 3.8, 4.6, 5.4])
            chosen.append((artery, float(place), float(diameter), float(diameter + rng.uniform(0, 5)), float(rng.uniform(320, 950))))
    return chosen


def lung_vessels(rng):
    """[(a, b, radius)] branching from both hila."""
    found, open_ends = [], []
    for hilum, side in (((-50, 10, 30), -1), ((54, 18, 28), 1)):
        for _ in range(22):
            d = rng.normal(size=3) * (0.7, 0.9, 1.0) + (side * 0.7, 0.1, -0.1)
            open_ends.append((np.array(hilum, float), d / np.linalg.norm(d), rng.uniform(2.5, 4.5)))
    while open_ends:
        p, d, r = open_ends.pop(0)
        q = p + d * rng.uniform(10, 18) * (0.5 + r / 5)
        found.append((p, q, r))
        if r > 0.8 and len(found) < 900:
            for _ in range(2):
                e = d + rng.normal(size=3) * 0.45
                open_ends.append((q, e / np.linalg.norm(e), r * rng.uniform(0.62, 0.85)))
    return found


class Plane:
    """One plane through the anatomy: coordinates of its pixels, and their values so far."""

    def __init__(self, x, y, z, pixel):
        self.at, self.pixel = (x, y, z), pixel
        self.value = np.full(x.shape, AIR, np.float32)
        self.low = x.min(axis=0), y.min(axis=1), z.min()
        self.high = x.max(axis=0), y.max(axis=1), z.max()

    def near(self, centre, reach):
        """The part of the plane within reach of centre, or None: a box of rows and columns, which
        hold what lies within reach, and a pixel more where the plane is turned."""
        if self.low[2] > centre[2] + reach or self.high[2] < centre[2] - reach:
            return None
        j = np.flatnonzero((self.low[0] <= centre[0] + reach) & (self.high[0] >= centre[0] - reach))
        i = np.flatnonzero((self.low[1] <= centre[1] + reach) & (self.high[1] >= centre[1] - reach))
        if not len(i) or not len(j):
            return None
        return (slice(i[0], i[-1] + 1), slice(j[0], j[-1] + 1))

    def may_reach(self, centres, reaches):
        """Indices of those centres within whose reach the plane's box lies."""
        low, high = np.array([a.min() for a in self.low]), np.array([a.max() for a in self.high])
        within = (centres >= low - reaches[:, None]) & (centres <= high + reaches[:, None])
        return np.flatnonzero(within.all(axis=1))

    def points(self, part=...):
        return [a[part] for a in self.at]

    def paint(self, distance, hu, part=..., within=None):
        cover = between_0_and_1(0.5 - distance / self.pixel)
        if within is not None:
            cover = cover * within
        self.value[part] += (hu - self.value[part]) * cover

    def ellipsoid(self, shape, hu, grow=0.0, within=None):
        part = self.near(shape[0], max(shape[1]) + grow + 2)
        if part is not None:
            self.paint(ellipsoid(self.points(part), shape, grow), hu, part, None if within is None else within[part])

    def tube(self, nodes, hu, grow=0.0):
        for a, b in zip(nodes, nodes[1:]):
            middle = np.add(a[0], b[0]) / 2
            part = self.near(middle, np.linalg.norm(np.subtract(a[0], b[0])) / 2 + max(a[1], b[1]) + grow + 2)
            if part is not None:
                self.paint(tube(self.points(part), [a, b], grow), hu, part)


def paint_wall(plane):
    """Skin, fat, muscle, ribs with cartilage, sternum: everything around the cavity. Returns the
    cavity's signed distance."""
    x, y, z = plane.points()
    def oval(a, b, power=2.4):
        return ((np.abs(x / a) ** power + np.abs(y / b) ** power) ** (1 / power) - 1) * b
    plane.paint(oval(170, 116), FAT)
    plane.paint(np.abs(oval(169, 115)) - 0.8, 20)
    plane.paint(oval(150, 101), MUSCLE)
    plane.paint(np.abs(oval(146, 97.5)) - 0.7, FAT)
    cavity = oval(134, 87)
    # A rib falls from the spine to the front; the ones above and below follow every 25 mm.
    front = (1 - np.sin(np.arctan2(y / 92, x / 140))) / 2  # 0 at the back, 1 in front
    centre = 8 - 75 * front
    dz = (z - centre + 12.5) % 25 - 12.5
    rib = np.sqrt((oval(140, 92) / 3.6) ** 2 + (dz / 6.2) ** 2)
    cartilage = front > 0.93
    plane.paint((rib - 1) * 3.6, np.where(cartilage, 95, BONE))
    plane.paint((rib - 0.62) * 3.6, np.where(cartilage, 90, MARROW))
    plane.ellipsoid(((0, -91, 0), (19, 6.5, 400), None), BONE)
    plane.ellipsoid(((0, -91, 0), (17, 4.6, 400), None), MARROW - 60)
    return cavity


def paint_spine(plane):
    middle = (plane.low[2] + plane.high[2]) / 2
    part = plane.near((0, 77, middle), 40)  # all of a vertebra; it stands along the whole axis
    if part is None:
        return
    x, y, z = plane.points(part)
    disc = np.abs((z + 5 + 14) % 29 - 14) < 3
    body = ((np.abs(x / 20) ** 2.3 + np.abs((y - 62) / 15.5) ** 2.3) ** (1 / 2.3) - 1) * 15.5
    plane.paint(body, np.where(disc, 85, BONE - 60), part)
    plane.paint(body + 1.8, np.where(disc, 85, MARROW), part)
    arch = [((-24, 78, 0), 4), ((-11, 81, 0), 4.5), ((0, 94, 0), 4.5), ((11, 81, 0), 4.5), ((24, 78, 0), 4)]
    flat = [x, y, np.zeros_like(z)]
    plane.paint(tube(flat, arch), BONE, part)
    plane.paint(tube(flat, [((0, 92, 0), 3.5), ((0, 104, 0), 3)]), BONE, part)
    plane.paint(tube(flat, arch) + 2.2, MARROW, part)
    plane.paint(tube(flat, [((0, 81, 0), 8.5), ((0, 81.1, 0), 8.5)]), 25, part)


def paint_mediastinum(plane, blood, chambers, cavities):
    """Fat between the lungs, then what lies in it."""
    x, y, z = plane.points()
    for shape in chambers.values():
        plane.ellipsoid(shape, FAT, grow=8.0)
    for name in ("root", "ascending", "pulmonary trunk", "SVC", "right pulmonary artery"):
        plane.tube(GREAT_VESSELS[name], FAT, grow=6.0)
    wide = 14 + 20 / (1 + np.exp(-(z - 20) / 6))  # the lungs reach far behind the heart
    plane.paint(((np.abs((x - 4) / wide) ** 3 + np.abs((y - 26) / 38) ** 3) ** (1 / 3) - 1) * wide, FAT)
    plane.paint(np.maximum(np.abs(x + 2) - 10 - 0.4 * np.maximum(y + 88, 0) * (z > -40), np.abs(y + 58) - 30), FAT)
    plane.tube(DESCENDING, FAT, grow=3.0)
    plane.tube([((6, 34, 90), 8), ((4, 40, 10), 8), ((8, 40, -40), 8), ((24, 22, -80), 9)], 38)  # oesophagus
    plane.tube([((5, 35, 90), 2), ((4, 41, 30), 2)], -700)
    for node in ((-14, 24, 50), (12, 30, 40), (-24, 8, 62), (10, -50, 58)):
        plane.ellipsoid((node, (4, 3, 5), None), 40)
    plane.tube(DESCENDING, blood)
    for shape in chambers.values():
        plane.ellipsoid(shape, MUSCLE)
    for name in ("LA", "RA", "appendage", "RVOT"):
        plane.ellipsoid(chambers[name], blood, grow=-1.5 if name != "RVOT" else -4)
    for shape in cavities.values():
        plane.ellipsoid(shape, blood)
    for nodes in GREAT_VESSELS.values():
        plane.tube(nodes, blood)
    trachea = [((-2, 24, 100), 9), ((-1, 22, 64), 9)]
    for nodes in (trachea, [((-1, 22, 64), 8), ((-34, 16, 44), 6.5)], [((-1, 22, 64), 8), ((36, 24, 40), 6)]):
        plane.tube(nodes, 30, grow=1.5)
    for nodes in (trachea, [((-1, 22, 64), 8), ((-48, 14, 36), 5)], [((-1, 22, 64), 8), ((46, 26, 34), 5)]):
        plane.tube(nodes, -985)


def paint_abdomen(plane, inside):
    """Diaphragm, liver, spleen and stomach push up into the cavity."""
    for shape in (((-62, 2, -132), (84, 84, 84), None), ((72, 8, -138), (70, 82, 76), None), ((4, -18, -122), (76, 74, 60), None)):
        plane.ellipsoid(shape, MUSCLE, within=inside)
        plane.ellipsoid(shape, FAT, grow=-2.5, within=inside)
    for shape in (((-62, 2, -132), (81, 81, 81), None), ((4, -20, -122), (70, 66, 57), None)):
        plane.ellipsoid(shape, LIVER, within=inside)
    plane.ellipsoid(((84, 44, -122), (36, 38, 48), None), 50, within=inside)
    plane.ellipsoid(((62, -14, -122), (42, 46, 50), None), 35, within=inside)
    plane.ellipsoid(((62, -38, -106), (24, 14, 24), None), -950, within=inside)


def paint_plane(plane, scene):
    options, blood = scene["options"], scene["blood"]
    cavity = paint_wall(plane)
    inside = np.clip(0.5 - cavity / plane.pixel, 0, 1)
    x, y, z = plane.points()
    plane.paint(cavity, LUNG + 0.35 * y)  # the back of a lying patient's lungs is denser
    centres, reaches = scene["vessel_boxes"]
    for k in plane.may_reach(centres, reaches):
        a, b, r = scene["vessels"][k]
        part = plane.near(centres[k], reaches[k])
        if part is not None:
            plane.paint(tube(plane.points(part), [(a, r), (b, r * 0.8)]), BLOOD, part, inside[part])
    before = plane.value.copy()
    paint_mediastinum(plane, blood, scene["chambers"], scene["cavities"])
    plane.value = before + (plane.value - before) * inside
    for name, line in scene["lines"].items():
        nodes = [(tuple(p), ARTERY_RADIUS_MM[name] * (1 - 0.35 * i / len(line[::6]))) for i, p in enumerate(line[::6])]
        plane.tube(nodes, blood)
    paint_abdomen(plane, inside)
    paint_spine(plane)
    if options.table:
        plane.paint(np.maximum(np.abs(y - 128 + 0.0009 * x**2) - 1.2, np.abs(x) - 210), -300)


def ball_cover(plane_points, balls, pixel):
    """Part of each pixel of a plane inside a union of balls."""
    dist = np.minimum.reduce([np.sqrt(sum((p - c) ** 2 for p, c in zip(plane_points, centre))) - r for centre, r in balls])
    return np.clip(0.5 - dist / pixel, 0, 1)


def slice_coordinates(options, index, offset):
    """Coordinates in the anatomy of the pixels of slice index, offset mm along the patient's axis,
    and the position of the first pixel in the patient."""
    n, tilt, turn = options.size, np.radians(options.tilt), np.radians(options.rotate)
    pixel = options.fov / n
    j, i = np.meshgrid(np.arange(n, dtype=np.float32), np.arange(n, dtype=np.float32))
    position = np.array([options.centre[0] - pixel * (n - 1) / 2, options.centre[1] - pixel * (n - 1) / 2 * np.cos(tilt),
                         options.bottom + index * options.increment - pixel * (n - 1) / 2 * np.sin(tilt)])
    x = position[0] + j * pixel - options.shift[0]
    y = position[1] + i * pixel * np.cos(tilt) - options.shift[1]
    z = position[2] + i * pixel * np.sin(tilt) + offset - options.shift[2]
    c, s = np.cos(turn) / options.scale, np.sin(turn) / options.scale
    at = (c * x + s * y, c * y - s * x, z / options.scale + 0 * x)
    return [a.astype(np.float32) for a in at], position


def to_patient(options, p):
    turn = np.radians(options.rotate)
    c, s = np.cos(turn) * options.scale, np.sin(turn) * options.scale
    return [c * p[0] - s * p[1] + options.shift[0], s * p[0] + c * p[1] + options.shift[1], p[2] * options.scale + options.shift[2]]


def make_slice(job):
    """Returns the stored values of one slice and, for each lesion and distractor, its mask."""
    scene, index = job
    options = scene["options"]
    pixel = options.fov / options.size / options.scale
    planes = max(1, round(options.thickness / 1.25))
    offsets = (np.arange(planes) + 0.5) / planes * options.thickness - options.thickness / 2
    value = 0
    for offset in offsets:
        at, position = slice_coordinates(options, index, offset)
        plane = Plane(*at, pixel)
        paint_plane(plane, scene)
        value = value + plane.value / planes
    covers = []
    fine = (np.arange(12) + 0.5) / 12 * options.thickness - options.thickness / 2
    at, position = slice_coordinates(options, index, 0)
    plane = Plane(*at, pixel)
    for item in scene["items"]:
        centres = np.array([b[0] for b in item["balls"]])
        middle = (centres.min(0) + centres.max(0)) / 2
        reach = np.abs(centres - middle).max() + max(b[1] for b in item["balls"]) + options.thickness + 2
        part = plane.near(middle, reach)
        cover = None
        if part is not None:
            x, y, z = plane.points(part)
            cover = sum(ball_cover((x, y, z + d / options.scale), item["balls"], pixel) for d in fine) / len(fine)
            value[part] += (item["hu"] - value[part]) * cover
        covers.append((part, cover))
    rng = np.random.default_rng([options.seed, index])
    blur = (0.65 if options.gated else 1.0) / (options.fov / options.size)
    value = ndimage.gaussian_filter(value, blur)
    for spot_index, i, j in scene["spots"]:
        if spot_index == index:
            value[i, j] = 320
    noise = ndimage.gaussian_filter(rng.standard_normal(value.shape), 0.45)
    value += noise * (options.noise / noise.std())
    stored = np.clip(np.round(value) + 1024, 0, 4095).astype(np.uint16)
    masks = []
    for part, cover in covers:
        mask = None
        if part is not None and (cover > 0.02).any():
            mask = np.zeros(value.shape, bool)
            mask[part] = cover > 0.02
            mask = ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=max(1, round(1.5 / (options.fov / options.size))))
        masks.append(mask)
    return stored, position, masks


def score(options, slices, which):
    """Agatston, volume and mass of the islands within the masks of the items in which."""
    area_px = (options.fov / options.size) ** 2
    apart = options.increment * np.cos(np.radians(options.tilt))  # along the normal of the slices
    agatston = volume = mass = 0.0
    for stored, _, masks in slices:
        chosen = [masks[i] for i in which if masks[i] is not None]
        if not chosen:
            continue
        mask = np.logical_or.reduce(chosen)
        box = ndimage.find_objects(mask.astype(np.uint8))[0]
        hu = stored[box].astype(float) - 1024
        labels, count = ndimage.label((hu >= 130) & mask[box], np.ones((3, 3)))
        for island in range(1, count + 1):
            values = hu[labels == island]
            area = values.size * area_px
            if area < 1.0:
                continue
            weight = 1 + (values.max() >= 200) + (values.max() >= 300) + (values.max() >= 400)
            agatston += area * weight * apart / 3
            volume += area * apart
            mass += values.mean() * area * apart * options.mass_factor / 1000
    return {"agatston": round(agatston, 2), "volume_mm3": round(volume, 2), "mass_mg": round(mass, 3)}


def uid(options, *parts):
    said = {key: value for key, value in vars(options).items() if key not in ("out", "jobs")}
    text = json.dumps([said, parts], sort_keys=True, default=str)
    return "2.25." + str(int(hashlib.sha256(text.encode()).hexdigest()[:31], 16))


def data_set(options, stored, position, number, index):
    pixel, tilt = options.fov / options.size, np.radians(options.tilt)
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid(options, "instance", index)
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240229"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101500"
    ds.AccessionNumber, ds.Modality, ds.Manufacturer = "PH" + options.patient, "CT", "SYNTHETIC"
    ds.InstitutionName, ds.ManufacturerModelName = "anode test phantom", "thorax"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "1", "1"
    ds.ReferringPhysicianName, ds.StudyDescription = "", "CT heart calcium" if options.gated else "CT thorax"
    ds.SeriesDescription = options.description or ("CaSc 3.0 B35f 70% diastole" if options.gated else "Thorax native soft")
    ds.PatientName, ds.PatientID = "PHANTOM^" + options.patient.upper(), options.patient
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19600101", "O", "064Y"
    ds.BodyPartExamined = "HEART" if options.gated else "CHEST"
    ds.ScanOptions = "HELIX" if not options.gated else "SEQUENCE"
    ds.SliceThickness, ds.KVP = f"{options.thickness:g}", f"{options.kvp:g}"
    ds.DataCollectionDiameter, ds.ReconstructionDiameter = "500", f"{options.fov:g}"
    ds.ProtocolName, ds.GantryDetectorTilt, ds.TableHeight = ds.SeriesDescription, f"{options.tilt:g}", "120"
    ds.RotationDirection, ds.ExposureTime, ds.XRayTubeCurrent, ds.Exposure = "CW", "330", "400", "80"
    ds.FilterType, ds.ConvolutionKernel, ds.PatientPosition = "FLAT", "B35f", "HFS"
    if options.contrast:
        ds.ContrastBolusAgent = "iodine"
    if options.gated:
        ds.TriggerTime, ds.NominalPercentageOfCardiacPhase, ds.CardiacSynchronizationTechnique = "650", 70.0, "PROSPECTIVE"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid(options, "study"), uid(options, "series")
    ds.StudyID, ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = "1", 2, 1, number
    ds.ImagePositionPatient = [f"{v:.6g}" for v in position]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", f"{np.cos(tilt):.10g}", f"{np.sin(tilt):.10g}"]
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = uid(options, "frame"), ""
    ds.SliceLocation = f"{position[2]:.6g}"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns, ds.PixelSpacing = options.size, options.size, [f"{pixel:.10g}"] * 2
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = "50", "400"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
    ds.PixelData = stored.tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.is_little_endian, ds.is_implicit_VR = True, False
    return ds


def build_scene(options):
    rng = np.random.default_rng(options.seed)
    chambers = vary(CHAMBERS, options.vary, np.random.default_rng([options.seed, 1]))
    # A cavity keeps its place within its chamber's wall.
    cavities = {name: (tuple(np.add(shape[0], np.subtract(chambers[name][0], CHAMBERS[name][0]))), shape[1], shape[2])
                for name, shape in CAVITIES.items()}
    lines = arteries(chambers)
    calcium = 120 / options.kvp if options.kvp < 120 else (120 / options.kvp) ** 0.8  # lower kV: denser
    items = []
    for artery, fraction, diameter, length, hu in lesions(options, lines, rng):
        balls = chain(lines[artery], fraction, length, diameter)
        items.append({"artery": artery, "balls": balls, "hu": hu * calcium, "diameter_mm": diameter, "length_mm": length})
    if not options.no_distractors:
        items += [{"kind": kind, "balls": balls, "hu": hu * calcium} for kind, balls, hu in distractors(options)]
    spots = []
    if not options.no_distractors:  # a lone bright pixel in the fat above the right ventricle
        for z in (-6.0, -24.0):
            k = round((z * options.scale + options.shift[2] - options.bottom) / options.increment)
            p, pixel = to_patient(options, (-14, -71, z)), options.fov / options.size
            spots.append((k, int(p[1] / pixel - options.centre[1] / pixel + options.size / 2), int(p[0] / pixel - options.centre[0] / pixel + options.size / 2)))
        spots = [s for s in spots if pixel**2 < 1.0 and all(0 <= v < options.size for v in s[1:])]
    vessels = lung_vessels(rng)
    boxes = (np.array([(a + b) / 2 for a, b, _ in vessels]), np.array([np.linalg.norm(b - a) / 2 + r + 1 for a, b, r in vessels]))
    return {"options": options, "chambers": chambers, "cavities": cavities, "lines": lines, "items": items, "spots": spots, "vessels": vessels, "vessel_boxes": boxes,
            "blood": 320 if options.contrast else BLOOD}


def truth(options, scene, slices):
    items = scene["items"]
    middle = lambda item: [round(float(v), 2) for v in to_patient(options, np.mean([b[0] for b in item["balls"]], axis=0))]
    totals = {a: score(options, slices, [i for i, item in enumerate(items) if item.get("artery") == a]) for a in ARTERIES}
    totals["TOTAL"] = {key: round(sum(t[key] for t in totals.values()), 3) for key in ("agatston", "volume_mm3", "mass_mg")}
    return {
        "params": {k: v for k, v in vars(options).items() if k not in ("out", "jobs")},
        "mass_cal_mg_per_cc_per_HU": options.mass_factor,
        "lesions": [{"artery": item["artery"], "center_mm_xyz": middle(item), "diameter_mm": item["diameter_mm"],
                     "length_mm": item["length_mm"], "hu": round(item["hu"], 1), "measured": score(options, slices, [i])}
                    for i, item in enumerate(items) if "artery" in item],
        "distractors": [{"kind": item["kind"], "center_mm_xyz": middle(item), "must_not_count": True,
                         "agatston_if_wrongly_counted": score(options, slices, [i])["agatston"]}
                        for i, item in enumerate(items) if "kind" in item],
        "total": totals,
    }


def parse(arguments=None):
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--size", type=int, default=512, help="rows and columns")
    p.add_argument("--slices", type=int, default=48)
    p.add_argument("--increment", type=float, default=3.0, help="mm between slices")
    p.add_argument("--thickness", type=float, default=3.0, help="mm")
    p.add_argument("--fov", type=float, default=360.0, help="mm; 220 is a cardiac field of view")
    p.add_argument("--centre", type=float, nargs=2, default=None, metavar=("X", "Y"), help="of the field of view, mm")
    p.add_argument("--bottom", type=float, default=None, help="z of the lowest slice, mm")
    p.add_argument("--fov-cut", action="store_true", help="a field of view that cuts the heart")
    p.add_argument("--rotate", type=float, default=0.0, help="patient turned about the long axis, degrees")
    p.add_argument("--shift", type=float, nargs=3, default=[0.0, 0.0, 0.0], help="patient moved, mm")
    p.add_argument("--scale", type=float, default=1.0, help="patient size")
    p.add_argument("--vary", type=float, default=0.03, help="how much hearts differ between seeds")
    p.add_argument("--tilt", type=float, default=0.0, help="gantry, degrees")
    p.add_argument("--noise", type=float, default=18.0, help="standard deviation, HU")
    p.add_argument("--kvp", type=float, default=120.0)
    p.add_argument("--mass-factor", type=float, default=0.7692307692307692, help="mg/cm3 a HU")
    p.add_argument("--zero", action="store_true", help="no coronary calcium")
    p.add_argument("--no-distractors", action="store_true")
    p.add_argument("--metal", action="store_true", help="a pacemaker lead")
    p.add_argument("--contrast", action="store_true", help="an enhanced blood pool")
    p.add_argument("--gated", action=argparse.BooleanOptionalAction, default=True)
    p.add_argument("--table", action=argparse.BooleanOptionalAction, default=True)
    p.add_argument("--lesion", action="append", metavar="ARTERY:FRACTION:DIAMETER:LENGTH:HU", help="instead of random ones")
    p.add_argument("--missing", type=int, nargs="*", default=[], help="slices left out, 0 is the lowest")
    p.add_argument("--order", choices=("up", "down", "random"), default="up", help="of the instance numbers and files")
    p.add_argument("--patient", default="calcium1", help="ID and name")
    p.add_argument("--description", default="", help="Series Description")
    p.add_argument("--jobs", type=int, default=2)
    options = p.parse_args(arguments)
    if options.fov_cut:
        options.fov, options.centre = 150.0, options.centre or [-60.0, -20.0]
    if options.centre is None:
        options.centre = [options.shift[0] + (0.0 if options.fov > 300 else 5.0), options.shift[1] + (0.0 if options.fov > 300 else -12.0)]
    if options.bottom is None:
        options.bottom = options.shift[2] - options.increment * (options.slices - 1) / 2
    return options


def main(arguments=None):
    options = parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    scene = build_scene(options)
    jobs = [(scene, k) for k in range(options.slices)]
    if options.jobs > 1:
        with multiprocessing.Pool(options.jobs) as pool:
            slices = pool.map(make_slice, jobs, chunksize=2)
    else:
        slices = [make_slice(job) for job in jobs]
    kept = [k for k in range(options.slices) if k not in options.missing]
    order = {"up": kept, "down": kept[::-1], "random": list(np.random.default_rng(options.seed).permutation(kept))}[options.order]
    for number, k in enumerate(order, 1):
        ds = data_set(options, slices[k][0], slices[k][1], number, int(k))
        ds.save_as(options.out / f"im-{number:04d}.dcm", write_like_original=False)
    result = truth(options, scene, [slices[k] for k in kept])
    (options.out / "truth.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"{len(order)} slices in {options.out}, Agatston {result['total']['TOTAL']['agatston']}")


if __name__ == "__main__":
    main()
