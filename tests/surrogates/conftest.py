from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from raydgp.surrogates.deepgp_kind import DeepGPKind
from raydgp.surrogates.history import History
from raydgp.surrogates.kinds import PretrainSettings
from raydgp.surrogates.pretrain import pretrain
from raydgp.surrogates.scorer import Shape
from raydgp.surrogates.threads import limited
from raydgp.surrogates.training import Training

NAMES = ("tile_a.0", "tile_a.1", "tile_b.0", "auto_unroll_max_step")
SMALL = Shape(hidden=(3, 3), inducing=24)
QUICK = Training(epochs=60, rate=0.05)


def measured(n: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A task with a peak at tile_a.0 = 2^(3 + shift): features, GFLOPS, valid."""
    rng = np.random.default_rng(seed)
    log2 = rng.integers(0, 7, size=(n, 3))
    step = rng.choice([0, 512, 1500], size=n)
    features = np.concatenate([2.0**log2, step[:, None]], axis=1).astype(np.float32)
    speed = np.exp(-0.15 * (log2[:, 0] - 3 - shift) ** 2 - 0.05 * (log2[:, 2] - 2) ** 2) * (1 + 0.2 * (step > 0))
    valid = log2[:, 1] < 6
    return features, np.where(valid, 1000.0 * (seed + 1) * speed, 0.0), valid


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small matrices gain nothing by a second thread and lose much where other processes want it."""
    with limited(1):
        yield


@pytest.fixture(scope="session")
def toy() -> SimpleNamespace:
    """Tasks whose speed is known, and settings that train in a second."""
    kind = DeepGPKind(SMALL, QUICK)
    return SimpleNamespace(
        names=NAMES, kind=kind, shape=SMALL, training=QUICK, settings=PretrainSettings(epochs=60), measured=measured
    )


@pytest.fixture(scope="session")
def history() -> History:
    parts = [measured(80, seed) for seed in range(3)]
    features, gflops, valid = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return History(NAMES, features, gflops, valid, np.repeat(np.arange(3), 80))


@pytest.fixture(scope="session")
def pretrained(history):
    with limited(1):
        return pretrain(DeepGPKind(SMALL, QUICK), history, PretrainSettings(epochs=QUICK.epochs))
