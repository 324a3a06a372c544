#!/usr/bin/python3
"""Spoken recordings with known words: sentences of radiology by espeak-ng with noise by sox, those of Debian's pocketsphinx-testdata, and sound
that is no speech. Also what a site would have: a grammar, a language model and words, made from the same rules as the sentences.

usage: spoken.py OUT --seed S --kind KIND [--model NAME] [--voice V] [--speed WORDS] [--noise DB] [--rate HZ] [--sentences N]
Writes OUT/recording.dcm, whose Series Description is the model, and OUT/truth.json.
"""
import argparse
import json
import math
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import wave
from collections import Counter

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np  # noqa: E402
from phantom import audio  # noqa: E402

DATA = pathlib.Path("/usr/share/pocketsphinx/test/data")
DICTIONARY = pathlib.Path("/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict")
RATE = 16000  # of the recogniser
PAUSE_S = 0.8  # between sentences: more than the half second that ends one
SHORTEST_DB = 30  # below the loudest 20 ms: what is quieter is no voice

# What a site says: alternatives in parentheses, in JSGF.
RULES = [
    "there is no (pleural effusion | pneumothorax | pericardial effusion | fracture | pulmonary embolism)",
    "there is a (small | moderate | large) (left | right) pleural effusion",
    "there is a (small | large) pericardial effusion",
    "the (liver | spleen | pancreas | heart | thyroid) is (normal | enlarged | small)",
    "there is a nodule of (four | six | eight | nine | eleven | fifteen) millimeters in the (left | right) (upper | lower) lobe",
    "the heart is of normal size",
    "the lungs are clear",
    "there is (mild | moderate | severe) calcification of the (coronary arteries | aorta | aortic valve)",
    "compared with the (previous | last) examination the (nodule | lesion | effusion) (has grown | is unchanged | has become smaller)",
    "the (left | right) kidney is (normal | small | enlarged)",
    "there is (mild | moderate | severe) stenosis of the (left | right) (carotid | renal) artery",
    "there is a fracture of the (left | right) (femur | hip | wrist)",
    "the (trachea | mediastinum) is in the midline",
    "follow up in (three | six | twelve) months is recommended",
    "there are (mild | severe) degenerative changes of the (lumbar | thoracic | cervical) spine",
    "the bowel is (normal | dilated)",
    "there is free (air | fluid) in the abdomen",
    "the gallbladder contains (a stone | several stones)",
    "the abdominal aorta measures (two | three | four | five) centimeters",
    "there is (a patchy | a dense) consolidation in the (left | right) (upper | lower) lobe",
]
WORDS = {
    "effusion": "IH F Y UW ZH AH N", "pneumothorax": "N UW M OW TH AO R AE K S", "pericardial": "P EH R IH K AA R D IY AH L",
    "mediastinum": "M IY D IY AH S T AY N AH M", "calcification": "K AE L S AH F AH K EY SH AH N",
}
# None of them follows a rule: of other things, and of the site's own words, some with the meaning turned.
FAR = [
    "please call the referring doctor this afternoon", "the weather will be fine tomorrow", "we had lunch with my brother in london",
    "can you close the window before you leave", "my train was late again this morning", "the children play football in the garden",
    "she bought a new car last summer", "turn off the computer when you go home", "the next patient is waiting in room seven",
    "nobody knows who wrote this letter",
]
NEAR = [
    "there is a fracture", "there is a pneumothorax", "there is pulmonary embolism", "there is no free air in the abdomen", "the lungs are not clear",
    "there is no stenosis of the left renal artery", "the liver is not enlarged", "there is a nodule of five centimeters in the liver",
    "no follow up is recommended", "the heart is not of normal size",
]
RARE_EVERY, RARE = 40, -8  # words of the dictionary that are in the language model though hardly ever said, and their log10 probability
TRAINED_ON = 2000  # sentences


def speak_rule(rule, draw):
    return re.sub(r"\(([^)]*)\)", lambda m: draw.choice(m[1].split("|")).strip(), rule)


