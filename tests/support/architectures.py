"""Architectures as people bring them, small, with seeded weights: `ARCHITECTURES[name]()` gives module and inputs.

Each stands for a family: what its members are made of is here, in widths that compile in seconds.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Built = tuple[nn.Module, tuple[Tensor, ...]]
ARCHITECTURES: dict[str, Callable[[], Built]] = {}


def _architecture(*shape: int, vocabulary: int = 0) -> Callable[[Callable[[], nn.Module]], Callable[[], Built]]:
    """Registers a builder under its name; the input is of this shape, tokens of the vocabulary if there is one."""

    def decorated(build: Callable[[], nn.Module]) -> Callable[[], Built]:
        def seeded() -> Built:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                module = build().eval().requires_grad_(False)
                for part in module.modules():  # statistics that are not 0 and 1
                    if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
                        for statistic, least in ((part.running_mean, -0.5), (part.running_var, 0.5)):
                            assert statistic is not None
                            statistic.uniform_(least, least + 1)
                x = torch.randint(0, vocabulary, shape) if vocabulary else torch.randn(shape)
            return module, (x,)

        ARCHITECTURES[build.__name__] = seeded
        return seeded

    return decorated


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


@_architecture(1, 3, 32, 32)
def unet():
    return UNet(bilinear=False)


@_architecture(1, 3, 28, 36)
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


@_architecture(1, 3, 32, 32)
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


@_architecture(1, 3, 32, 32)
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


@_architecture(1, 3, 32, 32)
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


@_architecture(1, 3, 32, 32)
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


@_architecture(1, 3, 32, 32)
def shufflenet():
    return nn.Sequential(
        conv(3, 32, 3, 2, act=nn.ReLU()), ShuffleUnit(), ShuffleUnit(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


@_architecture(1, 3, 33, 33)
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


@_architecture(1, 3, 24, 24)
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


@_architecture(1, 3, 33, 45)
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


@_architecture(1, 3, 64, 64)
def detector():
    return Detector()


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool = False):
        super().__init__()
        self.qkv, self.out, self.heads, self.causal = (
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
            heads,
            causal,
        )

    def forward(self, x, mask=None):
        n, t, c = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=self.causal)
        return self.out(y.transpose(1, 2).reshape(n, t, c))


class Block(nn.Module):
    def __init__(self, width: int = 32, heads: int = 4, causal: bool = False):
        super().__init__()
        self.a, self.b = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, causal)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh" if causal else "none"), nn.Linear(4 * width, width)
        )

    def forward(self, x, mask=None):
        x = x + self.attention(self.a(x), mask)
        return x + self.mlp(self.b(x))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, 32, 8, 8), nn.Parameter(torch.randn(1, 1, 32))
        self.places, self.blocks = nn.Parameter(torch.randn(1, 17, 32)), nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.norm(self.blocks(x))[:, 0])


@_architecture(1, 3, 32, 32)
def vit():
    return ViT()


class SwinBlock(nn.Module):
    """Windows of a map that is rolled before and after."""

    def __init__(self, width: int = 32, window: int = 4, shift: int = 2):
        super().__init__()
        self.norm, self.attention, self.window, self.shift = nn.LayerNorm(width), Attention(width, 4), window, shift

    def forward(self, x):
        n, h, w, c = x.shape
        k = self.window
        y = torch.roll(self.norm(x), (-self.shift, -self.shift), (1, 2))
        y = y.view(n, h // k, k, w // k, k, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, k * k, c)
        y = self.attention(y).view(n, h // k, w // k, k, k, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        return x + torch.roll(y, (self.shift, self.shift), (1, 2))


@_architecture(1, 8, 8, 32)
def swin():
    return SwinBlock()


class Bert(nn.Module):
    """Embeddings, a mask made of the tokens, layers of attention with it, and a pooled first token."""

    def __init__(self):
        super().__init__()
        self.words, self.places, self.norm = nn.Embedding(50, 32, padding_idx=0), nn.Embedding(16, 32), nn.LayerNorm(32)
        self.layers = nn.ModuleList([Block(), Block()])
        self.pool = nn.Linear(32, 32)

    def forward(self, ids):
        x = self.norm(self.words(ids) + self.places(torch.arange(ids.shape[1]))[None])
        mask = (1.0 - (ids != 0).float())[:, None, None, :] * -10000.0
        for layer in self.layers:
            x = layer(x, mask)
        return x, torch.tanh(self.pool(x[:, 0]))


@_architecture(1, 12, vocabulary=50)
def bert():
    return Bert()


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.blocks = nn.Embedding(50, 32), nn.Sequential(Block(causal=True), Block(causal=True))

    def forward(self, ids):
        return self.blocks(self.words(ids)) @ self.words.weight.T


@_architecture(1, 12, vocabulary=50)
def gpt():
    return Gpt()


class Tagger(nn.Module):
    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU] | type[nn.RNN], **options):
        super().__init__()
        self.words, self.layers, self.last = (
            nn.Embedding(50, 16),
            kind(16, 24, batch_first=True, **options),
            nn.LazyLinear(5),
        )
        self.last(torch.zeros(1, 24 * (1 + options.get("bidirectional", False))))

    def forward(self, ids):
        y, _ = self.layers(self.words(ids))
        return F.log_softmax(self.last(y), -1)


@_architecture(1, 12, vocabulary=50)
def lstm_tagger():
    return Tagger(nn.LSTM, bidirectional=True, num_layers=2)


@_architecture(2, 12, vocabulary=50)
def gru_tagger():
    return Tagger(nn.GRU)


class Crnn(nn.Module):
    """Text lines: a map that is high at first and flat at last, read by recurrent layers from both sides."""

    def __init__(self):
        super().__init__()
        act = nn.LeakyReLU(0.1)
        self.features = nn.Sequential(
            conv(1, 16, act=act), nn.MaxPool2d(2), conv(16, 32, act=act), nn.MaxPool2d((4, 1))
        )
        self.layers, self.last = nn.LSTM(64, 32, bidirectional=True), nn.Linear(64, 20)

    def forward(self, x):
        x = self.features(x).flatten(1, 2).permute(2, 0, 1)
        return self.last(self.layers(x)[0]).softmax(-1).argmax(-1), self.layers(x)[0]


@_architecture(1, 1, 16, 40)
def crnn():
    return Crnn()


class Tcn(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(8 if k else 4, 8, 3, dilation=2**k) for k in range(3))
        self.norm, self.act = nn.InstanceNorm1d(8, affine=True), nn.PReLU(8)

    def forward(self, x):
        for k, layer in enumerate(self.layers):
            y = layer(F.pad(x, (2 * 2**k, 0)))
            x = self.act(self.norm(y)) + (x if k else 0)
        return x


@_architecture(1, 4, 50)
def tcn():
    return Tcn()


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


@_architecture(1, 3, 16, 16)
def sampler():
    return Sampler()


@_architecture(1, 64)
def autoencoder():
    return nn.Sequential(
        nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Softplus(), nn.Linear(16, 64), nn.Softsign(), nn.Linear(64, 3)
    )
