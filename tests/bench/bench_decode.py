#!/usr/bin/python3
"""Decoding, by transfer syntax: milliseconds a slice beside other toolkits in the same run.

300 slices of a synthetic thorax with noise (CT, 512 x 512, 12 bit), 48 different ones by turns, in
every transfer syntax that an encoder here makes. All files lie in memory (/dev/shm).

anode    reads the files as a worker does (bench_pixels): opened, decoded on two threads, converted
         to modality values, copied into the memory of the device; "whole" also counts headers,
         digests, splitting and the (refusing) result
peers    read the same frames from two files of 150 frames (opj_decompress: two folders), one process
         each, both at a time, and write what they decode: so hardly anything of what they take to
         start counts, which is 20 to 60 ms a process and would be most of it with a file a slice

Clock times suffer when something else runs; processor times hardly do. Lossless syntaxes must
give the very voxels of the uncompressed series, else exit status 1.
usage: bench_decode.py [PART OF A NAME...]
"""
import copy
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np  # noqa: E402
import peers  # noqa: E402
import pydicom  # noqa: E402
from pydicom.encaps import encapsulate, generate_pixel_data_frame  # noqa: E402

warnings.filterwarnings("ignore", module="pydicom")  # of copies of data sets that were inflated
SLICES, DIFFERENT, SHARES = 300, 48, 2
RUNS = 2  # the one with less processor time counts
BUILD = pathlib.Path(os.environ.get("BUILD", peers.ROOT / "build"))
PROGRAM = BUILD / "tests" / "bench_pixels"

# A row: name, 8 or 12 bits, the encoder's command, whether it loses nothing, the decoders' commands.
# {i} and {o} are files; of opj_decompress folders.
DCMDJPEG, DCMDJPLS, DCMDRLE = ["dcmdjpeg", "{i}", "{o}"], ["dcmdjpls", "{i}", "{o}"], ["dcmdrle", "{i}", "{o}"]
GDCM, OPJ = ["gdcmconv", "--raw", "{i}", "{o}"], ["opj_decompress", "-ImgDir", "{i}", "-OutFor", "RAWL"]
DCMCONV = ["dcmconv", "+te", "{i}", "{o}"]
SYNTAXES = [
    ("explicit little endian", 12, None, True, [DCMCONV, GDCM]),
    ("explicit big endian", 12, ["dcmconv", "+tb", "{i}", "{o}"], True, [DCMCONV, GDCM]),
    ("deflated", 12, ["dcmconv", "+td", "{i}", "{o}"], True, [DCMCONV]),
    ("RLE", 12, ["dcmcrle", "{i}", "{o}"], True, [DCMDRLE, GDCM]),
    ("JPEG baseline, 8 bit", 8, ["dcmcjpeg", "+eb", "{i}", "{o}"], False, [DCMDJPEG, GDCM]),
    ("JPEG extended, 12 bit", 12, ["dcmcjpeg", "+ee", "{i}", "{o}"], False, [DCMDJPEG, GDCM]),
    ("JPEG lossless, process 14", 12, ["dcmcjpeg", "+el", "+sv", "6", "{i}", "{o}"], True, [DCMDJPEG, GDCM]),
    ("JPEG lossless, SV1", 12, ["dcmcjpeg", "+e1", "{i}", "{o}"], True, [DCMDJPEG, GDCM]),
    ("JPEG-LS lossless", 12, ["dcmcjpls", "+el", "{i}", "{o}"], True, [DCMDJPLS, GDCM]),
    ("JPEG-LS near lossless", 12, ["dcmcjpls", "+en", "+md", "2", "{i}", "{o}"], False, [DCMDJPLS, GDCM]),
    ("JPEG 2000 lossless", 12, ["gdcmconv", "--j2k", "{i}", "{o}"], True, [GDCM, OPJ]),
    ("JPEG 2000, 10 to 1", 12, ["gdcmconv", "--j2k", "--lossy", "--irreversible", "-r", "10", "{i}", "{o}"], False, [GDCM, OPJ]),
]


def processor_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sources(bits):
    """The different slices as data sets without compression."""
    for path in map(str, peers.dicom_files(peers.phantom("--seed", "1"))[:DIFFERENT]):
        ds = pydicom.dcmread(path)
        if bits == 8:  # what is left of 12 bits: a window as wide as all values
            ds.PixelData = np.clip(ds.pixel_array.astype(np.int32) >> 4, 0, 255).astype(np.uint8).tobytes()
            ds["PixelData"].VR = "OB"
            ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
            ds.RescaleSlope = float(ds.RescaleSlope) * 16
        yield ds


def encode(row, scratch):
    """The different slices in the row's transfer syntax."""
    plain, coded = str(scratch / "plain.dcm"), str(scratch / "coded.dcm")
    for ds in sources(row[1]):
        ds.save_as(plain)
        if row[2]:
            subprocess.run([w.format(i=plain, o=coded) for w in row[2]], check=True, stdout=subprocess.DEVNULL)
        yield pydicom.dcmread(coded if row[2] else plain)


