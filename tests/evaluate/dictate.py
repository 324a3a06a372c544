"""Word errors of dictations: 50 sentences of radiology by three voices of espeak-ng at two speeds, with noise by sox and at 8 kHz, with the stock
language model, a site's language model, its grammar, and both; recordings of people from Debian's pocketsphinx-testdata; 20 sentences that a site
does not expect; sound that is no speech, broken or of two hours. Synthetic voices are no radiologists: rates of people will differ.
A word counts as marked in brackets [unconfirmed, ...: ] or [word?]."""
import pathlib
import re
import tempfile

from evaluate.row import Row
from phantom import spoken

GENERATOR = "spoken"
VOICES = ("en-us", "en-gb", "en-us+f3")
SPEEDS = (140, 175)  # words a minute
STOCK = 10  # sentences of each voice and speed with the stock model: it takes 0.4 s of processor a second
SITE = ("language", "both")
REFUSED = "not evaluable"


def files_of_site():
    """A folder that lasts as long as the program: the grammar and words; the language model depends on the seed."""
    scratch = tempfile.TemporaryDirectory(prefix="anode-dictate-")
    spoken.write_grammar(pathlib.Path(scratch.name) / "site.gram")
    spoken.write_words(pathlib.Path(scratch.name) / "site.dict")
    return scratch


FILES = files_of_site()
WORDS, LANGUAGE, GRAMMAR = (f"{FILES.name}/site.{end}" for end in ("dict", "lm", "gram"))
OPTIONS = {
    "stock": f"words: {WORDS}",
    "language": f"words: {WORDS}, language: {LANGUAGE}",
    "grammar": f"words: {WORDS}, grammar: {GRAMMAR}",  # the second decoding is by the stock model
    "both": f"words: {WORDS}, language: {LANGUAGE}, grammar: {GRAMMAR}",
    "cards": f"grammar: {spoken.DATA}/cards/cards.gram",
}
CONFIGURATION = "node: {bind: 127.0.0.1}\npeers: [{ae_title: PACS, host: 127.0.0.1, port: 104}]\nroutes:\n" + "".join(
    f"  - {{name: {name}, when: {{Modality: AU, SeriesDescription: {name}}}, run: dictate, results: [sr, sc, pdf], options: {{{options}}}}}\n"
    for name, options in OPTIONS.items())


def cases(seed):
    """Also writes the language model of the seed, which knows none of its sentences."""
    spoken.write_language_model(pathlib.Path(LANGUAGE), seed, set(spoken.spoken(seed, 50)))
    found = []

    def add(name, expected, *arguments):
        found.append((name, ("--seed", seed, *arguments), expected))

    for voice in VOICES:
        for speed in SPEEDS:
            who = ("--voice", voice, "--speed", speed)
            for noise in ((), ("--noise", 20)):
                for model in SITE:
                    add(f"{model}, {voice} {speed}{', 20 dB' if noise else ', clean'}", "done", "--kind", "radiology", "--model", model, *who, *noise)
            add(f"stock, {voice} {speed}, 20 dB", "done", "--kind", "radiology", "--model", "stock", "--sentences", STOCK, *who, "--noise", 20)
            add(f"alien, {voice} {speed}, 20 dB", "alien", "--kind", "alien", "--model", "both", *who, "--noise", 20)
    for model in SITE:
        add(f"{model}, en-us 140, 10 dB", "done", "--kind", "radiology", "--model", model, "--speed", 140, "--noise", 10)
        add(f"{model}, en-us 140, 8 kHz", "done", "--kind", "radiology", "--model", model, "--speed", 140, "--noise", 20, "--rate", 8000)
    add("grammar, en-us 140, 20 dB", "done", "--kind", "radiology", "--model", "grammar", "--speed", 140, "--noise", 20)
    add("people: cards, stock and grammar", "done", "--kind", "cards", "--model", "cards")
    add("people: cards, stock", "done", "--kind", "cards", "--model", "stock")
    add("people: a book, stock", "done", "--kind", "librivox", "--model", "stock")
    add("no speech: silence", REFUSED, "--kind", "silence")
    add("no speech: loud noise", "no text", "--kind", "roar")
    add("no speech: music", "no text", "--kind", "music")
    add("broken", REFUSED, "--kind", "broken")
    add("two hours", REFUSED, "--kind", "two hours", "--rate", 8000)
    return found


