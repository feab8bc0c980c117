"""Templates of ours keep the contract on a CPU; tests/templates has what is special about each."""

from raydgp import Conv2d, Dense, DepthwiseConv2d
from raydgp.testing import TemplateContract


class TestConv2d(TemplateContract):
    workload = Conv2d(n=1, ci=16, h=7, w=7, co=16, kh=3, kw=3, stride=(2, 2), padding=(1, 1))


class TestDepthwiseConv2d(TemplateContract):
    workload = DepthwiseConv2d(n=1, ci=16, h=9, w=9, kh=3, kw=3, padding=(1, 1))


class TestDense(TemplateContract):
    workload = Dense(n=1, k=96, m=40)
