"""A whole model given to MetaSchedule for some seconds: stopped, resumed, not done twice."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from raydgp.errors import InputError, RaydgpError
from raydgp.models.interchange import RECORDS
from raydgp.records.lock import FileLock
from raydgp.rivals.latency import Latency, measure
from raydgp.rivals.metaschedule import budget as metaschedule_budget
from raydgp.rivals.metaschedule.budget import spend
from raydgp.rivals.metaschedule.model import TunedModel
from raydgp.rivals.metaschedule.rounds import POPULATION, Job, Turn, Turns, effort
from raydgp.settings import MeasureSettings
from raydgp.targets import Target

MODEL = """
import torch
from torch import nn

def tiny():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 10), nn.Softmax(-1))
    return model.eval(), (torch.randn(1, 3, 8, 8),)
"""
SETTINGS = MeasureSettings(threads=1, repeat=1, min_repeat_ms=1)


def bring(folder, budget_s, *on_progress):
    return spend(folder, "tiny_nets:tiny", Target.here("llvm"), SETTINGS, budget_s, *on_progress)


@pytest.mark.slow
def test_what_was_stopped_goes_on_and_what_is_over_is_not_done_again(tmp_path, monkeypatch):
    (tmp_path / "tiny_nets.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run" / "metaschedule"

    def interrupt(state, spent_s):
        assert spent_s >= state.spent_s
        if state.trials:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(folder, 9, interrupt)
    stopped = TunedModel.load(folder)
    assert stopped
    assert stopped.trials == len((folder / RECORDS).read_text().splitlines())
    assert 0 < stopped.spent_s < 9
    with (folder / RECORDS).open("a") as file:
        file.write('[0, [[["half a li')
    budget_s = stopped.spent_s + 0.5
    over = bring(folder, budget_s)
    assert over.over(budget_s)
    assert over.trials > stopped.trials
    assert over.trials == len((folder / RECORDS).read_text().splitlines())
    assert sum(map(len, over.history.values())) > sum(map(len, stopped.history.values()))
    assert len(over.untuned) < len(over.kernels) == 3
    assert over == TunedModel.load(folder)
    monkeypatch.setattr(metaschedule_budget, "Child", None)
    assert bring(folder, budget_s) == over
    latency = measure({"metaschedule": ("metaschedule", str(folder), "llvm")}, 3, 1)["metaschedule"]
    assert isinstance(latency, Latency)
    assert latency.error < 1e-4


def test_a_kernel_that_metaschedule_fails_on_costs_that_kernel(tmp_path, monkeypatch):
    faults = iter(["killed by SIGSEGV", ""])

    def session(folder, *_):
        state = TunedModel.load(folder)
        assert state
        fault = next(faults)
        state.kernels, state.history = ["conv", "pool"], {"conv": [1.0], "pool": []}
        state.at_work, state.spent_s = ("pool", 1.0) if fault else (None, 9.0)
        state.save(folder)
        return fault

    monkeypatch.setattr(metaschedule_budget, "session", session)
    state = bring(tmp_path, 9.0)
    assert state.given_up == {"pool": "killed by SIGSEGV"}
    assert state.untuned == ["pool"]
    assert "1 stay without a schedule" in state.line(9.0)


def test_what_ends_before_any_kernel_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(metaschedule_budget, "session", lambda *_: "no such model")
    with pytest.raises(RaydgpError, match="cannot tune tiny_nets:tiny: no such model"):
        bring(tmp_path, 9.0)


def test_a_folder_that_does_not_fit_is_told_in_a_line(tmp_path):
    bring(tmp_path, 0.0)
    lock = FileLock(tmp_path / "lock")
    with pytest.raises(InputError, match="is held by process"):
        bring(tmp_path, 0.0)
    lock.release()
    state = TunedModel.load(tmp_path)
    assert state
    state.model_copy(update={"tvm": "0.1"}).save(tmp_path)
    with pytest.raises(InputError, match="tuned by another TVM or for another machine: delete it"):
        bring(tmp_path, 0.0)
    (tmp_path / "meta.json").write_text("{")
    with pytest.raises(InputError, match=r"meta\.json is damaged: delete"):
        bring(tmp_path, 0.0)


def test_a_turn_is_tvms_where_time_allows_and_less_where_not_all_kernels_would_have_one():
    assert effort(3600, 20, 2) == (64, POPULATION)
    candidates, population = effort(240, 20, 2)
    assert 4 <= candidates < 16
    assert 32 <= population < 128
    assert effort(1, 20, 2) == (4, 32)


def test_who_is_next_is_who_was_not_then_who_gains_most():
    history = {"heavy": [], "light": [], "dead": [1e9]}
    turns: list[Turn] = []
    jobs = [Job("heavy", 3, None), Job("light", 1, None), Job("dead", 9, None)]
    ended = [False for _ in jobs]
    left = iter([1, 1, 1, 0])
    order = Turns(jobs, history, lambda: next(left), lambda name: None, turns.append)

    def following():
        return order.following(ended, lambda place: [SimpleNamespace(run_secs=s) for s in ([2.0, 4.0], None)])

    assert following() == 0
    history["heavy"].append(1.0)
    assert following() == 1
    assert (turns[0].name, turns[0].times_s, turns[0].failed, turns[0].exhausted) == ("heavy", [3.0], 1, False)
    history["light"].append(2.0)
    assert following() == 0
    ended[0] = True
    assert following() == -1
    assert isinstance(turns[-1], Turn)
    assert turns[-1].exhausted
