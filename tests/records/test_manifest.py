from pathlib import Path

import pytest

from raydgp.errors import InputError
from raydgp.records import RunManifest, TaskEntry
from raydgp.targets import Target


@pytest.fixture
def manifest() -> RunManifest:
    task = TaskEntry(
        name="conv0",
        workload={"op": "dense", "n": 1, "k": 4, "m": 4},
        count=3,
        group="dense",
        space_hash="a" * 16,
        space_size=2**62,
        default_index=7,
    )
    return RunManifest(
        settings={"model": "resnet18"},
        tasks=[task],
        target=Target.named("llvm"),
        device={"name": "cpu"},
        versions={"tvm": "0.27"},
        created_unix_s=1.6e9 + 0.1,
    )


def test_round_trip_leaves_no_draft(tmp_path: Path, manifest: RunManifest) -> None:
    run = tmp_path / "runs" / "a"
    manifest.save(run)
    done = manifest.model_copy(update={"finished_unix_s": 1.7e9 + 1 / 3})
    done.save(run)
    assert RunManifest.load(run) == done
    assert [file.name for file in run.iterdir()] == ["run.json"]


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a run"):
        RunManifest.load(tmp_path)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"tasks": 3}'])
def test_a_damaged_manifest(tmp_path: Path, damage: str) -> None:
    (tmp_path / "run.json").write_text(damage)
    with pytest.raises(InputError, match=r"run\.json") as error:
        RunManifest.load(tmp_path)
    assert "\n" not in str(error.value)
