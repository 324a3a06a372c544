#!/usr/bin/python3
"""The other toolkits' side of test_decode.cc.

  decode_peer.py DATA FOLDER   compares FOLDER/N.raw (samples) and FOLDER/N.rgb (colours) of each line
                               of FOLDER/list.tsv with pydicom, DCMTK, GDCM, OpenJPEG and the references
                               that lie in DATA, and prints a table

An image is right when the reference beside it agrees, or two toolkits do (for colours of a palette or a
conversion too): all of its samples are equal; those of lossy JPEG within the rounding of two inverse
transforms, those of converted colours within the rounding of the conversion.
"""
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

import gdcm
import numpy as np
import PIL.Image
import pydicom
import pydicom.pixel_data_handlers.gdcm_handler as gdcm_handler
import pydicom.pixel_data_handlers.numpy_handler as numpy_handler
import pydicom.pixel_data_handlers.pillow_handler as pillow_handler
import pydicom.pixel_data_handlers.rle_handler as rle_handler
from pydicom.encaps import generate_pixel_data_frame
from pydicom.pixel_data_handlers.util import apply_color_lut, convert_color_space

warnings.filterwarnings("ignore")
gdcm.Trace.WarningOff()
gdcm.Trace.ErrorOff()
GREY, PALETTE, RGB = 0, 1, 2
LOSSY_JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
JPEG = LOSSY_JPEG + ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
J2K = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
RLE = "1.2.840.10008.1.2.5"
DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
# Transfer syntaxes that nobody claims to decode.
OUTSIDE = {"1.2.840.10008.1.2.4.111": "JPEG XL"}
# Values that pydicom publishes of what another decoder made of an image, where only OpenJPEG is at hand: (rows, columns, values).
PUBLISHED = {
    "pydicom-data/HTJ2KLossless_08_RGB/HTJ2KLossless_08_RGB.dcm": (
        (160, slice(295, 305), [[90, 38, 1], [94, 40, 1], [97, 42, 5], [173, 122, 59], [172, 133, 69], [169, 135, 75],
                                [168, 136, 79], [169, 137, 79], [169, 137, 81], [169, 136, 79]]),
        (slice(275, 285), 635, [[208, 193, 172], [238, 228, 215], [235, 229, 216], [233, 226, 212], [239, 231, 218],
                                [238, 232, 219], [224, 218, 205], [239, 234, 223], [246, 241, 232], [242, 236, 226]])),
}
# Frames that are refused, the first of them and why: they stand in the file with another size than Rows and Columns say.
PARTLY = {"fo-dicom/multiframe/multiframe.dcm": (14, "JPEG stream of 55 x 240 x 3, data set of 240 x 240 x 3")}
# Uncompressed twins: (folder and beginning of the name, twin).
TWINS = (
    ("US1/US1_J2KR", "US1/US1_UNCR.dcm"), ("US1/US1_J2KI", "US1/US1_UNCI.dcm"),
    ("CT0012/CT0012.fragmented_no_bot_jpeg_lossless", "eCT_Supplemental/eCT_Supplemental.dcm"),
    ("CT0012/CT0012.fragmented_no_bot_jpeg_ls.8", "eCT_Supplemental/eCT_Supplemental.dcm"),
    ("CT0012/CT0012.not_fragmented", "eCT_Supplemental/eCT_Supplemental.dcm"),
)


def shaped(array, line):
    frames, rows, columns, samples = line["shape"]
    array = np.asarray(array)
    return array.reshape(line["frames"] if array.size > frames * rows * columns * samples else frames, rows, columns, -1)[:frames].astype(np.int64)


def stored_bits(array, ds):
    """Toolkits give whole cells: the stored bits of them, with their sign (PS3.5 8.1.1)."""
    if ds.BitsStored == ds.BitsAllocated:
        return array
    value = (np.asarray(array).astype(np.int64) >> (ds.HighBit + 1 - ds.BitsStored)) & ((1 << ds.BitsStored) - 1)
    return value - ((value >> (ds.BitsStored - 1)) << ds.BitsStored) if ds.PixelRepresentation else value