def spoken(seed, count):
    """Sentences, none twice, each rule as often as another as far as it has so many."""
    draw, found, turn = random.Random(seed), [], 0
    while len(found) < count:
        said = speak_rule(RULES[turn % len(RULES)], draw)
        turn += 1
        if said not in found:
            found.append(said)
    draw.shuffle(found)
    return found


def write_grammar(path):
    path.write_text("#JSGF V1.0;\ngrammar report;\npublic <sentence> = " + "\n | ".join(f"({r})" for r in RULES) + ";\n")


def write_words(path):
    path.write_text("".join(f"{word} {phones}\n" for word, phones in WORDS.items()))


def write_language_model(path, seed, without):
    """ARPA, bigrams with Witten-Bell smoothing, from sentences of the rules, none of those in `without`."""
    draw, unigrams, bigrams = random.Random(-seed), Counter(), Counter()
    for _ in range(TRAINED_ON):
        said = speak_rule(draw.choice(RULES), draw)
        if said in without:
            continue
        words = ["<s>", *said.split(), "</s>"]
        unigrams.update(words[1:])
        bigrams.update(zip(words, words[1:]))
    rare = sorted({w for w in (line.split()[0] for line in DICTIONARY.read_text().splitlines()[::RARE_EVERY]) if w.isalpha()} - set(unigrams))
    total = sum(unigrams.values())
    alone = {w: n / total for w, n in unigrams.items()}
    follows, seen = Counter(), Counter()
    for (a, _), n in bigrams.items():
        follows[a] += 1
    for (a, _), n in bigrams.items():
        seen[a] += n
    kept = {(a, b): n / (seen[a] + follows[a]) + follows[a] / (seen[a] + follows[a]) * alone[b] for (a, b), n in bigrams.items()}
    back = {}
    for a in seen:
        left = 1 - sum(p for (x, _), p in kept.items() if x == a)
        back[a] = math.log10(max(left, 1e-6) / max(1 - sum(alone[b] for (x, b) in kept if x == a), 1e-6))
    lines = [f"-99 <s> {back['<s>']:.4f}"]
    lines += [f"{math.log10(p):.4f} {w} {back.get(w, 0):.4f}" for w, p in alone.items()] + [f"{RARE} {w} 0" for w in rare]
    pairs = [f"{math.log10(p):.4f} {a} {b}" for (a, b), p in kept.items()]
    path.write_text("\\data\\\nngram 1=%d\nngram 2=%d\n\n\\1-grams:\n%s\n\n\\2-grams:\n%s\n\n\\end\\\n"
                    % (len(lines), len(pairs), "\n".join(lines), "\n".join(pairs)))


def read_wave(path):
    with wave.open(str(path)) as w:
        return np.frombuffer(w.readframes(w.getnframes()), "<i2"), w.getframerate()


def sox(*arguments):
    return subprocess.run(["sox", "-R", *map(str, arguments)], check=True, capture_output=True).stdout


RAW = ("-t", "raw", "-e", "signed", "-b", "16", "-c", "1")


