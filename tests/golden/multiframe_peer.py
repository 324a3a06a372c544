#!/usr/bin/python3
"""The other toolkits' side of test_multiframe.c.

  multiframe_peer.py sources VARIANT FOLDER   writes a source series that is nowhere symmetric
  multiframe_peer.py check FOLDER VARIANT     validators, and pydicom against expected.json and the
                                              voxels that the test left beside the results
"""
import json
import os
import pathlib
import re
import sys
import warnings

import numpy as np
import pydicom

from results_peer import ENHANCED_CT, ROOT, VARIANTS, base, complaints, run, write

warnings.filterwarnings("ignore")
ROWS, COLUMNS, SLICES = 37, 29, 9  # a frame of odd size: bits of the next one start inside a byte; "single" has one slice
SPACING = ["0.5", "0.625"]
MR = "1.2.840.10008.5.1.4.1.1.4"
ABOUT = np.array([-40.25, -30.5, 12.75])


def planes(variant):
    """Row and column direction, and the step from slice to slice in mm."""
    across, down, step = np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), np.array([0, 0, 3.0])
    if variant == "oblique":
        a, b = np.radians(20), np.radians(-35)
        turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) @ \
            np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
        across, down, step = turn @ across, turn @ down, turn @ step
    elif variant == "tilted":  # a gantry of 15 degrees: slices lie beside their normal
        t = np.radians(15)
        down = np.array([0, np.cos(t), np.sin(t)])
    elif variant == "turned":  # row x column points to the feet, files go to the head
        down = np.array([0, -1.0, 0])
    elif variant == "backwards":  # files go to the feet
        step = -step
    elif variant == "sagittal":
        across, down, step = np.array([0, 1.0, 0]), np.array([0, 0, -1.0]), np.array([3.0, 0, 0])
    return across, down, step


def text(values):
    return [f"{v:.9g}" for v in values]


def place(variant, k):
    across, down, step = planes(variant)
    return text(ABOUT + k * step), text(np.concatenate([across, down]))


def resize(ds, count):
    ds.Rows, ds.Columns, ds.PixelSpacing = ROWS, COLUMNS, SPACING
    ds.PixelData = np.zeros(count * ROWS * COLUMNS, np.uint16).tobytes()


def enhanced(folder):
    ds = base(0)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "RescaleIntercept", "RescaleSlope",
                 "RescaleType", "WindowCenter", "WindowWidth"):
        del ds[name]
    resize(ds, SLICES)
    del ds["PixelSpacing"]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = ENHANCED_CT
    ds.NumberOfFrames = str(SLICES)
    frames = []
    for k in range(SLICES):
        position, orientation = place("oblique", k)
        frame, items = pydicom.Dataset(), [pydicom.Dataset() for _ in range(4)]
        items[0].ImagePositionPatient = position
        items[1].ImageOrientationPatient = orientation
        items[2].PixelSpacing, items[2].SliceThickness = SPACING, "2.5"
        items[3].RescaleIntercept, items[3].RescaleSlope, items[3].RescaleType = "-1024", "1", "HU"
        frame.PlanePositionSequence, frame.PlaneOrientationSequence = [items[0]], [items[1]]
        frame.PixelMeasuresSequence, frame.PixelValueTransformationSequence = [items[2]], [items[3]]
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = frames
    write(ds, os.path.join(folder, "0.dcm"))


