"""Winograd's minimal filtering F(m x m, r x r): its transforms, and the weight's (Lavin and Gray, CVPR 2016, eq. 8)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tvm.topi.nn import winograd_util

from raydgp.templates.layouts import Layout

Matrix = NDArray[np.float64]


def matrices(m: int, r: int, points: Sequence[float] | None = None) -> tuple[Matrix, Matrix, Matrix]:
    """A [m + r - 1, m], B [m + r - 1, m + r - 1] and G [m + r - 1, r], so that Y = A^T ((G g G^T) * (B^T d B)) A.

    Args:
        points: m + r - 2 of them, where the Cook-Toom method evaluates the polynomials; those that TVM takes by
            default.
    """
    chosen = winograd_util._interpolation_points(m + r - 2) if points is None else np.array(points, np.float64)
    a, b, g = winograd_util._cook_toom_convolution(chosen, m, r)
    return a, b, g


def transformed(weight: Layout, g: Matrix) -> Layout:
    """Then G g G^T: of a layout of [co, ci, r, r] that of [alpha, alpha, ci, co]."""
    return weight.einsum("ea,fcab,ub->eucf", g, g)
