"""A deep GP together with its encoding: what a search gives raw features to and gets numbers back from."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raydgp.surrogates.deepgp import DeepGP
from raydgp.surrogates.encoding import Encoding, Rows, relative
from raydgp.surrogates.sparse_gp import Factors
from raydgp.surrogates.training import Training, initialised, train
from raydgp.surrogates.transfer import Transfer, TransferredModel, tune

_log = logging.getLogger(__name__)


class Moments(NamedTuple):
    """Predictions in shares of the task's best GFLOPS, as float64[n].

    Attributes:
        mean, std: of the noiseless performance; with a validity output, of configurations that run.
        runs: probability that the configuration runs; 1 without a validity output.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    runs: NDArray[np.float64]


@dataclass(frozen=True)
class Scorer:
    """Predicts performance from raw features. Immutable: tuning gives another one.

    Attributes:
        samples: Monte-Carlo samples of the hidden layers in a prediction.
        strength: lambda that it was tuned with; None if it was not, or with form B.
    """

    model: DeepGP
    encoding: Encoding
    samples: int = 4
    strength: float | None = None

    @cached_property
    def _factors(self) -> list[Factors]:
        return self.model.factors()

    def moments(self, features: Rows) -> Moments:
        """float32[n, d] as of `ConfigSpace.features`."""
        x = self._tensor(self.encoding.features(features))
        mean, variance = self.model.predict(x, self.samples, seed=0, factors=self._factors)
        scale, centre = self.encoding.label_std, self.encoding.label_mean
        runs = np.ones(len(mean))
        if self.model.validity:
            probit = torch.as_tensor(mean[:, 1] / np.sqrt(1 + variance[:, 1]))
            runs = torch.special.ndtr(probit).numpy()
        return Moments(centre + scale * mean[:, 0], scale * np.sqrt(variance[:, 0]), runs)

    def predict(self, features: Rows) -> NDArray[np.float64]:
        """Expected performance, that of a configuration that fails counted as 0: float32[n, d] -> float64[n]."""
        moments = self.moments(features)
        return moments.mean * moments.runs

    def expected(self, features: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Expected performance of those that run, and the probability that they do: float32[n, d] -> float64[n] x 2."""
        moments = self.moments(features)
        return moments.mean, moments.runs

    def tuned(
        self, features: Rows, gflops: NDArray[np.float64], valid: NDArray[np.bool_], settings: Transfer, seed: int
    ) -> Scorer:
        """A scorer tuned on a task's measurements: float32[n, d], float64[n], bool[n], n >= 1."""
        x = self._tensor(self.encoding.features(features))
        y, ok = self._tensor(self.encoding.labels(relative(gflops, valid))), self._tensor(valid)
        result: TransferredModel = tune(self.model, x, y, ok, settings, seed)
        return Scorer(result.model, self.encoding, self.samples, result.strength)

    def _tensor(self, array: NDArray) -> Tensor:
        return torch.as_tensor(array).to(self.model.layers[0].inducing.device)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Size of a deep GP; the paper's values."""

    hidden: tuple[int, ...] = (10, 14)
    inducing: int = 128
    validity: bool = False


def fitted(
    names: tuple[str, ...],
    features: Rows,
    labels: NDArray[np.float64],
    valid: NDArray[np.bool_],
    shape: Shape,
    training: Training,
    seed: int,
    device: str = "cpu",
) -> Scorer:
    """A scorer fitted from scratch.

    Args:
        names: feature columns.
        features: float32[n, d].
        labels: float64[n], `relative` to each task's best.
        valid: bool[n].
        device: where the model lives, `cpu` or `cuda`.
    """
    encoding = Encoding.fit(names, features, labels)
    x = torch.as_tensor(encoding.features(features)).to(device)
    y, ok = torch.as_tensor(encoding.labels(labels)).to(device), torch.as_tensor(valid).to(device)
    model = initialised(x, shape.hidden, min(shape.inducing, max(2, len(x))), shape.validity, seed)
    trained = train(model, x, y, ok, training, seed)
    _log.info("deep GP trained on %d rows: %d epochs, RMSE %.3f", len(x), trained.epochs, trained.rmse)
    return Scorer(model, encoding)