def sources(variant, folder):
    if variant == "enhanced":
        return enhanced(folder)
    points = 2 if variant == "phases" else 1
    for n in range(SLICES * points):
        ds = base(n)
        k = n % SLICES
        ds.ImagePositionPatient, ds.ImageOrientationPatient = place(variant, k)
        ds.SliceThickness = "2.5"
        if variant == "phases":
            ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MR
            ds.Modality, ds.TemporalPositionIdentifier = "MR", str(n // SLICES + 1)
            ds.AcquisitionTime = f"1012{10 + n // SLICES}"
        if variant == "broken":
            VARIANTS["broken"](ds, n)
            ds.ImagePositionPatient, ds.ImageOrientationPatient = place(variant, k)
        resize(ds, 1)
        write(ds, os.path.join(folder, f"{n}.dcm"))


def code(sequence):
    item = sequence[0]
    return [item.CodeValue, item.CodingSchemeDesignator]


def numbers(values):
    return np.array([float(v) for v in values])


def lab_of(rgb):
    """CIELab as DICOM writes it (PS3.3 C.10.7.1.1) of an sRGB colour; white is D65."""
    v = np.array(rgb) / 255
    v = np.where(v > 0.04045, ((v + 0.055) / 1.055) ** 2.4, v / 12.92)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ v
    f = xyz / [0.9505, 1, 1.089]
    f = np.where(f > 216 / 24389, np.cbrt(f), (24389 / 27 * f + 16) / 116)
    lab = np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
    return lab * [655.35, 257, 257] + [0, 128 * 257, 128 * 257]


class source_frames:
    """What the sources say of each frame, by SOP Instance UID and number."""

    def __init__(self, folder, variant):
        self.at, self.files, self.classes = {}, [], {}
        for path in sorted(pathlib.Path(folder, "source").glob("*.dcm")):
            ds = pydicom.dcmread(path)
            self.files.append(str(path))
            self.classes[ds.SOPInstanceUID] = ds.SOPClassUID
            self.series, self.reference = ds.SeriesInstanceUID, ds.FrameOfReferenceUID
            self.study = ds.StudyInstanceUID
            if variant == "enhanced":
                for k, f in enumerate(ds.PerFrameFunctionalGroupsSequence):
                    self.at[ds.SOPInstanceUID, k + 1] = (
                        numbers(f.PlanePositionSequence[0].ImagePositionPatient),
                        numbers(f.PlaneOrientationSequence[0].ImageOrientationPatient))
            else:
                self.at[ds.SOPInstanceUID, 1] = (numbers(ds.ImagePositionPatient),
                                                 numbers(ds.ImageOrientationPatient))


def check_common(ds, sources_, expected):
    assert ds.StudyInstanceUID == sources_.study
    assert ds.FrameOfReferenceUID == sources_.reference
    assert ds.SeriesInstanceUID != sources_.series
    series, = ds.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == sources_.series
    for item in series.ReferencedInstanceSequence:
        assert sources_.classes[item.ReferencedSOPInstanceUID] == item.ReferencedSOPClassUID
    shared, = ds.SharedFunctionalGroupsSequence
    measures = shared.PixelMeasuresSequence[0]
    assert list(measures.PixelSpacing) == [0.5, 0.625]
    assert measures.SliceThickness == 2.5
    if SLICES > 1:
        assert abs(float(measures.SpacingBetweenSlices) - expected["increment"]) < 1e-6
    else:
        assert "SpacingBetweenSlices" not in measures, "one slice lies beside none"
    private = {s for s in re.findall(r"Coding Scheme Designator +SH: '(99\w+)'", str(ds))}
    named = {i.CodingSchemeDesignator for i in ds.get("CodingSchemeIdentificationSequence", [])}
    assert private == named, (private, named)
    organization = ds.DimensionOrganizationSequence[0].DimensionOrganizationUID
    assert all(i.DimensionOrganizationUID == organization for i in ds.DimensionIndexSequence)
    assert len(ds.PerFrameFunctionalGroupsSequence) == ds.NumberOfFrames
    indices = [tuple(np.atleast_1d(f.FrameContentSequence[0].DimensionIndexValues))
               for f in ds.PerFrameFunctionalGroupsSequence]
    assert len(set(indices)) == len(indices) and all(len(i) == len(ds.DimensionIndexSequence) for i in indices)


def slice_of(ds, frame, sources_, expected, points):
    """Index of the slice that a frame lies on; it must lie where its source lies."""
    orientation = numbers(ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient)
    position = numbers(frame.PlanePositionSequence[0].ImagePositionPatient)
    derivation, = frame.DerivationImageSequence
    found = set()
    for item in derivation.SourceImageSequence:
        key = (item.ReferencedSOPInstanceUID, int(item.get("ReferencedFrameNumber", 1)))
        assert np.allclose(sources_.at[key][0], position, atol=1e-6), (key, position)
        assert np.allclose(sources_.at[key][1], orientation, atol=1e-6)
        for p in points:
            for k, (uid, number) in enumerate(expected["frames"][p]):
                if (uid, number) == key:
                    found.add((k, p))
    assert {p for _, p in found} == set(points) and len(derivation.SourceImageSequence) == len(points), found
    slices = {k for k, _ in found}
    assert len(slices) == 1
    return slices.pop()


def check_segments(ds, expected, regions):
    assert [s.SegmentNumber for s in ds.SegmentSequence] == list(range(1, len(regions) + 1))
    for segment, r in zip(ds.SegmentSequence, regions):
        region = expected["regions"][r]
        assert segment.SegmentLabel == region["label"]
        assert code(segment.SegmentedPropertyCategoryCodeSequence) == region["category"]
        assert code(segment.SegmentedPropertyTypeCodeSequence) == region["type"]
        assert segment.SegmentAlgorithmType == region["algorithm_type"]
        algorithm, = segment.SegmentationAlgorithmIdentificationSequence
        assert [segment.SegmentAlgorithmName, algorithm.AlgorithmName, algorithm.AlgorithmVersion] == \
            [region["algorithm"][0], *region["algorithm"]]
        if region["site"]:
            site, = segment.AnatomicRegionSequence
            assert [site.CodeValue, site.CodingSchemeDesignator] == region["site"]
            if region["laterality"]:
                assert code(site.AnatomicRegionModifierSequence) == region["laterality"]
        else:
            assert "AnatomicRegionSequence" not in segment
        assert np.abs(lab_of(region["rgb"]) - np.array(segment.RecommendedDisplayCIELabValue)).max() < 130
        assert segment.get("TrackingID", "") == region["tracking"]
        assert bool(segment.get("TrackingUID")) == bool(region["tracking"])


def check_labels(path, expected, folder, sources_, of):
    ds = pydicom.dcmread(path)
    labels = np.fromfile(os.path.join(folder, of["file"]), np.uint16).reshape(SLICES, ROWS, COLUMNS)
    assert ds.SegmentationType == "BINARY" and ds.BitsAllocated == 1
    check_common(ds, sources_, expected)
    regions = [int(v) - 1 for v in np.unique(labels) if v]
    check_segments(ds, expected, regions)
    pixels = ds.pixel_array.reshape(-1, ROWS, COLUMNS)
    seen = np.zeros_like(labels)
    for voxels, frame in zip(pixels, ds.PerFrameFunctionalGroupsSequence):
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        k = slice_of(ds, frame, sources_, expected, [of["point"]])
        region = regions[number - 1]
        assert voxels.any() and np.array_equal(voxels != 0, labels[k] == region + 1), (k, region)
        seen[k][voxels != 0] = region + 1
    assert np.array_equal(seen, labels)  # no frame with voxels is left out
    return {s.TrackingID: s.TrackingUID for s in ds.SegmentSequence if "TrackingID" in s}


def check_fractions(path, expected, folder, sources_, of):
    ds = pydicom.dcmread(path)
    values = np.fromfile(os.path.join(folder, of["file"]), np.uint8).reshape(SLICES, ROWS, COLUMNS)
    assert [ds.SegmentationType, ds.SegmentationFractionalType, ds.MaximumFractionalValue] == \
        ["FRACTIONAL", of["type"], 255]
    check_common(ds, sources_, expected)
    check_segments(ds, expected, [of["region"]])
    seen = np.zeros_like(values)
    for voxels, frame in zip(ds.pixel_array.reshape(-1, ROWS, COLUMNS), ds.PerFrameFunctionalGroupsSequence):
        seen[slice_of(ds, frame, sources_, expected, [of["point"]])] = voxels
    assert np.array_equal(seen, values)


def check_map(path, expected, folder, sources_, of):
    ds = pydicom.dcmread(path)
    values = np.fromfile(os.path.join(folder, of["file"]), np.float32).reshape(SLICES, ROWS, COLUMNS)
    assert ds.Modality == expected["modality"] and ds.BitsAllocated == 32
    check_common(ds, sources_, expected)
    shared, = ds.SharedFunctionalGroupsSequence
    mapping, = shared.RealWorldValueMappingSequence
    assert [mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept] == [1, 0]
    assert code(mapping.MeasurementUnitsCodeSequence) == of["unit"]
    concepts = [(code(i.ConceptNameCodeSequence)[0], code(i.ConceptCodeSequence)) for i in mapping.QuantityDefinitionSequence]
    assert concepts == [("246205007", of["quantity"]), ("370129005", of["method"])], concepts
    window, = shared.FrameVOILUTSequence
    assert [float(window.WindowCenter), float(window.WindowWidth)] == of["window"]
    frames = np.frombuffer(ds.FloatPixelData, np.float32).reshape(SLICES, ROWS, COLUMNS)
    assert ds.NumberOfFrames == SLICES  # every slice of the source
    orientation = numbers(shared.PlaneOrientationSequence[0].ImageOrientationPatient)
    normal, last = np.cross(orientation[:3], orientation[3:]), -np.inf
    missing = np.float32(ds.FloatPixelPaddingValue) if "FloatPixelPaddingValue" in ds else None
    for pixels, frame in zip(frames, ds.PerFrameFunctionalGroupsSequence):
        k = slice_of(ds, frame, sources_, expected, range(len(expected["frames"])))
        along = numbers(frame.PlanePositionSequence[0].ImagePositionPatient) @ normal
        assert along > last  # viewers take the frames in this order
        last = along
        there = np.isfinite(values[k])
        assert np.array_equal(pixels[there], values[k][there])
        assert there.all() or (pixels[~there] == missing).all()
        assert np.isfinite(pixels).all()
    numbers_ = values[np.isfinite(values)]
    assert (missing is None) == bool(np.isfinite(values).all())
    assert missing is None or missing < numbers_.min()
    assert [mapping.DoubleFloatRealWorldValueFirstValueMapped, mapping.DoubleFloatRealWorldValueLastValueMapped] == \
        [numbers_.min(), numbers_.max()]


# Lines that are no fault of ours, besides those that results_peer.py lists: (pattern, why).
HARMLESS = [
    (r"Unrecognized defined term = <QUANTITY>", "newer than the tool"),
    (r"99ANODE", "private codes"),
    (r"SegmentsOverlap", "newer than the tool"),
    (r"99TEST", "private codes"),
    (r"ContentQualification.*not present in standard", "an extension"),
]


def judge(tool, said, variant):
    return [line for line in complaints(tool, said, variant) if not any(re.search(p, line) for p, _ in HARMLESS)]


def check(folder, variant):
    with open(os.path.join(folder, "expected.json"), encoding="utf-8") as f:
        expected = json.load(f)
    sources_ = source_frames(folder, variant)
    bad, tracked, found = [], {}, []
    for name, of in expected["objects"].items():
        path = os.path.join(folder, "results", name)
        found.append(path)
        bad += judge("dciodvfy", run("dciodvfy", "-new", path)[1], variant)
        if of["kind"] == "labels":
            for label, uid in check_labels(path, expected, folder, sources_, of).items():
                assert tracked.setdefault(label, uid) == uid
        elif of["kind"] == "fractions":
            check_fractions(path, expected, folder, sources_, of)
        else:
            check_map(path, expected, folder, sources_, of)
    left = sorted(n for n in os.listdir(os.path.join(folder, "results")))
    if variant == "single":
        left.remove("maps-sr.dcm")
        library = str(pydicom.dcmread(os.path.join(folder, "results", "maps-sr.dcm")))
        assert "Vertical Pixel Spacing" in library and "Spacing between slices" not in library, library
    assert left == sorted(expected["objects"]), left
    bad += judge("dcentvfy", run("dcentvfy", *sources_.files, *found)[1], variant)
    assert not bad, "\n".join(bad)


if __name__ == "__main__":
    if "single" in sys.argv[2:]:
        SLICES = 1
    if sys.argv[1] == "sources":
        sources(*sys.argv[2:])
    else:
        check(*sys.argv[2:])
