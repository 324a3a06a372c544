#!/usr/bin/python3
"""Colours that carry meaning are told apart by readers of any colour vision, and from what lies behind them.

Simulation: Machado, Oliveira and Fernandes, IEEE TVCG 2009;15:1291, severity 1. Difference: CIEDE2000 (CIE 142),
checked against pairs of Sharma, Wu and Dalal, Color Res Appl 2005;30:21. A difference of 1 is just seen where two
fields touch; thin lines on an image need many times that."""
import itertools
import pathlib
import re
import unittest

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEAST = 14  # CIEDE2000 between two colours of the palette, and to what is behind
LEAST_PLOT = 10  # of lines of a plot, which are thicker and have a legend beside them
VISION = {
    "normal": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritan": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}


def linear(rgb):
    c = np.array(rgb) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(light):
    """Of linear sRGB, white D65."""
    xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]) @ np.clip(light, 0, 1)
    t = xyz / (0.95047, 1, 1.08883)
    f = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def ciede2000(one, other):
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(mean**7 / (mean**7 + 25.0**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    grey = c1 * c2 == 0
    turn = 0 if grey else (h2 - h1 + 180) % 360 - 180
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    l, c, h = (l1 + l2) / 2, (c1 + c2) / 2, h1 + h2 if grey else (h1 + turn / 2) % 360
    t = 1 - 0.17 * np.cos(np.radians(h - 30)) + 0.24 * np.cos(np.radians(2 * h)) + 0.32 * np.cos(np.radians(3 * h + 6)) - 0.20 * np.cos(np.radians(4 * h - 63))
    sl, sc, sh = 1 + 0.015 * (l - 50) ** 2 / np.sqrt(20 + (l - 50) ** 2), 1 + 0.045 * c, 1 + 0.015 * c * t
    turned = -np.sin(np.radians(60 * np.exp(-(((h - 275) / 25) ** 2)))) * 2 * np.sqrt(c**7 / (c**7 + 25.0**7))
    return np.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + turned * dc / sc * dh / sh)


def difference(one, other):
    """The least over all kinds of colour vision, and whose."""
    return min((ciede2000(lab(m @ linear(one)), lab(m @ linear(other))), name) for name, m in VISION.items())


def triples(text):
    return [tuple(map(int, m)) for m in re.findall(r"\{(\d+), *(\d+), *(\d+)\}", text)]


def contrast(one, other):
    """WCAG 2.1, relative luminance."""
    a, b = (np.array([0.2126, 0.7152, 0.0722]) @ linear(c) + 0.05 for c in (one, other))
    return max(a, b) / min(a, b)


def inks():
    """{name: (on light paper, on dark)} of compute/draw/pen.c, 0..255."""
    text = (ROOT / "compute/draw/pen.c").read_text()
    numbers = r"\{([\d.]+), ([\d.]+), ([\d.]+)\}"
    found = re.findall(rf"(ink_\w+) = \{{{numbers}, {numbers}\}}", text)
    return {f[0]: tuple(tuple(255 * float(v) for v in part) for part in (f[1:4], f[4:7])) for f in found}


class Colours(unittest.TestCase):
    def setUp(self):
        header = (ROOT / "compute/findings/colour.h").read_text()
        self.palette = {m[0]: tuple(map(int, m[1:])) for m in re.findall(r"#define (COLOUR_\w+)[\s\\]+\{[\s\\]*(\d+), (\d+), (\d+)[\s\\]*\}", header)}
        self.assertGreaterEqual(len(self.palette), 7)

    def test_the_difference_is_that_of_the_standard(self):
        for one, other, wanted in (
            ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
            ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
            ((50, 2.5, 0), (73, 25, -18), 27.1492),
            ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
            ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
            ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
        ):
            self.assertAlmostEqual(float(ciede2000(one, other)), wanted, places=4)
        # Red and green of one lightness: the difference that this test is about.
        self.assertLess(difference((255, 80, 60), (150, 130, 30))[0], LEAST_PLOT)

    def test_colours_differ_for_every_reader(self):
        for (a, one), (b, other) in itertools.combinations(self.palette.items(), 2):
            found, who = difference(one, other)
            self.assertGreaterEqual(found, LEAST, f"{a} and {b}, {who}")

    def test_colours_differ_from_what_is_behind_them(self):
        # Lung, fat and soft tissue in the windows of pages and presentation states; dark paper.
        for name, colour in self.palette.items():
            for behind in ((0, 0, 0), (50, 50, 50), (90, 90, 90), inks()["ink_paper"][1]):
                found, who = difference(colour, behind)
                self.assertGreaterEqual(found, LEAST, f"{name} on {behind}, {who}")

    def test_analyses_use_no_other_colours(self):
        for path in sorted((ROOT / "compute/stages").rglob("*.c")):
            text = path.read_text()
            for m in re.finditer(r"rgb(?:\[3\])? = (\{\d+, *\d+, *\d+\})", text):
                self.fail(f"{path.name}: {m[0]}: take one of compute/findings/colour.h")

    def test_lines_of_a_plot_differ(self):
        text = (ROOT / "compute/draw/plot.c").read_text()
        colours = triples(text[text.index("colours[][3]"):].split(";")[0])
        self.assertEqual(len(colours), 7)
        papers = inks()["ink_paper"]
        for one, other in itertools.combinations(colours, 2):
            found, who = difference(one, other)
            self.assertGreaterEqual(found, LEAST_PLOT, f"{one} and {other}, {who}")
        for colour, paper in itertools.product(colours, papers):
            self.assertGreaterEqual(contrast(colour, paper), 2, f"{colour} on {paper}")

    def test_texts_can_be_read_on_either_paper(self):
        found = inks()
        self.assertGreaterEqual(len(found), 12)
        for side in (0, 1):
            behind = {"ink_paper": 4.5, "ink_stripe": 4.5, "ink_amber_pale": 4.5}
            for ink in ("ink_text", "ink_quiet", "ink_accent"):
                for paper, least in behind.items():
                    if (ink, paper) not in (("ink_quiet", "ink_amber_pale"), ("ink_accent", "ink_amber_pale")):  # never so
                        self.assertGreaterEqual(contrast(found[ink][side], found[paper][side]), least, f"{ink} on {paper}, {side}")
            self.assertGreaterEqual(contrast(found["ink_white"][side], found["ink_alarm"][side]), 4.5)
            self.assertGreaterEqual(contrast(found["ink_alarm"][side], found["ink_paper"][side]), 3)  # large letters


if __name__ == "__main__":
    unittest.main()
