#!/usr/bin/python3
"""anode inspect: what it says of a series is what is in its files, read by another library."""
import gzip
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np  # noqa: E402
import peers  # noqa: E402
import pydicom  # noqa: E402
import schema  # noqa: E402
from pydicom.pixel_data_handlers.util import apply_modality_lut, apply_voi_lut  # noqa: E402
from PIL import Image  # noqa: E402


def inspect(*words, status=0):
    done = subprocess.run([peers.ANODE, "inspect", *map(str, words)], capture_output=True, text=True, check=False, timeout=peers.HANG_S)
    assert done.returncode == status, f"exit status {done.returncode}: {done.stdout}{done.stderr}"
    return done


def document(*words):
    answer = json.loads(inspect("--json", *words).stdout)
    wrong = list(schema.complaints(answer, "anode.inspect/1"))
    assert not wrong, wrong
    return answer


def nifti(path):
    """(voxels [points][slices][rows][columns], voxel index to mm in RAS)"""
    data = gzip.decompress(path.read_bytes())
    dim, code = struct.unpack_from("<8h", data, 40), struct.unpack_from("<h", data, 70)[0]
    kind = {4: "<i2", 16: "<f4"}[code]
    return np.frombuffer(data, kind, offset=352).reshape(dim[4], dim[3], dim[2], dim[1]), np.array(struct.unpack_from("<12f", data, 280)).reshape(3, 4)


