"""Networks of the kinds that the field exports, with random weights, as PyTorch writes them: model.onnx, input.bin and
output.bin (floats) in a folder each. Exit status 77: there is no PyTorch.
"""
import pathlib
import sys
import warnings

import numpy as np

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError:
    sys.exit(77)


class Block(nn.Module):
    """Two convolutions with norms, as nnU-Net has them."""

    def __init__(self, axes, channels_in, channels, norm, stride=1):
        super().__init__()
        conv, norms = (nn.Conv2d, nn.Conv3d)[axes - 2], {"instance": (nn.InstanceNorm2d, nn.InstanceNorm3d), "batch": (nn.BatchNorm2d, nn.BatchNorm3d),
                                                         "group": (lambda c: nn.GroupNorm(2, c),) * 2}[norm][axes - 2]
        self.layers = nn.Sequential(conv(channels_in, channels, 3, stride, 1), norms(channels, affine=True) if norm == "instance" else norms(channels),
                                    nn.LeakyReLU(0.01), conv(channels, channels, 3, 1, 1), nn.GroupNorm(2, channels) if norm == "group" else norms(channels),
                                    nn.LeakyReLU(0.01))

    def forward(self, x):
        return self.layers(x)


class UNet(nn.Module):
    def __init__(self, axes, channels_in, classes, norm, widths, transposed=True):
        super().__init__()
        up = (nn.ConvTranspose2d, nn.ConvTranspose3d)[axes - 2]
        self.down = nn.ModuleList([Block(axes, a, b, norm, 1 if i == 0 else 2) for i, (a, b) in enumerate(zip([channels_in, *widths], widths))])
        mode = "trilinear" if axes == 3 else "bilinear"
        self.up = nn.ModuleList([up(b, a, 2, 2) if transposed else
                                 nn.Sequential(nn.Upsample(scale_factor=2, mode=mode, align_corners=False), (nn.Conv2d, nn.Conv3d)[axes - 2](b, a, 1))
                                 for a, b in zip(widths, widths[1:])])
        self.join = nn.ModuleList([Block(axes, 2 * a, a, norm) for a in widths[:-1]])
        self.out = (nn.Conv2d, nn.Conv3d)[axes - 2](widths[0], classes, 1)

    def forward(self, x):
        kept = []
        for block in self.down:
            x = block(x)
            kept.append(x)
        for up, join, beside in list(zip(self.up, self.join, kept))[::-1]:
            x = join(torch.cat([up(x), beside], 1))
        return self.out(x)


class Residual(nn.Module):
    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
                                  nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))
        self.beside = nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        return F.relu(self.body(x) + self.beside(x))


class ResNet(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1), Residual(8, 8, 1), Residual(8, 16, 2),
                         Residual(16, 32, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(32, 10), nn.Softmax(1))


