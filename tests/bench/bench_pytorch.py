#!/usr/bin/python3
"""Networks here and in PyTorch on the processor, one after the other on the same machine: seconds of each, and the ratio.
The networks of brainchop are run as their own files, on the middle of the conformed T1 (BRAINCHOP_SIZE voxels a side, 64).
usage: bench_pytorch.py [NETWORK...]
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import warnings

import nibabel
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
try:
    import torch
    from golden import exports_peer
except ImportError:
    print("bench_pytorch: skipped, no python3-torch")
    sys.exit(0)

BRAINCHOP = ROOT.parent.parent / "shared" / "models" / "brainchop"


def chain(name):
    """A network of brainchop as PyTorch has it."""
    folder = BRAINCHOP / name
    described = json.loads((folder / "model.json").read_text())
    raw = b"".join((folder / path).read_bytes() for part in described["weightsManifest"] for path in part["paths"])
    weights, at = {}, 0
    for part in described["weightsManifest"]:
        for w in part["weights"]:
            count = int(np.prod(w["shape"]))
            weights[w["name"]] = torch.from_numpy(np.frombuffer(raw, "<f4", count, at).reshape(w["shape"]).copy())
            at += 4 * count
    layers = []
    for layer in described["modelTopology"]["model_config"]["config"]["layers"]:
        config = layer["config"]
        if layer["class_name"] == "Conv3D":
            kernel, dilation = weights[config["name"] + "/kernel"], config["dilation_rate"][0]
            conv = torch.nn.Conv3d(kernel.shape[3], kernel.shape[4], kernel.shape[0], padding="same", dilation=dilation)
            conv.weight.data = kernel.permute(4, 3, 0, 1, 2).contiguous()
            conv.bias.data = weights.get(config["name"] + "/bias", torch.zeros(kernel.shape[4]))
            layers.append(conv)
            if config["name"].endswith("_gn"):
                layers.append(torch.nn.InstanceNorm3d(kernel.shape[4]))
        act = config.get("activation", "linear")
        if act != "linear":
            layers.append({"relu": torch.nn.ReLU(), "elu": torch.nn.ELU(), "gelu": torch.nn.GELU(), "sigmoid": torch.nn.Sigmoid()}[act])
    return torch.nn.Sequential(*layers)


NETWORKS = {
    "unet3d-64": (lambda: exports_peer.UNet(3, 1, 3, "instance", (16, 32, 64, 128)), (1, 1, 64, 64, 64)),
    "unet3d-128": (lambda: exports_peer.UNet(3, 1, 3, "instance", (16, 32, 64, 128)), (1, 1, 128, 128, 128)),
    "unet2d-256": (lambda: exports_peer.UNet(2, 1, 4, "batch", (16, 32, 64, 128)), (1, 1, 256, 256)),
    "swin-48": (lambda: exports_peer.SwinUNet(3, 12, 6, 48), (1, 1, 48, 48, 48)),
    "resnet-224": (exports_peer.ResNet, (1, 3, 224, 224)),
}


BRAINCHOP_NAMES = ("model5_gw_ae", "model11_gw_ae", "model20chan3cls", "model18cls", "model21_104class", "model30chan18cls", "model30chan50cls", "mindgrab")


def head():
    """The middle of the T1, 0 to 1, as the networks want it."""
    t1 = np.asarray(nibabel.load(BRAINCHOP.parent.parent / "data" / "brain" / "conformed_t1" / "t1_crop.nii.gz").dataobj, float)
    t1 = (t1 - t1.min()) / (t1.max() - t1.min())
    size = int(os.environ.get("BRAINCHOP_SIZE", "64"))
    at = [(d - size) // 2 for d in t1.shape]
    return torch.from_numpy(t1[at[0]:at[0] + size, at[1]:at[1] + size, at[2]:at[2] + size].astype("f4"))[None, None]


def run_chain(name):
    """A network of brainchop here, as its own file, and as a chain of layers in PyTorch."""
    net, x = chain(name).eval(), head()
    with tempfile.TemporaryDirectory(prefix="anode-bench-") as folder, torch.no_grad():
        wall, cpu, y = timed(net, x)
        x.numpy().astype("<f4").tofile(f"{folder}/input.bin")
        np.ascontiguousarray(y.numpy()).astype("<f4").tofile(f"{folder}/output.bin")
        described = json.loads((BRAINCHOP / name / "model.json").read_text())
        for layer in described["modelTopology"]["model_config"]["config"]["layers"]:
            if "batch_input_shape" in layer["config"]:  # as files ask for 256
                layer["config"]["batch_input_shape"] = [None, *x.shape[2:], 1]
        for part in described["weightsManifest"]:
            for path in part["paths"]:
                shutil.copy(BRAINCHOP / name / path, folder)
        pathlib.Path(folder, "model.json").write_text(json.dumps(described))
        report(name, wall, cpu, folder, f"{folder}/model.json", *[str(d) for d in x.shape[:1:-1]])


def timed(net, x):
    start, cpu = time.monotonic(), time.process_time()
    y = net(x)
    return time.monotonic() - start, time.process_time() - cpu, y


def report(name, wall, cpu, *arguments):
    done = subprocess.run([pathlib.Path(os.environ.get("BUILD", "build")) / "tests" / "bench_graph", *arguments], capture_output=True, text=True)
    print(f"{name}: PyTorch {wall:.2f} s, processor {cpu:.2f} s; here {(done.stdout or done.stderr).strip()}", flush=True)


def main(names):
    warnings.filterwarnings("ignore")
    torch.manual_seed(3)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    for name, (make, shape) in NETWORKS.items():
        if names and name not in names:
            continue
        net, x = make().eval(), torch.randn(shape)
        exports_peer.settle(net)
        with tempfile.TemporaryDirectory(prefix="anode-bench-") as folder, torch.no_grad():
            wall, cpu, y = timed(net, x)
            exports_peer.write(pathlib.Path(folder), net, x, y)
            report(name, wall, cpu, folder)
    for name in BRAINCHOP_NAMES if BRAINCHOP.is_dir() else ():
        if not names or name in names:
            run_chain(name)


if __name__ == "__main__":
    main(sys.argv[1:])
