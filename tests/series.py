"""Copies of a series that are series of their own: the same voxels under new UIDs."""
import pathlib

import pydicom
import peers


def copy(source, folder, number, patient=None):
    """Writes the DICOM files of source to folder as another study. Returns their paths."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    for path in peers.dicom_files(source):
        ds = pydicom.dcmread(path)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
            setattr(ds, keyword, f"{getattr(ds, keyword)[:50]}.{number + 1}")
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        if patient:
            ds.PatientID, ds.PatientName = patient, patient.upper()
        ds.save_as(folder / path.name)
    return peers.dicom_files(folder)
