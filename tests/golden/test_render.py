#!/usr/bin/python3
"""The render stage on balls of known place: sides and distances in the pictures of grids that are anisotropic, oblique, tilted or
flipped, planes cut through them against numpy, what the objects say, table and refusals.
Sanitized: Render.test_sides_and_distances
"""
import pathlib
import sys
import tempfile
import unittest

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from scipy import ndimage

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
from results import Result  # noqa: E402

UID = "1.2.826.0.1.3680043.8.498.78"
CENTRE = np.array([12.0, -7.0, 130.0])
RADIUS = 7.0
# Place in mm from the first, to the left, back and head of the patient; HU.
BALLS = {1000: (0, 0, 0), 400: (30, 0, 0), 600: (0, 0, 20), 800: (0, 25, 0)}
SIZE = 160
ROUTE = """node: {{bind: 127.0.0.1, data_dir: {folder}/data}}
peers:
  - {{ae_title: PACS, host: 127.0.0.1, port: 1}}
routes:
  - name: pictures
    when: {{Modality: CT}}
    run: render
    results: [sr, sc, mpr]
    options: {{{options}}}
"""


def turned(degrees, axis):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.roll(np.roll([[1, 0, 0], [0, c, -s], [0, s, c]], axis, 0), axis, 1)


def grid(columns, rows, slices):
    """Steps of a voxel index in mm, as columns of a matrix."""
    return np.stack([columns, rows, slices], 1)


AXIAL = np.eye(3)
GRIDS = {
    "1 x 1 x 5": (grid(AXIAL[0], AXIAL[1], 5 * AXIAL[2]), (100, 100, 20)),
    "flipped": (grid(-AXIAL[0], AXIAL[1], -5 * AXIAL[2]), (100, 100, 20)),
    "sagittal": (grid(AXIAL[1], -AXIAL[2], 3 * AXIAL[0]), (100, 100, 33)),
    "oblique": (turned(25, 0) @ turned(-20, 2) @ grid(AXIAL[0], AXIAL[1], 3 * AXIAL[2]), (100, 100, 33)),
    "tilted": (grid(AXIAL[0], turned(20, 0)[:, 1], 3 * AXIAL[2]), (100, 100, 33)),
}
REDUCED = {"flipped": (2, 2, 1)}  # shown as means of so many voxels: on the device it takes 0.5 MB, and is told to take 0.2


def volume(steps, dim):
    index = np.stack(np.meshgrid(*[np.arange(n) for n in dim], indexing="ij"), -1)  # [i][j][k]
    mm = (index - (np.array(dim) - 1) / 2) @ steps.T
    hu = np.full(dim, -1000.0)
    for value, at in BALLS.items():
        hu[np.linalg.norm(mm - np.array(at), axis=-1) < RADIUS] = value
    return hu


def write(folder, steps, dim, hu, reference=f"{UID}.4"):
    folder.mkdir()
    spacing = np.linalg.norm(steps, axis=0)
    first = CENTRE - steps @ ((np.array(dim) - 1) / 2)
    for k in range(dim[2]):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"{UID}.3.{k + 1}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = f"{UID}.1", f"{UID}.2", reference
        ds.Modality, ds.PatientName, ds.PatientID, ds.StudyID = "CT", "Phantom^Balls", "BALLS1", "1"
        ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20200101", "120000", ""
        ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName = "", "", ""
        ds.SeriesNumber, ds.InstanceNumber = 1, k + 1
        ds.ImageType, ds.SliceThickness = ["ORIGINAL", "PRIMARY", "AXIAL"], f"{spacing[2]:g}"
        ds.ImagePositionPatient = [f"{v:.9g}" for v in first + k * steps[:, 2]]
        ds.ImageOrientationPatient = [f"{v:.9g}" for v in np.concatenate([steps[:, 0] / spacing[0], steps[:, 1] / spacing[1]])]
        ds.PixelSpacing = [f"{spacing[1]:g}", f"{spacing[0]:g}"]
        ds.Rows, ds.Columns = dim[1], dim[0]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "HU"
        ds.PixelData = np.rint(hu[:, :, k].T).astype("<i2").tobytes()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = CTImageStorage, ds.SOPInstanceUID
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.is_little_endian, ds.is_implicit_VR = True, False
        ds.save_as(folder / f"im-{k + 1:03d}.dcm", write_like_original=False)
    return peers.dicom_files(folder)


