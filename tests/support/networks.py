"""Small networks that have what large ones have."""

import torch
from torch import nn
from tvm.relax.frontend.torch import from_exported_program

from raydgp.models.folding import fold_batch_norms

# a file of the user's; %d seeds its weights
MODEL = """
import torch
from torch import nn

def small():
    with torch.random.fork_rng():
        torch.manual_seed(%d)
        model = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, 1, 1, groups=32), nn.ReLU6(), nn.Conv2d(32, 64, 1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10), nn.Softmax(-1),
        )
        return model.eval(), (torch.randn(1, 3, 32, 32),)
"""


class Everything(nn.Module):
    """What the networks have: residuals, depthwise, concatenation, pools, odd channel counts, two outputs."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3, 2, 1)
        self.left, self.right = nn.Conv2d(32, 32, 3, 1, 1), nn.Conv2d(32, 32, 1, bias=False)
        self.deep = nn.Conv2d(32, 32, 3, 1, 1, groups=32)
        self.narrow, self.wide = nn.Conv2d(32, 16, 1), nn.Conv2d(32, 48, 3, padding=1)
        self.odd = nn.Conv2d(64, 30, 1)
        self.after_odd = nn.Conv2d(30, 20, 3)
        self.grouped = nn.Conv2d(20, 20, 1, groups=2)
        self.dense, self.last = nn.Linear(20, 50), nn.Linear(50, 50)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.first(x)), 3, 2, 1)
        x = torch.relu(self.left(x) + self.right(x))
        x = nn.functional.relu6(self.deep(x))
        x = torch.cat([torch.relu(self.narrow(x)), torch.sigmoid(self.wide(x)) * 2], 1)
        x = nn.functional.avg_pool2d(x, 2)
        x = self.grouped(torch.tanh(self.after_odd(torch.sigmoid(self.odd(x)))))
        y = torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1)
        y = torch.relu(self.dense(y))
        return x, self.last(y) + y


def imported(module, inputs):
    program = torch.export.export(module, inputs)
    return fold_batch_norms(from_exported_program(program, keep_params_as_input=False, unwrap_unit_return_tuple=True))


class _Words(nn.Module):
    """Indices in, numbers and indices out, a weight beyond what a bundle carries, and an array that is used twice."""

    def __init__(self):
        super().__init__()
        self.table, self.first, self.last = nn.Embedding(300, 64), nn.Linear(64, 64), nn.Linear(64, 20)

    def forward(self, ids):
        x = self.table(ids)
        x = torch.relu(self.first(x)) + x
        scores = self.last(x)
        return scores, torch.argmax(scores, -1)


class _Images(nn.Module):
    """A few layers that a stand-in for a GPU runs in no time: a residual, so that buffers take turns, and a pool."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 8, 1)
        self.last = nn.Linear(128, 10)

    def forward(self, x):
        x = torch.relu(self.first(x))
        x = torch.relu(self.second(x) + x)
        return self.last(torch.flatten(nn.functional.max_pool2d(x, 2), 1))


def words():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return _Words().eval(), (torch.arange(6).reshape(1, 6),)


def images():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return _Images().eval(), (torch.randn(1, 3, 8, 8),)