def make(row, scratch):
    """Files for anode in slices/, one a slice; for its peers in shares/; code streams below streams/, a folder a share."""
    made = list(encode(row, scratch))
    folder = scratch / "slices"
    folder.mkdir(parents=True)
    for number in range(SLICES):
        ds = copy.copy(made[number % len(made)])
        position = [float(v) for v in made[0].ImagePositionPatient[:2]] + [1.5 * number]
        ds.ImagePositionPatient, ds.InstanceNumber = position, number + 1
        ds.SOPInstanceUID = f"1.2.826.0.1.3680043.10.1.3.{number + 1}"
        ds.file_meta = copy.copy(ds.file_meta)
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.save_as(folder / f"{number:04d}.dcm")
    coded = made[0].file_meta.TransferSyntaxUID.is_encapsulated
    frames = [next(generate_pixel_data_frame(ds.PixelData, 1)) if coded else ds.PixelData for ds in made]
    (scratch / "shares").mkdir()
    for share in range(SHARES):
        own = [frames[number % len(frames)] for number in range(share, SLICES, SHARES)]
        many = copy.copy(made[0])
        many.NumberOfFrames = len(own)
        many.PixelData = encapsulate(own) if coded else b"".join(own)
        many["PixelData"].is_undefined_length = coded
        many.save_as(scratch / "shares" / str(share))
        if OPJ in row[4]:
            (scratch / "streams" / str(share)).mkdir(parents=True)
            for number, stream in enumerate(own):
                (scratch / "streams" / str(share) / f"{number:04d}.j2k").write_bytes(stream)


def run_peer(decoder, scratch):
    """(clock, processor) seconds that a tool takes for all slices."""
    out = scratch / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    opj = decoder is OPJ
    commands = [[w.format(i=scratch / ("streams" if opj else "shares") / str(share), o=out / str(share)) for w in decoder] for share in range(SHARES)]
    wall, cpu = time.monotonic(), processor_s()
    children = [subprocess.Popen(c, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=out) for c in commands]
    statuses = [child.wait() for child in children]
    took = time.monotonic() - wall, processor_s() - cpu
    written = sum(p.stat().st_size for p in scratch.rglob("*.rawl" if opj else "out/*") if p.is_file())
    if any(statuses) or written < SLICES * 512 * 512:
        raise SystemExit(f"{decoder[0]} ended with {statuses} and wrote {written} bytes")
    return took


def run_anode(folder):
    done = subprocess.run([PROGRAM, folder], check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found = json.loads(done.stdout)
    if found["slices"] != SLICES:
        raise SystemExit(f"anode reads {found['slices']} of {SLICES} slices")
    return found


def measure(row, scratch):
    """Prints the lines of one syntax; returns the digest of its voxels and the smallest ratio."""
    make(row, scratch)
    size = sum(p.stat().st_size for p in (scratch / "slices").iterdir()) / SLICES / 1024
    ours = min((run_anode(scratch / "slices") for _ in range(RUNS)), key=lambda r: r["decode_cpu_s"])
    wall, cpu, whole = (1000 * ours[k] / SLICES for k in ("decode_s", "decode_cpu_s", "whole_s"))
    print(f"{row[0]:26}{size:5.0f} {'anode':15}{wall:8.2f}{cpu:8.2f}{whole:8.2f}", flush=True)
    ratios = []
    for decoder in row[4]:
        runs = [run_peer(decoder, scratch) for _ in range(RUNS)]
        peer_wall, peer_cpu = (1000 * s / SLICES for s in min(runs, key=lambda r: r[1]))
        ratios.append(peer_cpu / cpu)
        print(f"{'':31} {decoder[0]:15}{peer_wall:8.2f}{peer_cpu:8.2f}{'':8}{peer_wall / wall:7.1f}{peer_cpu / cpu:7.1f}", flush=True)
    return ours["digest"], min(ratios)


def main(wanted):
    print("milliseconds a slice, two processors" + " " * 36 + "peer / anode")
    print(f"{'transfer syntax':26}{'KiB':>5} {'':15}{'clock':>8}{'cpu':>8}{'whole':>8}{'clock':>7}{'cpu':>7}")
    exact, slower, status = None, [], 0
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    for row in SYNTAXES:
        if wanted and row[2] and not any(w in row[0] for w in wanted):
            continue
        with tempfile.TemporaryDirectory(prefix="anode-bench-", dir=base) as scratch:
            digest, ratio = measure(row, pathlib.Path(scratch))
        exact = exact or digest
        if row[3] and digest != exact:
            print(f"{row[0]}: other voxels than without compression")
            status = 1
        if ratio < 1:
            slower.append(row[0])
    print("no encoder of HTJ2K is in Debian 12: not measured")
    print(f"slower than a peer: {', '.join(slower) or 'nowhere'}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
