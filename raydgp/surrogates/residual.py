"""An exact Gaussian process for what a pre-trained model gets wrong on one task: milliseconds for hundreds of points.

    y(x) = m(x) + a + b m(x) + r(x) + noise,   a ~ N(0, .3^2),  b ~ N(0, .5^2),  r ~ GP(0, s^2 RBF)

m is the pre-trained mean: its level and contrast may be off on the new task (a, b), and r is what else differs. With
m = 0 this is a plain Gaussian process. Lengthscale, s, and the noise are those of a grid that maximise the marginal
likelihood.
"""

from __future__ import annotations

import itertools
from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.spatial.distance import cdist

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_OFFSET, _SLOPE = 0.3, 0.5  # deviations of a and b
_GRID = (
    (0.3, 0.6, 1.2),  # lengthscale of r, times the square root of the dimensions
    (0.03, 0.1, 0.3),  # s of r
    (0.01, 0.03, 0.1),  # deviation of the noise
)
_PRIOR = (0.6, 0.1, 0.03)  # while there is too little to choose by
_LEAST_TO_CHOOSE = 5


class Points(NamedTuple):
    """k configurations.

    Attributes:
        x: float64[k, d], encoded features.
        mean: float64[k], what the pre-trained model predicts.
    """

    x: Matrix
    mean: Vector

    def rows(self, keep: slice | NDArray[np.generic]) -> Points:
        """Keeps those of the configurations."""
        return Points(self.x[keep], self.mean[keep])


class ResidualGP:
    """Posterior after measurements of one task.

    Args:
        points: those measured, n of them; n may be 0.
        y: float64[n], what was measured, about 1 at the best.
    """

    def __init__(self, points: Points, y: Vector) -> None:
        self.points, self._y = points, y
        squares = _Squares.between(points, points)
        choices = itertools.product(*_GRID) if len(y) >= _LEAST_TO_CHOOSE else [_PRIOR]
        fits = [(self._fit(squares, y, choice), choice) for choice in choices]
        (_, self._root, self._weights), self.choice = max(fits, key=lambda fit: fit[0][0])

    def supposing(self, points: Points) -> ResidualGP:
        """The posterior if these points came out as predicted: its mean stays, and it is surer around them.

        So does a batch of several picks, or one asked for while others are out, not measure the same thing twice
        (Desautels, Krause and Burdick, JMLR 2014).
        """
        supposed = copy(self)
        supposed.points = Points(*map(np.concatenate, zip(self.points, points, strict=True)))
        supposed._y = np.concatenate([self._y, self.posterior(points)[0]])
        squares = _Squares.between(supposed.points, supposed.points)
        _, supposed._root, supposed._weights = supposed._fit(squares, supposed._y, self.choice)
        return supposed

    def posterior(self, points: Points) -> tuple[Vector, Matrix]:
        """At k points: mean [k], and the factor [n, k] of what the data explain, for `variance` and `covariance`."""
        cross = _Squares.between(self.points, points).kernel(self.choice)
        explained = solve_triangular(self._root, cross, lower=True)
        return points.mean + cross.T @ self._weights, explained

    def variance(self, points: Points, explained: Matrix) -> Vector:
        """Posterior variance, noise excluded: [k]."""
        _, of_r, _ = self.choice
        prior = of_r**2 + _OFFSET**2 + (_SLOPE * points.mean) ** 2
        return np.maximum(prior - np.square(explained).sum(axis=0), 1e-10)

    def covariance(self, points: Points, explained: Matrix, at: int) -> Vector:
        """Posterior covariance of point `at` with all k: [k]."""
        prior = _Squares.between(points.rows(slice(at, at + 1)), points).kernel(self.choice)[0]
        return prior - explained[:, at] @ explained

    def _fit(self, squares: _Squares, y: Vector, choice: tuple[float, ...]) -> tuple[float, Matrix, Vector]:
        """Log marginal likelihood, Cholesky factor of the covariance, and the weights of the mean."""
        try:
            root = cholesky(squares.kernel(choice) + choice[-1] ** 2 * np.eye(len(y)), lower=True)
        except LinAlgError:
            return -np.inf, np.eye(len(y)), np.zeros(len(y))
        white = solve_triangular(root, y - self.points.mean, lower=True)
        likelihood = -0.5 * white @ white - np.log(root.diagonal()).sum()
        return float(likelihood), root, solve_triangular(root, white, lower=True, trans="T")


class _Squares(NamedTuple):
    """Squared distances between two sets of points, and the products of their means."""

    x: Matrix
    means: Matrix

    @classmethod
    def between(cls, left: Points, right: Points) -> _Squares:
        x = cdist(left.x, right.x, "sqeuclidean") / max(1, left.x.shape[1])
        return cls(x, np.multiply.outer(left.mean, right.mean))

    def kernel(self, choice: tuple[float, ...]) -> Matrix:
        length, of_r, _ = choice
        return of_r**2 * np.exp(-0.5 * self.x / length**2) + _OFFSET**2 + _SLOPE**2 * self.means
