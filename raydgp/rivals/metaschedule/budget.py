"""Brings MetaSchedule's tuning of a model to a number of seconds, in a process of its own that may be killed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from raydgp.errors import InputError, RaydgpError
from raydgp.records.lock import FileLock, Held
from raydgp.rivals.metaschedule.model import TunedModel
from raydgp.sandbox.process import Child
from raydgp.settings import MeasureSettings
from raydgp.targets import Target

_LOOK_S = 0.5
_STUCK_S = 900.0  # of one turn: 64 candidates that all run into their limits take as long
_ANSWER_S = 120.0


def spend(
    folder: Path,
    source: str,
    target: Target,
    settings: MeasureSettings,
    budget_s: float,
    on_progress: Callable[[TunedModel, float], None] = lambda state, spent_s: None,
) -> TunedModel:
    """Tunes until `budget_s` seconds are spent in all; what an earlier call has spent for the folder counts.

    A kernel on which MetaSchedule raises, crashes or gets stuck has no further turn.

    Args:
        source: the model, as of `raydgp.models.importing.load`.
        target: what it is for.
        settings: how candidates are built and timed, with its number of threads.
        on_progress: told twice a second how far it is and the seconds spent, those of the turn under way included.

    Raises:
        InputError: the folder is damaged, in use, or of another TVM.
        RaydgpError: MetaSchedule fails before it has chosen a kernel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / "lock")
    except Held as held:
        raise InputError(str(held)) from None
    try:
        new = TunedModel(model=source, target=target, threads=settings.threads or target.cores or 1)
        state = TunedModel.load(folder) or new
        if (state.tvm, state.target, state.threads) != (new.tvm, new.target, new.threads):
            raise InputError(f"{folder} was tuned by another TVM or for another machine: delete it to tune anew")
        while not state.over(budget_s):
            state.at_work = None
            state.save(folder)
            fault = session(folder, settings, budget_s, on_progress)
            state = TunedModel.load(folder) or new
            if fault and state.at_work is None:
                raise RaydgpError(f"MetaSchedule cannot tune {source}: {fault}")
            if fault and state.at_work:
                state.given_up[state.at_work] = fault
        state.save(folder)
        return state
    finally:
        lock.release()


def session(
    folder: Path, settings: MeasureSettings, budget_s: float, on_progress: Callable[[TunedModel, float], None]
) -> str:
    """One child's work; a line on what went wrong, if anything did."""
    count = str(settings.threads)
    with tempfile.TemporaryDirectory(prefix="raydgp-metaschedule-") as temporary:  # for what killed workers leave
        environment = {"TVM_NUM_THREADS": count, "OMP_NUM_THREADS": count, "TMPDIR": temporary}
        arguments = [str(folder), repr(budget_s), settings.model_dump_json()]
        child = Child("raydgp.rivals.metaschedule.child", arguments, environment)
        try:
            child.wait_ready()
            seen, since_s = None, time.monotonic()
            while True:
                answer, _ = child.call({"wait_s": _LOOK_S}, b"", _ANSWER_S)
                if answer.get("faults"):
                    return str(answer["faults"][0])
                state = TunedModel.load(folder)
                if state is None or not answer["running"]:
                    return ""
                if seen != (state.at_work, state.spent_s):
                    seen, since_s = (state.at_work, state.spent_s), time.monotonic()
                turn_s = time.monotonic() - since_s
                if turn_s > _STUCK_S:
                    return f"no end of its turn within {_STUCK_S:g} s"
                on_progress(state, state.spent_s + (turn_s if state.at_work else 0.0))
        except RaydgpError as error:
            return str(error)
        finally:
            child.kill()
