#!/usr/bin/python3
"""The other toolkits' side of test_results.c.

  results_peer.py sources VARIANT FOLDER       writes a source series and FOLDER/manifest.txt
  results_peer.py list FOLDER OUT              manifest of the CT files in a folder
  results_peer.py check RESULTS MANIFEST       validators, and RESULTS/expected.json against the files
  results_peer.py control RESULTS MANIFEST     the validators do find what is broken on purpose
  results_peer.py strangers MANIFEST RESULTS.. results of two patients: no pair shares an identity
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import warnings

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from render import gsps  # noqa: E402

warnings.filterwarnings("ignore")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
ROOT = "1.2.826.0.1.3680043.10.1338"
ROWS, COLUMNS, SLICES = 96, 128, 6
NOTICE = "NOT FOR DIAGNOSTIC USE"


# --- sources ---

def disc(k):
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    values = (1024 - 180 + x + y).astype(np.int16)
    values[(x - 64) ** 2 + (y - 48) ** 2 < 40 ** 2] = 1024 + 40
    values[(x - 60) ** 2 + (y - 40) ** 2 < (3 + k) ** 2] = 1024 + 300
    return values


def base(k, patient="1"):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CT
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.{patient}.3.{k + 1}"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds = FileDataset("x", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID, ds.SOPInstanceUID = CT, meta.MediaStorageSOPInstanceUID
    ds.StudyDate, ds.StudyTime = "20200102", "101112"
    ds.SeriesDate, ds.ContentDate, ds.ContentTime = "20200102", "20200102", "101213"
    ds.AccessionNumber, ds.Modality, ds.Manufacturer = "ACC" + patient, "CT", "MAKER"
    ds.ReferringPhysicianName = "REFERRER^A"
    ds.StudyDescription, ds.SeriesDescription = "Heart", "CaSc 3.0"
    ds.PatientName, ds.PatientID = "TEST^PATIENT " + patient, "ID" + patient
    ds.IssuerOfPatientID = "HOSPITAL"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19500203", "F", "069Y"
    ds.PatientWeight, ds.PatientComments = "71.5", "of the source"
    ds.BodyPartExamined, ds.KVP = "HEART", "120"
    ds.SliceThickness, ds.PatientPosition = "3", "HFS"
    ds.StudyInstanceUID = f"{ROOT}.{patient}.1"
    ds.SeriesInstanceUID = f"{ROOT}.{patient}.2"
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = "S" + patient, "4", str(k + 1)
    ds.ImagePositionPatient = ["-40", "-30", str(3 * k)]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.FrameOfReferenceUID = f"{ROOT}.{patient}.4"
    ds.PositionReferenceIndicator = ""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns, ds.PixelSpacing = ROWS, COLUMNS, ["0.5", "0.625"]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
    ds.WindowCenter, ds.WindowWidth = "50", "400"
    ds.PixelData = disc(k).tobytes()
    return ds


def raw(ds, keyword, value):
    """A value that pydicom would refuse or re-encode."""
    tag = pydicom.tag.Tag(keyword)
    ds[tag] = pydicom.dataelem.RawDataElement(tag, pydicom.datadict.dictionary_VR(tag),
                                              len(value), value, 0, False, True)


def request_item():
    item = Dataset()
    item.RequestedProcedureID, item.RequestedProcedureDescription = "RP1", "CT heart"
    item.ScheduledProcedureStepID = "SPS1"
    return item


def plain(ds, k):
    ds.RequestAttributesSequence = Sequence([request_item()])


def bare(ds, k):
    for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate",
                 "StudyTime", "StudyID", "ReferringPhysicianName", "AccessionNumber",
                 "SpecificCharacterSet", "BodyPartExamined", "RescaleType"):
        del ds[name]


def broken(ds, k):
    uid = f"1.2.003.{k + 1}"
    ds.file_meta.MediaStorageSOPInstanceUID = uid
    raw(ds, "SOPInstanceUID", uid.encode() + (b"\0" if len(uid) % 2 else b""))
    raw(ds, "StudyInstanceUID", b"1.02.840.1\0\0"[:10])
    raw(ds, "SeriesInstanceUID", b"1.02.840.02\0")
    raw(ds, "StudyDate", b"20120000")
    raw(ds, "StudyTime", b"99:00 ")
    raw(ds, "PatientBirthDate", b"1950")
    raw(ds, "PatientSex", b"unknown ")


def latin(ds, k):
    del ds["SpecificCharacterSet"]
    raw(ds, "PatientName", "MÜLLER^JÖRG ".encode("latin-1"))


def japanese(ds, k):
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    raw(ds, "PatientName", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B="
                           b"\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B ")


def utf8(ds, k):
    ds.SpecificCharacterSet = "ISO_IR 192"
    value = "Wang^XiaoDong=王^小东".encode("utf-8")
    raw(ds, "PatientName", value + b" " * (len(value) % 2))


def gb18030(ds, k):
    ds.SpecificCharacterSet = "GB18030"
    value = "Wang^XiaoDong=王^小东".encode("gb18030")
    raw(ds, "PatientName", value + b" " * (len(value) % 2))


def rescales(ds, k):
    ds.RescaleSlope, ds.RescaleIntercept = ("0.5", "-512") if k % 2 else ("1", "-1024")


def windowless(ds, k):
    del ds["WindowCenter"], ds["WindowWidth"]
    ds.TimezoneOffsetFromUTC = "+0900"


def odd(ds, k):
    """Optional attributes that no result may repeat."""
    raw(ds, "BodyPartExamined", b"C\xf6r?heart ")
    ds.RequestAttributesSequence = Sequence([])


def inverse(ds, k):
    ds.PhotometricInterpretation = "MONOCHROME1"


def mixed(ds, k):
    """Some images are MONOCHROME1."""
    if k % 2:
        ds.PhotometricInterpretation = "MONOCHROME1"


def tables(ds, k):
    """A VOI LUT of 400 entries instead of a window."""
    del ds["WindowCenter"], ds["WindowWidth"]
    item = Dataset()
    item.add_new("LUTDescriptor", "SS", [400, -150, 16])
    item.add_new("LUTData", "US", [min(65535, 2 * v * v // 5) for v in range(400)])
    ds.VOILUTSequence = Sequence([item])


def implicit(ds, k):
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    ds.is_implicit_VR = True


VARIANTS = {f.__name__: f for f in (plain, bare, broken, latin, japanese, utf8, gb18030, rescales,
                                    windowless, odd, inverse, mixed, tables, implicit)}


def write(ds, path):
    pydicom.dcmwrite(path, ds, write_like_original=False)


def enhanced(folder):
    """All slices as frames of one instance."""
    ds = base(0)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "RescaleIntercept",
                 "RescaleSlope", "RescaleType", "WindowCenter", "WindowWidth", "PixelSpacing"):
        del ds[name]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = ENHANCED_CT
    ds.NumberOfFrames = str(SLICES)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = ["0.5", "0.625"], "3"
    orientation.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for k in range(SLICES):
        frame, position, rescale, window = Dataset(), Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = ["-40", "-30", str(3 * k)]
        rescale.RescaleIntercept, rescale.RescaleSlope, rescale.RescaleType = "-1024", "1", "HU"
        window.WindowCenter, window.WindowWidth = str(50 + 10 * k), "400"
        frame.PlanePositionSequence = Sequence([position])
        frame.PixelValueTransformationSequence = Sequence([rescale])
        frame.FrameVOILUTSequence = Sequence([window])
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    ds.PixelData = b"".join(disc(k).tobytes() for k in range(SLICES))
    path = os.path.join(folder, "0.dcm")
    write(ds, path)
    return [(path, k) for k in range(SLICES)]


def pair(folder):
    """Two series of a study, of different sizes; the second one is larger and has fewer slices."""
    files = []
    for k in range(SLICES + 4):
        ds = base(k)
        if k >= SLICES:
            ds.SeriesInstanceUID, ds.SeriesNumber = f"{ROOT}.1.5", "5"
            ds.FrameOfReferenceUID = f"{ROOT}.1.6"
            ds.ImagePositionPatient = ["-60", "-50", str(5 * k)]
            ds.InstanceNumber = str(101 + k - SLICES)
            ds.Rows, ds.Columns, ds.PixelSpacing = 2 * ROWS, 2 * COLUMNS, ["0.25", "0.5"]
            ds.PixelData = disc(k % 3).repeat(2, axis=0).repeat(2, axis=1).tobytes()
        path = os.path.join(folder, f"{k}.dcm")
        write(ds, path)
        files.append((path, 0))
    return files


def projections(folder):
    """Four single images without a place in space, each a series; one is wider."""
    files = []
    for k in range(4):
        ds = base(k)
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID",
                     "PositionReferenceIndicator", "SliceThickness", "PixelSpacing"):
            del ds[name]
        ds.SeriesInstanceUID, ds.SeriesNumber = f"{ROOT}.1.7.{k}", str(k + 1)
        ds.BodyPartExamined, ds.InstanceNumber = "BREAST", "1"
        ds.ImagerPixelSpacing = ["0.1", "0.1"]
        if k == 2:
            ds.Columns, ds.PixelData = 2 * COLUMNS, disc(k).repeat(2, axis=1).tobytes()
        path = os.path.join(folder, f"{k}.dcm")
        write(ds, path)
        files.append((path, 0))
    return files


def sources(variant, folder):
    whole = {"enhanced": enhanced, "pair": pair, "projections": projections}.get(variant)
    if whole:
        return manifest(whole(folder), os.path.join(folder, "manifest.txt"))
    patient = "2" if variant == "other" else "1"
    files = []
    for k in range(SLICES):
        ds = base(k, patient)
        VARIANTS.get(variant, plain)(ds, k)
        path = os.path.join(folder, f"{k}.dcm")
        write(ds, path)
        files.append((path, k))
    return manifest(files, os.path.join(folder, "manifest.txt"))


def manifest(files, out):
    """A line a frame: path, pool (a series each), class, instance, series, study, frames of the
    instance, frame, Instance Number, columns, rows, spacing, whether it has a place, position, FoR."""
    pools = {}
    with open(out, "w", encoding="ascii") as f:
        for path, k in files:
            ds = pydicom.dcmread(path, stop_before_pixels=True)
            many = "PerFrameFunctionalGroupsSequence" in ds
            spacing = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing \
                if many else ds.get("PixelSpacing") or ds.ImagerPixelSpacing
            position = ds.PerFrameFunctionalGroupsSequence[k].PlanePositionSequence[0] \
                .ImagePositionPatient if many else ds.get("ImagePositionPatient")
            pool = pools.setdefault(ds.SeriesInstanceUID, len(pools))
            print(path, pool, ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID,
                  ds.StudyInstanceUID, ds.get("NumberOfFrames", 1), k + 1 if many else 1,
                  ds.get("InstanceNumber", -1), ds.Columns, ds.Rows, *map(float, spacing),
                  int(position is not None), *map(float, position or (0, 0, 0)),
                  ds.get("FrameOfReferenceUID", ""), file=f)


def list_folder(folder, out):
    found = []
    for name in sorted(n for n in os.listdir(folder) if n.endswith(".dcm")):
        path = os.path.join(folder, name)
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        found.append((float(ds.ImagePositionPatient[2]), path))
    manifest([(path, 0) for _, path in sorted(found)], out)


# --- validators ---

# Lines that say Error or Warning and are no fault of ours: (tool, pattern, why).
HARMLESS = [
    ("dcentvfy", r"Different information entities .*<(IssuerOf)?AccessionNumber(Sequence)?>", "of one value: the tool counts it to the series of an SR"),
    ("dciodvfy", r"^Warning - .*needed to build DICOMDIR", "the source's Study ID, Date or Time is empty"),
    ("dciodvfy", r"^Warning - .*ContributingEquipmentSequence.*DeviceUID.*not present in standard", "newer than the tool"),
    ("dciodvfy", r"^Warning - .*CodingSchemeDesignator.* Unrecognized defined term = <99(TEST|ANODE)>", "private codes"),
    ("dcmpschk", r"^W: (Testing:|Test passed)", "says what it does"),
    ("dcmpschk", r"^W: Test failed - one or more errors", "the errors themselves are judged"),
    ("dsrdump", r"The VR checker does not support this Specific Character Set", "names are left unchecked"),
    ("dsrdump", r"Reading unknown/unsupported SpecificCharacterSet", "several values"),
    ("dsrdump", r"^ *<contains TEXT:", "what the report says, not what the tool does"),
]
# Faults that the source has and that are copied with it, or that a tool finds in its names: (tool,
# pattern) by variant.
FAULTY = r"(20120000|99:00|1\.2\.003\.\d+|1\.02\.840\.\d+|1950|unknown)"
COPIED = {
    "broken": [("dciodvfy", rf"<{FAULTY} *>"),
               ("dcmpschk", rf"Attribute value +: \[{FAULTY}\]"),
               ("dcmpschk", r"Value Length too small|\[1950\] .* PatientBirthDate"),
               ("dcentvfy", FAULTY)],
    "bare": [("dcentvfy", r"Referring|PatientName|PatientID|PatientBirthDate|PatientSex|Study"),
             ("dciodvfy", r"^Warning - </Laterality.* only permitted to be empty when actually unknown"),
             ("dcmpschk", r"patientName absent or empty")],
    "phantom": [("dcentvfy", r"ReferringPhysicianName")],
    "projections": [("dciodvfy", r"^Warning - </Laterality.* only permitted to be empty when actually unknown")],
    "odd": [("dciodvfy", r"^Warning - </Laterality.* only permitted to be empty when actually unknown")],
    "chest": [("dciodvfy", r"^Warning - </PatientName.* Retired Person Name form"),
              ("dciodvfy", r"^Warning - </Laterality.* only permitted to be empty when actually unknown")],
    "latin": [("dciodvfy", r"</PatientName.*Character invalid for character repertoire"),
              ("dsrdump", r"PatientName .* contains invalid character")],
    "utf8": [("dcmpschk", r"Affected attribute: PatientName .*[^\x00-\x7f]")],
    "identity": [("dcmpschk", r"Affected attribute: \w+ .*[^\x00-\x7f]"),  # it knows neither UTF-8 nor GB18030
                 ("dciodvfy", r"Unrecognized defined term = <QUANTITY>")],  # newer than the tool
}


def run(*command):
    # dcentvfy and dciodvfy say what they find on stderr, and their status is not to be trusted
    p = subprocess.run(command, capture_output=True, timeout=1200)
    return p.returncode, (p.stdout + p.stderr).decode("utf-8", "replace")


def complaints(tool, text, variant):
    """What a tool found wrong, without what is listed above."""
    allowed = [p for t, p, _ in HARMLESS if t == tool]
    allowed += [p for t, p in COPIED.get(variant, []) if t == tool]
    if tool == "dcmpschk":  # an error has several lines, ended by an empty one
        text = re.sub(r"\nE: +(?=\S)", " ", text)
    bad = []
    for line in text.splitlines():
        if re.search(r"error|warning|^[EWF]: \S|mismatch|missing|present in|differ", line, re.I) \
                and not any(re.search(p, line) for p in allowed):
            bad.append(f"{tool}: {line}")
    return bad


def kind_of(path):
    """The kind in a name like calcium-sc-cine.dcm."""
    return os.path.basename(path)[:-4].split("-")[1]


def validate(path, variant):
    _, text = run("dciodvfy", "-new", path)
    bad = complaints("dciodvfy", text, variant)
    if kind_of(path) == "sr":
        # broken references are kept, and the reader skips them only when told to
        options = {"broken": ["-Ei", "-Er", "-Ec"]}.get(variant, [])
        status, text = run("dsrdump", *options, path)
        if status:
            bad.append(f"dsrdump: status {status}: {text[-400:]}")
        if variant != "broken":
            bad += complaints("dsrdump", text, variant)
        status, text = run("dcsrdump", path)
        if status or "CONTAINER" not in text:
            bad.append(f"dcsrdump: status {status}: {text[:400]}")
    if kind_of(path) == "gsps":
        _, text = run("dcmpschk", path)
        bad += complaints("dcmpschk", text, variant)
    return bad


# --- content ---

def children(item, relation=None, kind=None, concept=None):
    return [c for c in item.get("ContentSequence", [])
            if (relation is None or c.RelationshipType == relation)
            and (kind is None or c.ValueType == kind)
            and (concept is None or ("ConceptNameCodeSequence" in c
                                     and code(c.ConceptNameCodeSequence)[0] == concept))]


def code(sequence):
    c = sequence[0]
    return [c.get("CodeValue") or c.get("LongCodeValue"), c.CodingSchemeDesignator, c.CodeMeaning]


def one(found, what):
    assert len(found) == 1, f"{len(found)} of {what}"
    return found[0]


def number(item):
    value = one(item.MeasuredValueSequence, "measured value")
    method = children(item, "HAS CONCEPT MOD", "CODE", "370129005")
    derivation = children(item, "HAS CONCEPT MOD", "CODE", "121401")
    assert children(item), "a number without a child"
    bounds = [float(one(children(item, "HAS PROPERTIES", "NUM", c), c).MeasuredValueSequence[0].NumericValue)
              for c in ("371886008", "371885007")] if children(item, "HAS PROPERTIES") else None
    why = [c.TextValue for c in children(item, "HAS PROPERTIES", "TEXT", "121106")]
    return {"range": bounds and [round(float(value.NumericValue) - bounds[1], 9),
                                 round(float(value.NumericValue) + bounds[0], 9), *why],"concept": code(item.ConceptNameCodeSequence), "value": str(value.NumericValue),
            "unit": code(value.MeasurementUnitsCodeSequence),
            "method": code(method[0].ConceptCodeSequence) if method else None,
            "derivation": code(derivation[0].ConceptCodeSequence) if derivation else None}


def region(item):
    image = one(children(item, "SELECTED FROM", "IMAGE"), "image of a region")
    reference = one(image.ReferencedSOPSequence, "reference")
    return {"type": item.GraphicType, "points": [float(v) for v in item.GraphicData],
            "instance": str(reference.ReferencedSOPInstanceUID),
            "frame": int(reference.get("ReferencedFrameNumber", 0))}


def evaluations(item):
    found = []
    for c in children(item, "CONTAINS"):
        if c.ValueType == "TEXT":
            found.append({"concept": code(c.ConceptNameCodeSequence), "text": c.TextValue})
        elif c.ValueType == "CODE":
            found.append({"concept": code(c.ConceptNameCodeSequence),
                          "value": code(c.ConceptCodeSequence)})
    return found


def words(item):
    """The comments before the numbers."""
    found = []
    for c in children(item, "CONTAINS"):
        if c.ValueType == "NUM":
            return found
        if c.ValueType == "TEXT" and code(c.ConceptNameCodeSequence)[0] == "121106":
            found.append(c.TextValue)
    return []


def group(item):
    uids = [c for c in item.ContentSequence if c.ValueType == "UIDREF"]
    assert code(uids[0].ConceptNameCodeSequence)[0] == "112040", "tracking UID comes first"
    site = children(item, "HAS CONCEPT MOD", "CODE", "363698007")
    side = children(site[0], "HAS CONCEPT MOD", "CODE", "272741003") if site else []
    segments = [[str(c.ReferencedSOPSequence[0].ReferencedSOPInstanceUID),
                 int(c.ReferencedSOPSequence[0].ReferencedSegmentNumber),
                 str(one(children(item, "CONTAINS", "UIDREF", "121232"), "source series").UID)]
                for c in children(item, "CONTAINS", "IMAGE", "121191")]
    certainty = children(item, "CONTAINS", "NUM", "111012")
    numbers = [c for c in children(item, "CONTAINS", "NUM") if c not in certainty]
    inferred = [r for c in numbers for r in children(c, "INFERRED FROM", "SCOORD", "111030")]
    assert bool(words(item)) == bool(inferred), "words, and the region of a number, or neither"
    return {"segment": one(segments, "segment") if segments else None,
            "certainty": float(certainty[0].MeasuredValueSequence[0].NumericValue) if certainty else None,
            "label": one(children(item, concept="112039"), "tracking identifier").TextValue,
            "uid": uids[0].UID, "template": item.ContentTemplateSequence[0].TemplateIdentifier,
            "site": code(site[0].ConceptCodeSequence) if site else None,
            "side": code(side[0].ConceptCodeSequence) if side else None,
            "numbers": [number(c) for c in numbers],
            "regions": [region(c) for c in children(item, "CONTAINS", "SCOORD", "111030") or inferred],
            "words": words(item),
            "algorithm": [one(children(item, "HAS CONCEPT MOD", "TEXT", c), c).TextValue
                          for c in ("111001", "111003")],
            "parameters": [c.TextValue for c in children(item, "HAS CONCEPT MOD", "TEXT", "111002")],
            "evaluations": evaluations(item)}


def merged(groups):
    """As viewers do: a group that refers to a segment and the one with its outlines are one, and no
    number stands twice."""
    found = []
    for g in groups:
        if not found or found[-1]["uid"] != g["uid"]:
            found.append(g)
            continue
        first = found[-1]
        assert first["segment"] and first["template"] == "1411" and not first["regions"]
        assert g["regions"] and not g["numbers"] and not g["segment"]
        assert [e["concept"][0] for e in g["evaluations"]] == ["121071"], "the finding only"
        assert g["label"] == first["label"] and g["site"] == first["site"]
        found[-1] = {**first, "regions": g["regions"], "template": g["template"]}
    assert len({g["uid"] for g in found}) == len(found), "tracking UIDs are distinct"
    return found


def library(root):
    box = one(children(root, "CONTAINS", "CONTAINER", "111028"), "image library")
    found = []
    for g in children(box, "CONTAINS", "CONTAINER", "126200"):
        assert children(g, "HAS ACQ CONTEXT", "CODE", "121139"), "library group without modality"
        for image in children(g, "CONTAINS", "IMAGE"):
            found.append(str(image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID))
    return found


def check_sr(path, expected, manifest_rows):
    ds = pydicom.dcmread(path)
    assert ds.SOPClassUID == ds.file_meta.MediaStorageSOPClassUID == \
        "1.2.840.10008.5.1.4.1.1.88.34", "Comprehensive 3D SR"
    assert code(ds.ConceptNameCodeSequence)[0] == "126000"
    assert ds.CompletionFlag == "COMPLETE" and ds.VerificationFlag == "UNVERIFIED"
    observer = [c.ConceptCodeSequence[0].CodeValue for c in children(ds, concept="121005")]
    assert observer == ["121007"] and one(children(ds, concept="121012"), "UID").UID == expected["device"]
    assert set(library(ds)) == {r[3] for r in manifest_rows}, "image library holds every image"
    check_evidence(ds, manifest_rows)
    if expected["procedure"]:
        assert code(one(children(ds, concept="121058"), "procedure").ConceptCodeSequence) == \
            expected["procedure"]
    private = [s.CodingSchemeDesignator for s in ds.get("CodingSchemeIdentificationSequence", [])]
    assert private == expected["private"]
    measurements = one(children(ds, "CONTAINS", "CONTAINER", "126010"), "Imaging Measurements")
    groups = merged([group(c) for c in children(measurements, "CONTAINS", "CONTAINER", "125007")])
    for g in groups:
        assert re.fullmatch(r"2\.25\.(0|[1-9]\d{0,38})", g["uid"]), g["uid"]
    if expected["groups"]:
        want = [{k: v for k, v in g.items()} for g in expected["groups"]]
        for got, w in zip(groups, want):
            for key, value in w.items():
                if key == "evaluations":
                    missing = [e for e in value if e not in got["evaluations"]]
                    assert not missing, f"{w['label']}: {missing} not in {got['evaluations']}"
                else:
                    assert got[key] == value, f"{w['label']}: {key}: {got[key]} is not {value}"
        assert len(groups) == len(want)
        assert any(g["parameters"] == expected["parameters"] for g in groups)
        if not any("algorithm" in w for w in want):
            assert all(g["algorithm"] == expected["algorithm"] for g in groups)
    else:
        only = one(groups, "group that says why")
        assert only["parameters"] == expected["parameters"]
        if expected["frames"]:
            assert [(n["concept"][0], int(n["value"])) for n in only["numbers"]] == [("121140", expected["frames"])]
            assert " ".join(only["words"]).lower() in [e.get("text", "").lower() for e in expected["evaluations"]]
            assert max(map(len, only["words"])) <= 60 and only["words"][0].split(":")[0].isupper(), only["words"]
        else:
            assert not only["numbers"]
    qualities = evaluations(one(children(ds, "CONTAINS", "CONTAINER", "C0034375"), "qualities"))
    for e in expected["evaluations"]:
        assert qualities.count(e) == 1, f"{e} not once in {qualities}"
    first = [c for c in ds.ContentSequence if c.RelationshipType == "CONTAINS"][0]
    assert code(first.ConceptNameCodeSequence)[0] == "121111" or expected["groups"], "the summary comes first"
    texts = [c.TextValue for c in walk(ds) if c.get("ValueType") == "TEXT"]
    for e in expected["evaluations"]:
        if "text" in e and ":" in e["text"]:
            assert texts.count(e["text"]) == 1, f"{e['text']} is said {texts.count(e['text'])} times"
    check_exclusions(ds, expected)
    assert any(NOTICE in q.get("text", "") for q in qualities), "says what it is not for"
    check_request(ds, pydicom.dcmread(expected["first"], stop_before_pixels=True))
    if expected["predecessor"]:
        p = ds.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
        assert p.ReferencedSOPInstanceUID == expected["predecessor"]
    else:
        assert "PredecessorDocumentsSequence" not in ds


def walk(item):
    for child in item.get("ContentSequence", []):
        yield child
        yield from walk(child)


def check_exclusions(ds, expected):
    """Each is a text with its place, and no number that a reader could add."""
    found = children(ds, "CONTAINS", "CONTAINER", "EXCLUDED")
    assert bool(found) == bool(expected["exclusions"])
    for item, what in zip(children(found[0]) if found else [], expected["exclusions"]):
        assert item.ValueType == "TEXT" and item.TextValue == what, f"{item.TextValue} is not {what}"
        place = one(children(item, "INFERRED FROM"), "place")
        image = one(children(place, "SELECTED FROM", "IMAGE"), "image") if place.ValueType == "SCOORD" else place
        assert image.ValueType == "IMAGE"
        assert not any(c.ValueType == "NUM" for c in walk(item))
    assert not found or len(children(found[0])) == len(expected["exclusions"])


def check_evidence(ds, rows):
    """Every source once, by study and series, and each segmentation that is referred to."""
    study = one(ds.CurrentRequestedProcedureEvidenceSequence, "study")
    named = [(str(study.StudyInstanceUID), str(s.SeriesInstanceUID), str(r.ReferencedSOPInstanceUID))
             for s in study.ReferencedSeriesSequence for r in s.ReferencedSOPSequence]
    assert len(named) == len(set(named)), "evidence lists everything once"
    segments = {str(c.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for c in walk(ds)
                if c.ValueType == "IMAGE" and "ReferencedSegmentNumber" in c.ReferencedSOPSequence[0]}
    assert {n for n in named if n[2] not in segments} == {(r[5], r[4], r[3]) for r in rows}
    assert segments <= {n[2] for n in named}
    assert len({s.SeriesInstanceUID for s in study.ReferencedSeriesSequence}) == len(study.ReferencedSeriesSequence)


def check_request(ds, source):
    assert ("ReferencedRequestSequence" in ds) == bool(source.get("RequestAttributesSequence"))
    if source.get("RequestAttributesSequence"):
        asked = source.RequestAttributesSequence[0]
        named = one(ds.ReferencedRequestSequence, "request")
        assert named.RequestedProcedureID == asked.get("RequestedProcedureID", "")
        assert named.StudyInstanceUID == source.StudyInstanceUID
        assert named.AccessionNumber == source.get("AccessionNumber", "")


def photometric(path):
    return pydicom.dcmread(path, stop_before_pixels=True).PhotometricInterpretation


def check_gsps(path, expected, files):
    ds = pydicom.dcmread(path)
    assert ds.Modality == "PR"
    series = one(ds.ReferencedSeriesSequence, "referenced series")
    shape = photometric(files[series.ReferencedImageSequence[0].ReferencedSOPInstanceUID])
    own = {r[3] for r in expected["rows"] if r[4] == series.SeriesInstanceUID and photometric(r[0]) == shape}
    marks = [m for m in expected["marks"] if m["instance"] in own]

    def shown(images):
        return sorted((str(r.ReferencedSOPInstanceUID), int(f)) for r in images
                      for f in np.atleast_1d(r.get("ReferencedFrameNumber", 0)))
    slices = sorted({(m["instance"], m["frame"]) for m in marks})
    assert shown(series.ReferencedImageSequence) == slices, "exactly the slices with marks"
    area = one(ds.DisplayedAreaSelectionSequence, "displayed area")
    source = pydicom.dcmread(files[slices[0][0]], stop_before_pixels=True)
    assert ds.PresentationLUTShape == ("INVERSE" if source.PhotometricInterpretation == "MONOCHROME1" else "IDENTITY")
    assert list(area.DisplayedAreaTopLeftHandCorner) == [1, 1]
    assert list(area.DisplayedAreaBottomRightHandCorner) == [source.Columns, source.Rows]
    layers = {l.GraphicLayer: l for l in ds.GraphicLayerSequence}
    ordered = sorted(ds.GraphicLayerSequence, key=lambda l: int(l.GraphicLayerOrder))
    assert [l.GraphicLayer for l in ordered] == [*expected["layers"], "NOTICE"], "layers from the lowest up"
    for l in layers.values():
        assert len(l.GraphicLayerRecommendedDisplayCIELabValue) == 3
    found = []
    for a in ds.GraphicAnnotationSequence:
        at = one(shown(a.ReferencedImageSequence), "image of an annotation")
        for g in a.get("GraphicObjectSequence", []):
            assert g.GraphicAnnotationUnits == "PIXEL" and g.NumberOfGraphicPoints * 2 == len(g.GraphicData)
            found.append((*at, a.GraphicLayer, g.GraphicType, [float(v) for v in g.GraphicData]))
        for t in a.get("TextObjectSequence", []):
            if a.GraphicLayer != "NOTICE":
                found.append((*at, a.GraphicLayer, t.UnformattedTextValue.replace("\r\n", "\n"),
                              [float(v) for v in t.AnchorPoint]))
    want = [(m["instance"], m["frame"], m["layer"], m["text"] or m["type"], m["points"]) for m in marks]
    assert sorted(found) == sorted(want), f"{sorted(found)}\n{sorted(want)}"
    assert sum(a.GraphicLayer == "NOTICE" for a in ds.GraphicAnnotationSequence) == len(slices)
    check_window(ds, files)
    check_drawing(path, expected, marks, files)
    if ds.PatientName:  # without a name dcmp2pgm refuses the state
        apply_state(path, files[slices[0][0]], slices[0][1], ds)


def check_drawing(path, expected, marks, files):
    """The renderer draws each outline where and in the colour that the analysis said."""
    colours = dict(zip(expected["layers"], ((0, 200, 0), (230, 0, 0))))
    slices = sorted({(m["instance"], m["frame"]) for m in marks})
    made = gsps.render(path, set(files.values()), path + ".png")
    assert len(made) == len(slices)
    drawn = {}
    for name, at in zip(made, gsps.images_of(pydicom.dcmread(path))):
        drawn[at] = np.asarray(Image.open(name)).astype(int)
    for m in marks:
        picture = drawn[(m["instance"], max(m["frame"], 1))]
        source = pydicom.dcmread(files[m["instance"]], stop_before_pixels=True)
        scale = picture.shape[1] / source.Columns, picture.shape[0] / source.Rows
        x, y = (int(p * s) for p, s in zip(m["points"], scale))
        near = picture[max(y - 3, 0):y + 4, max(x - 3, 0):x + 4].reshape(-1, 3)
        assert np.abs(near - colours[m["layer"]]).sum(axis=1).min() < 12, f"{m} is not drawn"


def frame_value(source, frame, keyword):
    if keyword in source:  # the first of several windows
        return np.atleast_1d(source[keyword].value)[0]
    if "PerFrameFunctionalGroupsSequence" not in source:
        return None
    for item in source.PerFrameFunctionalGroupsSequence[max(frame, 1) - 1].iterall():
        if item.keyword == keyword:
            return item.value
    return None


def own_grey(source, frame, x):
    """Stored values x as the image itself says to show them, 0 to 1; None without window."""
    x = float(frame_value(source, frame, "RescaleSlope")) * x + float(frame_value(source, frame, "RescaleIntercept"))
    if "VOILUTSequence" in source:
        count, first, _ = source.VOILUTSequence[0].LUTDescriptor
        grey = np.asarray(source.VOILUTSequence[0].LUTData)[np.clip(x - first, 0, count - 1).astype(int)] / 65535
    elif frame_value(source, frame, "WindowCenter") is None:
        return None
    else:
        centre, width = (float(frame_value(source, frame, k)) for k in ("WindowCenter", "WindowWidth"))
        grey = np.clip((x - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
    return 1 - grey if source.PhotometricInterpretation == "MONOCHROME1" else grey


def check_window(ds, files):
    """The state shows each pixel value as the image itself does."""
    for uid, frame in gsps.images_of(ds):
        own = own_grey(pydicom.dcmread(files[uid], stop_before_pixels=True), frame, np.arange(-2048.0, 4096))
        held = any(gsps.names(s, uid, frame) for s in ds.get("SoftcopyVOILUTSequence", []))
        assert held == (own is not None), "a window where the image has one"
        if held:
            ours = gsps.grey(ds, np.arange(-2048.0, 4096), uid, frame)
            assert np.allclose(own, ours, atol=1e-9), "window is kept"


def apply_state(path, image, frame, ds):
    """DCMTK's own presentation state code gives the grey values of the source's window."""
    out = path + ".pgm"
    status, text = run("dcmp2pgm", "-p", path, "-f", str(max(frame, 1)), image, out)
    assert status == 0, "dcmp2pgm: " + text
    with open(out, "rb") as f:
        _, size, top, data = re.fullmatch(rb"(P5)\s(?:#[^\n]*\n)?(\d+ \d+)\s(\d+)\s(.*)", f.read(), re.S).groups()
    source = pydicom.dcmread(image)
    assert size == b"%d %d" % (source.Columns, source.Rows) and top == b"255"
    stored = np.frombuffer(source.PixelData, np.int16).reshape(-1, source.Rows, source.Columns)
    value = own_grey(source, max(frame, 1), stored[max(frame, 1) - 1])
    if value is None:
        return
    grey = np.frombuffer(data, np.uint8).reshape(source.Rows, source.Columns)
    difference = np.abs(grey - 255 * value)
    assert len(np.unique(grey)) > 8 and difference.max() < 3, f"dcmp2pgm differs by {difference.max()}"


def check_sc(path, expected, name, instances):
    ds = pydicom.dcmread(path)
    pictures = [p for p in expected["pictures"] if (p["product"] if p["product"] != "page" else "") == name]
    frames = sum(p["frames"] for p in pictures)
    assert ds.SOPClassUID == ("1.2.840.10008.5.1.4.1.1.7" if frames == 1 else "1.2.840.10008.5.1.4.1.1.7.4")
    assert ds.Modality == "OT" and ds.BurnedInAnnotation == "YES"
    assert sorted(str(s.ReferencedSOPInstanceUID) for s in ds.SourceImageSequence) == \
        sorted(set(instances))
    assert list(ds.PatientOrientation or []) == pictures[0]["directions"]
    pixels = np.frombuffer(ds.PixelData, np.uint8)[:3 * ds.Rows * ds.Columns * frames]
    pixels = pixels.reshape(frames, ds.Rows, ds.Columns, 3)
    at = 0
    for p in pictures:
        last = at + p["frames"] - 1
        assert list(pixels[at][0, 0]) == p["first"]
        assert list(pixels[last][p["height"] - 1, p["width"] - 1]) == p["last"]
        at = last + 1
    if frames == 1:
        return
    assert ds.NumberOfFrames == frames
    if pictures[0]["frame_ms"]:
        assert ds.FrameIncrementPointer == pydicom.tag.Tag("FrameTime")
        assert float(ds.FrameTime) == pictures[0]["frame_ms"]
        assert ds.RecommendedDisplayFrameRate == ds.CineRate == round(1000 / pictures[0]["frame_ms"])
    else:
        assert ds.FrameIncrementPointer == pydicom.tag.Tag("PageNumberVector")
        assert list(ds.PageNumberVector) == list(range(1, frames + 1))


def check_pdf(path, instances):
    ds = pydicom.dcmread(path)
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.104.1" and ds.Modality == "DOC"
    assert ds.MIMETypeOfEncapsulatedDocument == "application/pdf" and ds.BurnedInAnnotation == "YES"
    assert ds.DocumentTitle and code(ds.ConceptNameCodeSequence)
    assert sorted(str(s.ReferencedSOPInstanceUID) for s in ds.SourceInstanceSequence) == sorted(set(instances))
    document = ds.EncapsulatedDocument[:ds[0x00420015].value]  # Encapsulated Document Length
    assert document.startswith(b"%PDF-1.") and document.rstrip().endswith(b"%%EOF")
    assert len(ds.EncapsulatedDocument) - len(document) in (0, 1)


IDENTITY = ["PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
            "PatientAge", "PatientWeight", "PatientComments", "StudyInstanceUID", "StudyDate", "StudyTime",
            "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription",
            "SpecificCharacterSet"]


def raw_values(path, keyword):
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    element = ds.get_item(keyword)
    value = b"" if element is None else element.value
    if isinstance(value, bytes):
        value = value.rstrip(b" \0")
    return value or b""


def check_common(path, expected, source):
    for keyword in IDENTITY:
        ours, theirs = raw_values(path, keyword), raw_values(source, keyword)
        assert ours == theirs, f"{keyword}: {ours} is not {theirs}"
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    if ds.Modality != "SR":
        theirs = pydicom.dcmread(source, stop_before_pixels=True)
        assert ds.get("RequestAttributesSequence") == (theirs.get("RequestAttributesSequence") or None)
    kind, product, uid = expected["objects"][os.path.basename(path)]
    index = {"sr": 0, "gsps": 1, "sc": 2, "seg": 3, "pmap": 4, "pdf": 5}[kind]
    if kind == "sc" and product:  # the only one beside the pages
        index = 6
    assert ds.SeriesNumber == 9000 + 10 * expected["slot"] + index
    assert ds.SeriesDescription.endswith(f" {kind.upper()}{product and ' '}{product} - {NOTICE}")
    assert len(ds.SeriesDescription) <= 64
    assert ds.get("TimezoneOffsetFromUTC", "") == expected["zone"]
    assert ds.ContentQualification == "RESEARCH"
    if expected["zone"]:
        assert ds.TimezoneOffsetFromUTC == expected["zone"]
        assert ds.SeriesDate + ds.SeriesTime == expected["started"], ds.SeriesTime
    for keyword in ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber",
                    "SoftwareVersions", "InstanceCreationDate", "InstanceCreationTime"):
        assert ds.get(keyword), keyword
    assert ds.DeviceUID == ds.InstanceCreatorUID == expected["device"]
    node, algorithm = ds.ContributingEquipmentSequence
    assert node.DeviceUID == expected["device"] and node.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert algorithm.DeviceUID not in ("", expected["device"])
    assert [algorithm.ManufacturerModelName, algorithm.SoftwareVersions] == \
        [expected["stage"], expected["version"]]
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert ds.file_meta.FileMetaInformationGroupLength and ds.file_meta.ImplementationClassUID
    assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID == uid


def read_manifest(path):
    with open(path, encoding="ascii") as f:
        return [line.split() for line in f]


def check_series(folder, names):
    """The objects of one kind and product are the instances 1..n of a series; others have another."""
    series = {}
    for name, (kind, product, _) in names.items():
        ds = pydicom.dcmread(os.path.join(folder, name), stop_before_pixels=True)
        series.setdefault((kind, product), []).append((str(ds.SeriesInstanceUID), int(ds.InstanceNumber)))
    for members in series.values():
        assert len({uid for uid, _ in members}) == 1
        assert sorted(n for _, n in members) == list(range(1, len(members) + 1))
    assert len({members[0][0] for members in series.values()}) == len(series)


def check(folder, manifest_path, variant):
    with open(os.path.join(folder, "expected.json"), encoding="utf-8") as f:
        expected = json.load(f)
    rows = expected["rows"] = read_manifest(manifest_path)
    files = {row[3]: row[0] for row in rows}
    first = expected["first"] = files[min(files)]
    found = sorted(n for n in os.listdir(folder) if n.endswith(".dcm"))
    assert found == sorted(expected["objects"]), found
    check_series(folder, expected["objects"])
    bad = []
    for name in found:
        path = os.path.join(folder, name)
        kind, product, _ = expected["objects"][name]
        bad += validate(path, variant)
        check_common(path, expected, first)
        if kind == "sr":
            check_sr(path, expected, rows)
        elif kind == "gsps":
            check_gsps(path, expected, files)
        elif kind == "sc":
            check_sc(path, expected, product, list(files))
        elif kind == "pdf":
            check_pdf(path, list(files))
    gsps_files = [n for n in found if kind_of(n) == "gsps"]
    marked = {m["instance"] for m in expected["marks"]}
    assert len(gsps_files) == len({(r[4], photometric(r[0])) for r in rows if r[3] in marked}) \
        or not gsps_files
    _, text = run("dcentvfy", *sorted(set(files.values())), *(os.path.join(folder, n) for n in found))
    bad += complaints("dcentvfy", text, variant)
    assert not bad, "\n".join(bad)


def valid(path, manifest_path, variant):
    """Of a report whose groups the caller does not describe: valid, and complete in its evidence."""
    bad = validate(path, variant)
    ds = pydicom.dcmread(path)
    rows = read_manifest(manifest_path)
    check_evidence(ds, rows)
    assert set(library(ds)) == {r[3] for r in rows}
    box = one(children(ds, "CONTAINS", "CONTAINER", "111028"), "image library")
    assert len(children(box)) == len({r[4] for r in rows}), "a group an image"
    if variant == "projections":
        assert not any(c.ValueType == "NUM" and code(c.ConceptNameCodeSequence)[0] in ("110901", "110904", "112226")
                       for c in walk(box)), "no place is made up"
    measurements = one(children(ds, "CONTAINS", "CONTAINER", "126010"), "Imaging Measurements")
    assert all(group(c)["regions"] for c in children(measurements)), "every group has a region"
    assert not bad, "\n".join(bad)


def segments(path, manifest_path):
    """Segments are numbered by what occurs in the map, and viewers find number and outline together."""
    bad = validate(path, "plain")
    ds = pydicom.dcmread(path)
    rows = read_manifest(manifest_path)
    check_evidence(ds, rows)
    measurements = one(children(ds, "CONTAINS", "CONTAINER", "126010"), "Imaging Measurements")
    groups = {g["label"]: g for g in merged([group(c) for c in children(measurements)])}
    assert [groups[n]["segment"] for n in ("LAD", "LAD lesion 1", "RCA")] == [None] * 3
    first, second = groups["LAD lesion 2"], groups["RCA implant"]
    assert first["segment"][1:] == [1, rows[0][4]] and second["segment"][1:] == [2, rows[0][4]]
    assert first["segment"][0] == second["segment"][0]
    assert [len(first["numbers"]), len(second["numbers"])] == [2, 2]
    outline = one(second["regions"], "outline of the segment")
    assert outline["instance"] == rows[1][3], "on its key place"
    assert outline["points"] == [50, 30, 57, 30, 57, 36, 50, 36, 50, 30], outline["points"]
    assert first["regions"][0]["points"][:2] == [20, 60], "its own mark comes first"
    assert groups["RCA"]["regions"], "the whole has the outline of its part"
    assert not bad, "\n".join(bad)


def texts(folder, manifest_path, variant, want):
    bad = []
    for name in sorted(os.listdir(folder)):
        bad += validate(os.path.join(folder, name), variant)
    ds = pydicom.dcmread(os.path.join(folder, "calcium-sr.dcm"))
    said = [c.TextValue for c in walk(ds) if c.get("ValueType") == "TEXT"]
    assert want in said, [t for t in said if t.startswith("area")]
    check_names = pydicom.dcmread(min((r[3], r[0]) for r in read_manifest(manifest_path))[1])
    assert ds.get("SpecificCharacterSet") == check_names.get("SpecificCharacterSet")
    state = pydicom.dcmread(os.path.join(folder, "calcium-gsps.dcm"))
    drawn = [t.UnformattedTextValue for a in state.GraphicAnnotationSequence for t in a.get("TextObjectSequence", [])]
    assert "LAD " + want[5:].split(",")[0] + "\r\n" + want.split(", ")[1] in drawn, drawn
    assert not bad, "\n".join(bad)


def head(path, name):
    ds = pydicom.dcmread(path)
    assert ds.SpecificCharacterSet == "ISO_IR 192" and str(ds.PatientName) == name
    assert (ds.PatientID, ds.AccessionNumber, ds.StudyDate) == ("ID1", "ACC1", "20200102")
    bad = validate(path, "utf8")
    assert not bad, "\n".join(bad)


def control(folder, manifest_path):
    """Each validator sees a fault made on purpose: silence of theirs means something."""
    def damaged(name, change):
        ds = pydicom.dcmread(os.path.join(folder, name))
        change(ds)
        path = os.path.join(folder, "damaged-" + name)
        pydicom.dcmwrite(path, ds)
        return path

    def drop(keyword):
        return lambda ds: ds.__delitem__(keyword)
    first = min((row[3], row[0]) for row in read_manifest(manifest_path))[1]
    assert validate(damaged("calcium-sr.dcm", drop("CompletionFlag")), "plain")
    assert validate(damaged("calcium-sr.dcm", drop("ValueType")), "plain")
    assert validate(damaged("calcium-sc.dcm", drop("ConversionType")), "plain")
    assert validate(damaged("calcium-gsps.dcm", drop("PresentationLUTShape")), "plain")
    _, text = run("dcmpschk", damaged("calcium-gsps.dcm", drop("InstanceNumber")))
    assert complaints("dcmpschk", text, "plain")

    def other_name(ds):
        ds.PatientName = "OTHER"
    _, text = run("dcentvfy", first, damaged("calcium-sc.dcm", other_name))
    assert complaints("dcentvfy", text, "plain")


def strangers(manifest_path, folders):
    """Whoever mixes patients is told so by dcentvfy; and no UID is shared."""
    seen = {}
    for folder in folders:
        for name in os.listdir(folder):
            if not name.endswith(".dcm"):
                continue
            ds = pydicom.dcmread(os.path.join(folder, name), stop_before_pixels=True)
            for uid in (ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID):
                assert seen.setdefault(uid, folder) == folder, f"{uid} in two patients' results"
    own = sorted({row[0] for row in read_manifest(manifest_path)})
    theirs = pydicom.dcmread(own[0], stop_before_pixels=True).PatientID
    for name in os.listdir(folders[1]):
        if name.endswith(".dcm"):
            ds = pydicom.dcmread(os.path.join(folders[1], name), stop_before_pixels=True)
            assert ds.PatientID != theirs


def main(arguments):
    command, *rest = arguments
    if command == "sources":
        sources(*rest)
    elif command == "list":
        list_folder(*rest)
    elif command == "check":
        check(*rest)
    elif command in ("valid", "segments", "texts", "head"):
        globals()[command](*rest)
    elif command == "control":
        control(*rest)
    elif command == "strangers":
        strangers(rest[0], rest[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
