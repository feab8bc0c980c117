"""Kernel Tuner's cache files and T4 results as recorded spaces, and ours as T4."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from raydgp.app.compare import compare as comparing
from raydgp.app.history.exporting import export_t4
from raydgp.app.history.importers import import_files
from raydgp.errors import InputError
from raydgp.records.recorded import RecordedSpace
from raydgp.settings import CompareSettings
from raydgp.surrogates.sources import gather
from tests.support.foreign_files import ROWS, T1, cache, fails, ms, t4


def written(path: Path, data: Any) -> Path:
    text = json.dumps(data).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def outcomes(recorded: RecordedSpace) -> dict[str, float]:
    """Milliseconds of each configuration, infinite where it failed."""
    decoded = map(recorded.space.decode, recorded.indices.tolist())
    return {str(knobs): round(1e3 * s, 3) for knobs, s in zip(decoded, recorded.median_s.tolist(), strict=True)}


EXPECTED = {str(row): float("inf") if fails(row) else ms(row) for row in ROWS}


def test_a_cache_file_is_a_recorded_space(tmp_path: Path) -> None:
    count, gave = import_files([written(tmp_path / "cache.json.gz", cache())], None, tmp_path / "out.parquet")
    assert (count, list(gave.values())) == (len(ROWS), [[f"{len(ROWS)} configurations of 24, {len(ROWS) - 2} ran"]])
    found = RecordedSpace.load(tmp_path / "out.parquet")
    assert outcomes(found) == EXPECTED
    assert (found.name, found.device["name"], found.times_s.shape[1]) == ("kernel/A4000", "A4000", 3)
    assert set(found.status[found.median_s == float("inf")]) == {"run_error"}
    measured = found.measurement(0)
    assert (measured.phases.build_s, measured.phases.run_s) == pytest.approx((0.9, 0.1))
    assert found.space.valid(range(found.space.size)).sum() == len(ROWS)


@pytest.mark.parametrize("unit", ["milliseconds", "microseconds"])
@pytest.mark.parametrize("described", [False, True])
def test_t4_results_are_a_recorded_space_with_and_without_t1(tmp_path: Path, described: bool, unit: str) -> None:
    files = [written(tmp_path / "T1.json", T1)] if described else []
    import_files([*files, written(tmp_path / "T4.json", t4(unit))], "A4000", tmp_path / "out.parquet")
    found = RecordedSpace.load(tmp_path / "out.parquet")
    assert outcomes(found) == EXPECTED
    assert found.name == ("kernel/A4000" if described else "T4/A4000")


def test_what_does_not_fit_the_description_is_told(tmp_path: Path) -> None:
    results = t4()
    results["results"].append({**results["results"][0], "configuration": {"x": 64, "y": 8, "method": "a"}})
    results["results"].append({**results["results"][0], "configuration": {"x": 17, "y": 1, "method": "a"}})
    results["results"][1] = results["results"][0]
    files = [written(tmp_path / "T1.json", T1), written(tmp_path / "T4.json", results)]
    _, gave = import_files(files, "A4000", tmp_path / "out.parquet")
    assert gave[str(files[1])][1:] == [
        "1 left out: not of its space",
        "1 left out: there twice",
        "1 that the restrictions allow are not in the file",
        "1 break the restrictions",
    ]


def test_devices_of_one_kernel_have_one_space_and_strategies_are_compared_on_them(tmp_path: Path) -> None:
    files = [written(tmp_path / f"{device}.json", cache(device)) for device in ("A4000", "W6600")]
    import_files(files, None, tmp_path / "spaces")
    tasks = gather([tmp_path / "spaces"])
    assert len({task.space.hash for task in tasks}) == 1
    assert {task.device for task in tasks} == {"A4000", "W6600"}
    settings = CompareSettings(strategies={"random": {}, "grid": {}}, baseline="random", seeds=2, trials=30)
    paths = comparing.check([tmp_path / "spaces"], settings)
    runs: pd.DataFrame = comparing.compare(paths, settings, lambda *_: None)
    assert len(runs) == 8
    assert (runs["measurements_100"] <= len(ROWS)).all()


def test_what_is_exported_as_t4_is_imported_again(tmp_path: Path) -> None:
    import_files([written(tmp_path / "cache.json", cache())], None, tmp_path / "one.parquet")
    assert export_t4(tmp_path / "one.parquet", tmp_path / "T4.json") == {tmp_path / "T4.json": len(ROWS)}
    document = json.loads((tmp_path / "T4.json").read_text())
    failed = [row for row in document["results"] if row["invalidity"] != "correct"]
    assert [(row["invalidity"], row["correctness"], row["measurements"]) for row in failed] == [("runtime", 0, [])] * 2
    assert document["results"][0]["measurements"][0]["unit"] == "ms"
    import_files([tmp_path / "T4.json"], "A4000", tmp_path / "two.parquet")
    assert outcomes(RecordedSpace.load(tmp_path / "two.parquet")) == EXPECTED


@pytest.mark.parametrize(
    ("data", "device", "message"),
    [
        (t4(), None, "T4.json: names no device; give --device"),
        (T1, "A4000", "describes a space without measurements"),
        ({"results": []}, "A4000", "neither a cache file of Kernel Tuner nor T4 results"),
        ({"results": [{"configuration": 3}]}, "A4000", "neither a cache file"),
        ({**t4(), "metadata": {"timeunit": "fortnights"}}, "A4000", "neither a cache file.*fortnights"),
        ({"cache": {"a": {"x": 1}}}, "A4000", "neither a cache file"),
        ({"ConfigurationSpace": {}}, "A4000", "not a T1 description"),
        ({"other": 1}, "A4000", "no record belongs to a known space"),
    ],
)
def test_a_bad_file_is_named_in_one_line(data: Any, device: str | None, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        import_files([written(tmp_path / "T4.json", data)], device, tmp_path / "out.parquet")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.parquet").exists()


def test_logs_and_spaces_are_imported_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("broken\n")
    with pytest.raises(InputError, match="import them one after the other"):
        import_files([written(tmp_path / "cache.json", cache()), tmp_path / "log"], None, tmp_path / "out.parquet")
    with pytest.raises(InputError, match="absent"):
        import_files([tmp_path / "absent"], None, tmp_path / "out.parquet")


def test_only_what_holds_measurements_is_exported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        export_t4(tmp_path / "absent", tmp_path / "out.json")
    (tmp_path / "journal.jsonl").write_text("")
    with pytest.raises(InputError, match="holds no measurements"):
        export_t4(tmp_path, tmp_path / "out.json")
