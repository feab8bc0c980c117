"""What a search starts from: layers that share its space in the same run, and other runs on the same device."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from raydgp import config_space
from raydgp.app.tune.experience import Experience, space_sharing_key
from raydgp.records import Context, Measurement, Record, RunFolder, RunManifest, Status, TaskEntry
from raydgp.settings import TuneSettings
from raydgp.targets import Target
from raydgp.workloads import Conv2d, Fused
from raydgp.workloads.zoo import Task

CONV = Conv2d(n=1, ci=32, h=8, w=8, co=32, kh=3, kw=3, padding=(1, 1))
PLAIN = Fused(anchor=CONV, epilogue=("bias",), block_in=32, block_out=32)
OTHER = replace(PLAIN, anchor=replace(CONV, h=16))
RELU = replace(PLAIN, epilogue=("bias", "relu"))
TARGET, DEVICE = Target.named("llvm"), {"name": "this"}


def settings(runs: Path) -> TuneSettings:
    return TuneSettings(model="zoo:resnet18", run="now", runs_dir=runs)


def manifest(*workloads: Fused, device: dict[str, str] = DEVICE) -> RunManifest:
    entries = [TaskEntry.of(f"layer{k}", 1, config_space(w, "llvm")) for k, w in enumerate(workloads)]
    return RunManifest(settings={}, tasks=entries, target=TARGET, device=device, versions={}, created_unix_s=0.0)


def records(name: str, workload: Fused, times_s: dict[int, float]) -> list[Record]:
    context = Context(
        task=name,
        workload=workload.to_dict(),
        target=TARGET,
        space_hash=config_space(workload, "llvm").hash,
        strategy="random",
        seed=0,
        run="r",
    )
    measured = [Measurement(index=i, status=Status.OK, times_s=(t,)) for i, t in times_s.items()]
    return [Record(context=context, trial=k, knobs={}, measurement=m) for k, m in enumerate(measured)]


def test_an_epilogue_makes_no_stranger():
    assert space_sharing_key(PLAIN) == space_sharing_key(RELU)
    assert config_space(PLAIN, "llvm").size == config_space(RELU, "llvm").size
    assert space_sharing_key(PLAIN) != space_sharing_key(replace(PLAIN, block_out=16))


def test_a_task_starts_from_its_kins_fastest(tmp_path: Path):
    found = records("layer0", PLAIN, {k: 1e-3 * (10 - k) for k in range(9)})
    tasks = [Task("layer0", PLAIN, 1), Task("layer1", RELU, 1)]
    experience = Experience(settings(tmp_path), tasks, TARGET, DEVICE)
    entries = experience.with_start_points(manifest(PLAIN, RELU), tasks, found).tasks
    assert entries[0].start_points == []  # it has begun
    assert entries[1].start_points == [8, 7, 6, 5, 4, 3]
    assert not entries[1].settled


def write_run(folder: Path, device: dict[str, str], workload: Fused, count: int) -> None:
    manifest(workload, device=device).save(folder)
    with RunFolder(folder).writer() as journal:
        journal.append(records("layer7", workload, {k: 1e-3 * (k + 1) for k in range(count)}))


@pytest.mark.parametrize(
    ("device", "workload", "count", "points", "settled"),
    [
        (DEVICE, RELU, 64, [0, 1, 2, 3, 4, 5], True),
        (DEVICE, RELU, 63, [0, 1, 2, 3, 4, 5], False),
        (DEVICE, PLAIN, 64, [0, 1, 2, 3, 4, 5], False),
        ({"name": "another"}, RELU, 64, [], False),
    ],
    ids=["searched before", "hardly searched", "shared space", "another device"],
)
def test_another_run_helps_where_it_measured_the_same(tmp_path: Path, device, workload, count, points, settled):
    write_run(tmp_path / "before", device, workload, count)
    write_run(tmp_path / "of another layer", device, OTHER, 3)
    tasks = [Task("layer0", RELU, 1)]
    for compacted in (count, 0):  # the same from the journal and from a segment
        (entry,) = (
            Experience(settings(tmp_path), tasks, TARGET, DEVICE).with_start_points(manifest(RELU), tasks, []).tasks
        )
        assert (entry.start_points, entry.settled) == (points, settled)
        assert RunFolder(tmp_path / "before").compact() == compacted


def test_an_operator_that_is_not_here_teaches_nothing_and_is_no_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Of a run with a package of somebody's that this environment lacks."""
    write_run(tmp_path / "theirs", DEVICE, RELU, 64)
    theirs = [
        replace(record, context=replace(record.context, workload={"op": "their_attention", "n": 3}))
        for record in records("layer7", RELU, {0: 1e-3})
    ]
    with RunFolder(tmp_path / "theirs").writer() as journal:
        journal.append(theirs)
    tasks = [Task("layer0", RELU, 1)]
    experience = Experience(settings(tmp_path), tasks, TARGET, DEVICE)
    (entry,) = experience.with_start_points(manifest(RELU), tasks, []).tasks
    assert entry.settled
    assert not caplog.records


def test_on_a_gpu_a_layer_nobody_knows_starts_from_winners_on_other_gpus(tmp_path: Path):
    """Of processors there are none: their models come with the package."""
    target = Target.named("cuda/sm_90")
    layer = Fused(anchor=replace(CONV, ci=256, co=256, h=14, w=14), epilogue=("bias", "relu"))
    space = config_space(layer, target)
    entries = [TaskEntry.of("layer0", 1, space)]
    fresh = RunManifest(
        settings={}, tasks=entries, target=target, device={"name": "G"}, versions={}, created_unix_s=0.0
    )
    tasks = [Task("layer0", layer, 1)]
    found = Experience(settings(tmp_path), tasks, target, {"name": "G"}).with_start_points(fresh, tasks, [])
    assert len(found.tasks[0].start_points) == 6
    assert space.valid(np.array(found.tasks[0].start_points)).all()
    assert not found.tasks[0].settled
