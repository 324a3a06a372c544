"""A heart with its great vessels, coronary arteries and calcium, drawn from a random source.

The muscle is one closed surface around the heart's centre: a radius for every direction, given by the
angle `theta` from the long axis (0: apex) and `phi` around it (0: towards the right ventricle's free wall, 90:
up and left). The grooves are valleys of that surface, the epicardial fat fills them and lies above, the
pericardium closes it. Arteries run on the floor of the grooves.

Sizes: hearts of 560 to 660 mL within the pericardium (Dey 2010, PMC2953476); aorta 30 +- 4 mm at the
sinus and ascending, 24 +- 3.5 mm at the diaphragm (Hager 2002); left main 4.5 mm, then 3.7, 3.4 and 3.9 mm wide
(Dodge 1992); epicardial fat up to 15 mm, in the grooves first, over the left ventricle last (Iacobellis 2009);
left main 30 to 55 mm below the carina.
"""
import numpy as np

from solid import smooth_step, spline, unit

ARTERIES = ("LM", "LAD", "LCX", "RCA")
BLOOD, MYOCARDIUM, FAT, PERICARDIUM = 40, 50, -100, 25
DEGREE = np.pi / 180


def bell(x, width):
    return np.exp(-0.5 * (x / width) ** 2)


def turn(a):
    """An angle between -180 and 180 degrees."""
    return (a + 180) % 360 - 180


def between(coarse, shape):
    """A table twice as fine, cut to shape."""
    for axis in (0, 1):
        a = np.moveaxis(coarse, axis, 0)
        fine = np.empty((2 * len(a), a.shape[1]), np.float32)
        fine[::2], fine[1:-1:2], fine[-1] = a, (a[:-1] + a[1:]) / 2, a[-1]
        coarse = np.moveaxis(fine, 0, axis)
    return coarse[:shape[0], :shape[1]]


