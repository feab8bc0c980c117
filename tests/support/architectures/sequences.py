"""Networks over sequences: recurrent and convolutional ones."""

import torch
from torch import nn
from torch.nn import functional as F

from tests.support.architectures.convolutional import conv
from tests.support.architectures.registration import architecture


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


@architecture(1, 12, vocabulary=50)
def lstm_tagger():
    return Tagger(nn.LSTM, bidirectional=True, num_layers=2)


@architecture(2, 12, vocabulary=50)
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


@architecture(1, 1, 16, 40)
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


@architecture(1, 4, 50)
def tcn():
    return Tcn()
