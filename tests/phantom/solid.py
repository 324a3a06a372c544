"""Solids given by signed distances, and one plane of a scan that they are painted into.

Lengths are millimetres, arrays float32. A solid's distance is negative inside; near the surface it is
about the true distance, which decides how much of a pixel is covered.
"""
import numpy as np


def spline(points, step=0.5):
    """A smooth line through the rows of points (x, y, z and whatever else varies along it), a row every
    `step` mm (Catmull-Rom)."""
    p = np.asarray(points, float)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, 1, 40, endpoint=False)[:, None]
    line = np.vstack([0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
                      for a, b, c, d in zip(p, p[1:], p[2:], p[3:])] + [p[-2:-1]])
    s = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line[:, :3], axis=0), axis=1))])
    at = np.arange(0, s[-1], step)
    return np.stack([np.interp(at, s, line[:, i]) for i in range(line.shape[1])], 1)


def unit(v):
    v = np.asarray(v, float)
    return v / np.linalg.norm(v)


def superellipse(p, radii, power=2.3):
    """A column along z; exact on its surface."""
    a, b = radii
    return ((np.abs(p[0] / a) ** power + np.abs(p[1] / b) ** power) ** (1 / power) - 1) * min(a, b)


def ellipsoid(p, centre, radii):
    q = [(a - c) / r for a, c, r in zip(p, centre, radii)]
    k0 = np.sqrt(sum(a * a for a in q)) + 1e-6
    k1 = np.sqrt(sum((a / r) ** 2 for a, r in zip(q, radii))) + 1e-6
    return k0 * (k0 - 1) / k1


def rod(p, a, b, ra, rb):
    """Straight, its radius goes from ra to rb."""
    d = np.subtract(b, a).astype(float)
    q = [u - v for u, v in zip(p, a)]
    t = np.clip(sum(u * v for u, v in zip(q, d)) / max(d @ d, 1e-9), 0, 1)
    return np.sqrt(sum((u - t * v) ** 2 for u, v in zip(q, d))) - (ra + t * (rb - ra))


def smooth_step(x, low, high):
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


class Plane:
    """One plane: pixel (row i, column j) lies at origin + i * down + j * across of the solids' space."""

    def __init__(self, origin, down, across, shape, hu):
        self.origin, self.down, self.across = (np.asarray(v, float) for v in (origin, down, across))
        self.pixel = float(np.linalg.norm(self.across))
        self.normal = np.cross(self.across, self.down) / np.linalg.norm(np.cross(self.across, self.down))
        i, j = np.arange(shape[0], dtype=np.float32)[:, None], np.arange(shape[1], dtype=np.float32)[None, :]
        self.at = [(o + i * d + j * a).astype(np.float32) for o, d, a in zip(self.origin, self.down, self.across)]
        self.value = np.full(shape, hu, np.float32)

    def box(self, centre, reach):
        """The part of the plane within reach of a place, or None."""
        q = np.asarray(centre, float) - self.origin
        if abs(q @ self.normal) > reach:
            return None
        found = []
        for axis, count in ((self.down, self.value.shape[0]), (self.across, self.value.shape[1])):
            middle, half = q @ axis / (axis @ axis), reach / np.linalg.norm(axis)
            low, high = max(0, int(np.floor(middle - half))), min(count, int(np.ceil(middle + half)) + 1)
            if low >= high:
                return None
            found.append(slice(low, high))
        return tuple(found)

    def points(self, part=...):
        return [a[part] for a in self.at]

    def put(self, distance, hu, part=..., within=None):
        cover = np.clip(0.5 - distance / self.pixel, 0, 1)
        if within is not None:
            cover = cover * within
        self.value[part] += (hu - self.value[part]) * cover

    def ellipsoid(self, centre, radii, hu, within=None):
        part = self.box(centre, max(radii) + 2)
        if part is not None:
            self.put(ellipsoid(self.points(part), centre, radii), hu, part, None if within is None else within[part])

    def tube(self, line, hu, grow=0.0, within=None):
        """line: rows x, y, z, radius; straight between them."""
        for a, b in zip(line, line[1:]):
            part = self.box((a[:3] + b[:3]) / 2, np.linalg.norm(b[:3] - a[:3]) / 2 + max(a[3], b[3]) + grow + 2)
            if part is not None:
                self.put(rod(self.points(part), a[:3], b[:3], a[3] + grow, b[3] + grow), hu, part, None if within is None else within[part])

    def distance(self, line, grow=0.0, reach=12.0):
        """Distance of every pixel to a tube, `reach` where it is farther."""
        found = np.full(self.value.shape, reach, np.float32)
        for a, b in zip(line, line[1:]):
            part = self.box((a[:3] + b[:3]) / 2, np.linalg.norm(b[:3] - a[:3]) / 2 + max(a[3], b[3]) + grow + reach)
            if part is not None:
                found[part] = np.minimum(found[part], rod(self.points(part), a[:3], b[:3], a[3] + grow, b[3] + grow))
        return found
