"""The pretrained stem: the first blocks of EfficientNet-Lite0, without batch norms.

The paper starts from a pretrained network, too (MAE, section 4.1). Ours is small:
0.7 million parameters see edges, textures and parts at strides 2 to 16. The batch norms
of the published weights are folded into the convolutions (`training.pretrained`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from napari_seggpt.preprocessing import MEAN, STD

if TYPE_CHECKING:
    from torch import Tensor

# Of each stage of EfficientNet-Lite0: blocks, expansion, kernel and stride.
STAGES = ((1, 1, 3, 1), (2, 6, 3, 2), (2, 6, 5, 2), (3, 6, 3, 2), (3, 6, 5, 1))
LEVEL_STRIDES = (2, 2, 4, 8, 16, 16)  # of the stem's first convolution and each stage
# EfficientNet-Lite0 takes (value - 127) / 128 of 8-bit values.
CENTRE, SPREAD = 127.0, 128.0


class SameConv(nn.Conv2d):
    """A convolution that pads as TensorFlow does: odd rows go below, to the right."""

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(channels, out, kernel, stride, kernel // 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, D, ceil(H / stride), ceil(W / stride))."""
        stride, kernel = self.stride[0], self.kernel_size[0]
        if stride == 1:
            return super().forward(x)
        missing = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in
                   (x.shape[3], x.shape[2])]  # fmt: skip
        padding = [part for n in missing for part in (n // 2, n - n // 2)]
        return F.conv2d(F.pad(x, padding), self.weight, self.bias, stride, 0, 1,
                        self.groups)  # fmt: skip


class MobileBlock(nn.Module):
    """An inverted bottleneck: expand, filter each channel, project."""

    def __init__(
        self, channels: int, out: int, *, expansion: int, kernel: int, stride: int
    ) -> None:
        super().__init__()
        hidden = channels * expansion
        self.expand = SameConv(channels, hidden, 1) if expansion > 1 else None
        self.filter = SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = SameConv(hidden, out, 1)
        self.adds = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, D, H / stride, W / stride)."""
        hidden = x if self.expand is None else F.relu6(self.expand(x))
        projected = self.project(F.relu6(self.filter(hidden)))
        return x + projected if self.adds else projected


class PretrainedStem(nn.Module):
    """Features of a picture at strides 2, 2, 4, 8, 16 and 16.

    Parameters
    ----------
    widths : tuple of int
        Channels of the six levels; (32, 16, 24, 40, 80, 112) in EfficientNet-Lite0.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.first = SameConv(3, widths[0], 3, stride=2)
        self.stages = nn.ModuleList()
        for channels, out, (count, expansion, kernel, stride) in zip(
            widths[:-1], widths[1:], STAGES, strict=True
        ):
            self.stages.append(
                nn.Sequential(
                    *(
                        MobileBlock(
                            out if number else channels,
                            out,
                            expansion=expansion,
                            kernel=kernel,
                            stride=1 if number else stride,
                        )
                        for number in range(count)
                    )
                )
            )
        scale, shift = STD * 255 / SPREAD, (MEAN * 255 - CENTRE) / SPREAD
        for name, values in (("scale", scale), ("shift", shift)):
            constant = torch.from_numpy(values.astype(np.float32))[:, None, None]
            self.register_buffer(name, constant, persistent=False)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Return the six levels of pictures (B, 3, H, W), normalised as for the ViT.

        Sides that are multiples of 16 divide evenly.
        """
        x = F.relu6(self.first(picture * self.scale + self.shift))
        levels = [x]
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return levels
