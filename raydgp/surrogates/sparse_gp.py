"""A layer of independent sparse variational GPs that share their inputs: GPyTorch's kernel, means and constraints,
with marginals of our own that factor K_zz once and compute diagonals only.

Symbols: inducing inputs z, K_zz = L L^T, A = L^-1 K_zx, whitened posterior q = N(m, S).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gpytorch
import torch
from torch import Tensor, nn

from raydgp.errors import ModelError

_JITTER = {torch.float32: 1e-4, torch.float64: 1e-6}  # GPyTorch's, added to the diagonal of K_zz
_JITTER_RETRIES = 4  # each ten times larger
_LEAST_VARIANCE = 1e-6
_LEAST_EXPONENT = {torch.float32: -16.0, torch.float64: -36.0}  # below rounding: denormal numbers cost 20 times more


class Factors(NamedTuple):
    """What of one layer does not depend on x. Gradients flow through `left`, `root` and `q_root`."""

    centre: Tensor  # [inputs], taken from x and z
    left: Tensor  # [outputs, m, 2 inputs + 1], so that log k(z, x) = left (x, x^2, 1)
    root: Tensor  # L: [outputs, m, m]
    q_root: Tensor  # of S: [outputs, m, m]
    inverse: Tensor  # L^-1
    middle: Tensor  # S - I: [outputs, m, m]


class SparseGPLayer(nn.Module):
    """`outputs` sparse GPs on the same inputs, each with its own ARD kernel, mean function and inducing inputs.

    Args:
        inputs: dimensions of x.
        outputs: number of GPs.
        inducing: inducing inputs of each GP.
        linear_mean: mean functions are linear (a hidden layer's), else constant (the last layer's).
    """

    def __init__(self, inputs: int, outputs: int, inducing: int, linear_mean: bool) -> None:
        super().__init__()
        batch = torch.Size([outputs])
        rbf = gpytorch.kernels.RBFKernel(ard_num_dims=inputs, batch_shape=batch)
        self.kernel: Any = gpytorch.kernels.ScaleKernel(rbf, batch_shape=batch)
        self.mean: Any = (
            gpytorch.means.LinearMean(inputs, batch_shape=batch)
            if linear_mean
            else gpytorch.means.ConstantMean(batch_shape=batch)
        )
        self.inducing = nn.Parameter(torch.zeros(outputs, inducing, inputs))
        self.q_mean = nn.Parameter(torch.zeros(outputs, inducing))
        self.q_root = nn.Parameter(torch.eye(inducing).repeat(outputs, 1, 1))  # its lower triangle is the root of S

    def factor(self) -> Factors:
        """What all inputs share, for any number of calls of `forward` with the same parameters.

        The exponent of the kernel is bilinear in (x, x^2, 1), which no output's parameters enter, so that one matrix
        product serves all outputs. Centring keeps its cancellation small in float32.
        """
        centre = self.inducing.detach().mean((0, 1))
        z = self.inducing - centre
        precision = self.kernel.base_kernel.lengthscale.square().reciprocal()  # [outputs, 1, inputs]
        weighted = z * precision
        offset = self.kernel.outputscale.log()[:, None] - 0.5 * (weighted * z).sum(-1)
        left = torch.cat([weighted, -0.5 * precision.expand_as(z), offset[..., None]], -1)
        root = safe_cholesky((left @ _terms(z).mT).exp())
        identity = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        q_root = self.q_root.tril()
        with torch.no_grad():
            inverse = torch.linalg.solve_triangular(root, identity.expand_as(root), upper=False)
            middle = q_root @ q_root.mT - identity
        return Factors(centre, left, root, q_root, inverse, middle)

    def forward(self, x: Tensor, factors: Factors | None = None) -> tuple[Tensor, Tensor]:
        """Marginals of q(f(x)): [n, inputs] -> mean [n, outputs], variance [n, outputs]."""
        centre, left, root, q_root, inverse, middle = factors or self.factor()
        log_k_zx = (left.flatten(0, 1) @ _terms(x - centre).T).unflatten(0, left.shape[:2])
        mean, variance = _WhitenedMarginal.apply(log_k_zx, root, self.q_mean, q_root, inverse, middle)
        prior = self.kernel.outputscale[:, None]
        return self._prior_mean(x) + mean.T, (prior + variance).clamp_min(_LEAST_VARIANCE).T

    def kl(self) -> Tensor:
        """KL(q(u) || p(u)) in nats, summed over the outputs: a scalar."""
        root, mean = self.q_root.tril(), self.q_mean
        logdet = 2 * root.diagonal(dim1=-2, dim2=-1).abs().clamp_min(1e-12).log().sum()
        return 0.5 * (root.square().sum() + mean.square().sum() - mean.numel() - logdet)

    def _prior_mean(self, x: Tensor) -> Tensor:
        if isinstance(self.mean, gpytorch.means.LinearMean):
            return torch.addmm(self.mean.bias.T, x, self.mean.weights[..., 0].T)
        return self.mean.constant


class _WhitenedMarginal(torch.autograd.Function):
    """A^T m and diag(A^T (S - I) A), with four large matrix products forward and back where autograd needs six.

    All that is of size [outputs, m, n] passes through memory as few times as possible: at 10 samples of a batch of
    256 that traffic costs as much as the products.
    """

    @staticmethod
    def forward(
        ctx: Any, log_k_zx: Tensor, root: Tensor, mean: Tensor, q_root: Tensor, inverse: Tensor, middle: Tensor
    ) -> tuple[Tensor, Tensor]:
        k_zx = log_k_zx.clamp_min(_LEAST_EXPONENT[root.dtype]).exp_()
        a = inverse @ k_zx
        ctx.save_for_backward(k_zx, a, inverse, middle, mean, q_root)
        return (mean[:, None] @ a)[:, 0], (middle @ a).mul_(a).sum(-2)

    @staticmethod
    def backward(ctx: Any, d_mean: Tensor, d_variance: Tensor) -> tuple[Tensor | None, ...]:
        k_zx, a, inverse, middle, mean, q_root = ctx.saved_tensors
        weighted = a * d_variance[:, None]
        d_middle = weighted @ a.mT
        d_q_mean = (a @ d_mean[..., None])[..., 0]
        back_middle, back_mean = 2 * inverse.mT @ middle, inverse.mT @ mean[..., None]
        d_k_zx = torch.baddbmm(back_mean * d_mean[:, None], back_middle, weighted)
        d_root = -(back_middle @ d_middle + back_mean * d_q_mean[:, None])
        return d_k_zx.mul_(k_zx), d_root.tril(), d_q_mean, 2 * d_middle @ q_root, None, None


def _terms(x: Tensor) -> Tensor:
    """(x, x^2, 1): [..., d] -> [..., 2 d + 1]."""
    return torch.cat([x, x.square(), torch.ones_like(x[..., :1])], -1)


def safe_cholesky(k_zz: Tensor) -> Tensor:
    """Cholesky factors of a batch of kernel matrices; the jitter grows until all of them have one.

    Raises:
        ModelError: not even with the largest jitter; the parameters have left the finite numbers.
    """
    jitter = _JITTER[k_zz.dtype]
    identity = torch.eye(k_zz.shape[-1], dtype=k_zz.dtype, device=k_zz.device)
    for retry in range(_JITTER_RETRIES):
        root, failed = torch.linalg.cholesky_ex(k_zz + jitter * 10**retry * identity)
        if not failed.any():
            return root
    raise ModelError("deep GP: a kernel matrix has no Cholesky factor; lower the learning rate and train again")
