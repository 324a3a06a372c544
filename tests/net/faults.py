"""A disk that is full or broken for a while, below a path of a node: see shim_faults.c."""
import errno
import mmap
import os
import pathlib
import struct
import subprocess

from node import need

SHIM = pathlib.Path(os.environ.get("BUILD", pathlib.Path(__file__).resolve().parents[2] / "build")) / "tests" / "libshim_faults.so"
SIZE = 4096


def preload(shim=SHIM):
    """What LD_PRELOAD names: a library with AddressSanitizer wants its runtime loaded before all others."""
    libraries = subprocess.run(["ldd", shim], capture_output=True, text=True, check=True).stdout.split()
    return " ".join([*(w for w in libraries if "/libasan.so" in w), str(shim)])


class Faults:
    """env is the environment of a node whose file operations begin() makes fail, until end()."""

    def __init__(self, folder):
        need(SHIM)
        self.path = pathlib.Path(folder) / "faults"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(bytes(SIZE))
        self.file = open(self.path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), SIZE)
        self.env = {"LD_PRELOAD": preload(), "ANODE_FAULT": str(self.path)}

    def begin(self, operation, part, error=errno.ENOSPC):
        self.map[0:128] = struct.pack("<ii24s96s", 0, 0, operation.encode(), part.encode())
        self.map[0:4] = struct.pack("<i", error)

    def hits(self):
        return struct.unpack("<i", self.map[4:8])[0]

    def end(self):
        """Returns how many operations have failed."""
        self.map[0:4] = struct.pack("<i", 0)
        return self.hits()
