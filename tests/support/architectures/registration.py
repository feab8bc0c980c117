"""How an architecture comes into the table."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Built = tuple[nn.Module, tuple[Tensor, ...]]
ARCHITECTURES: dict[str, Callable[[], Built]] = {}


def architecture(*shape: int, vocabulary: int = 0) -> Callable[[Callable[[], nn.Module]], Callable[[], Built]]:
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