def places(frame):
    """Centre (column, row) of each ball of a frame by its value; the window is 0 to 1000 HU."""
    grey = frame[:SIZE, :, 0].astype(float)
    edge = SIZE // 7  # letters, labels and the scale bar lie there
    grey[:edge] = grey[-edge:] = 0
    grey[:, :edge] = grey[:, -edge:] = 0
    labels, count = ndimage.label(grey > 40)
    found = {}
    for n in range(1, count + 1):
        rows, columns = np.nonzero(labels == n)
        if len(rows) < 80:  # a letter
            continue
        value = int(np.rint(grey[labels == n].max() / 255 * 10)) * 100
        found[value] = np.array([(columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2])
    return found


def resampled(ds, hu, steps, dim, step_mm):
    """Mean of the samples across the thickness of a plane, NaN where none is in the volume; and where that is sure."""
    row, column = np.array(ds.ImageOrientationPatient[:3], float), np.array(ds.ImageOrientationPatient[3:], float)
    y, x = np.mgrid[: ds.Rows, : ds.Columns]
    flat = np.array(ds.ImagePositionPatient, float) + (x * float(ds.PixelSpacing[1]))[..., None] * row + (y * float(ds.PixelSpacing[0]))[..., None] * column
    thick = float(ds.SliceThickness)
    samples = int(np.ceil(thick / step_mm))
    depth = (np.arange(samples) + 0.5) / samples * thick - thick / 2
    index = ((flat[..., None, :] + depth[:, None] * np.cross(row, column)) - CENTRE) @ np.linalg.inv(steps).T + (np.array(dim) - 1) / 2
    last = np.array(dim) - 1
    beyond = np.maximum(-index, index - last).max(-1)  # voxels outside the outermost centres
    values = ndimage.map_coordinates(hu, np.moveaxis(np.clip(index, 0, last), -1, 0), order=1)
    inside = beyond <= 1e-3
    count = inside.sum(-1)
    mean = np.where(count, (values * inside).sum(-1) / np.maximum(count, 1), np.nan)
    aligned = (np.count_nonzero(np.linalg.inv(steps) @ np.stack([row, column], 1), axis=0) == 1).all()  # no outermost voxel must be lost then
    return mean, ((abs(beyond) > 2e-3) | aligned).all(-1)


class Render(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="anode-render-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def render(self, files, options, name="out"):
        config = self.folder / f"{name}.yaml"
        config.write_text(ROUTE.format(folder=self.folder, options=options))
        return Result(files, self.folder / name, config=config)

    def film(self, result, product):
        return pydicom.dcmread(result.out / f"render-sc-{product}.dcm")

    def test_sides_and_distances(self):
        for n, (name, (steps, dim)) in enumerate(GRIDS.items()):
            with self.subTest(grid=name):
                hu, by = np.rint(volume(steps, dim)), REDUCED.get(name, (1, 1, 1))
                files = write(self.folder / f"in{n}", steps, dim, hu)
                result = self.render(files, f"pictures: mip, frames: 4, size: {SIZE}, volume_mb: {0.2 if name in REDUCED else 0}, window_centre: 500, window_width: 1000, "
                                     'remove_table: false, planes: "axial, coronal, sagittal, oblique", plane_spacing_mm: 9, plane_pixel_mm: 3, '
                                     "plane_thickness_mm: 5, plane_angle_deg: 30, plane_elevation_deg: 20", f"out{n}")
                self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
                ds = self.film(result, "mip")
                front, left = places(ds.pixel_array[0]), places(ds.pixel_array[1])
                pixels = front[400][0] - front[1000][0]  # 30 mm to the left, right in the picture
                print(name, front, left)
                self.assertGreater(pixels, 0)
                room = 0.7 + 2.6 / 30 * pixels  # half a slice of 5 mm at most, and half a pixel
                self.assertLess(abs(front[1000][1] - front[600][1] - pixels * 20 / 30), room)  # up
                self.assertLess(abs(front[600][0] - front[1000][0]), room)
                self.assertLess(abs(left[800][0] - left[1000][0] - pixels * 25 / 30), room)  # the back is right
                self.assertLess(abs(left[1000][1] - left[600][1] - pixels * 20 / 30), room)
                said = [e["value"] for e in result.entry["evaluations"] if "x {} x {} of them".format(*by[1:]) in str(e["value"])]
                self.assertEqual(len(said), name in REDUCED)
                dim = tuple(np.array(dim) // by)
                hu = hu.reshape(dim[0], by[0], dim[1], by[1], dim[2], by[2]).mean((1, 3, 5))
                self.check_planes(result, np.copysign(np.floor(abs(hu) + 0.5), hu), steps * by, dim, max(by))

    def check_planes(self, result, hu, steps, dim, edge_mm):
        sets = {}
        for path in result.out.glob("render-mpr-*.dcm"):
            ds = pydicom.dcmread(path)
            sets.setdefault(path.stem.split("-")[2], []).append(ds)
        self.assertEqual(set(sets), {"axial", "coronal", "sagittal", "oblique"})
        for name, planes in sets.items():
            planes.sort(key=lambda ds: ds.InstanceNumber)
            row, column = np.array(planes[0].ImageOrientationPatient[:3], float), np.array(planes[0].ImageOrientationPatient[3:], float)
            expected = {"axial": ([1, 0, 0], [0, 1, 0]), "coronal": ([1, 0, 0], [0, 0, -1]), "sagittal": ([0, 1, 0], [0, 0, -1]),
                        "oblique": (turned(30, 2)[:, 0], np.cross(np.cross(turned(30, 2)[:, 0], turned(30, 2) @ turned(-20, 0) @ [0, 0, -1]), turned(30, 2)[:, 0]))}
            np.testing.assert_allclose([row, column], expected[name], atol=1e-6, err_msg=name)
            self.assertEqual(len({ds.SeriesInstanceUID for ds in planes}), 1)
            self.assertEqual({ds.FrameOfReferenceUID for ds in planes}, {f"{UID}.4"})
            seen = 0
            for n, ds in enumerate(planes):
                place = np.array(planes[0].ImagePositionPatient, float) + n * float(ds.SpacingBetweenSlices) * np.cross(row, column)
                np.testing.assert_allclose(np.array(ds.ImagePositionPatient, float), place, atol=1e-4)
                got = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
                want, sure = resampled(ds, hu, steps, dim, 0.5 * edge_mm)
                padding = float(ds.get("PixelPaddingValue", np.nan))
                self.assertFalse(padding >= -1024, padding)  # air is not
                outside = got == padding
                self.assertTrue(np.array_equal(outside[sure], np.isnan(want)[sure]), (name, n))
                compared = sure & ~outside
                self.assertLessEqual(abs(got - want)[compared].max(initial=0), 1, (name, n))  # rounded, and floats of 32 bits
                seen += int((got[compared] > 300).sum())
                self.assertLessEqual({i.ReferencedSOPInstanceUID for i in ds.SourceImageSequence}, {f"{UID}.3.{k + 1}" for k in range(dim[2])})
            print(name, len(planes), planes[0].Columns, planes[0].Rows, seen)
            self.assertGreater(seen, 5, name)  # balls

    def test_the_object_is_a_cine_and_valid(self):
        steps, dim = GRIDS["1 x 1 x 5"]
        files = write(self.folder / "in", steps, dim, volume(steps, dim))
        result = self.render(files, 'pictures: "mip, minip, average, bone", frames: 3, size: 128, frame_ms: 50, '
                             'planes: "axial, sagittal", plane_spacing_mm: 20')
        for product in ("mip", "minip", "average", "bone"):
            ds = self.film(result, product)
            self.assertEqual((ds.NumberOfFrames, ds.Columns, float(ds.FrameTime), int(ds.CineRate)), (3, 128, 50.0, 20))
            self.assertEqual(ds.SOPClassUID, "1.2.840.10008.5.1.4.1.1.7.4")
            self.assertGreater(len(np.unique(ds.pixel_array[:, :128])), 2, product)
        self.assertEqual(result.errors(), [])

    def test_a_table_is_left_out(self):
        steps, dim = GRIDS["1 x 1 x 5"]
        y, x = np.meshgrid(np.arange(100) - 49.5, np.arange(100) - 49.5)
        hu = np.full(dim, -1000.0)
        hu[(x / 30) ** 2 + (y / 20) ** 2 < 1] = 40
        hu[(abs(x) < 45) & (y > 32) & (y < 35)] = 900  # mm behind the body
        files = write(self.folder / "in", steps, dim, hu, reference="")
        bright = {}
        for remove in ("true", "false"):
            result = self.render(files, f"frames: 1, size: 128, window_centre: 500, window_width: 1000, remove_table: {remove}", f"out-{remove}")
            self.assertIn("No planes: the images have no Frame of Reference", [e["value"] for e in result.entry["evaluations"]])
            self.assertEqual(list(result.out.glob("*mpr*")), [])
            bright[remove] = int((self.film(result, "mip").pixel_array[40:100, 20:108, 0] > 200).sum())
        print(bright)
        self.assertEqual(bright["true"], 0)
        self.assertGreater(bright["false"], 1000)

    def test_two_slices_are_no_volume(self):
        steps, dim = grid(AXIAL[0], AXIAL[1], 5 * AXIAL[2]), (64, 64, 2)
        result = self.render(write(self.folder / "in", steps, dim, np.zeros(dim)), "frames: 1")
        self.assertEqual((result.entry["verdict"], result.entry["reason"]), ("not evaluable", "2 slices are no volume: 3 are needed"))

    def test_more_than_can_be_reduced(self):
        dim = (64, 64, 3)
        result = self.render(write(self.folder / "in", grid(*AXIAL), dim, np.zeros(dim)), "frames: 1, volume_mb: 0.0001")
        self.assertEqual((result.entry["verdict"], result.entry["reason"][:16]), ("not evaluable", "64 x 64 x 3 voxe"))


if __name__ == "__main__":
    unittest.main()
