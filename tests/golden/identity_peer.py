#!/usr/bin/python3
"""Samples of each modality with patients of many languages, and what results must keep of them.

  identity_peer.py sources FOLDER    writes FOLDER/<sample>/<n>.dcm
  identity_peer.py check FOLDER      looks at FOLDER/<sample>/results
"""
import pathlib
import sys

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from golden import results_peer  # noqa: E402
from golden.results_peer import COLUMNS, ROOT, ROWS, base, raw, write  # noqa: E402

SLICES = 3
CLASSES = {"ct": ("CT", "1.2.840.10008.5.1.4.1.1.2"), "mr": ("MR", "1.2.840.10008.5.1.4.1.1.4"),
           "mg": ("MG", "1.2.840.10008.5.1.4.1.1.1.2"), "enhanced-ct": ("CT", "1.2.840.10008.5.1.4.1.1.2.1"),
           "enhanced-mr": ("MR", "1.2.840.10008.5.1.4.1.1.4.1"), "us": ("US", "1.2.840.10008.5.1.4.1.1.3.1"),
           "xa": ("XA", "1.2.840.10008.5.1.4.1.1.12.1")}
PLACED = ("ct", "mr", "enhanced-ct", "enhanced-mr")

# Names and texts as these sites write them: (Specific Character Set, name, description, comment).
# The name in Japanese, Korean and Chinese is that of PS3.5 annexes H, I, J and K.
LANGUAGES = {
    "ascii": ("", b"Doe^Jane^M^Dr^MD", b"Heart, 3.0 mm", b"none"),
    "latin": ("ISO_IR 100", "Müller-Lüdenscheidt^Jörg".encode("latin-1"), "Herz für Ærø".encode("latin-1"), b"\xe9t\xe9"),
    "ir87": ("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
             b"\x1b$B?4B!\x1b(B CT", b"\x1b$B?4\x1b(B"),
    "ir13": ("ISO 2022 IR 13\\ISO 2022 IR 87", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
             b"\xbc\xdd\xbf\xde\xb3", b"\xd4"),
    "ir159": ("\\ISO 2022 IR 87\\ISO 2022 IR 159", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$(D0!\x1b(B", b"\x1b$(D0!\x1b(B", b"\x1b$B;3\x1b(B"),
    "ir149": ("\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
              b"\x1b$)C\xbd\xc9\xc0\xe5 CT", b"\x1b$)C\xbd\xc9"),
    "ir58": ("\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=", b"\x1b$)A\xd0\xc4\xd4\xe0", b"\x1b$)A\xd0\xc4"),
    "gb18030": ("GB18030", "Wang^XiaoDong=王^小东=".encode("gb18030"), "心脏 CT".encode("gb18030"), "心".encode("gb18030")),
    "old": ("", b"Doe^Jane", b"Heart, 3.0 mm", b"none"),
    "utf8": ("ISO_IR 192", "Wang^XiaoDong=王^小東=".encode(), "Сердце, καρδιά, قلب".encode(), "心".encode()),
}
SAMPLES = [("ct", "ir87"), ("mr", "ir149"), ("mg", "gb18030"), ("enhanced-ct", "utf8"), ("enhanced-mr", "ir13"),
           ("us", "latin"), ("xa", "ir58"), ("ct", "ir159"), ("mr", "ascii"), ("ct", "old")]
# Dates and times as ACR-NEMA wrote them, and the same moment as DICOM writes it.
OLD = {"StudyDate": (b"2012.03.04", b"20120304"), "StudyTime": (b"10:11:12.1234", b"101112.1234"),
       "PatientBirthDate": (b"1950.02.03", b"19500203"), "PatientBirthTime": (b"04:05", b"0405")}

# What a result has of the patient and the study, to the byte.
KEPT = ["SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence",
        "TypeOfPatientID", "OtherPatientIDsSequence", "OtherPatientNames", "PatientBirthDate", "PatientBirthTime", "PatientSex",
        "PatientAge", "PatientSize", "PatientWeight", "PatientComments", "EthnicGroup", "StudyInstanceUID", "StudyDate",
        "StudyTime", "StudyID", "StudyDescription", "AccessionNumber", "IssuerOfAccessionNumberSequence",
        "ReferringPhysicianName", "PhysiciansOfRecord", "AdmissionID", "ProcedureCodeSequence"]


# --- sources ---

def padded(value):
    return value + b" " * (len(value) % 2)


def issuer():
    item = Dataset()
    item.UniversalEntityID, item.UniversalEntityIDType = "1.2.3.4.5", "ISO"
    return item


def identify(ds, language):
    character_set, name, description, comment = LANGUAGES[language]
    raw(ds, "SpecificCharacterSet", padded(character_set.encode()))
    for keyword, value in (("PatientName", name), ("OtherPatientNames", name), ("ReferringPhysicianName", name),
                           ("StudyDescription", description), ("PatientComments", comment), ("IssuerOfPatientID", description),
                           ("PhysiciansOfRecord", name), ("PatientID", b" 0012-3/A"), ("AccessionNumber", b"000A 17"),
                           ("StudyID", b"0001"), ("StudyDate", b"20200102"), ("StudyTime", b"101112.123400"),
                           ("PatientBirthDate", b"19500203"), ("PatientBirthTime", b"0405"), ("PatientSex", b"F"),
                           ("PatientAge", b"069Y"), ("PatientSize", b"1.690"), ("PatientWeight", b"071.50"),
                           ("EthnicGroup", comment), ("AdmissionID", b"V 9"), ("TypeOfPatientID", b"TEXT")):
        raw(ds, keyword, padded(OLD[keyword][0] if language == "old" and keyword in OLD else value))
    if character_set == "":
        del ds["SpecificCharacterSet"]
    other = Dataset()
    raw(other, "PatientID", b"OLD 17")
    raw(other, "IssuerOfPatientID", padded(description))
    other.TypeOfPatientID = "TEXT"
    ds.OtherPatientIDsSequence = Sequence([other])
    ds.IssuerOfPatientIDQualifiersSequence = Sequence([issuer()])
    ds.IssuerOfAccessionNumberSequence = Sequence([issuer()])
    procedure = Dataset()
    procedure.CodeValue, procedure.CodingSchemeDesignator = "77477000", "SCT"
    raw(procedure, "CodeMeaning", padded(description))
    ds.ProcedureCodeSequence = Sequence([procedure])


def groups(ds, modality):
    """One instance with all slices in functional groups."""
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "RescaleIntercept", "RescaleSlope", "RescaleType",
                 "WindowCenter", "WindowWidth", "PixelSpacing"):
        del ds[name]
    ds.NumberOfFrames = str(SLICES)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = ["0.5", "0.625"], "3"
    orientation.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for k in range(SLICES):
        frame, position, rescale = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = ["-40", "-30", str(3 * k)]
        rescale.RescaleIntercept, rescale.RescaleSlope = "-1024" if modality == "CT" else "0", "1"
        rescale.RescaleType = "HU" if modality == "CT" else "US"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = Sequence([position]), Sequence([rescale])
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)


def instance(kind, language, k, count):
    modality, sop_class = CLASSES[kind]
    patient = str(100 + SAMPLES.index((kind, language)))
    ds = base(k, patient)
    identify(ds, language)
    ds.Modality = modality
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.PixelData = np.tile(np.arange(ROWS * COLUMNS, dtype=np.uint16) // 8, count).tobytes()
    if kind not in PLACED:
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "PositionReferenceIndicator",
                     "SliceThickness", "RescaleIntercept", "RescaleSlope", "RescaleType"):
            del ds[name]
    if kind.startswith("enhanced"):
        groups(ds, modality)
    elif count > 1:
        ds.NumberOfFrames, ds.FrameTime = str(count), "40"
        ds.FrameIncrementPointer = pydicom.tag.Tag("FrameTime")
    if kind == "mg":
        ds.ImageLaterality, ds.ViewPosition, ds.Laterality = "L", "CC", "L"
    return ds


def sources(folder):
    for kind, language in SAMPLES:
        place = pathlib.Path(folder, f"{kind}-{language}")
        place.mkdir(parents=True)
        many = kind.startswith("enhanced") or kind in ("us", "xa")
        for k in range(1 if many or kind == "mg" else SLICES):
            write(instance(kind, language, k, SLICES if many else 1), str(place / f"{k}.dcm"))


# --- results ---

def bytes_of(ds, keyword):
    """What stands there, items of sequences too; None: it is absent."""
    tag = pydicom.tag.Tag(keyword)
    if tag not in ds:
        return None
    if pydicom.datadict.dictionary_VR(tag) == "SQ":
        return [{e.tag: bytes_of(item, e.tag) for e in item} for item in ds[tag].value]
    element = ds.get_item(tag)
    return element.value if isinstance(element, pydicom.dataelem.RawDataElement) else padded(str(element.value).encode())


def raw_item(item):
    """By tag the bytes of an item that nobody has looked at yet."""
    return {tag: bytes_of(item, tag) for tag in item.keys()}


def kept(path):
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    found = {}
    for keyword in KEPT:
        tag = pydicom.tag.Tag(keyword)
        if tag not in ds:
            found[keyword] = None
        elif pydicom.datadict.dictionary_VR(tag) == "SQ":
            found[keyword] = [raw_item(item) for item in ds[tag].value]
        else:
            found[keyword] = bytes_of(ds, tag)
    return found


def check(folder):
    bad = []
    for kind, language in SAMPLES:
        place = pathlib.Path(folder, f"{kind}-{language}")
        files = sorted(map(str, place.glob("*.dcm")))
        results = sorted(map(str, (place / "results").glob("*.dcm")))
        wanted = {"sr", "gsps", "sc", "pdf"} | ({"seg", "pmap"} if kind in PLACED else set())
        made = {results_peer.kind_of(path) for path in results}
        if made != wanted:
            bad.append(f"{place.name}: {sorted(made)} were made, not {sorted(wanted)}")
        theirs = kept(files[0])
        if language == "old":
            theirs.update((keyword, padded(today)) for keyword, (_, today) in OLD.items())
        for path in results:
            ours = kept(path)
            bad += [f"{place.name}: {pathlib.Path(path).name}: {keyword} {ours[keyword]} is not {theirs[keyword]}"
                    for keyword in KEPT if ours[keyword] != theirs[keyword]]
            bad += [f"{place.name}: {line}" for line in results_peer.validate(path, "identity")]
        # dcentvfy calls the two forms of one date two values
        _, text = results_peer.run("dcentvfy", *([] if language == "old" else files), *results)
        bad += [f"{place.name}: {line}" for line in results_peer.complaints("dcentvfy", text, "identity")]
    assert not bad, "\n".join(bad)


if __name__ == "__main__":
    {"sources": sources, "check": check}[sys.argv[1]](*sys.argv[2:])
