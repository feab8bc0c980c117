"""A whole model tuned by MetaSchedule, TVM's own tuner, for a given time: what ours is held against.

It gets the same imported model, batch norms folded, and goes TVM's own way with it: `relax.pipeline`'s
`static_shape_tuning_pipeline` with weights packed at compile time. Its database and what it took lie in a folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import tvm
from pydantic import BaseModel, ConfigDict, ValidationError
from tvm import relax
from tvm.s_tir import meta_schedule as ms

from raydgp.errors import InputError
from raydgp.models.interchange import RECORDS, WORKLOADS
from raydgp.records.manifest import write_atomically
from raydgp.rivals.metaschedule.rounds import FAILED_S, Job, Turn, tune
from raydgp.settings import MeasureSettings
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm

_STATE = "meta.json"


class TunedModel(BaseModel):
    """How far MetaSchedule got; kept as `meta.json` beside its database.

    Attributes:
        model, target, threads, tvm: what was tuned, for what, by which version.
        spent_s: seconds of its turns: search, builds, runs and learning, all imports left out.
        trials, failed: candidates measured, and those of them that did not build or run.
        kernels: of the model; empty until the first start.
        history: by kernel the fastest call so far, seconds, after each of its turns.
        given_up: kernels that MetaSchedule failed on, and why.
        at_work: the kernel whose turn it is, or was when the tuning was stopped.
        exhausted: nothing more to try was found before the time was up.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    target: Target
    threads: int
    tvm: str = tvm.__version__
    spent_s: float = 0.0
    trials: int = 0
    failed: int = 0
    kernels: list[str] = []
    history: dict[str, list[float]] = {}
    given_up: dict[str, str] = {}
    at_work: str | None = None
    exhausted: bool = False

    @property
    def untuned(self) -> list[str]:
        """Kernels without a schedule, which run as TVM lowers them."""
        return [name for name in self.kernels if min(self.history[name], default=FAILED_S) >= FAILED_S]

    def over(self, budget_s: float) -> bool:
        """Whether there is nothing left to do within so many seconds in all."""
        return self.exhausted or self.spent_s >= budget_s

    def to_dict(self, budget_s: float) -> dict[str, Any]:
        """For a manifest: what it was given and what it made of it."""
        counts = {"trials": self.trials, "failed": self.failed, "kernels": len(self.kernels)}
        lacking = {"untuned": self.untuned, "given_up": self.given_up, "exhausted": self.exhausted}
        return {"budget_s": round(budget_s, 1), "spent_s": round(self.spent_s, 1), **counts, **lacking, "tvm": self.tvm}

    def line(self, budget_s: float) -> str:
        """The same for people."""
        untuned = f"; {len(self.untuned)} stay without a schedule" if self.untuned else ""
        ended = "; it found nothing more to try" if self.exhausted else ""
        return (
            f"MetaSchedule had {budget_s:.0f} s and took {self.spent_s:.0f}: {self.trials} candidates of "
            f"{len(self.kernels)} kernels measured, {self.failed} of them failed{ended}{untuned}"
        )

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """What is known of a folder; None if nothing has been done there.

        Raises:
            InputError: it is damaged.
        """
        try:
            return cls.model_validate_json((folder / _STATE).read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            raise InputError(f"{folder / _STATE} is damaged: delete {folder} to tune anew") from None

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _STATE, self.model_dump_json(indent=1))


def tune_model(
    module: tvm.IRModule, state: TunedModel, folder: Path, settings: MeasureSettings, budget_s: float
) -> None:
    """Tunes until `budget_s` seconds are spent in all, earlier calls for the folder included.

    The folder is consistent whenever this ends, in whatever way: the turn in which it was stopped is lost, and its time
    does not count.

    Args:
        module: of `raydgp.models.importing.Imported`.
        state: of the folder; it is changed and saved after every turn.
        settings: how a candidate is built and timed.
    """
    lowered, target = _lowered(module, state.target), to_tvm(state.target)
    with target:
        tasks = ms.relax_integration.extract_tasks(lowered, target)
    jobs = [Job(task.task_name, int(task.weight), task.dispatched[0]) for task in tasks]
    state.kernels = [job.name for job in jobs]
    for name in state.kernels:
        state.history.setdefault(name, [])

    def on_choice(name: str) -> None:
        state.at_work = name
        state.save(folder)

    def on_turn(turn: Turn) -> None:
        past = state.history[turn.name]
        past.append(min([*turn.times_s, *past[-1:]], default=FAILED_S))
        state.spent_s += turn.seconds
        state.trials += len(turn.times_s) + turn.failed
        state.failed += turn.failed
        state.at_work = None
        state.save(folder)

    tune(
        [job for job in jobs if job.name not in state.given_up],
        state.target,
        settings,
        _database(folder),
        state.history,
        budget_s,
        lambda: budget_s - state.spent_s,
        state.trials,
        on_choice,
        on_turn,
    )
    state.exhausted = state.spent_s < budget_s
    state.save(folder)


def compiled(module: tvm.IRModule, state: TunedModel, folder: Path) -> Any:
    """The model's executable with the best schedules of a folder, weights packed; `main` takes the inputs alone."""
    target = to_tvm(state.target)
    # Without LiftTransformParams, which is for weights that are given at run time: ours are constants, to be folded.
    pack = [relax.transform.SplitLayoutRewritePreproc(), relax.transform.FoldConstant()]
    with target, _database(folder):
        module = relax.transform.MetaScheduleApplyDatabase()(_lowered(module, state.target))
        module = tvm.transform.Sequential([*pack, relax.transform.DeadCodeElimination()])(module)
    return tvm.compile(module, target=target)


def _lowered(module: tvm.IRModule, target: Target) -> tvm.IRModule:
    """Kernels without schedules, whose constants a schedule may lay out as it likes."""
    passes = [
        relax.get_pipeline("zero"),
        relax.transform.RewriteDataflowReshape(),  # `tvm.compile` would do it later: no kernel, nothing to tune
        relax.transform.DeadCodeElimination(),
        relax.transform.AttachAttrLayoutFreeBuffers(),
    ]
    with to_tvm(target):
        return tvm.transform.Sequential(passes)(module)


def _database(folder: Path) -> ms.database.JSONDatabase:
    """The folder's database, without a line that a killed process left half written."""
    for name in (WORKLOADS, RECORDS):
        path = folder / name
        if path.exists() and (text := path.read_bytes()) and not text.endswith(b"\n"):
            path.write_bytes(text[: text.rfind(b"\n") + 1])
    return ms.database.JSONDatabase(work_dir=str(folder))
