import numpy as np
import pytest

from raydgp import Conv2d, config_space
from raydgp.measure import Measurer
from raydgp.records import Measurement, Status
from raydgp.testing import FaultRates, FaultyMeasurer

SPACE = config_space(Conv2d(n=1, ci=16, h=6, w=6, co=16, kh=3, kw=3, padding=(1, 1)), "llvm")


class Instant(Measurer):
    def measure(self, space, indices):
        return [Measurement(index=int(index), status=Status.OK, times_s=(1e-3,)) for index in indices]


@pytest.fixture(scope="module")
def indices():
    return SPACE.sample_valid(4000, np.random.default_rng(0))


def fates(seed, indices, **rates):
    outcomes = FaultyMeasurer(Instant(), FaultRates(**rates), seed).measure(SPACE, indices)
    assert [outcome.index for outcome in outcomes] == indices.tolist()
    return {outcome.index: (outcome.status, outcome.ok) for outcome in outcomes}


def test_faults_come_at_their_rates(indices):
    found = list(fates(0, indices, crash=0.05, hang=0.02, wrong=0.1, nan=0.2).values())
    shares = {fate: found.count(fate) / len(found) for fate in set(found)}
    assert shares == pytest.approx(
        {
            (Status.RUN_ERROR, False): 0.05,
            (Status.RUN_TIMEOUT, False): 0.02,
            (Status.WRONG_ANSWER, False): 0.1,
            (Status.OK, False): 0.2,
            (Status.OK, True): 0.63,
        },
        abs=0.02,
    )


def test_the_same_configurations_fail_whatever_the_order_and_the_batches(indices):
    rates = {"crash": 0.3, "nan": 0.3}
    whole = fates(1, indices[:200], **rates)
    turned = fates(1, indices[:100][::-1], **rates) | fates(1, indices[100:200], **rates)
    assert turned == whole
    assert fates(2, indices[:200], **rates) != whole


def test_without_faults_nothing_changes(indices):
    assert set(fates(0, indices).values()) == {(Status.OK, True)}
