#!/usr/bin/python3
"""Recordings of Debian's pocketsphinx-testdata and sound made here through `anode analyze`: what two decodings agree on is text that refers to
the sound, all else is marked, and sound without words, broken or too long has a reason.
Sanitized: Refused.test_sound_that_cannot_be_taken_has_a_reason
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np  # noqa: E402
import peers  # noqa: E402
import pydicom  # noqa: E402
from phantom import audio  # noqa: E402

DATA = pathlib.Path("/usr/share/pocketsphinx/test/data")
RATE = 16000
SECONDS = np.arange(3 * RATE) / RATE
MAN = "he was an ill disposed young man"  # what a grammar makes of "he was not an ill disposed young man"
WORDS = "go forward backward one two three four five six seven eight nine ten meter meters left right stop turn".split()


def language_model(path):
    """ARPA: every word as likely as any other, whatever was before, but for MAN; and thousands that are hardly ever said, as the recogniser is slow to begin
    with a few words."""
    known = pathlib.Path("/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict").read_text().splitlines()[::40]
    rare = sorted({w for w in (line.split()[0] for line in known) if w.isalpha()} - set(WORDS))
    words = {"<s>": -99, "</s>": -1.3, **dict.fromkeys(rare, -8), **dict.fromkeys(MAN.split(), -4), **dict.fromkeys(WORDS, -1.3)}
    lines = [f"{p} {w} {-6 * (w in MAN.split())}" for w, p in words.items()]
    pairs = [f"-0.1 {a} {b}" for a, b in zip(["<s>", *MAN.split()], [*MAN.split(), "</s>"])]
    path.write_text("\\data\\\nngram 1=%d\nngram 2=%d\n\n\\1-grams:\n%s\n\n\\2-grams:\n%s\n\n\\end\\\n"
                    % (len(words), len(pairs), "\n".join(lines), "\n".join(pairs)))
    return path


def grammar(path):
    """That of pocketsphinx-testdata, and one sentence more."""
    moves = (DATA / "goforward.gram").read_text().replace("public <move> =", f"public <move> = {MAN} |")
    path.write_text(moves)
    return path


class Run:
    """One run on several series: (samples, rate, what else audio.make() takes) each. Their entries and reports are in the same order."""

    def __init__(self, folder, options, *series):
        for n, (samples, rate, how) in enumerate(series):
            audio.make(folder / f"{n}.dcm", samples.astype("<i2"), rate, number=n + 1, **how)
        (folder / "a.yaml").write_text("peers: [{ae_title: X, host: 127.0.0.1, port: 104}]\n"
                                       f"routes: [{{name: d, when: {{Modality: AU}}, run: dictate, results: [sr], options: {{{options}}}}}]\n")
        done = subprocess.run([peers.ANODE, "analyze", "-c", folder / "a.yaml", "-o", folder / "out", *sorted(folder.glob("*.dcm"))],
                              capture_output=True, text=True, timeout=peers.HANG_S)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        by_series = {e["series"][0]: e for e in json.loads((folder / "out/report.json").read_text())["results"]}
        self.entries = [by_series[f"{audio.UID}.{n + 1}.2"] for n in range(len(series))]
        self.paths = [folder / "out" / e["objects"][0] for e in self.entries]

    def text(self, n):
        return [e["value"] for e in self.entries[n]["evaluations"] if e["code"][0] != "121106"]


class Scratch(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="anode-dictate-"))
        self.addCleanup(shutil.rmtree, self.folder)


class Heard(Scratch):
    def test_only_what_two_decodings_agree_on_is_unmarked(self):
        if not DATA.exists():
            peers.skip("pocketsphinx-testdata is not installed")
        go, other = (np.fromfile(DATA / name, "<i2") for name in ("goforward.raw", "something.raw"))
        said_not = np.frombuffer((DATA / "librivox/sense_and_sensibility_01_austen_64kb-0880.wav").read_bytes()[44:], "<i2")
        run = Run(self.folder, f"grammar: {grammar(self.folder / 'site.gram')}, language: {language_model(self.folder / 'site.lm')}, confidence: 0",
                  (go, RATE, {}), (np.repeat(go[::2], 2), RATE // 2, dict(kind="MB", channels=2)), (other, RATE, {}), (said_not, RATE, {}))
        self.assertEqual(run.text(0), ["go forward ten meters"])
        self.assertIn("go forward ten meters", run.text(1)[0])
        self.assertRegex(run.text(2)[0], r"^\[unconfirmed, \d\.\d to \d\.\d s: go forward [^]]+\]$")  # what the grammar makes of other words
        self.assertRegex(run.text(3)[0], rf"^\[unconfirmed, \d\.\d to \d\.\d s: {MAN}\]$")  # both decodings, which know no "not"
        self.check_report(pydicom.dcmread(run.paths[0]))
        self.assertIn("\nFinding: go forward ten meters\n", (run.paths[0].parent / "dictate.txt").read_text())
        done = subprocess.run(["dciodvfy", "-new", run.paths[0]], capture_output=True, text=True, timeout=peers.HANG_S)
        self.assertEqual([line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")], [])

    def check_report(self, ds):
        self.assertEqual((ds.SOPClassUID, ds.CompletionFlag, ds.VerificationFlag), ("1.2.840.10008.5.1.4.1.1.88.11", "PARTIAL", "UNVERIFIED"))
        findings, = (c for c in ds.ContentSequence if c.get("ConceptNameCodeSequence") and c.ConceptNameCodeSequence[0].CodeValue == "59776-5")
        text, = findings.ContentSequence
        self.assertEqual(text.TextValue, "go forward ten meters")
        sound, = text.ContentSequence
        self.assertEqual((sound.ValueType, sound.RelationshipType), ("WAVEFORM", "INFERRED FROM"))
        self.assertEqual(sound.ReferencedSOPSequence[0].ReferencedSOPInstanceUID, f"{audio.UID}.1.3")


class Refused(Scratch):
    def test_sound_that_cannot_be_taken_has_a_reason(self):
        silence, hiss = SECONDS * 0, 20 * np.sin(1000 * SECONDS)
        cases = {
            "silence: 3.0 s without any sound": (silence, RATE, {}),
            "silence: the loudest of 3.0 s has": (hiss, RATE, {}),
            "96000 bytes of sound of the 320000 that it says": (silence, RATE, dict(NumberOfWaveformSamples=10 * RATE)),
            "500 samples a second: 8000 to 48000 can be read": (silence, RATE, dict(SamplingFrequency=500)),
            'samples of 16 bits, "UL"': (silence, RATE, dict(WaveformSampleInterpretation="UL")),
            "3 channels: one or two can be read": (silence, RATE, dict(channels=3)),
            "it has no waveform": (silence, RATE, dict(WaveformSequence=[])),
            "more than 0.1 (option longest": (np.zeros(7 * 8000), 8000, dict(kind="MB")),
        }
        run = Run(self.folder, "longest: 0.1", *cases.values())
        for entry, reason in zip(run.entries, cases):
            self.assertEqual(entry["verdict"], "not evaluable")
            self.assertIn(reason, entry["reason"])


if __name__ == "__main__":
    unittest.main()
