"""Every kind of source gives the same measurements, each counted once."""

from dataclasses import replace

import numpy as np
import pytest

from raydgp.errors import InputError
from raydgp.records import Context, Journal, Record
from raydgp.records.frames import write_parquet
from raydgp.surrogates.sources import gather
from raydgp.targets import Target
from raydgp.templates.spaces import config_space


@pytest.fixture
def records(made):
    """Of a thinned space, as `history record` journals them; the first one twice."""
    space, measurer = made.space_of(16), made.Formula()
    context = Context(
        task="net/conv16",
        workload=space.workload.to_dict(),
        target=Target.named("llvm"),
        space_hash=space.hash,
        strategy="record",
        seed=0,
        run="test",
    )
    picks = space.sample_valid(20, np.random.default_rng(0))
    measured = measurer.measure(space, np.append(picks, picks[0]))
    return [
        Record(context=context, trial=i, knobs=space.decode(m.index), measurement=m) for i, m in enumerate(measured)
    ]


def speeds(task):
    return dict(zip(task.indices.tolist(), task.gflops.tolist(), strict=True))


def test_a_journal_its_parquet_and_a_run_folder_say_the_same(records, tmp_path):
    (tmp_path / "run").mkdir()
    for path in (tmp_path / "j.jsonl", tmp_path / "run" / "journal.jsonl"):
        with Journal(path) as journal:
            journal.append(records)
    write_parquet(records, tmp_path / "r.parquet")
    (given,) = gather([], records)
    for path in ("j.jsonl", "r.parquet", "run"):
        (read,) = gather([tmp_path / path])
        assert speeds(read) == speeds(given)
    (merged,) = gather([tmp_path])
    assert speeds(merged) == speeds(given)


def test_records_of_a_sub_space_are_numbered_in_the_whole_one(records, made):
    (task,) = gather([], records)
    assert task.space.hash == config_space(made.space_of(16).workload, "llvm").hash
    assert len(task.indices) == 20
    first = records[0]
    assert task.indices[0] == task.space.encode(first.knobs)
    assert task.gflops[0] == pytest.approx(first.measurement.gflops(task.space.workload.flops))
    assert task.device == "formula"


def test_records_of_another_algorithm_are_in_its_space(records, made):
    workload = made.space_of(16).workload
    space = config_space(workload, "cuda", "tensor_core")
    picks = space.sample_valid(5, np.random.default_rng(0))
    context = replace(records[0].context, target=Target.named("cuda"), space_hash=space.hash)
    (task,) = gather(
        [],
        [
            Record(context=context, trial=i, knobs=space.decode(m.index), measurement=m)
            for i, m in enumerate(made.Formula().measure(space, picks))
        ],
    )
    assert task.space.hash == space.hash
    assert task.indices.tolist() == picks.tolist()


def test_recorded_spaces_are_tasks_of_one_group(made):
    tasks = gather([made.paths[0].parent])
    assert {task.space.workload.group for task in tasks} == {"conv2d_3x3_s1x1"}
    assert [len(task.indices) for task in tasks] == [len(recorded.indices) for recorded in made.spaces]


def test_what_is_no_source(tmp_path):
    (tmp_path / "bad.parquet").write_text("no")
    (tmp_path / "empty").mkdir()
    for name, message in {
        "absent": "no such file",
        "empty": "holds neither",
        "bad.parquet": "not a Parquet file",
    }.items():
        with pytest.raises(InputError, match=message):
            gather([tmp_path / name])
    with pytest.raises(InputError, match="no measurements"):
        gather([])