def voice_rms(samples, rate):
    """Of what is loud: 1 is full scale."""
    frames = samples[:len(samples) // (rate // 50) * (rate // 50)].reshape(-1, rate // 50) / 32768
    power = (frames**2).mean(1)
    return math.sqrt(power[power > power.max() * 10 ** (-SHORTEST_DB / 10)].mean())


def converted(samples, rate, to, noise_db=None):
    """At the rate `to`; with white noise so many dB below the voice."""
    with tempfile.TemporaryDirectory() as scratch:
        source = pathlib.Path(scratch) / "in.raw"
        source.write_bytes(samples.astype("<i2").tobytes())
        given = (*RAW, "-r", rate, source)
        if noise_db is None:
            out = sox("-D", *given, *RAW, "-r", to, "-")
        else:  # white noise of sox is even between -1 and 1: its power is 1/3
            loud = voice_rms(samples, rate) * 10 ** (-noise_db / 20) * math.sqrt(3)
            noise = pathlib.Path(scratch) / "noise.raw"
            sox("-n", *RAW, "-r", rate, noise, "synth", f"{len(samples)}s", "whitenoise", "vol", f"{loud:.6f}")
            out = sox("-D", "-m", "-v", 1, *given, "-v", 1, *RAW, "-r", rate, noise, *RAW, "-r", to, "-")
    return np.frombuffer(out, "<i2")


def say(sentences, voice, speed):
    """(samples, rate): the sentences with pauses."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for said in sentences:
            path = pathlib.Path(scratch) / "said.wav"
            subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "-w", path, said], check=True, capture_output=True)
            samples, rate = read_wave(path)
            found += [samples, np.zeros(int(PAUSE_S * rate), "<i2")]
    return np.concatenate(found), rate


def recorded(folder, names, transcription):
    """(sentences, samples, rate) of pocketsphinx-testdata."""
    said = [re.sub(r"^<s>|</s>.*$", "", line).split() for line in (DATA / folder / transcription).read_text().splitlines()]
    sounds = [read_wave(path) for path in sorted((DATA / folder).glob(names))]
    rate = sounds[0][1]
    pause = np.zeros(int(PAUSE_S * rate), "<i2")
    return [" ".join(s) for s in said], np.concatenate([part for sound, _ in sounds for part in (sound, pause)]), rate


def music(draw):
    """Half a minute of plucked chords."""
    notes = [draw.choice((131, 147, 165, 175, 196, 220, 247, 262)) for _ in range(30)]
    parts = [sox("-n", *RAW, "-r", RATE, "-", "synth", 1, "pluck", note, "pluck", note * 1.25, "pluck", note * 1.5, "remix", "-") for note in notes]
    return np.frombuffer(b"".join(parts), "<i2")


def make(options):
    """(sentences, samples, rate, attributes of the object)"""
    draw, kind = random.Random(options.seed), options.kind
    if kind in ("radiology", "alien"):
        sentences = spoken(options.seed, options.sentences) if kind == "radiology" else draw.sample(FAR + NEAR, len(FAR + NEAR))
        return sentences, *say(sentences, options.voice, options.speed), {}
    if kind == "cards":
        return *recorded("cards", "*.wav", "cards.transcription"), {}
    if kind == "librivox":
        return *recorded("librivox", "*.wav", "transcription"), {}
    if kind == "music":
        return [], music(draw), RATE, {}
    noise = np.random.default_rng(options.seed).normal
    if kind == "silence":
        return [], noise(0, 20, 20 * RATE).astype("<i2"), RATE, {}
    if kind == "roar":  # noise as loud as a voice
        return [], noise(0, 3000, 20 * RATE).astype("<i2"), RATE, {}
    if kind == "broken":  # ends before what it says
        sentences = spoken(options.seed, 2)
        samples, rate = say(sentences, options.voice, options.speed)
        return sentences, samples, rate, {"NumberOfWaveformSamples": 10 * len(samples)}
    if kind == "two hours":
        sentences = spoken(options.seed, 20)
        samples, rate = say(sentences, options.voice, options.speed)
        return sentences * math.ceil(7200 * rate / len(samples)), np.tile(samples, math.ceil(7200 * rate / len(samples))), rate, {}
    raise SystemExit(f"spoken: no kind {kind}")


def parse(arguments):
    p = argparse.ArgumentParser(prog="spoken")
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--seed", type=int, required=True)
    p.add_argument("--kind", required=True)
    p.add_argument("--model", default="both")
    p.add_argument("--voice", default="en-us")
    p.add_argument("--speed", type=int, default=150)
    p.add_argument("--noise", type=float, default=None)
    p.add_argument("--rate", type=int, default=RATE)
    p.add_argument("--sentences", type=int, default=50)
    return p.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    sentences, samples, rate, attributes = make(options)
    if rate != options.rate or options.noise is not None:
        stated = attributes.pop("NumberOfWaveformSamples", None)
        samples = converted(samples, rate, options.rate, options.noise)
        if stated:
            attributes["NumberOfWaveformSamples"] = 10 * len(samples)
    audio.make(options.out / "recording.dcm", samples, options.rate, kind="MB" if options.rate == 8000 else "SS",
               SeriesDescription=options.model, **attributes)
    truth = {"kind": options.kind, "model": options.model, "sentences": sentences, "seconds": len(samples) / options.rate}
    (options.out / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