class Heart:
    def __init__(self, rng, p):
        """p: parameters as chest.py draws them."""
        self.p = p
        s = p["heart"]
        azimuth, down = p["axis_azimuth"] * DEGREE, p["axis_down"] * DEGREE
        axis = np.array([np.cos(down) * np.sin(azimuth), -np.cos(down) * np.cos(azimuth), -np.sin(down)])
        right = np.array([-0.6, -0.75, -0.05 + np.sin(p["axis_roll"] * DEGREE)])
        right = unit(right - (right @ axis) * axis)
        self.frame = np.stack([axis, right, np.cross(right, axis)])  # rows: apex, right ventricle, up
        self.centre = np.array([p["heart_x"], p["heart_y"], 0.0])
        self.front, self.behind = rng.uniform(52, 72), rng.uniform(-84, -64)  # phi of the interventricular grooves
        self.av = rng.uniform(88, 95)  # theta of the atrioventricular groove
        self.av_tilt = rng.uniform(2, 9)
        self.build(rng, s)
        self.vessels(rng, s)
        self.lines = self.courses(rng)

    def av_theta(self, phi):
        return self.av + self.av_tilt * np.cos((phi - 80) * DEGREE)

    def front_phi(self, theta):
        return self.front + 16 * np.sin((self.av - theta) / 60 * 1.5) * (theta < self.av)

    def build(self, rng, s):
        """Tables of the surface of the muscle and of the fat on it, a value every degree."""
        theta, phi = np.meshgrid(np.arange(181.0), np.arange(361.0), indexing="ij")
        c = np.cos(theta * DEGREE), np.sin(theta * DEGREE) * np.cos(phi * DEGREE), np.sin(theta * DEGREE) * np.sin(phi * DEGREE)
        long = np.where(c[0] > 0, 62 * s * rng.uniform(0.93, 1.07), 50 * s * rng.uniform(0.9, 1.1))
        wide = np.where(c[1] > 0, 47, 43) * s * rng.uniform(0.94, 1.06), np.where(c[2] > 0, 40, 43) * s * rng.uniform(0.94, 1.06)
        power = rng.uniform(2.0, 2.4)
        r = (np.abs(c[0] / long) ** power + np.abs(c[1] / wide[0]) ** power + np.abs(c[2] / wide[1]) ** power) ** (-1 / power)
        for at, around, height, width in ((128, 0, 7, 26), (145, 160, 6, 28), (60, 20, 3, 25)):  # right and left atrium, outflow
            r = r + height * s * rng.uniform(0.5, 1.3) * bell(theta - at, width) * bell(turn(phi - around), width * 1.3)
        for _ in range(7):  # nobody's is the mean
            k, f = unit(rng.normal(size=3)) * rng.uniform(1.5, 4), rng.uniform(0, 2 * np.pi)
            r = r + 1.0 * s * np.sin(sum(a * b for a, b in zip(k, c)) + f)
        def grooves(width):
            across = np.sin(theta * DEGREE) * DEGREE * r
            low = smooth_step(-theta, -self.av - 4, -self.av + 8) * smooth_step(theta, 6, 22)
            return np.maximum.reduce([bell((theta - self.av_theta(phi)) * DEGREE * r, width),
                                      low * bell(turn(phi - self.front_phi(theta)) * across, width),
                                      0.8 * low * bell(turn(phi - self.behind) * across, width)])
        valley = grooves(5.0)
        fat = self.p["fat_mm"]
        lean = smooth_step(theta, 10, 40) * (0.5 * bell(turn(phi - 10), 45) * (theta < 100) + 0.12)
        cover = 0.3 + fat * np.maximum(grooves(13.0), lean)
        self.muscle = r - self.p["groove_mm"] * valley
        self.outside = self.muscle + self.p["groove_mm"] * valley * smooth_step(fat, 0, 3) + cover
        self.outside = np.maximum(self.outside, self.muscle + 0.3)

    def direction(self, theta, phi):
        t, f = theta * DEGREE, phi * DEGREE
        return np.cos(t) * self.frame[0] + np.sin(t) * (np.cos(f) * self.frame[1] + np.sin(f) * self.frame[2])

    def look(self, table, theta, phi):
        """Bilinear, in a table of build()."""
        phi = phi % 360
        i, j = np.minimum(theta.astype(np.int32), 179), np.minimum(phi.astype(np.int32), 359)
        a, b = theta - i, phi - j
        flat, k = table.astype(np.float32).ravel(), i * 361 + j
        return (flat[k] * (1 - b) + flat[k + 1] * b) * (1 - a) + (flat[k + 361] * (1 - b) + flat[k + 362] * b) * a

    def on_surface(self, theta, phi, height):
        r = float(self.look(self.muscle, np.array([theta], float), np.array([phi], float))[0])
        return self.centre + self.direction(theta, phi) * (r + height)

    def depth(self, p, pixel):
        """Distances of places [rows][columns] to the muscle's surface and to the pericardium: of every second
        place where pixels are small, linear between them."""
        if pixel < 0.9:
            found = self.depth([a[::2, ::2] for a in p], 2 * pixel)
            return [between(d, p[0].shape) for d in found]
        q = [a - c for a, c in zip(p, self.centre.astype(np.float32))]
        along, right, up = (sum(a * np.float32(b) for a, b in zip(q, axis)) for axis in self.frame)
        r = np.sqrt(along**2 + right**2 + up**2) + np.float32(1e-3)
        theta = np.arccos(np.clip(along / r, -1, 1)) * np.float32(1 / DEGREE)
        phi = np.arctan2(up, right) * np.float32(1 / DEGREE)
        return [r - self.look(self.muscle, theta, phi), r - self.look(self.outside, theta, phi)]

    def vessels(self, rng, s):
        """Tubes: rows x, y, z, radius."""
        c, f = self.centre, self.frame
        aorta = self.p["aorta_mm"] / 2
        root = c - rng.uniform(10, 16) * s * f[0] + 15 * s * unit(0.35 * f[1] + 0.94 * f[2])
        up = unit(np.array([rng.uniform(-0.32, -0.12), rng.uniform(-0.25, -0.05), 0.93]))
        self.root, self.root_axis, self.root_radius = root, up, aorta * 1.08
        top = c[2] + rng.uniform(92, 112) * s
        desc = np.array([rng.uniform(22, 30), rng.uniform(38, 46)])
        narrow = aorta * 0.82
        self.aorta = spline([(*(root - 7 * up), aorta * 0.86), (*(root + 6 * up), aorta * 1.1), (*(root + 22 * up), aorta), (*(root + 48 * up), aorta),
                             (root[0] - 8, root[1] + 8, top - 12, aorta * 0.97), (4, 8, top, aorta * 0.93), (18, 28, top - 6, narrow),
                             (*desc, top - 26, narrow), (*desc, top - 60, narrow), (*(desc - (2, 0)), 0, narrow * 0.98),
                             (*(desc - (8, 2)), -70, narrow * 0.94), (*(desc - (14, 4)), -150, narrow * 0.9)], 4.0)
        valve = self.on_surface(self.av - 12, 42, -9)
        split = np.array([root[0] + 18, root[1] + 22, root[2] + rng.uniform(38, 48) * s])
        self.split_z = split[2]
        trunk = spline([(*valve, 12), (*(valve + (5, 2, 16)), 13), (*(0.5 * valve + 0.5 * split + (7, -5, 4)), 13), (*split, 12)], 4.0)
        right = spline([(*split, 10), (root[0] - 4, root[1] + 31, split[2] - 3, 10), (-28, root[1] + 36, split[2] - 8, 9), (-52, 12, split[2] - 16, 6)], 4.0)
        left = spline([(*split, 10), (34, 6, split[2] + 3, 10), (52, 18, split[2] - 6, 7)], 4.0)
        atrium = self.on_surface(150, 20, -6)
        cava = [spline([(*atrium, 10), (-32, -6, c[2] + 45, 9), (-28, -8, top - 10, 8), (-24, -6, top + 40, 7)], 5.0),
                spline([(*self.on_surface(150, -40, -4), 11), (-30, 10, -60, 12), (-24, 22, -150, 11)], 5.0)]
        back = self.on_surface(165, 150, -8)
        veins = [spline([(*back, 7), *ends], 4.0) for ends in (
            [(50, 26, back[2] + 6, 6), (70, 34, back[2] - 6, 4)], [(44, 14, back[2] + 22, 6), (66, 8, back[2] + 34, 4)],
            [(-34, 22, back[2] + 12, 6), (-58, 14, back[2] + 18, 4)], [(-30, 28, back[2] - 2, 6), (-56, 38, back[2] - 12, 4)])]
        self.veins = [trunk, right, left, *cava, *veins]
        ear = self.on_surface(118, 112, -4)
        self.appendage = spline([(*ear, 9), (*self.on_surface(100, 104, 5), 8), (*self.on_surface(90, 96, 9 + 0.4 * self.p["fat_mm"]), 5)], 3.0)

    def ostium(self, towards, rise):
        """A place on the wall of the root, on the side of another place."""
        at = self.root + rise * self.root_axis
        side = towards - at
        side = unit(side - (side @ self.root_axis) * self.root_axis)
        return at + side * self.root_radius, side

    def courses(self, rng):
        """{name: (artery, rows x, y, z, radius)}"""
        fat, found = self.p["fat_mm"], {}
        radius = {"LM": 2.25, "LAD": 1.85, "LCX": 1.7, "RCA": 1.95}
        lift = lambda artery: radius[artery] + 0.4 + 0.05 * fat
        def groove(artery, places, start=()):
            n = len(places)
            rows = [(*self.on_surface(t, f, lift(artery)), radius[artery] * (1 - 0.35 * k / n)) for k, (t, f) in enumerate(places)]
            return spline([*start, *rows])
        fork_phi = self.front + rng.uniform(9, 17)
        fork_theta = self.av_theta(fork_phi) + rng.uniform(-3, 3)
        fork = self.on_surface(fork_theta, fork_phi, lift("LM") + 1)
        left, out = self.ostium(fork + np.array([6.0, 6.0, 4.0]), rng.uniform(7, 12))
        found["LM"] = ("LM", spline([(*left, 2.3), (*(left + 4 * out), 2.3), (*(0.5 * (left + 4 * out) + 0.5 * fork), 2.2), (*fork, 2.1)]))
        begin = (*fork, 2.0)
        far = rng.uniform(14, 26)
        down = [(t, self.front_phi(np.array(t))) for t in np.linspace(fork_theta - 9, far, 9)]
        found["LAD"] = ("LAD", groove("LAD", down, [begin]))
        end = rng.uniform(190, 250)
        found["LCX"] = ("LCX", groove("LCX", [(self.av_theta(f) + 1, f) for f in np.linspace(fork_phi + 10, end, 10)], [begin]))
        entry_phi = rng.uniform(26, 38)
        entry = self.on_surface(self.av_theta(entry_phi), entry_phi, lift("RCA"))
        right, out = self.ostium(entry, rng.uniform(6, 11))
        around = [(self.av_theta(f), f) for f in np.linspace(entry_phi, self.behind + 6, 10)]
        found["RCA"] = ("RCA", groove("RCA", around, [(*right, 2.0), (*(right + 3 * out), 2.0)]))
        k = rng.uniform(66, 76)
        phi = float(self.front_phi(np.array(k)))
        found["D1"] = ("LAD", groove("LAD", [(k - 6 * i, phi + 3 + 9 * i) for i in range(5)]))
        k = rng.uniform(150, 185)
        found["OM"] = ("LCX", groove("LCX", [(self.av_theta(k) - 8 * i, k + 4 * i) for i in range(5)]))
        found["PDA"] = ("RCA", groove("RCA", [(self.av - 4 - 8 * i, self.behind) for i in range(6)]))
        return found

    def paint(self, plane):
        part = plane.box(self.centre, self.outside.max() + self.p["pericardial_fat_mm"] + 4)
        if part is None:
            return
        fat, blood = self.p["fat_mm"], self.p["blood_hu"]
        at = plane.points(part)
        muscle, sac = self.depth(at, plane.pixel)
        plane.put(sac - self.p["pericardial_fat_mm"] * np.clip(-at[1] / 40, 0.1, 1), FAT, part)
        plane.put(sac - 1.4, PERICARDIUM, part)
        plane.put(sac, FAT, part)
        plane.put(muscle, MYOCARDIUM, part)
        plane.put(muscle + 9, blood, part)
        for name, grow in (("LM", 0.8), ("RCA", 0.4)):  # the fat that they leave the root through
            line = self.lines[name][1][:int(60 if name == "RCA" else 80):8]
            plane.tube(line, FAT, grow * self.p["root_fat_mm"] + 0.3 * fat)
        outside = np.ones(plane.value.shape, bool)
        outside[part] = muscle > -5
        self.paint_vessels(plane, blood, outside)
        for artery, line in self.lines.values():
            plane.tube(line[::6], blood)

    def paint_vessels(self, plane, blood, outside):
        around = self.p["root_fat_mm"]
        plane.tube(self.appendage, blood)
        if around > 0.3:
            plane.tube(self.aorta[2:14], FAT, around, outside)
        for line in self.veins:
            plane.tube(line, blood)
        plane.tube(self.aorta, 48, 1.3)
        plane.tube(self.aorta, blood)

    # Calcium: {"artery" or "kind", "hu", "balls": rows x, y, z, radius}

    def chain(self, line, at, length, width, side, kind, hu):
        """A piece of a tube's wall: balls one by another, off the middle towards `side`."""
        middle, half = at * (len(line) - 1), max(0.0, length - width)
        index = np.unique(np.clip(np.round(np.arange(middle - half, middle + half + 0.1)), 0, len(line) - 1)).astype(int)
        balls = []
        for i in index:
            out = max(0.0, line[i, 3] - width / 2) * 0.8
            thin = 1 - 0.3 * (abs(i - middle) / max(half, 1)) ** 2
            balls.append((*(line[i, :3] + out * side), width / 2 * thin))
        return {**kind, "hu": float(hu), "balls": np.array(balls)}

    def plaque(self, rng, name):
        artery, line = self.lines[name]
        long = {"LM": (1, 6), "LAD": (1, 16), "LCX": (1, 12), "RCA": (1, 16)}[artery]
        width = float(np.clip(rng.lognormal(np.log(2.6), 0.4), 0.6, 5.0))
        length = width + (rng.uniform(*long) - 1) * rng.uniform(0.2, 1)
        low, high = {"LM": (0.3, 0.75), "LAD": (0.1, 0.75), "RCA": (0.1, 0.92)}.get(name, (0.12, 0.9))
        return self.chain(line, rng.uniform(low, high), length, width, unit(rng.normal(size=3)), {"artery": artery, "of": name}, rng.uniform(230, 1100))

    def arc(self, rng, centre, axis, radius, span, width):
        """Balls on a circle around an axis, from one angle over so many degrees."""
        a = unit(np.cross(axis, (0.3, 0.5, 0.8)))
        b, first = np.cross(axis, a), rng.uniform(0, 360)
        angles = np.arange(first, first + span, np.degrees(0.5 * width / radius)) * DEGREE
        return np.array([(*(centre + radius * (np.cos(t) * a + np.sin(t) * b) + axis * rng.normal() * 0.3), width / 2) for t in angles])

    def wall(self, rng, low, high, width):
        """Calcium in the wall of the aorta, between two shares of its course."""
        i = int(rng.uniform(low, high) * (len(self.aorta) - 2))
        here, along = self.aorta[i], unit(self.aorta[i + 1, :3] - self.aorta[i, :3])
        balls = [self.arc(rng, here[:3] + along * step, along, here[3], rng.uniform(15, 80), width) for step in np.arange(0, rng.uniform(1, 9), width * 0.6)]
        return np.vstack(balls)

    def not_coronary(self, rng, kind):
        """Calcium or metal that must not count, by name; None: no such name."""
        if kind == "aortic valve":
            balls = [self.arc(rng, self.root + rng.uniform(-2, 5) * self.root_axis, self.root_axis, self.root_radius * rng.uniform(0.15, 0.55), rng.uniform(30, 110), rng.uniform(1.5, 3.5))
                     for _ in range(int(rng.integers(1, 4)))]
            return np.vstack(balls), rng.uniform(350, 1100)
        if kind == "mitral annulus":
            centre = self.centre + self.frame[0] * (-6) + 15 * self.p["heart"] * self.direction(90, 200)
            return self.arc(rng, centre, self.frame[0], rng.uniform(13, 16), rng.uniform(40, 150), rng.uniform(3, 6)), rng.uniform(400, 1300)
        if kind == "ascending aorta":
            return self.wall(rng, 0.07, 0.16, rng.uniform(1.2, 2.5)), rng.uniform(400, 1000)
        if kind == "aortic sinus":
            return self.arc(rng, self.root + rng.uniform(10, 16) * self.root_axis, self.root_axis, self.root_radius, rng.uniform(15, 45), rng.uniform(1.2, 2.2)), rng.uniform(400, 900)
        if kind == "descending aorta":
            return self.wall(rng, 0.45, 0.8, rng.uniform(1.5, 3)), rng.uniform(400, 1000)
        if kind == "pericardium":
            theta, phi = rng.uniform(60, 110), rng.uniform(180, 260)
            rows = []
            for t in np.arange(0, 14, 1.2):
                for f in np.arange(0, 20, 1.6):
                    far = float(self.look(self.outside, np.array([theta + t]), np.array([phi + f]))[0])
                    rows.append((*(self.centre + self.direction(theta + t, phi + f) * (far + 0.7)), 0.9))
            return np.array(rows), rng.uniform(400, 900)
        if kind == "papillary muscle":
            at = self.centre + self.frame[0] * 20 + 18 * self.direction(90, rng.uniform(150, 230))
            return np.array([(*(at + rng.normal(size=3) * 1.5), rng.uniform(0.8, 1.6)) for _ in range(4)]), rng.uniform(300, 600)
        if kind == "hilar node":
            at = np.array([rng.choice([-1, 1]) * rng.uniform(46, 58), rng.uniform(8, 22), self.split_z + rng.uniform(-20, 8)])
            return np.array([(*(at + rng.normal(size=3) * 2.5), rng.uniform(1.5, 4)) for _ in range(int(rng.integers(1, 5)))]), rng.uniform(300, 900)
        if kind == "mediastinal node":
            at = np.array([rng.uniform(-14, 4), rng.uniform(14, 24), self.split_z + rng.uniform(0, 22)])
            return np.array([(*(at + rng.normal(size=3) * 2), rng.uniform(1.5, 3)) for _ in range(3)]), rng.uniform(300, 900)
        if kind == "pacemaker lead":
            line = spline([(-24, -6, 130, 1), (-31, -7, 55, 1), (*self.on_surface(140, 10, -14), 1), (*self.on_surface(100, -10, -14), 1), (*self.on_surface(35, 0, -12), 1)], 1.2)
            return line, 3000.0
        if kind == "stent":
            artery, line = self.lines[rng.choice(["LAD", "RCA", "LCX"])]
            i = int(rng.uniform(0.08, 0.4) * len(line))
            rows = []
            for k in range(i, min(len(line) - 1, i + int(rng.uniform(20, 46))), 2):
                along = unit(line[k + 1, :3] - line[k, :3])
                rows.append(self.arc(rng, line[k, :3], along, 1.5, 355, 0.5))
            return np.vstack(rows), rng.uniform(1500, 2600)
        if kind == "clips":
            line = self.lines["LAD"][1]
            rows = []
            for k in np.linspace(0.15, 0.6, int(rng.integers(3, 7))):
                at = line[int(k * len(line)), :3] + 3 * unit(line[int(k * len(line)), :3] - self.centre)
                rows += [(*(at + d * unit(rng.normal(size=3))), 0.7) for d in (-1.5, 0, 1.5)]
            return np.array(rows), 3000.0
        return None
