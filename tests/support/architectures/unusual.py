"""What is seldom, in one model or alone."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from tests.support.architectures.registration import architecture


class Sampler(nn.Module):
    """What is seldom: grids, group norm, einsum, scatter, reflection, mish, cubic and antialiased resizing."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), nn.GroupNorm(4, 8)
        self.theta = nn.Parameter(torch.tensor([[[0.9, 0.1, 0.0], [-0.1, 1.1, 0.1]]]))

    def forward(self, x):
        x = F.mish(self.norm(self.first(x)))
        grid = F.affine_grid(self.theta, [1, 8, 12, 12], align_corners=False)
        x = F.grid_sample(x, grid, align_corners=False, padding_mode="border")
        x = F.interpolate(x, size=(17, 9), mode="bicubic", align_corners=False)
        y = torch.einsum("nchw,ndhw->ncd", x, x) / math.prod(x.shape[2:])
        y = y.scatter(2, torch.zeros(1, 8, 1, dtype=torch.long), -1.0)
        return (
            F.interpolate(x, scale_factor=2, mode="nearest"),
            F.pixel_shuffle(x, 2).cumsum(-1),
            F.elu(y),
            F.normalize(y, dim=-1),
        )


@architecture(1, 3, 16, 16)
def sampler():
    return Sampler()


@architecture(1, 64)
def autoencoder():
    return nn.Sequential(
        nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Softplus(), nn.Linear(16, 64), nn.Softsign(), nn.Linear(64, 3)
    )