def words_of(texts):
    """[(word, marked)] of the paragraphs of a report; what was not understood has none."""
    found, unconfirmed = [], False
    for token in re.findall(r"\[not understood[^]]*\]|\[unconfirmed[^:]*:|\[[^\s\]]+\?\]|\]|[^\s\[\]]+", " ".join(texts)):
        if token.startswith("[not understood"):
            continue
        if token.startswith("[unconfirmed"):
            unconfirmed = True
        elif token == "]":
            unconfirmed = False
        elif token.startswith("["):
            found.append((token[1:-2], True))
        else:
            found.append((token, unconfirmed))
    return found


def aligned(said, heard):
    """[(word said or None, word heard or None)]: the fewest substitutions, insertions and deletions (Levenshtein)."""
    costs = [list(range(len(heard) + 1))]
    for i, a in enumerate(said):
        row = [i + 1]
        for j, b in enumerate(heard):
            row.append(min(costs[i][j] + (a != b), costs[i][j + 1] + 1, row[j] + 1))
        costs.append(row)
    pairs, i, j = [], len(said), len(heard)
    while i or j:
        if i and j and costs[i][j] == costs[i - 1][j - 1] + (said[i - 1] != heard[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and costs[i][j] == costs[i - 1][j] + 1:
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]


def missed_unmarked(pairs, marks):
    """Words said that nothing stands for, between two words without a mark: a "no" that is lost. `marks`: of the words heard."""
    found = 0
    for at, (said, heard) in enumerate(pairs):
        if heard is not None:
            continue
        before = next((j for _, j in reversed(pairs[:at]) if j is not None), None)
        after = next((j for _, j in pairs[at + 1:] if j is not None), None)
        found += before is not None and after is not None and not marks[before] and not marks[after]
    return found


def errors_of(result):
    """What validators say of the objects; dcentvfy of their belonging together is left to the tests."""
    return len(result.errors())


def rows(truth, expected, result):
    entry = result.entry
    found = [Row("errors by dciodvfy", 0, errors_of(result))]
    texts = [e["value"] for e in entry["evaluations"] if e["code"][0] != "121106"]
    heard = words_of(texts) if entry["verdict"] == "done" else []
    unmarked = sum(not marked for _, marked in heard)
    if expected == REFUSED or entry["verdict"] != "done":
        found.append(Row("verdict", REFUSED if expected in (REFUSED, "no text", "alien") else "done", entry["verdict"]))
        return [*found, Row(f"reason: {entry['reason']}", None, None)]
    if truth is None:
        return [*found, Row("words", None, len(heard)), Row("words with a mark", None, len(heard) - unmarked)]
    if expected in ("no text", "alien"):
        if expected == "alien":
            print("    " + " ".join(texts))
        return [*found, Row("words with a mark", None, len(heard) - unmarked),
                Row("words that were not said or not expected, without a mark", 0, unmarked, of_which=f"{expected}: words without a mark")]
    said = [word for sentence in truth["sentences"] for word in sentence.split()]
    pairs = aligned(said, [word for word, _ in heard])
    wrong = [p for p in pairs if None in p or said[p[0]] != heard[p[1]][0]]
    marks = [marked for _, marked in heard]
    model = truth["model"]
    hidden = sum(j is not None and not marks[j] for _, j in wrong) + missed_unmarked(pairs, marks)
    return [*found, Row(f"words less errors, {model}", len(said), len(said) - len(wrong), of_which=f"{model}: words"),
            Row("words without a mark", None, unmarked),
            Row(f"wrong without a mark, {model}", 0, hidden, of_which=f"{model}: wrong words without a mark")]
