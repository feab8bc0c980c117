"""A searcher saved at every step, and Tune restored after a kill: the search goes on as it would have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ray.tune.search import Searcher

from raydgp import search
from raydgp.cluster import RaydgpSearcher
from tests.support import restored_tune
from tests.support.processes import python
from tests.support.small_run import SPACE, WORKLOAD, measured

TRIALS, BATCH = 20, 4
# what takes seconds for a search of this size has its state tested by tests/contract at fewer steps
QUICK = ["random", "grid", "genetic", "droplet", "chameleon", "portfolio", "autotvm", "lfbo", "bted"]


def make(strategy: str) -> RaydgpSearcher:
    return RaydgpSearcher(SPACE, strategy, TRIALS, BATCH, seed=1)


def step(searcher: RaydgpSearcher, trial: str) -> list[int]:
    """A batch asked for, measured and told; none at the end."""
    config = searcher.suggest(trial)
    if not isinstance(config, dict):
        assert config == Searcher.FINISHED
        return []
    tell(searcher, trial, config["indices"])
    return list(config["indices"])


def tell(searcher: RaydgpSearcher, trial: str, indices: list[int]) -> None:
    result = {"gflops": [measured(index).gflops(WORKLOAD.flops) for index in indices]}
    searcher.on_trial_complete(trial_id=trial, result=result)


def rest(searcher: RaydgpSearcher) -> list[int]:
    found: list[int] = []
    while more := step(searcher, f"trial{len(found)}"):
        found += more
    return found


def saved(searcher: RaydgpSearcher, file: Path) -> dict[str, Any]:
    searcher.save(str(file))
    state: dict[str, Any] = json.loads(file.read_text())
    return state


def test_every_strategy_is_tried_here_or_named() -> None:
    assert set(QUICK) | {"bao", "dgp", "dgp+"} == set(search.names())


@pytest.mark.parametrize("strategy", QUICK)
def test_saved_before_and_within_every_batch_it_goes_on_alike(strategy: str, tmp_path: Path) -> None:
    whole = rest(make(strategy))
    assert len(whole) == len(set(whole)) == TRIALS
    searcher, done, file = make(strategy), 0, tmp_path / "state.json"
    while done < TRIALS:
        searcher.save(str(file))
        between = make(strategy)
        between.restore(str(file))
        assert rest(between) == whole[done:]

        config = searcher.suggest("open")
        assert isinstance(config, dict)
        searcher.save(str(file))
        within = make(strategy)
        within.restore(str(file))
        tell(within, "open", config["indices"])
        done += len(config["indices"])
        assert rest(within) == whole[done:]
        tell(searcher, "open", config["indices"])


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.parametrize("killed_at", range(1, 6))
def test_tune_that_was_killed_is_restored_and_asks_for_the_same(killed_at: int, tmp_path: Path) -> None:
    """Its whole session, with -9, as with its machine."""
    run = [*("-m", "tests.support.restored_tune"), str(tmp_path), str(killed_at)]
    assert python(*run, check=False).returncode == -9
    before = restored_tune.asked(tmp_path)
    assert len(before) >= killed_at
    python(*run)
    asked = restored_tune.asked(tmp_path)
    assert list(dict.fromkeys(asked)) == restored_tune.uninterrupted()
    assert len(asked) - len(set(asked)) <= 1  # the trial that was running is tried again