def windows(x, size):
    """[batch, d, h, w, c] into [windows, voxels, c], as SwinUNETR has it."""
    b, d, h, w, c = x.shape
    x = x.view(b, d // size, size, h // size, size, w // size, size, c)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).contiguous().view(-1, size**3, c)


def joined(x, size, shape):
    b, d, h, w, c = shape
    x = x.view(b, d // size, h // size, w // size, size, size, size, c)
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).contiguous().view(b, d, h, w, c)


class Swin(nn.Module):
    """A block of attention in windows, shifted or not, with a table of relative places."""

    def __init__(self, channels, heads, size, shift):
        super().__init__()
        self.heads, self.size, self.shift = heads, size, shift
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.table = nn.Parameter(torch.randn((2 * size - 1)**3, heads) * 0.1)
        grid = torch.stack(torch.meshgrid(*[torch.arange(size)] * 3, indexing="ij")).flatten(1)
        relative = (grid[:, :, None] - grid[:, None, :] + size - 1)
        n = 2 * size - 1
        self.register_buffer("places", (relative[0] * n * n + relative[1] * n + relative[2]))

    def mask(self, shape):
        mask = torch.zeros((1, *shape[1:4], 1))
        count = 0
        cuts = (slice(-self.size), slice(-self.size, -self.shift), slice(-self.shift, None))
        for d in cuts:
            for h in cuts:
                for w in cuts:
                    mask[:, d, h, w] = count
                    count += 1
        flat = windows(mask, self.size).squeeze(-1)
        differ = flat.unsqueeze(1) - flat.unsqueeze(2)
        return differ.masked_fill(differ != 0, -100.0)

    def forward(self, x):
        shape = x.shape
        beside, x = x, self.norm1(x)
        if self.shift:
            x = torch.roll(x, shifts=(-self.shift,) * 3, dims=(1, 2, 3))
        x = windows(x, self.size)
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        attention = (q * (c // self.heads)**-0.5) @ k.transpose(-2, -1)
        attention = attention + self.table[self.places.reshape(-1)].reshape(n, n, -1).permute(2, 0, 1).unsqueeze(0)
        if self.shift:
            mask = self.attention_mask
            attention = attention.view(b // mask.shape[0], mask.shape[0], self.heads, n, n) + mask.unsqueeze(1).unsqueeze(0)
            attention = attention.view(-1, self.heads, n, n)
        x = (attention.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c)
        x = joined(self.proj(x), self.size, shape)
        if self.shift:
            x = torch.roll(x, shifts=(self.shift,) * 3, dims=(1, 2, 3))
        x = beside + x
        return x + self.mlp(self.norm2(x))


class SwinUNet(nn.Module):
    """Patches, two blocks of attention, merged patches, and back by convolutions: SwinUNETR in small."""

    def __init__(self, classes=3, channels=8, size=4, dim=16):
        super().__init__()
        self.embed = nn.Conv3d(1, channels, 2, 2)
        self.blocks = nn.ModuleList([Swin(channels, 2, size, 0), Swin(channels, 2, size, size // 2)])
        self.blocks[1].attention_mask = self.blocks[1].mask((1, dim // 2, dim // 2, dim // 2, 1))
        self.norm, self.merge = nn.LayerNorm(8 * channels), nn.Linear(8 * channels, 2 * channels, bias=False)
        self.up0, self.up1 = nn.ConvTranspose3d(2 * channels, channels, 2, 2), nn.ConvTranspose3d(channels, channels, 2, 2)
        self.encode, self.join = Block(3, 1, channels, "instance"), Block(3, 2 * channels, channels, "instance")
        self.out = nn.Conv3d(channels, classes, 1)

    def forward(self, x):
        y = self.embed(x).permute(0, 2, 3, 4, 1)
        for block in self.blocks:
            y = block(y)
        hidden = y.permute(0, 4, 1, 2, 3)
        merged = torch.cat([y[:, i::2, j::2, k::2] for i in range(2) for j in range(2) for k in range(2)], -1)
        merged = self.merge(self.norm(merged)).permute(0, 4, 1, 2, 3)
        z = self.up1(self.up0(merged) + F.layer_norm(hidden, hidden.shape[-1:]))
        return self.out(self.join(torch.cat([z, self.encode(x)], 1)))


NETWORKS = {
    "unet3d": (lambda: UNet(3, 1, 3, "instance", (6, 10, 12)), (1, 1, 16, 24, 20)),
    "unet2d": (lambda: UNet(2, 2, 2, "batch", (6, 9, 16), transposed=False), (1, 2, 40, 32)),
    "group3d": (lambda: UNet(3, 1, 2, "group", (4, 8)), (1, 1, 8, 12, 12)),
    "resnet": (ResNet, (1, 3, 56, 64)),
    "swin": (SwinUNet, (1, 1, 16, 16, 16)),
}


def settle(net):
    """Statistics of norms as if they had been trained."""
    for part in net.modules():
        if isinstance(part, (nn.BatchNorm2d, nn.BatchNorm3d)):
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2)


def write(folder, net, x, y):
    torch.onnx.export(net, x, str(folder / "model.onnx"), opset_version=16, input_names=["in"], output_names=["out"])
    x.numpy().astype("<f4").tofile(folder / "input.bin")
    np.ascontiguousarray(y.numpy()).astype("<f4").tofile(folder / "output.bin")


def main(folder):
    warnings.filterwarnings("ignore")
    torch.manual_seed(3)
    torch.set_num_threads(1)
    for name, (make, shape) in NETWORKS.items():
        net, x = make().eval(), torch.randn(shape)
        settle(net)
        (folder / name).mkdir()
        with torch.no_grad():
            write(folder / name, net, x, net(x))
    return 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
