"""Chameleon's adaptive sampling: few measurements that stand for many candidates (ICLR 2020, Algorithm 1)."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from raydgp.search.annealing import Mask
from raydgp.space import ConfigSpace, Indices


def representatives(
    space: ConfigSpace, candidates: Indices, allowed: Mask, knee: float, step: int, rng: np.random.Generator
) -> Indices:
    """The configurations to measure for int64[n] candidates, best first: int64[<= n], distinct and allowed.

    k-means in the space of option numbers scaled to [0, 1] with k = step, 2 step, ...; the first k whose loss is at
    least 1 / knee of the loss before is the knee of the curve. Each centroid is rounded to a configuration. One that is
    not allowed, above all because it is measured already, is replaced by the most frequent option of each knob among
    the candidates; where that is taken too, by the best candidate of its cluster.
    """
    digits = space.digits(candidates)
    scale = np.maximum(space.radix - 1, 1)
    points = digits / scale
    centroids, cluster = _clustered(points, knee, step, rng)
    rounded = space.from_digits(np.rint(centroids * scale).astype(np.int64))
    usable = allowed(rounded)
    mode = synthesised(space, digits)
    first = np.array(
        [np.flatnonzero(cluster == k)[0] for k in range(len(centroids))]
    )  # the best: candidates are ranked
    picks = np.where(usable, rounded, mode if allowed(np.array([mode]))[0] else candidates[first])
    again = np.ones(len(picks), bool)
    again[np.unique(picks, return_index=True)[1]] = False
    picks = np.where(again, candidates[first], picks)
    picks = picks[np.argsort(first, kind="stable")]
    return picks[np.sort(np.unique(picks, return_index=True)[1])]


def synthesised(space: ConfigSpace, digits: NDArray[np.int64]) -> int:
    """The configuration of each knob's most frequent option, the lower one of equals: int64[n, knobs] -> int."""
    mode = [np.bincount(column).argmax() for column in digits.T]
    return int(space.from_digits(np.array([mode], np.int64))[0])


def _clustered(
    points: NDArray[np.float64], knee: float, step: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Non-empty clusters at the knee: float64[k, d] centroids, and int64[n] the cluster of each point."""
    before = np.inf
    for k in range(step, len(points) + 1, step):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an empty cluster, which is left out below
            centroids, cluster = kmeans2(points, k, minit="++", rng=rng)
        loss = float(((points - centroids[cluster]) ** 2).sum())
        if loss >= before / knee:
            break
        before = loss
    else:
        if len(points) < step:
            centroids, cluster = points, np.arange(len(points))
    used, cluster = np.unique(cluster, return_inverse=True)
    return centroids[used], cluster
