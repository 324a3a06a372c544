"""Ktrans and ve of phantoms of DCE-MR that are known; refusals of what cannot be measured."""
import numpy as np
import pydicom
from evaluate.row import Row
from phantom import dce as phantom

GENERATOR = "dce"
NOISE_FREE_SHARE, NOISY_SHARE = 0.01, 0.05  # of the median of a tile, of the largest that is off
KEP_LEAST = 0.2  # 1/min: what flows back slower does not show within the scan, so that noise hides ve


def cases(seed):
    seed %= 100000
    rng = np.random.default_rng([seed, 13])
    step, vp, noise = rng.choice((2, 3, 4)), rng.choice((0, 0.02, 0.05)), rng.uniform(0.005, 0.02)
    told = ("--seed", seed, "--step", step, "--points", int(300 / step), "--vp", vp)
    yield f"noise-free, {step:g} s, vp {vp:g}", told, "done"
    yield f"noise {100 * noise:.1f} %, {step:g} s, vp {vp:g}", (*told, "--noise", f"{noise:.4f}"), "done"
    yield "no contrast", ("--seed", seed, "--no-contrast", "--noise", "0.005"), "not evaluable"


def medians(result, name, labels):
    ds = pydicom.dcmread(result.out / f"dce-pmap-{name}.dcm")
    values = np.frombuffer(ds.FloatPixelData, "<f4").reshape(ds.NumberOfFrames, ds.Rows, ds.Columns).copy()
    padding = ds.get("FloatPixelPaddingValue")
    if padding is not None:
        values[values == np.float32(padding)] = np.nan
    tiles = len(phantom.KTRANS) * len(phantom.VE)
    return np.array([np.nanmedian(values[:, labels == phantom.L_TILE + n]) for n in range(tiles)])


def rows(truth, expected, result):
    verdict = result.entry["verdict"]
    found = [Row("verdict", expected, verdict)] if expected else []
    if verdict != "done":
        return [*found, Row(f"reason: {result.entry['reason']}", None, None)]
    labels = phantom.anatomy()[0]
    noisy = truth and truth["noise"] > 0
    for name in ("ktrans", "ve") if truth else ():
        true = np.array(truth[name])
        seen = np.array(truth["ktrans"]) / np.array(truth["ve"]) > KEP_LEAST if noisy else np.ones(true.shape, bool)
        off = np.abs(medians(result, name, labels) / true - 1)[seen].max()
        found.append(Row(f"{name}: largest part off{', noise' if noisy else ''}, %", 0.0, float(100 * off), 100 * (NOISY_SHARE if noisy else NOISE_FREE_SHARE)))
    return found + [Row(f"says: {text}", None, None) for _, text in result.report.judgements if not text.startswith(("yes:", "no:", "NOT FOR"))]