def by_pydicom(path, ds, line):
    """Samples by the handlers that are pydicom's own or Pillow's."""
    if "partly" in line:  # which take all frames or none
        frames = []
        for data in list(generate_pixel_data_frame(ds.PixelData, line["frames"]))[:line["shape"][0]]:
            picture = PIL.Image.open(io.BytesIO(data))
            picture.draft("YCbCr", picture.size)
            frames.append(np.asarray(picture))
        return np.stack(frames)
    for handler in (numpy_handler, rle_handler, pillow_handler):
        if handler.supports_transfer_syntax(ds.file_meta.TransferSyntaxUID):
            ds.convert_pixel_data(handler.__name__.rsplit(".", 1)[1].replace("_handler", ""))
            return ds.pixel_array
    return None


def by_dcmtk(path, ds, line):
    uid = ds.file_meta.TransferSyntaxUID
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out.dcm"
        if uid in JPEG:
            command = ["dcmdjpeg", "+cn", str(path), out]
        elif uid in JPEG_LS:
            command = ["dcmdjpls", str(path), out]
        elif uid == RLE:
            command = ["dcmdrle", str(path), out]
        elif uid in J2K:
            return None
        else:
            command = ["dcmconv", "+te", str(path), out]
        if subprocess.run(command, capture_output=True).returncode:
            whole = f"{folder}/whole.dcm"  # DCMTK insists on the delimiter of the fragments
            pathlib.Path(whole).write_bytes(pathlib.Path(path).read_bytes() + DELIMITER)
            command[-2] = whole
            if subprocess.run(command, capture_output=True).returncode:
                return None
        plain = pydicom.dcmread(out)
        if uid in JPEG and plain.PhotometricInterpretation == "YBR_FULL_422":
            plain.PhotometricInterpretation = "YBR_FULL"  # all of the chrominance is there
        plain.convert_pixel_data("numpy")
        return plain.pixel_array


def by_gdcm(path, ds, line):
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        return None
    image = reader.GetImage()
    kind = image.GetPixelFormat()
    buffer = image.GetBuffer().encode("utf-8", "surrogateescape")
    kinds = {gdcm.PixelFormat.UINT8: "u1", gdcm.PixelFormat.INT8: "i1", gdcm.PixelFormat.UINT12: "<u2", gdcm.PixelFormat.UINT16: "<u2",
             gdcm.PixelFormat.INT16: "<i2", gdcm.PixelFormat.UINT32: "<u4", gdcm.PixelFormat.INT32: "<i4"}
    if kind.GetScalarType() not in kinds:
        return None
    array = np.frombuffer(buffer, kinds[kind.GetScalarType()])
    frames, rows, columns, samples = line["shape"]
    if image.GetPlanarConfiguration() == 1 and kind.GetSamplesPerPixel() > 1:
        array = array.reshape(frames, samples, rows, columns).transpose(0, 2, 3, 1)
    return array


