"""Audio objects: samples as Basic Voice Audio (mu-law, 8 kHz) or General Audio Waveform (16 bit)."""
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

VOICE, GENERAL = "1.2.840.10008.5.1.4.1.1.9.4.1", "1.2.840.10008.5.1.4.1.1.9.4.2"
UID = "1.2.826.0.1.3680043.8.498.99"


def mu_law(samples):
    """ITU-T G.711, from 16 bits, by search of the segment."""
    x = np.clip(np.abs(samples.astype(int)), 0, 32635) + 132
    exponent = np.floor(np.log2(x)).astype(int) - 7
    code = (exponent << 4) | ((x >> (exponent + 3)) & 15)
    return (~(code | np.where(samples < 0, 0x80, 0)) & 0xFF).astype("u1")


def make(path, samples, rate, kind="SS", channels=1, number=1, **attributes):
    """samples: int16, channels in turn. Returns path."""
    ds, w = Dataset(), Dataset()
    ds.SOPClassUID = VOICE if kind == "MB" else GENERAL
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{UID}.{number}.3", f"{UID}.{number}.1", f"{UID}.{number}.2"
    ds.Modality, ds.PatientName, ds.PatientID, ds.StudyID = "AU", "Phantom^Audio", "AU1", "1"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20200101", "120000", ""
    ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName, ds.Manufacturer = "", "", "", "phantom"
    ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription = 1, 1, "Dictation"
    ds.ContentDate, ds.ContentTime, ds.AcquisitionDateTime = "20200101", "120000", "20200101120000"
    ds.AcquisitionContextSequence = []
    w.WaveformOriginality, w.NumberOfWaveformChannels = "ORIGINAL", channels
    w.NumberOfWaveformSamples, w.SamplingFrequency = len(samples) // channels, rate
    source = Dataset()
    source.CodeValue, source.CodingSchemeDesignator, source.CodeMeaning = "109110", "DCM", "Voice"
    channel = Dataset()
    channel.ChannelSourceSequence, channel.WaveformBitsStored = [source], 8 if kind == "MB" else 16
    w.ChannelDefinitionSequence = [channel] * channels
    w.WaveformBitsAllocated, w.WaveformSampleInterpretation = channel.WaveformBitsStored, kind
    data = mu_law(samples) if kind == "MB" else samples.astype("<i2")
    w.add_new(0x54001010, "OB" if kind == "MB" else "OW", data.tobytes() + b"\0" * (data.nbytes % 2))
    ds.WaveformSequence = [w]
    for keyword, value in attributes.items():
        setattr(w if keyword in w else ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.save_as(path, write_like_original=False)
    return path
