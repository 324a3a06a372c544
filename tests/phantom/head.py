#!/usr/bin/python3
"""MR of a head as a DICOM series: of a volume as it is, or painted from a label map.

The truth is the label map that it was painted from, so that it shares no code with the program under test.
"""
import gzip
import pathlib
import struct

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

UID = "1.2.826.0.1.3680043.8.498.79"
# Of labels of FreeSurfer: tissue, and mean signal on T1 (white matter is 1). What is named nowhere is air.
WHITE, GREY, FLUID, SOFT, BONE = "white", "grey", "fluid", "soft", "bone"
T1 = {WHITE: 1.0, GREY: 0.68, FLUID: 0.25, SOFT: 0.62, BONE: 0.2}
TISSUE = {**dict.fromkeys((2, 41, 7, 46, 16, 77, 251, 252, 253, 254, 255, 28, 60), WHITE),
          **dict.fromkeys((3, 42, 8, 47, 10, 49, 11, 50, 12, 51, 13, 52, 17, 53, 18, 54, 26, 58), GREY),
          **dict.fromkeys((4, 43, 5, 44, 14, 15, 24), FLUID)}


def read_nifti(path):
    """Voxels [i, j, k] and the affine to RAS mm of a little-endian NIfTI-1."""
    data = gzip.open(path).read()
    dim = struct.unpack("<8h", data[40:56])
    code = struct.unpack("<h", data[70:72])[0]
    dtype = {2: "<u1", 4: "<i2", 8: "<i4", 16: "<f4", 512: "<u2"}[code]
    offset = int(struct.unpack("<f", data[108:112])[0])
    shape = dim[1:4]
    voxels = np.frombuffer(data, dtype, int(np.prod(shape)), offset).reshape(shape, order="F")
    affine = np.vstack([np.array(struct.unpack("<12f", data[280:328])).reshape(3, 4), [0, 0, 0, 1]])
    return voxels, affine


def write_series(folder, voxels, affine, slices=2, te_ms=3.0, flip=(), number=1):
    """A series whose slices lie along axis `slices` of voxels; rows and columns are the others in their order.
    flip: axes whose index is turned round, which moves no voxel in the patient. Returns the affine to LPS of
    (column, row, slice)."""
    folder.mkdir(parents=True, exist_ok=True)
    lps = np.diag([-1, -1, 1, 1.0]) @ affine
    for axis in flip:
        voxels = np.flip(voxels, axis)
        turn = np.eye(4)
        turn[axis, axis], turn[axis, 3] = -1, voxels.shape[axis] - 1
        lps = lps @ turn
    order = [a for a in range(3) if a != slices] + [slices]
    voxels, lps = np.transpose(voxels, order), lps[:, order + [3]]
    steps = np.linalg.norm(lps[:3, :3], axis=0)
    stored = np.clip(np.rint(voxels), 0, 32767).astype("<u2")
    for k in range(stored.shape[2]):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, f"{UID}.{number}.3.{k + 1}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = f"{UID}.{number}.1", f"{UID}.{number}.2", f"{UID}.{number}.4"
        ds.Modality, ds.PatientName, ds.PatientID, ds.StudyID = "MR", "Phantom^Head", "HEAD1", "1"
        ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20200101", "120000", ""
        ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName, ds.PatientPosition = "", "", "", "HFS"
        ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription = number, k + 1, "T1 head phantom"
        ds.ImageType, ds.SliceThickness = ["ORIGINAL", "PRIMARY", "M", "ND"], f"{steps[2]:g}"
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = "GR", "SP", "", "3D"
        ds.RepetitionTime, ds.EchoTime, ds.InversionTime, ds.FlipAngle = "2300", f"{te_ms:g}", "900", "9"
        ds.EchoTrainLength, ds.Manufacturer, ds.MagneticFieldStrength = 1, "Phantom", "3"
        ds.ImagePositionPatient = [f"{v:.6g}" for v in (lps @ [0, 0, k, 1])[:3]]
        ds.ImageOrientationPatient = [f"{v:.6g}" for v in np.concatenate([lps[:3, 0] / steps[0], lps[:3, 1] / steps[1]])]
        ds.PixelSpacing = [f"{steps[1]:g}", f"{steps[0]:g}"]
        ds.PositionReferenceIndicator = ""
        ds.Columns, ds.Rows = stored.shape[0], stored.shape[1]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        ds.PixelData = np.ascontiguousarray(stored[:, :, k].T).tobytes()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = MRImageStorage, ds.SOPInstanceUID
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.is_little_endian, ds.is_implicit_VR = True, False
        ds.save_as(folder / f"im-{k + 1:03d}.dcm", write_like_original=False)
    return lps