def by_openjpeg(path, ds, line):
    if ds.file_meta.TransferSyntaxUID not in J2K:
        return None
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        for data in generate_pixel_data_frame(ds.PixelData, line["shape"][0]):
            jp2 = data.startswith(b"\0\0\0\x0cjP")
            name = f"{folder}/in.{'jp2' if jp2 else 'j2k'}"
            pathlib.Path(name).write_bytes(data)
            subprocess.run(["opj_decompress", "-i", name, "-o", f"{folder}/out.rawl"], capture_output=True, check=True)
            raw = pathlib.Path(f"{folder}/out.rawl").read_bytes()  # planes
            count = line["shape"][1] * line["shape"][2] * line["shape"][3]
            kind = {1: "u1", 2: "<i2" if ds.PixelRepresentation else "<u2"}[len(raw) // count]
            frames.append(np.frombuffer(raw, kind).reshape(line["shape"][3], *line["shape"][1:3]).transpose(1, 2, 0))
    return np.stack(frames)


def rgb_by_pydicom(path, ds, line):
    array = by_pydicom(path, ds, line)
    if array is None:
        return None
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        array = apply_color_lut(array, ds)
        return array >> 8 if array.dtype.itemsize == 2 else array
    if ds.PhotometricInterpretation.startswith("YBR_FULL"):
        frames, rows, columns, samples = line["shape"]
        return convert_color_space(array.reshape(frames * rows, columns, samples), "YBR_FULL", "RGB")
    return array if ds.BitsStored == 8 else array >> (ds.BitsStored - 8)


def rgb_by_dcmtk(path, ds, line):
    uid = ds.file_meta.TransferSyntaxUID
    if uid in J2K:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source = str(path)
        if uid in JPEG_LS:
            if subprocess.run(["dcmdjpls", source, f"{folder}/in.dcm"], capture_output=True).returncode:
                return None
            source = f"{folder}/in.dcm"
        if subprocess.run(["dcmj2pnm", "+Fa", "+op", source, f"{folder}/out"], capture_output=True).returncode:
            return None
        names = sorted(pathlib.Path(folder).glob("out*"), key=lambda p: (len(p.name), p.name))
        frames = [np.frombuffer(n.read_bytes()[-line["shape"][1] * line["shape"][2] * 3:], np.uint8) for n in names]
        return np.stack(frames)


def rgb_by_gdcm(path, ds, line):
    """GDCM converts nothing by itself: its samples are colours only where they are RGB."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read() or str(reader.GetImage().GetPhotometricInterpretation()).strip() not in ("RGB", "YBR_RCT", "YBR_ICT"):
        return None
    array = by_gdcm(path, ds, line)
    return array if ds.BitsStored == 8 or array is None else array >> (ds.BitsStored - 8)


def rgb_by_openjpeg(path, ds, line):
    return by_openjpeg(path, ds, line) if ds.PhotometricInterpretation in ("RGB", "YBR_RCT", "YBR_ICT") else None


def reference(data, line, path, ours):
    """What the source itself gives: (name, how far); None: nothing."""
    name = line["name"]
    for begin, twin in TWINS:
        found = list(data.rglob(twin))
        if begin in name and found:
            plain = pydicom.dcmread(found[0])
            plain.convert_pixel_data("numpy")
            return "twin", distance(ours, plain.pixel_array, line)
    if "generic_compressed" in name:
        import nibabel
        volume = np.asanyarray(nibabel.load(next(data.rglob("001_ground_truth.nii.gz"))).dataobj)
        # one of its slices, whose columns and rows may run the other way
        turned = [volume[::a, ::b, k].T for k in range(volume.shape[2]) for a in (1, -1) for b in (1, -1)]
        return "NIfTI", min(distance(ours, t, line) for t in turned)
    picture = path.with_suffix(".png")
    if picture.exists():
        cells = np.asarray(PIL.Image.open(picture)).astype(np.int64)  # patterns of bits
        sign = 1 << (pydicom.dcmread(path).BitsStored - 1) if ours.min() < 0 else 0
        return "PNG", distance(ours, (cells ^ sign) - sign, line)
    if name in PUBLISHED:
        return "published", max(int(np.abs(ours[0][rows, columns] - np.array(values)).max()) for rows, columns, values in PUBLISHED[name])
    return None


def near(ds):
    """How far a JPEG-LS stream is from what it was made of, by its first scan."""
    data = ds.PixelData
    at = data.index(b"\xff\xda")
    return data[at + 5 + 2 * data[at + 4]]


def distance(ours, theirs, line):
    theirs = shaped(theirs, line)
    return int(np.abs(ours - theirs).max()) if theirs.shape == ours.shape else None


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except Exception as e:  # a toolkit that fails is no witness
        if os.environ.get("VERBOSE"):
            print(f"   {function.__name__}: {type(e).__name__}: {e}")
        return None


def judge(path, ds, line, ours, tools, allowed):
    """(who agrees, how far each is)."""
    agree, far = [], []
    for name, tool in tools:
        theirs = attempt(tool, path, pydicom.dcmread(path, force=True), line)
        if theirs is None:
            continue
        if tools is SAMPLES:
            theirs = stored_bits(theirs, ds)
        d = attempt(distance, ours, theirs, line)
        if d is not None and d <= allowed:
            agree.append(name if d == 0 else f"{name} ({d})")
        else:
            far.append(f"{name}: {d}")
    return agree, far


SAMPLES = (("pydicom", by_pydicom), ("dcmtk", by_dcmtk), ("gdcm", by_gdcm), ("openjpeg", by_openjpeg))
COLOURS = (("pydicom", rgb_by_pydicom), ("dcmtk", rgb_by_dcmtk), ("gdcm", rgb_by_gdcm), ("openjpeg", rgb_by_openjpeg))


def check(data, folder, line):
    """(verdict, text) of an image."""
    path = data / line["name"]
    ds = pydicom.dcmread(path, force=True)
    uid = str(ds.file_meta.TransferSyntaxUID)
    line["syntax"] = uid
    if "PixelData" not in ds and line["frames"] == 0:
        return not line["error"], "no pixels"
    if line["error"] and line["name"] in PARTLY and PARTLY[line["name"]] == (line["shape"][0] + 1, line["error"]):
        line["partly"] = f"frame {line['shape'][0] + 1} refused: {line['error']}; those before: "
    elif line["error"]:
        return uid in OUTSIDE, f"refused: {line['error']}"
    ours = np.fromfile(folder / f"{line['number']}.raw", np.int32)
    if ds.BitsStored == 32 and ds.PixelRepresentation == 0:
        ours = ours.view(np.uint32)
    ours = shaped(ours, line)
    lossy = uid in LOSSY_JPEG
    agree, far = judge(path, ds, line, ours, SAMPLES, 1 if lossy else 0)
    given = reference(data, line, path, ours)
    right = len(agree) > 1
    if given:
        name, d = given
        # what a lossy stream was made of is no reference but where its coder kept to a limit
        limit = near(ds) if uid == JPEG_LS[1] else 0
        if d is not None and d <= limit:
            right = len(agree) > 0
            agree.append(f"{name} ({d})" if d else name)
        else:
            far.append(f"{name}: {d}")
    if line["colour"] == GREY:
        return right, ", ".join(agree) + (f"; not {', '.join(far)}" if far else "")
    rgb = shaped(np.fromfile(folder / f"{line['number']}.rgb", np.uint8), dict(line, shape=[*line["shape"][:3], 3]))
    exact = line["colour"] in (PALETTE, RGB) and not lossy
    agree2, far2 = judge(path, ds, dict(line, shape=[*line["shape"][:3], 3]), rgb, COLOURS, 0 if exact else 2)
    right = right and len(agree2) > 0
    text = ", ".join(agree) + (f"; not {', '.join(far)}" if far else "")
    return right, f"{text} | RGB: " + ", ".join(agree2) + (f"; not {', '.join(far2)}" if far2 else "")


def main():
    data, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    if not shutil.which("dcmdjpeg"):
        print("DCMTK's tools are not here")
        return 1
    wrong = count = 0
    for row in (folder / "list.tsv").read_text().splitlines():
        number, name, frames, decoded, rows, columns, samples, colour, error = row.split("\t")
        line = {"number": number, "name": name, "frames": int(frames), "shape": [int(decoded), int(rows), int(columns), int(samples)], "colour": int(colour), "error": error}
        if len(sys.argv) > 3 and sys.argv[3] not in name:
            continue
        right, text = check(data, folder, line)
        count += 1
        wrong += not right
        print(f"{'right' if right else 'WRONG'}  {name}  {line['syntax']}  {line.get('partly', '')}{text}", flush=True)
    print(f"{count} images, {count - wrong} right, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
