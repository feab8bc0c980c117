"""Fitting a deep GP: where it starts, and how its bound is raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gpytorch
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor

from raydgp.surrogates.deepgp import DeepGP

_KMEANS_ROWS = 8192  # of the data, drawn at random, that the inducing inputs are clustered from


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a bound is raised; the paper's values where it gives one.

    The learning rate follows the RMSE of the predicted labels over an epoch: whenever it has not fallen by the share
    `gain` below its best for `patience` epochs, the rate is halved; below `least_rate` training ends.

    Attributes:
        epochs: at most.
        batch: data points in a step.
        rate: of Adam, at the start.
        samples: Monte-Carlo samples of the hidden layers in a step.
    """

    epochs: int = 3000
    batch: int = 256
    rate: float = 0.04
    samples: int = 1
    gain: float = 0.005
    patience: int = 10
    least_rate: float = 0.0012


@dataclass(frozen=True)
class Trained:
    """What became of a training: epochs run, RMSE of the standardised labels in the last, and the rate at its end."""

    epochs: int
    rmse: float
    rate: float


def initialised(x: Tensor, hidden: tuple[int, ...], inducing: int, validity: bool, seed: int) -> DeepGP:
    """A model whose layers pass their inputs on: [n, d], in the dtype and on the device of x.

    Linear means project on the principal axes at first and copy afterwards (Salimbeni and Deisenroth 2017); inducing
    inputs are k-means centres of the data, passed on by the means; hidden layers start nearly without noise.
    """
    with torch.random.fork_rng(devices=[]):  # modules draw their start from the global stream; all of it is replaced
        model = DeepGP(x.shape[1], hidden, inducing, validity).to(x)
    rng = np.random.default_rng(seed)
    data = x.detach().cpu().double().numpy()
    z = torch.as_tensor(_centres(data[rng.permutation(len(data))[:_KMEANS_ROWS]], inducing, rng)).to(x)
    _, _, axes = np.linalg.svd(data - data.mean(0), full_matrices=True)
    with torch.no_grad():
        for depth, layer in enumerate(model.layers):
            outputs, _, inputs = layer.inducing.shape
            layer.inducing.copy_(z.expand(outputs, -1, -1))
            if isinstance(layer.mean, gpytorch.means.LinearMean):
                projection = axes[:inputs].T if depth == 0 else np.eye(inputs)
                weights = np.tile(projection, -(-outputs // inputs))[:, :outputs]
                layer.mean.weights.copy_(torch.as_tensor(weights.T[..., None]))
                layer.mean.bias.zero_()
                layer.q_root.mul_(1e-2)
                z = z @ torch.as_tensor(weights).to(x)
            spread = z.std(0).mean().clamp_min(0.1) if depth else torch.ones((), dtype=x.dtype)
            layer.kernel.base_kernel.lengthscale = spread.item() * np.sqrt(inputs)
        model.likelihood.noise = 0.1
    return model


def train(
    model: DeepGP,
    x: Tensor,
    y: Tensor,
    valid: Tensor,
    settings: Training,
    seed: int,
    complexity: Callable[[], Tensor] | None = None,
) -> Trained:
    """Raises the bound of a model in place with Adam.

    Args:
        x: [n, d]; y: [n], standardised labels; valid: bool[n].
        complexity: what is taken off the mean log-likelihood of a data point; KL(q || p) / n by default.
    """
    n = len(x)
    penalty = complexity or (lambda: model.kl() / n)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.rate, betas=(0.9, 0.99))
    counted = valid if model.validity else torch.ones_like(valid)
    epoch, rmse = -1, float("nan")
    best, best_at, rate = float("inf"), 0, settings.rate
    for epoch in range(settings.epochs):
        error = 0.0
        for rows in torch.randperm(n, generator=generator).to(x.device).split(settings.batch):
            optimiser.zero_grad()
            f = model(x[rows], model.noise(settings.samples, len(rows), generator))
            (penalty() - model.data_term(f, y[rows], valid[rows])).backward()
            optimiser.step()
            residual = (f[0][..., 0].detach().mean(0) - y[rows]) * counted[rows]
            error += residual.square().sum().item()
        rmse = (error / max(1, int(counted.sum()))) ** 0.5
        if rmse < best * (1 - settings.gain):
            best, best_at = rmse, epoch
        elif epoch - best_at >= settings.patience:
            best_at, rate = epoch, rate / 2
            if rate < settings.least_rate:
                break
            for group in optimiser.param_groups:
                group["lr"] = rate
    return Trained(epoch + 1, rmse, rate)


def _centres(data: NDArray[np.float64], k: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """k-means centres, [n, d] -> [k, d]; with fewer than k distinct rows the rest are those rows, shaken a little."""
    distinct = np.unique(data, axis=0)
    if len(distinct) > k:
        means = KMeans(k, n_init=1, max_iter=20, random_state=int(rng.integers(2**31))).fit(distinct)
        return np.asarray(means.cluster_centers_, np.float64)
    extra = distinct[rng.integers(len(distinct), size=k - len(distinct))]
    return np.concatenate([distinct, extra + 0.1 * rng.standard_normal(extra.shape)])
