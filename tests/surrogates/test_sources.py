"""One history of all kinds of machines: each has its own measurements and its own winner, compacted or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from raydgp.records import Context, Journal, Measurement, Record, RunFolder, Status
from raydgp.surrogates.sources import gather
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.workloads import Conv2d

CONV = Conv2d(n=1, ci=16, h=8, w=8, co=16, kh=3, kw=3)
MACHINES = [("llvm", "EPYC"), ("llvm", "Xeon"), ("cuda", "H100"), ("cuda", "T4")]


def record(kind: str, device: str, place: int) -> Record:
    """The fastest is another one on every machine."""
    space = config_space(CONV, kind)
    index = int(space.sample(8, np.random.default_rng(0))[place])
    context = Context(
        task="conv",
        workload=CONV.to_dict(),
        target=Target.named(kind),
        space_hash=space.hash,
        strategy="random",
        seed=0,
        run=device,
    )
    fast = place == MACHINES.index((kind, device))
    measured = Measurement(
        index=index, status=Status.OK, times_s=(1e-3 if fast else 2e-3,), device={"kind": kind, "name": device}
    )
    return Record(context=context, trial=place, knobs=space.decode(index), measurement=measured)


@pytest.mark.parametrize("compacted", [False, True])
def test_one_history_of_all_kinds_has_a_winner_for_each(tmp_path: Path, compacted: bool) -> None:
    everything = [record(kind, device, place) for place in range(8) for kind, device in MACHINES]
    for name, records in {"one": everything[::2], "other": everything[1::2]}.items():
        with Journal(tmp_path / name / "journal.jsonl") as journal:
            journal.append(records)
        if compacted:
            assert RunFolder(tmp_path / name).compact() == 16
    found = {(each.space.target, each.device): each for each in gather([tmp_path])}
    assert sorted(found) == sorted(MACHINES)
    for (kind, device), measured in found.items():
        assert len(measured.indices) == 8
        winner = record(kind, device, MACHINES.index((kind, device))).measurement.index
        assert measured.indices[measured.gflops.argmax()] == winner
