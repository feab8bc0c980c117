from collections.abc import Callable
from pathlib import Path

from raydgp.records import Record, Resources, Status
from raydgp.records.frames import read_parquet, to_frame, write_parquet
from raydgp.records.history import first, known

Make = Callable[..., Record]

RESOURCES = (
    Resources(kernel="main_kernel", registers=64, spill_bytes=32, shared_bytes=4096),
    Resources(kernel="main_kernel_1", registers=32, spill_bytes=0, shared_bytes=0),
)


def test_the_first_of_one_identity_counts(make_record: Make) -> None:
    records = [make_record(1, 1e-3), make_record(2), make_record(1, 2e-3)]
    assert first(records) == records[:2]


def test_another_space_or_device_is_another_identity(make_record: Make) -> None:
    records = [make_record(1), make_record(1, space_hash="b" * 16), make_record(1, device={"name": "other"})]
    assert first(records) == records


def test_a_lost_runner_gives_way_to_a_later_measurement(make_record: Make) -> None:
    lost, later, third = make_record(1, status=Status.RUNNER_LOST), make_record(1, 1e-3), make_record(1, 2e-3)
    assert first([lost, later, third]) == [later]
    assert first([later, lost]) == [later]
    assert known([lost, later, third], "a" * 16) == {1: later.measurement}
    assert known([lost], "a" * 16) == {}


def test_known_is_of_one_space_and_keeps_failures(make_record: Make) -> None:
    failed, other = make_record(4, status=Status.RUN_TIMEOUT), make_record(5, space_hash="b" * 16)
    assert known([failed, other], "a" * 16) == {4: failed.measurement}


def test_the_frame_is_flat_and_has_no_latency_for_failures(make_record: Make) -> None:
    frame = to_frame([make_record(1, 3e-3), make_record(2, status=Status.BUILD_ERROR)])
    assert list(frame["index"]) == [1, 2]
    assert frame["median_s"][0] == 3e-3
    assert frame["median_s"].isna().tolist() == [False, True]
    assert list(frame["status"]) == ["ok", "build_error"]


def test_parquet_keeps_everything(tmp_path: Path, make_record: Make) -> None:
    records = [make_record(i, 1e-3 / 3, status=Status.OK if i % 2 else Status.RUN_ERROR) for i in range(6)]
    write_parquet(records, tmp_path / "records.parquet")
    assert read_parquet(tmp_path / "records.parquet") == records
    write_parquet(records[:1], tmp_path / "failed.parquet")
    assert read_parquet(tmp_path / "failed.parquet") == records[:1]
    gpu = [make_record(3, resources=RESOURCES, conditions={"sm_mhz": 1980.0}), make_record(4)]
    write_parquet(gpu, tmp_path / "gpu.parquet")
    assert read_parquet(tmp_path / "gpu.parquet") == gpu
    write_parquet([], tmp_path / "none.parquet")
    assert read_parquet(tmp_path / "none.parquet") == []


def test_parquet_of_before_resources_were_kept_is_read(tmp_path: Path, make_record: Make) -> None:
    to_frame(records := [make_record(1)]).drop(columns=["resources", "conditions"]).to_parquet(tmp_path / "old.parquet")
    assert read_parquet(tmp_path / "old.parquet") == records
