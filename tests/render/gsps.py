#!/usr/bin/python3
"""Draws a Grayscale Softcopy Presentation State on its images: Modality and VOI LUT, displayed area,
outlines and texts in the colours of their layers.

  gsps.py STATE OUT IMAGE...     one PNG an image (and frame) that the state names, into OUT

Source: PS3.3 C.10.4 (displayed area), C.10.5 (annotation), C.10.7 (layers), C.11.1, C.11.2, C.11.6.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import pydicom
from PIL import Image, ImageDraw, ImageFont

WIDTH = 1024  # pixels that the displayed area is drawn on


# --- colour ---

def lab_to_rgb(lab):
    """PS3.3 C.10.7.1.1 to sRGB, white point D65."""
    lightness, a, b = lab[0] / 655.35, lab[1] / 257 - 128, lab[2] / 257 - 128
    fy = (lightness + 16) / 116
    white = (0.950456, 1.0, 1.088754)
    xyz = [w * (f ** 3 if f > 6 / 29 else 3 * (6 / 29) ** 2 * (f - 4 / 29))
           for w, f in zip(white, (fy + a / 500, fy, fy - b / 200))]
    linear = np.array([[3.240479, -1.537150, -0.498535], [-0.969256, 1.875992, 0.041556],
                       [0.055648, -0.204043, 1.057311]]) @ xyz
    linear = np.clip(linear, 0, 1)
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return tuple(int(v) for v in np.round(255 * rgb))


def layer_colours(state):
    colours = {}
    for layer in state.get("GraphicLayerSequence", []):
        if "GraphicLayerRecommendedDisplayCIELabValue" in layer:
            colours[layer.GraphicLayer] = lab_to_rgb(layer.GraphicLayerRecommendedDisplayCIELabValue)
        else:
            grey = layer.get("GraphicLayerRecommendedDisplayGrayscaleValue", 65535) // 257
            colours[layer.GraphicLayer] = (grey, grey, grey)
    return colours


# --- grey values ---

def table(values, sequence):
    """A LUT; what lies outside takes its first or last entry."""
    item = sequence[0]
    count, first, bits = (int(v) for v in item.LUTDescriptor)
    data = item.LUTData
    entries = np.frombuffer(data, np.uint16) if isinstance(data, bytes) else np.asarray(data)
    index = np.clip(values - first, 0, (count or 65536) - 1).astype(np.int64)
    return entries[index].astype(np.float64), 2 ** bits - 1


def modality(state, values):
    if "ModalityLUTSequence" in state:
        return table(values, state.ModalityLUTSequence)[0]
    return values * float(state.get("RescaleSlope", 1)) + float(state.get("RescaleIntercept", 0))


def window(values, centre, width, function):
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if function == "LINEAR_EXACT":
        return (values - centre) / width + 0.5
    if width <= 1:
        return (values > centre - 0.5).astype(np.float64)
    return (values - (centre - 0.5)) / (width - 1) + 0.5


def grey(state, values, uid, frame):
    values = modality(state, values.astype(np.float64))
    shown = None
    for item in state.get("SoftcopyVOILUTSequence", []):
        if not names(item, uid, frame):
            continue
        if "VOILUTSequence" in item:
            entries, top = table(values, item.VOILUTSequence)
            shown = entries / top
        else:
            shown = window(values, float(item.WindowCenter), float(item.WindowWidth),
                           item.get("VOILUTFunction", "LINEAR"))
    if shown is None:
        shown = (values - values.min()) / max(np.ptp(values), 1)
    shown = np.clip(shown, 0, 1)
    return 1 - shown if state.get("PresentationLUTShape") == "INVERSE" else shown


# --- which image ---

def frames_of(reference):
    return [int(f) for f in np.atleast_1d(reference.get("ReferencedFrameNumber", []))]


def names(item, uid, frame):
    """Does this item hold for a frame? Without references it holds for all."""
    if "ReferencedImageSequence" not in item:
        return True
    return any(r.ReferencedSOPInstanceUID == uid and (not frames_of(r) or frame in frames_of(r))
               for r in item.ReferencedImageSequence)


def images_of(state):
    found = []
    for series in state.ReferencedSeriesSequence:
        for reference in series.ReferencedImageSequence:
            found += [(reference.ReferencedSOPInstanceUID, f) for f in frames_of(reference) or [1]]
    return found


# --- drawing ---

class Canvas:
    """The displayed area, magnified; PIXEL and DISPLAY coordinates are turned into its own."""

    def __init__(self, shown, area):
        left, top = (int(v) - 1 for v in area.DisplayedAreaTopLeftHandCorner)
        right, bottom = (int(v) for v in area.DisplayedAreaBottomRightHandCorner)
        part = np.zeros((bottom - top, right - left))
        inside = shown[max(top, 0):bottom, max(left, 0):right]
        part[max(-top, 0):max(-top, 0) + inside.shape[0], max(-left, 0):max(-left, 0) + inside.shape[1]] = inside
        spacing = [float(v) for v in area.get("PresentationPixelSpacing")
                   or area.get("PresentationPixelAspectRatio") or (1, 1)]
        self.origin = (left, top)
        self.scale = (WIDTH / (right - left), WIDTH / (right - left) * spacing[0] / spacing[1])
        self.size = (WIDTH, max(1, round((bottom - top) * self.scale[1])))
        grey8 = Image.fromarray(np.round(255 * part).astype(np.uint8))
        self.image = grey8.resize(self.size, Image.BICUBIC).convert("RGB")
        self.draw = ImageDraw.Draw(self.image)

    def points(self, values, units):
        pairs = np.asarray([float(v) for v in values]).reshape(-1, 2)
        if units == "DISPLAY":
            return [tuple(p) for p in pairs * self.size]
        return [tuple(p) for p in (pairs - self.origin) * self.scale]

    def graphic(self, item, colour):
        points = self.points(item.GraphicData, item.GraphicAnnotationUnits)
        if item.GraphicType == "POLYLINE":
            if item.get("GraphicFilled") == "Y":
                self.draw.polygon(points, fill=colour)
            self.draw.line(points, fill=colour, width=2, joint="curve")
        elif item.GraphicType == "POINT":
            for x, y in points:
                self.draw.line([(x - 6, y), (x + 6, y)], fill=colour, width=2)
                self.draw.line([(x, y - 6), (x, y + 6)], fill=colour, width=2)
        elif item.GraphicType in ("ELLIPSE", "CIRCLE"):
            self.draw.line(self.ellipse(item.GraphicType, np.asarray(points)), fill=colour, width=2)
        else:
            raise ValueError(f"Graphic Type {item.GraphicType}")

    @staticmethod
    def ellipse(kind, points):
        angle = np.linspace(0, 2 * np.pi, 121)[:, None]
        if kind == "CIRCLE":
            radius = np.hypot(*(points[1] - points[0]))
            return [tuple(p) for p in points[0] + radius * np.hstack([np.cos(angle), np.sin(angle)])]
        centre = (points[0] + points[1]) / 2
        major, minor = (points[1] - points[0]) / 2, (points[3] - points[2]) / 2
        return [tuple(p) for p in centre + np.cos(angle) * major + np.sin(angle) * minor]

    def text(self, item, colour):
        lines = item.UnformattedTextValue.replace("\r\n", "\n").split("\n")
        anchor = self.points(item.AnchorPoint, item.AnchorPointAnnotationUnits)[0] if "AnchorPoint" in item else None
        if "BoundingBoxTopLeftHandCorner" in item:
            box = self.points([*item.BoundingBoxTopLeftHandCorner, *item.BoundingBoxBottomRightHandCorner],
                              item.BoundingBoxAnnotationUnits)
        else:
            box = [anchor, (anchor[0] + 200, anchor[1] + 20 * len(lines))]
        height = (box[1][1] - box[0][1]) / len(lines)
        font = self.font(lines, box[1][0] - box[0][0], height)
        for i, line in enumerate(lines):
            slack = box[1][0] - box[0][0] - self.draw.textlength(line, font=font)
            shift = {"CENTER": slack / 2, "RIGHT": slack}.get(item.get("BoundingBoxTextHorizontalJustification"), 0)
            self.draw.text((box[0][0] + shift, box[0][1] + i * height), line, fill=colour, font=font)
        if anchor and item.get("AnchorPointVisibility") == "Y":
            near = (min(max(anchor[0], box[0][0]), box[1][0]), min(max(anchor[1], box[0][1]), box[1][1]))
            self.draw.line([near, anchor], fill=colour, width=1)

    def font(self, lines, width, height):
        """The largest letters that fit in the box."""
        for size in range(int(height), 7, -1):
            try:
                font = ImageFont.truetype("DejaVuSans.ttf", size)
            except OSError:
                return ImageFont.load_default()
            if max(self.draw.textlength(line, font=font) for line in lines) <= width \
                    and sum(font.getmetrics()) <= height:
                return font
        return ImageFont.truetype("DejaVuSans.ttf", 8)


def stored_values(image, path):
    """Decoded pixels; DCMTK helps with what pydicom cannot decode alone."""
    try:
        return image.pixel_array
    except (RuntimeError, NotImplementedError):
        for tool in ("dcmdjpeg", "dcmdjpls"):
            with tempfile.NamedTemporaryFile(suffix=".dcm") as out:
                if subprocess.run([tool, path, out.name], capture_output=True, check=False).returncode == 0:
                    return pydicom.dcmread(out.name).pixel_array
        raise


def draw(state, image, path, frame):
    stored = stored_values(image, path)
    stored = stored[frame - 1] if int(image.get("NumberOfFrames", 1)) > 1 else stored
    uid = image.SOPInstanceUID
    area = next(a for a in state.DisplayedAreaSelectionSequence if names(a, uid, frame))
    canvas = Canvas(grey(state, stored, uid, frame), area)
    colours = layer_colours(state)
    order = {l.GraphicLayer: int(l.GraphicLayerOrder) for l in state.get("GraphicLayerSequence", [])}
    mine = [a for a in state.get("GraphicAnnotationSequence", []) if names(a, uid, frame)]
    for annotation in sorted(mine, key=lambda a: order[a.GraphicLayer]):
        colour = colours[annotation.GraphicLayer]
        for item in annotation.get("GraphicObjectSequence", []):
            canvas.graphic(item, colour)
        for item in annotation.get("TextObjectSequence", []):
            canvas.text(item, colour)
    return canvas.image


def render(gsps_path, image_paths, out_folder):
    """Draws every image that the state names; returns the PNGs, in the state's order.

    Raises KeyError when an image that it names is not among image_paths.
    """
    state = pydicom.dcmread(gsps_path)
    paths = {pydicom.dcmread(p, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]).SOPInstanceUID: p
             for p in sorted({str(p) for p in image_paths})}
    os.makedirs(out_folder, exist_ok=True)
    stem = os.path.splitext(os.path.basename(str(gsps_path)))[0]
    made = []
    for number, (uid, frame) in enumerate(images_of(state), 1):
        image = draw(state, pydicom.dcmread(paths[uid]), paths[uid], frame)
        made.append(os.path.join(str(out_folder), f"{stem}-{number:03}.png"))
        image.save(made[-1])
    return made


if __name__ == "__main__":
    print("\n".join(render(sys.argv[1], sys.argv[3:], sys.argv[2])))
