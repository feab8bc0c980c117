import json
import math

import pytest
from msgspec.structs import replace

from raydgp.errors import InputError
from raydgp.records import Measurement, Resources, Status


def ok(*times_s: float) -> Measurement:
    return Measurement(index=3, status=Status.OK, times_s=times_s)


def test_median_spread_and_gflops() -> None:
    measured = ok(2e-3, 1e-3, 4e-3)
    assert measured.median_s == 2e-3
    assert measured.spread == pytest.approx(1.5)
    assert measured.gflops(4_000_000) == pytest.approx(2.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -1e-3, 0.0])
def test_a_timing_that_is_no_time_is_never_ok_nor_a_label(bad: float) -> None:
    measured = ok(1e-3, bad, 1e-3)
    assert not measured.ok
    assert measured.median_s == math.inf
    assert measured.gflops(10**9) == 0.0
    assert measured.spread == 0.0


def test_ok_without_timings_is_not_ok() -> None:
    assert not ok().ok


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_a_failure_never_wins_even_with_times(status: Status) -> None:
    measured = Measurement(index=0, status=status, times_s=(1e-9,))
    assert not measured.ok
    assert measured.median_s == math.inf


def test_dictionary_round_trip() -> None:
    measured = ok(0.1, 1 / 3)
    assert Measurement.from_dict(measured.to_dict()) == measured
    assert not {"resources", "conditions"} & measured.to_dict().keys()


def test_what_only_gpus_have_survives_json() -> None:
    used = Resources(kernel="main_kernel", registers=64, spill_bytes=32, shared_bytes=4096)
    measured = replace(ok(0.1), resources=(used,), conditions={"sm_mhz": 1980.0, "temperature_c": 45.0})
    assert Measurement.from_dict(json.loads(json.dumps(measured.to_dict()))) == measured


@pytest.mark.parametrize(
    "change",
    [{"status": "splendid"}, {"times_s": ["soon"]}, {"phases": {"nap_s": 1.0}}, {"colour": "red"}],
)
def test_what_is_not_a_measurement_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="not a measurement"):
        Measurement.from_dict(ok(1.0).to_dict() | change)


def test_a_missing_field_is_refused() -> None:
    data = ok(1.0).to_dict()
    del data["index"]
    with pytest.raises(InputError, match="not a measurement"):
        Measurement.from_dict(data)