class Inspect(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="anode-inspect-")
        cls.tmp = pathlib.Path(cls.scratch.name)
        source = peers.phantom("--seed", "1", "--size", "320", "--fov", "350", "--slices", "29", "--increment", "5", "--thickness", "5", "--noise", "14")
        cls.files = [pydicom.dcmread(f) for f in peers.dicom_files(source)]

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def write(self, name, change=lambda n, d: True):
        """The series in a folder, each instance as change leaves it; those it returns False for left out."""
        folder = self.tmp / name
        folder.mkdir()
        for n, d in enumerate(self.files):
            copy = pydicom.dcmread(d.filename)
            if change(n, copy) is not False:
                copy.save_as(folder / f"{n}.dcm")
        return folder

    def test_geometry_and_voxels_are_those_of_the_files(self):
        out = self.tmp / "out"
        folder = self.write("whole")
        said = inspect("-o", out, "--nifti", folder).stdout
        self.assertIn("320 x 320 pixels, 29 slices", said)
        answer = json.loads((out / "inspect.json").read_text())
        self.assertEqual(answer["ignored"], 0)
        [image] = answer["series"][0]["images"]
        self.assertEqual(image["size"], [320, 320, 29, 1])
        self.assertEqual((image["voxel"], image["unit"], image["axis"], image["defect"]), ("int16", "[hnsf'U]", "none", ""))
        by_z = sorted(self.files, key=lambda d: float(d.ImagePositionPatient[2]))
        voxels, to_ras = nifti(out / image["files"][1])
        first, last = (np.array(d.ImagePositionPatient, float) for d in (by_z[0], by_z[-1]))
        if image["to_patient"][11] != first[2]:
            by_z.reverse()
            first, last = last, first
        np.testing.assert_allclose(np.array(image["to_patient"]).reshape(3, 4)[:, 3], first, atol=1e-6)
        np.testing.assert_allclose(to_ras @ [0, 0, 28, 1], last * [-1, -1, 1], atol=1e-3)
        wanted = np.stack([d.pixel_array.astype(float) * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in by_z])
        np.testing.assert_array_equal(voxels[0], wanted)
        sheet = np.asarray(Image.open(out / image["files"][0]).convert("L"))
        self.assertGreater((sheet > 60).mean(), 0.05)
        self.assertEqual(sheet.shape[1], 6 * 244 - 4)

    def shown(self, number, value, **attributes):
        """A series of one image of 240 x 240 pixels of 1 mm, as large as its place on the sheet; attributes None: absent."""
        d = pydicom.dcmread(self.files[0].filename)
        d.SeriesInstanceUID = f"1.2.826.0.1.79.{number}"
        d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.79.{number}.1"
        d.SeriesNumber = number
        d.Rows = d.Columns = 240
        d.PixelSpacing, d.PixelRepresentation, d.BitsStored, d.HighBit = [1, 1], 0, 12, 11
        d.PixelData = value.astype("<u2").tobytes()
        for keyword, given in {"WindowCenter": None, "WindowWidth": None, **attributes}.items():
            if given is None:
                d.pop(keyword, None)
            else:
                setattr(d, keyword, given)
        (self.tmp / "shown").mkdir(exist_ok=True)
        d.save_as(self.tmp / "shown" / f"{number}.dcm")
        return d

    def test_frames_are_shown_as_another_library_shows_them(self):
        y, x = np.mgrid[0:240, 0:240]
        ramp = (17 * x + 5 * y) % 4096
        table = pydicom.Dataset()
        table.LUTDescriptor, table.LUTData = [1500, 300, 10], [int(1023 * (n / 1499) ** 2) for n in range(1500)]
        table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
        cases = [  # attributes, what the document says
            ({"WindowCenter": 40, "WindowWidth": 400}, "centre 40, width 400"),
            ({"WindowCenter": [-600, 40], "WindowWidth": [1500, 400]}, "centre -600, width 1500"),
            ({"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "LINEAR_EXACT"}, "centre 40, width 400 (exact)"),
            ({"WindowCenter": 300.5, "WindowWidth": 700, "VOILUTFunction": "SIGMOID"}, "centre 300.5, width 700 (sigmoid)"),
            ({"WindowCenter": 40, "WindowWidth": 1}, "centre 40, width 1"),
            ({"WindowCenter": 40, "WindowWidth": 400, "PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}, "centre 40, width 400"),
            ({"VOILUTSequence": [table]}, "table of 1500 entries from 300"),
            ({"WindowCenter": 40, "WindowWidth": "0"}, "from the least to the most value; Window Width 0 cannot be used"),
            ({}, "from the least to the most value")]
        made = [self.shown(n, ramp, **attributes) for n, (attributes, _) in enumerate(cases, 1)]
        inspect("-o", self.tmp / "shown-out", self.tmp / "shown")
        document = json.loads((self.tmp / "shown-out" / "inspect.json").read_text())
        by_uid = {s["series"]: s["images"][0] for s in document["series"]}
        plain = np.ones((240, 240), bool)  # without the letters and the scale
        plain[:24, 100:140] = plain[100:140, :24] = plain[215:, :130] = False
        for d, (_, said) in zip(made, cases):
            image = by_uid[d.SeriesInstanceUID]
            self.assertEqual(image["window"], said)
            values = apply_modality_lut(d.pixel_array, d)
            if "VOILUTSequence" in d:
                values = apply_voi_lut(values.astype(int), d) / 1023
            elif d.get("WindowWidth"):
                values = apply_voi_lut(values.astype(float), d)  # to the range of the rescaled values
                low = float(d.RescaleIntercept)
                values = (values - low) / (2**d.BitsStored - 1)
            else:
                values = (values - values.min()) / (values.max() - values.min())
            wanted = 255 * (1 - values if d.PhotometricInterpretation == "MONOCHROME1" else values)
            got = np.asarray(Image.open(self.tmp / "shown-out" / image["files"][0]).convert("L"))[:240, :240]
            self.assertLessEqual(np.abs(got - wanted)[plain].max(), 1, said)

    def test_a_cine_has_each_frame_once_with_its_number_and_directions(self):
        folder, out = self.tmp / "cine", self.tmp / "cine-out"
        frames = np.zeros((13, 240, 240), int)
        d = self.shown(100, frames)
        (self.tmp / "shown" / "100.dcm").unlink()
        d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
        d.Modality, d.NumberOfFrames, d.FrameTime, d.PatientOrientation = "US", 13, 40, ["P", "FL"]
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "InstanceNumber"):
            d.pop(keyword, None)
        folder.mkdir()
        d.save_as(folder / "cine.dcm")
        inspect("-o", out, folder)
        [image] = json.loads((out / "inspect.json").read_text())["series"][0]["images"]
        self.assertEqual(image["size"], [240, 240, 1, 13])
        sheet = np.asarray(Image.open(out / image["files"][0]).convert("L"))
        self.assertEqual(sheet.shape, (3 * 258, 6 * 244 - 4))
        for n in range(18):
            left, top = n % 6 * 244, n // 6 * 258
            cell = sheet[top:top + 240, left:left + 240]
            self.assertEqual((cell[100:140, 4:24].max() > 150, cell[4:24, 100:140].max() > 150), (n < 13, n < 13), n)  # letters
            self.assertEqual(sheet[top + 240:top + 258, left:left + 240].max() > 150, n < 13, n)  # captions

    def test_what_differs_is_listed_with_its_values(self):
        def change(n, d):
            d.KVP = "140" if n == 3 else d.KVP
            d.PatientName = f"NAME^{n}"
        answer = document(self.write("differs", change))
        [image] = answer["series"][0]["images"]
        differs = {d["keyword"]: d for d in image["differs"]}
        self.assertEqual(sorted(differs["KVP"]["values"]), ["120", "140"])
        self.assertNotIn("NAME", json.dumps(answer))
        self.assertNotIn("InstanceNumber", differs)

    def test_instances_that_are_no_slices_are_set_aside_with_their_reason(self):
        def change(n, d):
            if n == 5:
                del d.PixelSpacing
            if n == 7:
                d.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.59"
                del d.PixelData
        folder = self.write("aside", change)
        (folder / "notes.txt").write_text("no DICOM")
        answer = document(folder)
        self.assertEqual(answer["ignored"], 1)
        [series] = answer["series"]
        why = {aside["instance"]: aside["why"] for aside in series["set_aside"]}
        self.assertEqual(set(why), {self.files[5].SOPInstanceUID, self.files[7].SOPInstanceUID})
        self.assertIn("PixelSpacing", why[self.files[5].SOPInstanceUID])
        self.assertEqual(why[self.files[7].SOPInstanceUID], "no Pixel Data (KeyObjectSelectionDocumentStorage)")
        self.assertIn("set aside as no slice, without Pixel Data: 1 KeyObject", series["remarks"])
        self.assertIn("missing", series["images"][0]["defect"])

    def test_a_missing_slice_is_a_defect_of_the_image_which_is_no_volume(self):
        out = self.tmp / "gap-out"
        said = inspect("-o", out, "--nifti", self.write("gap", lambda n, d: n != 7))
        [image] = json.loads((out / "inspect.json").read_text())["series"][0]["images"]
        self.assertEqual(image["size"][2], 28)
        self.assertEqual(image["files"], ["series1-image1.png"])
        self.assertIn("series1-image1.nii.gz is not written: no regular grid: 1 slice missing", said.stderr)
        self.assertRegex(image["defect"], r"1 slice missing between .* mm")

    def test_what_came_twice_is_one_image_where_the_pixels_are_the_same(self):
        folder = self.write("twice")
        for n in (3, 4):
            again = pydicom.dcmread(self.files[n].filename)
            again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.78.{n}"
            if n == 3:
                again.compress(pydicom.uid.RLELossless)
            again.save_as(folder / f"again{n}.dcm")
        [image] = document(folder)["series"][0]["images"]
        self.assertEqual((image["size"], image["duplicates"], image["defect"]), ([320, 320, 29, 1], 2, ""))
        self.assertIn("the same images once more (place and pixels): 2.", image["remarks"])
        again.PixelData = (again.pixel_array ^ 1).tobytes()
        again.save_as(folder / "again4.dcm")
        [image] = document(folder)["series"][0]["images"]
        self.assertIn("1 image lies where another lies and shows something else", image["defect"])
        self.assertIn(again.SOPInstanceUID, image["defect"])

    def test_times_are_points_of_one_image(self):
        def change(n, d):
            d.AcquisitionTime = "120000"
        folder = self.write("times", change)
        for n, d in enumerate(self.files):
            later = pydicom.dcmread(d.filename)
            later.SOPInstanceUID = later.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.77.{n}"
            later.AcquisitionTime, later.PixelData = "120012", (later.pixel_array + 1).tobytes()
            later.save_as(folder / f"later{n}.dcm")
        out = self.tmp / "times-out"
        inspect("-o", out, "--nifti", folder)
        [image] = json.loads((out / "inspect.json").read_text())["series"][0]["images"]
        self.assertEqual((image["size"], image["axis"]), ([320, 320, 29, 2], "time"))
        self.assertEqual(image["at"][1] - image["at"][0], 12)
        voxels, _ = nifti(out / image["files"][1])
        np.testing.assert_array_equal(voxels[1], voxels[0] + 1)

    def test_a_folder_in_use_and_paths_without_dicom_are_refused(self):
        used = self.tmp / "used"
        used.mkdir()
        (used / "a").write_text("a")
        self.assertIn("not empty", inspect("-o", used, self.files[0].filename, status=1).stderr)
        self.assertIn("no DICOM series", inspect(used, status=1).stderr)
        self.assertIn("/nonexistent", inspect("/nonexistent", status=1).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
