"""Cost models and pre-trained kinds of ours keep the contracts."""

import pytest

from raydgp import surrogates
from raydgp.surrogates.deepgp_kind import DeepGPKind
from raydgp.surrogates.kinds import PretrainSettings
from raydgp.surrogates.scorer import Shape
from raydgp.surrogates.threads import limited
from raydgp.surrogates.trees import TreesKind
from raydgp.testing import CostModelContract, PretrainedKindContract


class TestCostModels(CostModelContract):
    @pytest.fixture(autouse=True, params=surrogates.names())
    def _named(self, request):
        self.name = request.param

    def make(self, settings):
        return surrogates.create(self.name, settings)


class TestDeepGP(PretrainedKindContract):
    settings = PretrainSettings(epochs=15)

    @pytest.fixture(autouse=True)
    def _one_thread(self):
        """Small matrices gain nothing by a second thread and lose much where other processes want it."""
        with limited(1):
            yield

    def make(self):
        return DeepGPKind(Shape(hidden=(3, 3), inducing=24))


class TestTrees(PretrainedKindContract):
    def make(self):
        return TreesKind()
