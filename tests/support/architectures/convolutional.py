"""Networks of convolutions: classifiers, segmentation, a detector."""

import torch
from torch import nn
from torch.nn import functional as F

from tests.support.architectures.registration import architecture


def conv(ci: int, co: int, k: int = 3, s: int = 1, groups: int = 1, act: nn.Module | None = None) -> nn.Sequential:
    layers = [nn.Conv2d(ci, co, k, s, k // 2, groups=groups, bias=False), nn.BatchNorm2d(co)]
    return nn.Sequential(*layers, *([act] if act else []))


class UNet(nn.Module):
    def __init__(self, bilinear: bool):
        super().__init__()
        act = nn.ReLU()
        self.stem, self.down = conv(3, 16, act=act), conv(16, 32, act=act)
        self.deep = conv(32, 64, act=act)
        self.bilinear = bilinear
        self.up1 = nn.Conv2d(64, 32, 1) if bilinear else nn.ConvTranspose2d(64, 32, 2, 2)
        self.up2 = nn.Conv2d(32, 16, 1) if bilinear else nn.ConvTranspose2d(32, 16, 2, 2)
        self.join1, self.join2 = conv(64, 32, act=act), conv(32, 16, act=act)
        self.last = nn.Conv2d(16, 2, 1)

    def raised(self, x, up, skip):
        if self.bilinear:
            return up(F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=True))
        return up(x)

    def forward(self, x):
        a = self.stem(x)
        b = self.down(F.max_pool2d(a, 2))
        c = self.deep(F.max_pool2d(b, 2))
        b = self.join1(torch.cat([self.raised(c, self.up1, b), b], 1))
        return self.last(self.join2(torch.cat([self.raised(b, self.up2, a), a], 1)))


@architecture(1, 3, 32, 32)
def unet():
    return UNet(bilinear=False)


@architecture(1, 3, 28, 36)
def unet_bilinear():
    return UNet(bilinear=True)


class SqueezeExcite(nn.Module):
    def __init__(self, c: int, r: int, gate: nn.Module):
        super().__init__()
        self.pool, self.a, self.b, self.gate = nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, r, 1), nn.Conv2d(r, c, 1), gate

    def forward(self, x):
        return x * self.gate(self.b(F.relu(self.a(self.pool(x)))))


class Inverted(nn.Module):
    def __init__(self, ci: int, wide: int, co: int, k: int, s: int, act: nn.Module, gate: nn.Module | None):
        super().__init__()
        squeeze = [SqueezeExcite(wide, wide // 4, gate)] if gate else []
        parts = [conv(ci, wide, 1, act=act), conv(wide, wide, k, s, wide, act), *squeeze, conv(wide, co, 1)]
        self.body, self.skip = nn.Sequential(*parts), s == 1 and ci == co

    def forward(self, x):
        return x + self.body(x) if self.skip else self.body(x)


@architecture(1, 3, 32, 32)
def mobilenet_v3():
    act, gate = nn.Hardswish(), nn.Hardsigmoid()
    return nn.Sequential(
        conv(3, 16, 3, 2, act=act),
        Inverted(16, 16, 16, 3, 2, nn.ReLU(), gate),
        Inverted(16, 64, 24, 5, 1, act, gate),
        Inverted(24, 72, 24, 5, 1, act, None),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 64),
        act,
        nn.Linear(64, 10),
    )


@architecture(1, 3, 32, 32)
def efficientnet():
    act, gate = nn.SiLU(), nn.Sigmoid()
    blocks = [Inverted(16, 64, 24, 3, 2, act, gate), Inverted(24, 96, 24, 5, 1, act, gate)]
    return nn.Sequential(
        conv(3, 16, 3, 2, act=act), *blocks, conv(24, 64, 1, act=act), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


class ConvNeXtBlock(nn.Module):
    def __init__(self, c: int):
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(c, c, 7, padding=3, groups=c), nn.LayerNorm(c)
        self.wide, self.narrow, self.scale = nn.Linear(c, 4 * c), nn.Linear(4 * c, c), nn.Parameter(torch.ones(c) / 2)

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.narrow(F.gelu(self.wide(y)))).permute(0, 3, 1, 2)


@architecture(1, 3, 32, 32)
def convnext():
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, 4), ConvNeXtBlock(32), ConvNeXtBlock(32), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


class DenseBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(16 + 8 * k), nn.ReLU(), nn.Conv2d(16 + 8 * k, 8, 3, 1, 1)) for k in range(3)
        )

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


@architecture(1, 3, 32, 32)
def densenet():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1),
        DenseBlock(),
        nn.BatchNorm2d(40),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(40, 5),
    )


class ShuffleUnit(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(
            conv(16, 16, 1, act=nn.ReLU()), conv(16, 16, 3, groups=16), conv(16, 16, 1, act=nn.ReLU())
        )

    def forward(self, x):
        a, b = x.chunk(2, 1)
        x = torch.cat([a, self.branch(b)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


@architecture(1, 3, 32, 32)
def shufflenet():
    return nn.Sequential(
        conv(3, 32, 3, 2, act=nn.ReLU()), ShuffleUnit(), ShuffleUnit(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


@architecture(1, 3, 33, 33)
def resnext():
    body = nn.Sequential(conv(32, 32, 1, act=nn.ReLU()), conv(32, 32, 3, groups=4, act=nn.ReLU()), conv(32, 32, 1))
    return nn.Sequential(
        conv(3, 32, 7, 2, act=nn.ReLU()),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        body,
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(3),
    )


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        act = nn.ReLU()
        self.one, self.tall = (
            conv(16, 8, 1, act=act),
            nn.Sequential(nn.Conv2d(16, 8, (1, 7), padding=(0, 3)), nn.Conv2d(8, 8, (7, 1), padding=(3, 0))),
        )
        self.pooled = nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), conv(16, 8, 1, act=act))

    def forward(self, x):
        return torch.cat([self.one(x), self.tall(x), self.pooled(x)], 1)


@architecture(1, 3, 24, 24)
def inception():
    return nn.Sequential(
        conv(3, 16, 3, 2, act=nn.ReLU()), Inception(), nn.MaxPool2d(3, 2), nn.Flatten(), nn.Linear(600, 10)
    )


class DeepLabHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv(3, 16, 3, 4, act=nn.ReLU())
        self.rates = nn.ModuleList(nn.Conv2d(16, 8, 3, padding=r, dilation=r) for r in (1, 2, 4))
        self.pool, self.last = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 8, 1)), nn.Conv2d(32, 5, 1)

    def forward(self, x):
        y = self.stem(x)
        pooled = F.interpolate(self.pool(y), size=y.shape[2:], mode="bilinear", align_corners=False)
        y = self.last(torch.cat([*(rate(y) for rate in self.rates), pooled], 1))
        return F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=False)


@architecture(1, 3, 33, 45)
def deeplab():
    return DeepLabHead()


class Detector(nn.Module):
    """A neck that goes up by nearest pixels, and a head that splits, decodes with a grid and keeps the best."""

    def __init__(self):
        super().__init__()
        act = nn.SiLU()
        self.stem, self.down = conv(3, 16, 3, 4, act=act), conv(16, 32, 3, 2, act=act)
        self.pools = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (5, 9))
        self.squeeze, self.neck = conv(96, 32, 1, act=act), conv(48, 32, act=act)
        self.heads = nn.ModuleList([nn.Conv2d(32, 9, 1), nn.Conv2d(32, 9, 1)])

    def forward(self, x):
        a = self.stem(x)
        b = self.down(a)
        b = self.squeeze(torch.cat([b, *(pool(b) for pool in self.pools)], 1))
        a = self.neck(torch.cat([F.interpolate(b, scale_factor=2.0, mode="nearest"), a], 1))
        decoded = []
        for stride, head, y in zip((4, 8), self.heads, (a, b), strict=True):
            h, w = (y := head(y)).shape[2:]
            rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            grid = torch.stack([columns, rows]).float()[None]
            xy, wh, rest = y.split((2, 2, 5), 1)
            box = torch.cat(
                [(xy.sigmoid() * 2 - 0.5 + grid) * stride, (wh.sigmoid() * 2) ** 2 * stride, rest.sigmoid()], 1
            )
            decoded.append(box.flatten(2).transpose(1, 2))
        boxes = torch.cat(decoded, 1)
        score, place = (boxes[..., 4:5] * boxes[..., 5:]).max(-1)
        best, order = score.topk(10, dim=1)
        return torch.gather(boxes, 1, order[..., None].expand(-1, -1, 9)), best, torch.gather(place, 1, order)


@architecture(1, 3, 64, 64)
def detector():
    return Detector()
