"""A kind of target from outside of the package, tuned end to end: the recipe's, in processes of its own."""

import json
from pathlib import Path

import pytest

from tests.support.processes import python

RECIPE = Path(__file__).parents[2] / "docs" / "recipes" / "target.py"
TUNE = """
import importlib.util, sys
from pathlib import Path
import numpy as np
spec = importlib.util.spec_from_file_location("outsider", {recipe!r})
sys.modules["outsider"] = outsider = importlib.util.module_from_spec(spec)
spec.loader.exec_module(outsider)

from raydgp import Dense, config_space, search
from raydgp.measure.local import LocalMeasurer
from raydgp.records import Context, Journal, Record
from raydgp.settings import MeasureSettings
from raydgp.targets import Target

target, workload = Target.here("c"), Dense(n=2, k=32, m=48)
space = config_space(workload, target)
context = Context(
    task="fc", workload=workload.to_dict(), target=target, space_hash=space.hash, strategy="random", seed=0, run="r"
)
strategy = search.create("random", space, seed=0)
quick = MeasureSettings(repeat=1, min_repeat_ms=0)
with LocalMeasurer(target, quick) as measurer, Journal(Path({journal!r})) as journal:
    trial = 0
    for _ in range(2):
        indices = strategy.ask(4)
        outcomes = measurer.measure(space, indices)
        gflops, ok = [m.gflops(workload.flops) for m in outcomes], [m.ok for m in outcomes]
        strategy.tell(indices, np.array(gflops), np.array(ok))
        for measured in outcomes:
            knobs = space.decode(measured.index)
            journal.append([Record(context=context, trial=trial, knobs=knobs, measurement=measured)])
            trial += 1
"""
READ = """
import importlib.util, json, sys
if {known}:
    spec = importlib.util.spec_from_file_location("outsider", {recipe!r})
    sys.modules["outsider"] = outsider = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(outsider)
from pathlib import Path
from raydgp import config_space
from raydgp.records import scan
from raydgp.workloads import from_dict
found = scan(Path({journal!r}))
for record in found.records:
    space = config_space(from_dict(record.context.workload), record.context.target)
    assert space.hash == record.context.space_hash
    assert space.encode(record.knobs) == record.measurement.index
said = [[r.context.target.to_dict(), r.measurement.ok, r.measurement.device["kind"]] for r in found.records]
print(json.dumps([said, [q.reason for q in found.quarantined]]))
"""


@pytest.fixture(scope="module")
def journal(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("third") / "journal.jsonl"
    python("-c", TUNE.format(recipe=str(RECIPE), journal=str(path)), cwd=path.parent)
    return path


def read(journal: Path, known: bool) -> tuple[list, list]:
    done = python("-c", READ.format(recipe=str(RECIPE), journal=str(journal), known=known), cwd=journal.parent)
    records, quarantined = json.loads(done.stdout)
    return records, quarantined


def test_its_measurements_are_right_and_read_back_in_another_process(journal):
    records, quarantined = read(journal, known=True)
    assert records == [[{"kind": "c"}, True, "c"]] * 8
    assert quarantined == []


def test_who_does_not_know_the_kind_is_told_so_and_loses_no_record(journal):
    before = journal.read_bytes()
    records, quarantined = read(journal, known=False)
    assert records == []
    assert len(quarantined) == 8
    assert all("unknown target 'c'" in reason for reason in quarantined)
    assert journal.read_bytes() == before
