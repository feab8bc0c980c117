"""Transformers of images and of words."""

import torch
from torch import nn
from torch.nn import functional as F

from tests.support.architectures.registration import architecture


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


@architecture(1, 3, 32, 32)
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


@architecture(1, 8, 8, 32)
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


@architecture(1, 12, vocabulary=50)
def bert():
    return Bert()


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.blocks = nn.Embedding(50, 32), nn.Sequential(Block(causal=True), Block(causal=True))

    def forward(self, ids):
        return self.blocks(self.words(ids)) @ self.words.weight.T


@architecture(1, 12, vocabulary=50)
def gpt():
    return Gpt()
