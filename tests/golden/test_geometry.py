#!/usr/bin/python3
"""Series as volumes, beside dcm2niix: the same volumes, sizes, points and times between them, and the
same value at every place of the patient. The table says of each folder what is made of it and, where the two differ, why.
"""
import gzip
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1])]
import peers  # noqa: E402

PLACE_MM = 0.02   # voxels at one place: dcm2niix computes in float, and positions have few decimals
VALUE = 1e-4      # relative: dcm2niix keeps slope and intercept as float
STEP_S = 1e-3     # from point to point: times of frames beside a repetition time
HU_SHEARED = 1.0  # what rounding of a resampled slice leaves

# Folder: volumes of each as [columns, rows, slices, points], largest first, and what is said of them.
#   equal     dcm2niix has the same volumes, no more and no less
#   refused   a volume that must not be used: words of its defect; or no volume: words of the reason
#   sheared   slices of a tilted gantry: dcm2niix resamples them, here the grid is sheared
#   others    why dcm2niix has more volumes than there are here
#   untimed   why its time from point to point (RepetitionTime) is not that of the axis here
TABLE = {
    "series/dcm_qa_ct/Philips_S21570_5mm": {"equal": [[512, 512, 28, 1]], "others": "the localizer and the screen are set aside"},
    "series/dcm_qa_nih/GE_fmri_4_5": {"equal": [[64, 64, 15, 10]], "untimed": "no frame says when it was made"},
    "series/dcm_qa_nih/Si_epi_3_4": {"equal": [[72, 72, 5, 2], [72, 72, 5, 2]]},
    "series/dcm_qa_philips/Bangalore_dwi": {"equal": [[128, 128, 60, 4]], "untimed": "the axis is the b value"},
    "series/dcm_qa_philips/Magdeburg_fmri": {"equal": [[64, 64, 9, 3]]},
    "series/dicom2nifti/ge_anatomical_001_implicit": {"equal": [[256, 256, 3, 1]]},
    "series/dicom2nifti/ge_dti_001": {"equal": [[128, 128, 4, 2]], "untimed": "no frame says when it was made"},
    "series/dicom2nifti/ge_fmri_001": {"equal": [[64, 64, 4, 2]], "untimed": "no frame says when it was made"},
    "series/dicom2nifti/hitachi_anatomical_001": {"equal": [[64, 64, 4, 1]]},
    "series/dicom2nifti/philips_dti_001": {"equal": [[128, 128, 2, 4]], "untimed": "the axis is the b value"},
    "geometry/dicom2nifti/gantrytilting_001": {"sheared": [[512, 512, 4, 1]]},
    "geometry/dicom2nifti/single_slice": {"equal": [[256, 256, 1, 1]]},
    "geometry/dicom2nifti/sliceincrement_001": {"refused": "1 slice missing between 28.1 and 38.1 mm"},
    "geometry/dicom2nifti/sliceorientation_001": {"equal": [[288, 288, 2, 1], [288, 288, 2, 1]]},
    "geometry/fo-dicom-abd1/abd1": {"equal": [[256, 256, 5, 1], [256, 256, 3, 1], [256, 256, 3, 1]]},
    "decode/heudiconv/data_axasc35_": {"equal": [[64, 64, 35, 1]]},
    "decode/nibabel/csa_slice_norm": {"refused": "no image"},  # its pixels were taken out
    "decode/nibabel/dti_0": {"refused": "cannot be divided into 7 x 7 tiles"},  # a picture that was made smaller
    "decode/dicom2nifti/hyperfine_anatomical_001": {"equal": [[112, 138, 8, 1]]},
    "decode/dicom2nifti/philips_enhanced_anatomical_001": {"equal": [[256, 256, 8, 1]]},
    "decode/dicom2nifti/philips_enhanced_fmri_001_implicit": {"equal": [[64, 64, 8, 4]], "untimed": "all frames have the time of the first"},
    "decode/dicom2nifti/siemens_multiframe_anatomical_001": {"equal": [[256, 256, 8, 1]]},
}


class Volume:
    """A NIfTI-1 file: values [i, j, k, point], and voxel index to mm by rows."""

    def __init__(self, path):
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
        dim = struct.unpack_from("<8h", raw, 40)
        kind = {2: "<u1", 4: "<i2", 8: "<i4", 16: "<f4", 512: "<u2"}[struct.unpack_from("<h", raw, 70)[0]]
        start, slope, intercept = struct.unpack_from("<3f", raw, 108)
        self.name = path.name
        self.size = [max(1, n) for n in dim[1:5]]
        values = np.frombuffer(raw, kind, int(np.prod(self.size)), int(start)).astype(float)
        self.values = values.reshape(self.size, order="F") * (slope or 1) + intercept
        self.step_s = struct.unpack_from("<f", raw, 92)[0] if raw[123] & 0x38 == 8 else None
        self.to_mm = np.vstack([np.array(struct.unpack_from("<12f", raw, 280)).reshape(3, 4), [0, 0, 0, 1]])

    def as_grid_of(self, other):
        """The values in the order of another volume's voxels; None: their places differ."""
        index = np.linalg.inv(self.to_mm) @ other.to_mm  # from its indices to ours
        turn = np.rint(index[:3, :3]).astype(int)
        if not (np.abs(turn).sum(0) == 1).all() or not (np.abs(turn).sum(1) == 1).all():
            return None
        axes = [int(np.argmax(np.abs(turn[:, a]))) for a in range(3)]  # of ours, for each of its
        if [self.size[a] for a in axes] != other.size[:3]:
            return None
        for corner in np.array(np.meshgrid(*[[0, n - 1] for n in other.size[:3]])).reshape(3, -1).T:
            ours = np.array([0, 0, 0])
            for a, axis in enumerate(axes):
                ours[axis] = corner[a] if turn[axis, a] > 0 else other.size[a] - 1 - corner[a]
            apart = (self.to_mm @ [*ours, 1] - other.to_mm @ [*corner, 1])[:3]
            if np.abs(apart).max() > PLACE_MM:
                return None
        values = np.transpose(self.values, [*axes, 3])
        flips = [a for a, axis in enumerate(axes) if turn[axis, a] < 0]
        return np.flip(values, flips)


