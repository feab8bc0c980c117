"""An exact Gaussian process for one task that nothing is known of before it is measured.

    y(x) = r(x) + noise,   r ~ GP(0, s^2 Matern-5/2 of a distance)
    distance^2 = sum over features i of (dx_i / l_i)^2 + [dx_i != 0] / h_i^2

The second term is for knobs whose options differ more than their order tells: names, or sizes that a memory's banks
like or dislike. The lengthscales l and h, s and the noise maximise their posterior (Rasmussen and Williams, Gaussian
Processes for Machine Learning, sections 4.2 and 5.4) under log-normal priors, so that a dozen measurements do not
switch a knob off.
"""

from __future__ import annotations

from copy import copy

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.special import ndtri
from scipy.stats import rankdata

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_STEPS = 25  # of the optimiser, without a start
_MORE_STEPS = 8  # from the last fit's
_FITTED = 300  # points that the parameters are fitted to at most
_JITTER = 1e-8
_ODD = 1.0  # by which h's prior median lies above l's, as a logarithm
_NOISE = 0.1  # prior median of the noise's deviation, as a share of y's


def normal_scores(values: Vector) -> Vector:
    """Each value's quantile of the normal distribution, by its rank among them (Blom): [n]; equal values stay equal.

    Only the order counts: neither a few very slow configurations nor failures, which are the lowest, bend what is
    learnt of the best.
    """
    return np.asarray(ndtri((rankdata(values) - 0.375) / (len(values) + 0.25)))


class TaskGP:
    """Posterior after the measurements of one task.

    Args:
        x: float64[n, d], encoded features, n >= 1.
        y: float64[n], of mean 0 and deviation about 1, as `normal_scores` gives them.
        start: `logs` of an earlier fit to go on from.

    Attributes:
        logs: float64[2 d + 2], natural logarithms of l, h, s, and of the noise's deviation.
    """

    def __init__(self, x: Matrix, y: Vector, start: Vector | None = None) -> None:
        self.x, self._y = x, y
        rows = np.argsort(-y, kind="stable")[np.linspace(0, len(y) - 1, min(len(y), _FITTED)).astype(int)]
        self.logs = _fitted(x[rows], y[rows], start)
        self._smooth, self._odd = np.split(np.exp(-2 * self.logs[:-2]), 2)
        self._of_r, self.noise = np.exp(2 * self.logs[-2:])
        self._condition()

    def supposing(self, x: Matrix) -> TaskGP:
        """The posterior if [k, d] came out as predicted: its mean stays, and it is surer around them."""
        supposed = copy(self)
        supposed.x, supposed._y = np.concatenate([self.x, x]), np.concatenate([self._y, self.posterior(x)[0]])
        supposed._condition()
        return supposed

    def _condition(self) -> None:
        """Cholesky factor of the covariance, and the weights of the mean."""
        prior = self.covariance(self.x, self.x)
        self._root = cholesky(prior + (self.noise + _JITTER) * np.eye(len(self.x)), lower=True)
        white = solve_triangular(self._root, self._y, lower=True)
        self._weights = solve_triangular(self._root, white, lower=True, trans="T")

    def covariance(self, left: Matrix, right: Matrix) -> Matrix:
        """Prior covariance of [m, d] and [k, d]: [m, k]."""
        root = np.sqrt(self._smooth)
        squares = cdist(left * root, right * root, "sqeuclidean")
        squares += self._odd.sum() * cdist(left, right, "hamming", w=self._odd)
        return self._of_r * _matern(squares)

    def posterior(self, x: Matrix) -> tuple[Vector, Vector, Matrix]:
        """At [k, d]: mean [k], variance [k] without the noise, and the factor [n, k] of what the data explain."""
        cross = self.covariance(self.x, x)
        explained = solve_triangular(self._root, cross, lower=True)
        variance = np.maximum(self._of_r - np.square(explained).sum(axis=0), 1e-10)
        return cross.T @ self._weights, variance, explained


def _matern(squares: Matrix) -> Matrix:
    """Matern-5/2 of squared scaled distances."""
    root = np.sqrt(5 * squares)
    return (1 + root + root**2 / 3) * np.exp(-root)


def _fitted(x: Matrix, y: Vector, start: Vector | None) -> Vector:
    """The logarithms of the parameters of the largest posterior, from the prior's centre or an earlier fit."""
    n, d = x.shape
    lengths = np.full(d, 0.5 * np.log(d))
    centre = np.concatenate([lengths, lengths + _ODD, [0.0, np.log(_NOISE)]])
    differences = (x.T[:, :, None] - x.T[:, None, :]).reshape(d, n * n)
    apart = np.concatenate([differences**2, differences != 0])

    def loss(logs: Vector) -> tuple[float, Vector]:
        """Negative log posterior and its gradient."""
        of_r, noise = np.exp(2 * logs[-2:])
        weights = np.exp(-2 * logs[:-2])
        root = np.sqrt(5 * (weights @ apart).reshape(n, n))
        decay = np.exp(-root)
        matern = (1 + root + root**2 / 3) * decay
        try:
            factor = cholesky(of_r * matern + (noise + _JITTER) * np.eye(n), lower=True, check_finite=False)
        except LinAlgError:
            return 1e10, np.zeros_like(logs)
        half = solve_triangular(factor, np.eye(n), lower=True, check_finite=False)
        inverse = half.T @ half
        white = inverse @ y
        slope = 0.5 * (inverse - np.outer(white, white))
        by_length = apart @ (slope * (-5 / 6 * of_r) * (1 + root) * decay).ravel() * (-2 * weights)
        gradient = np.concatenate([by_length, [2 * of_r * (slope * matern).sum(), 2 * noise * slope.trace()]])
        off = logs - centre  # the priors' deviations are 1
        return float(0.5 * y @ white + np.log(factor.diagonal()).sum() + 0.5 * off @ off), gradient + off

    bounds = [(-3.0, 4.0)] * (2 * d) + [(-3.0, 3.0), (-6.0, 0.0)]
    steps = {"maxiter": _STEPS if start is None else _MORE_STEPS}
    found = minimize(
        loss, centre if start is None else start, jac=True, method="L-BFGS-B", options=steps, bounds=bounds
    )
    return np.asarray(found.x)
