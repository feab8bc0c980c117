"""Tuning a pre-trained deep GP on a new task: Formulation (6) of the deep-GP paper, MAP around the source's model.

The paper's main text with Formulation (6) could not be had; docs/facts.md, Deep Gaussian processes, derives both forms.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from raydgp.surrogates.deepgp import DeepGP
from raydgp.surrogates.ranking import rank_correlation
from raydgp.surrogates.training import Training, train

Form = Literal["A", "B"]
_TUNING = Training(epochs=2000)  # the paper's
_LEAST_HELD_OUT = 4  # with fewer, a rank correlation says nothing and the first strength is taken


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """How a model is tuned.

    Attributes:
        form: `A`, a Gaussian prior around the source's parameters; `B`, KL to the source's posterior instead of the
            GP prior's (after streaming sparse GPs, Bui et al. 2017).
        strengths: values of lambda to choose from by the rank correlation on a held-out fifth (form A).
        training: the paper's tuning.
        selection_epochs: at most, in each of the trainings that choose lambda.
    """

    form: Form = "A"
    strengths: tuple[float, ...] = (1.0, 0.0, 1e-2, 1e-1, 10.0)
    training: Training = _TUNING
    selection_epochs: int = 100


@dataclass(frozen=True)
class TransferredModel:
    """A tuned model, and the lambda that it was tuned with; None with form B."""

    model: DeepGP
    strength: float | None


def tune(source: DeepGP, x: Tensor, y: Tensor, valid: Tensor, settings: Transfer, seed: int) -> TransferredModel:
    """Tunes a copy of the source: x [n, d], y [n] standardised with the source's statistics, valid bool[n]."""
    if settings.form == "B":
        return TransferredModel(_tuned(source, x, y, valid, settings.training, None, seed), None)
    strength = _chosen(source, x, y, valid, settings, seed)
    return TransferredModel(_tuned(source, x, y, valid, settings.training, strength, seed), strength)


def _chosen(source: DeepGP, x: Tensor, y: Tensor, valid: Tensor, settings: Transfer, seed: int) -> float:
    """The lambda of the best rank correlation on a held-out fifth, the first listed among equals."""
    order = torch.as_tensor(np.random.default_rng(seed).permutation(len(x)), device=x.device)
    out, kept = order[: len(x) // 5], order[len(x) // 5 :]
    if len(out) < _LEAST_HELD_OUT or len(settings.strengths) == 1:
        return settings.strengths[0]
    short = Training(**{**vars(settings.training), "epochs": min(settings.selection_epochs, settings.training.epochs)})
    correlations = {}
    for strength in settings.strengths:
        model = _tuned(source, x[kept], y[kept], valid[kept], short, strength, seed)
        predicted = model.predict(x[out], samples=4, seed=seed)[0][:, 0]
        correlations[strength] = rank_correlation(predicted, y[out].cpu().numpy())
    return max(correlations, key=lambda strength: round(correlations[strength], 3))


def _tuned(
    source: DeepGP, x: Tensor, y: Tensor, valid: Tensor, training: Training, strength: float | None, seed: int
) -> DeepGP:
    model = copy.deepcopy(source)
    complexity = kl_to(model, source, len(x)) if strength is None else map_prior(model, source, strength, len(x))
    train(model, x, y, valid, training, seed, complexity)
    return model


def map_prior(model: DeepGP, source: DeepGP, strength: float, n: int) -> Callable[[], Tensor]:
    """Form A: KL(q || p) / n + lambda / (2 n) |theta - theta_s|^2, with unit precision for every parameter."""
    origin = [p.detach().clone() for p in source.parameters()]

    def complexity() -> Tensor:
        moved = torch.stack([(p - o).square().sum() for p, o in zip(model.parameters(), origin, strict=True)]).sum()
        return model.kl() / n + strength / (2 * n) * moved

    return complexity


def kl_to(model: DeepGP, source: DeepGP, n: int) -> Callable[[], Tensor]:
    """Form B: KL(q || q_s) / n, between the whitened posteriors of the two models."""
    sources = [(layer.q_mean.detach().clone(), layer.q_root.detach().tril()) for layer in source.layers]

    def complexity() -> Tensor:
        terms: list[Tensor] = []
        for layer, (mean, root) in zip(model.layers, sources, strict=True):
            own = layer.q_root.tril()
            ratio = torch.linalg.solve_triangular(root, own, upper=False)
            apart = torch.linalg.solve_triangular(root, (layer.q_mean - mean)[..., None], upper=False)
            logdet = 2 * (_log_diagonal(root) - _log_diagonal(own))
            terms.append(0.5 * (ratio.square().sum() + apart.square().sum() - mean.numel() + logdet))
        return torch.stack(terms).sum() / n

    return complexity


def _log_diagonal(root: Tensor) -> Tensor:
    return root.diagonal(dim1=-2, dim2=-1).abs().clamp_min(1e-12).log().sum()