def same_volume(a, b):
    values = b.as_grid_of(a)
    return values is not None and values.shape == a.values.shape and np.allclose(values, a.values, rtol=VALUE, atol=VALUE * np.abs(a.values).max())


def sampled_along_rows(volume, like):
    """Values of a sheared grid at the voxels of a straight one, between two rows where need be; NaN outside."""
    index = np.linalg.inv(volume.to_mm) @ like.to_mm
    i, j, k = np.meshgrid(*[np.arange(n) for n in like.size[:3]], indexing="ij")
    at = [index[a, 0] * i + index[a, 1] * j + index[a, 2] * k + index[a, 3] for a in range(3)]
    x, z, low = np.rint(at[0]).astype(int), np.rint(at[2]).astype(int), np.floor(at[1]).astype(int)
    if max(np.abs(at[0] - x).max(), np.abs(at[2] - z).max()) > 0.02:
        return None
    part, inside = at[1] - low, (low >= 0) & (low + 1 < volume.size[1])
    low = np.clip(low, 0, volume.size[1] - 2)
    values = volume.values[..., 0]
    return np.where(inside, values[x, low, z] * (1 - part) + values[x, low + 1, z] * part, np.nan)


class Geometry(unittest.TestCase):
    def compare(self, folder, row, scratch):
        ours, theirs = scratch / "anode", scratch / "dcm2niix"
        theirs.mkdir()
        done = subprocess.run([peers.ANODE, "inspect", "-o", ours, "--nifti", folder], capture_output=True, text=True, check=False, timeout=peers.HANG_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads((ours / "inspect.json").read_text())["series"]
        volumes = sorted((Volume(p) for p in ours.glob("*.nii.gz")), key=lambda v: (-np.prod(v.size), v.name))
        if "refused" in row:
            reasons = [i["defect"] for s in said for i in s["images"]] + [a["why"] for s in said for a in s["set_aside"]]
            self.assertTrue(reasons and all(row["refused"] in r for r in reasons), reasons)
            self.assertEqual(volumes, [], "a volume of what is refused")
            return
        for image in (i for s in said for i in s["images"]):
            self.assertEqual((image["defect"], image["missing"], image["duplicates"]), ("", 0, 0))
        subprocess.run(["dcm2niix", "-o", theirs, "-z", "n", "-b", "n", "-p", "n", "-f", "%s_%t", folder], capture_output=True, check=True, timeout=peers.HANG_S)
        # what it resamples, and its drawings, come besides the volumes themselves
        rest = [Volume(p) for p in theirs.glob("*.nii") if "_ROI" not in p.name]
        if "sheared" in row:
            self.assertEqual([v.size for v in volumes], row["sheared"])
            resampled = [v for v in rest if "_Tilt" in v.name]
            self.assertEqual(len(resampled), 1)
            values = sampled_along_rows(volumes[0], resampled[0])
            self.assertIsNotNone(values, "voxels at other places")
            apart = np.abs(values - resampled[0].values[..., 0])[~np.isnan(values)]
            self.assertGreater(apart.size, 0.9 * volumes[0].values.size)
            self.assertLess(np.percentile(apart, 99.9), HU_SHEARED)
            return
        self.assertEqual([v.size for v in volumes], row["equal"])
        for volume in volumes:
            same = [v for v in rest if same_volume(volume, v)]
            self.assertEqual(len(same), 1, f"{volume.name} {volume.size}, dcm2niix has {[(v.name, v.size) for v in rest]}")
            rest.remove(same[0])
            if volume.size[3] > 1 and "untimed" not in row:
                self.assertIsNotNone(volume.step_s)
                self.assertLess(abs(volume.step_s - same[0].step_s), STEP_S)
            else:
                self.assertIsNone(volume.step_s)
        if "others" not in row:
            self.assertEqual([v.name for v in rest], [])

    def test_every_folder_has_the_volumes_of_the_table(self):
        root = peers.shared_data("dicom")
        if root is None:
            peers.skip("the shared data are not here")
        peers.need("dcm2niix")
        found = {str(p.relative_to(root)) for kind in ("series", "geometry") for p in root.glob(f"{kind}/*/*")}
        self.assertEqual(sorted(found - set(TABLE)), [], "folders that the table does not know")
        for name, row in TABLE.items():
            with self.subTest(folder=name), tempfile.TemporaryDirectory(prefix="anode-geometry-") as scratch:
                self.compare(root / name, row, pathlib.Path(scratch))


if __name__ == "__main__":
    sys.exit(unittest.main())
