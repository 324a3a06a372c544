#!/usr/bin/python3
"""Networks here and in PyTorch on the processor, one after the other on the same machine: seconds of each, and the ratio.
usage: bench_pytorch.py [NETWORK...]
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

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
            conv.weight.data, conv.bias.data = kernel.permute(4, 3, 0, 1, 2).contiguous(), weights[config["name"] + "/bias"]
            layers.append(conv)
        act = config.get("activation", "linear")
        if act != "linear":
            layers.append({"relu": torch.nn.ReLU(), "elu": torch.nn.ELU()}[act])
    return torch.nn.Sequential(*layers)


NETWORKS = {
    "unet3d-64": (lambda: exports_peer.UNet(3, 1, 3, "instance", (16, 32, 64, 128)), (1, 1, 64, 64, 64)),
    "unet3d-128": (lambda: exports_peer.UNet(3, 1, 3, "instance", (16, 32, 64, 128)), (1, 1, 128, 128, 128)),
    "unet2d-256": (lambda: exports_peer.UNet(2, 1, 4, "batch", (16, 32, 64, 128)), (1, 1, 256, 256)),
    "swin-48": (lambda: exports_peer.SwinUNet(3, 12, 6, 48), (1, 1, 48, 48, 48)),
    "resnet-224": (exports_peer.ResNet, (1, 3, 224, 224)),
    "model5-128": (lambda: chain("model5_gw_ae"), (1, 1, 128, 128, 128)),
}


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
            start, cpu = time.monotonic(), time.process_time()
            y = net(x)
            wall, cpu = time.monotonic() - start, time.process_time() - cpu
            exports_peer.write(pathlib.Path(folder), net, x, y)
            done = subprocess.run([pathlib.Path(os.environ.get("BUILD", "build")) / "tests" / "bench_graph", folder], capture_output=True, text=True)
        print(f"{name}: PyTorch {wall:.2f} s, processor {cpu:.2f} s; here {(done.stdout or done.stderr).strip()}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
