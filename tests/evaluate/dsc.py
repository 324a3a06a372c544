"""Blood flow and volume, late tissue and leakage of phantoms of DSC-MR that are known; refusals of what cannot be measured.

Flow is known to come out low: its bounds are those of `doc/dsc.md`.
"""
import numpy as np
import pydicom
from evaluate.row import Row
from phantom import dsc as phantom

GENERATOR = "dsc"
TISSUE = {"white matter": phantom.L_WHITE, "cortex": phantom.L_GREY, "late tissue": phantom.L_LATE}
# Flow above FLOW_MOST has no bound: a fixed cut of singular values makes the highest residues the lowest.
FLOW_MOST = 40
VOLUME_SHARE, FLOW_SHARE, LATE_SHARE, LATE_ML = 0.2, 0.25, 0.1, 3


def cases(seed):
    seed %= 100000
    rng = np.random.default_rng([seed, 11])
    late, step, noise, leak = rng.uniform(6.5, 11), rng.choice((1, 1.5, 2)), rng.uniform(0, 0.015), rng.choice((0, 0.02))
    told = ("--seed", seed, "--late", f"{late:.2f}", "--step", step, "--points", int(80 / step), "--noise", f"{noise:.4f}", "--leak", leak)
    yield f"varied: {step:g} s, {100 * noise:.1f} %, leak {leak:g}", told, "done"
    yield "no contrast", ("--seed", seed, "--no-contrast", "--noise", "0.005"), "not evaluable"
    yield "no baseline", ("--seed", seed, "--late-start"), "not evaluable"


def median(result, name, inside):
    ds = pydicom.dcmread(result.out / f"dsc-pmap-{name}.dcm")
    values = np.frombuffer(ds.FloatPixelData, "<f4").reshape(ds.NumberOfFrames, ds.Rows, ds.Columns).copy()
    padding = ds.get("FloatPixelPaddingValue")
    if padding is not None:
        values[values == np.float32(padding)] = np.nan
    return float(np.nanmedian(values[:, inside]))


def rows(truth, expected, result):
    verdict = result.entry["verdict"]
    found = [Row("verdict", expected, verdict)] if expected else []
    if verdict != "done":
        return [*found, Row(f"reason: {result.entry['reason']}", None, None)]
    late = truth["late_ml"] if truth else None
    found.append(Row("late, mL", late, float(result.report.groups[0].number("118565006")), max(LATE_SHARE * (late or 0), LATE_ML)))
    labels = phantom.anatomy()
    for name, label in TISSUE.items() if truth else ():
        flow, volume = phantom.FLOW[label]
        found += [Row(f"CBV of {name}", float(volume), median(result, "cbv", labels == label), VOLUME_SHARE * volume, "CBV"),
                  Row(f"CBF of {name}", float(flow) if flow <= FLOW_MOST else None, median(result, "cbf", labels == label), FLOW_SHARE * flow, "CBF")]
    return found + [Row(f"says: {text}", None, None) for _, text in result.report.judgements if not text.startswith(("yes:", "no:", "NOT FOR"))]
