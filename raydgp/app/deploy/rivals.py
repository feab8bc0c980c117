"""What else runs the model, to be timed beside it; MetaSchedule first tunes for as long as the run did."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raydgp.app.observer import Observer
from raydgp.errors import InputError
from raydgp.records import RunFolder
from raydgp.rivals.metaschedule.model import TunedModel
from raydgp.rivals.names import METASCHEDULE, ON_PROCESSORS, RIVALS, torch_ways
from raydgp.targets import Target

Ways = dict[str, tuple[str, str, str]]  # by name: runtime, model or folder, kind of target


def check_rivals(rivals: Sequence[str], target: Target, sizes: int = 1) -> None:
    """Whether a model of so many sizes for a target can be compared with them.

    Raises:
        InputError: an unknown rival, or one that this target or a model of several sizes has not.
    """
    unknown = [rival for rival in rivals if rival not in RIVALS]
    if unknown:
        raise InputError(f"unknown rival {unknown[0]!r}; known are {', '.join(RIVALS)}")
    if METASCHEDULE in rivals and sizes > 1:
        raise InputError(f"rival {METASCHEDULE!r} tunes a model of one size: leave it out")
    for rival in rivals:
        if rival in ON_PROCESSORS and not target.behaviour.on_processors:
            raise InputError(f"rival {rival!r} is compared with on CPUs only: leave it out for target {target.kind}")


def ways_of(rivals: Sequence[str], run: RunFolder, model: str) -> Ways:
    """How each rival is run; torch in several ways.

    Args:
        model: of the run, its inputs fixed.
    """
    target, kind = run.settings.target, run.manifest.target.kind
    ways: Ways = {}
    for rival in rivals:
        if rival == METASCHEDULE:
            ways[rival] = (rival, str(run.path / METASCHEDULE), target)
        else:
            ways |= {name: (name, model, target) for name in (torch_ways(kind) if rival == "torch" else (rival,))}
    return ways


def tune_metaschedule(run: RunFolder, source: str, spend: Callable[..., TunedModel], observer: Observer) -> TunedModel:
    """Brings MetaSchedule's tuning of the run's model, kept in the run's folder, to the seconds that the run has spent.

    Not to the minutes that the run was allowed: it may have ended early, or gone over them by its last measurements.

    Args:
        source: the run's model, its inputs fixed.
        spend: `raydgp.rivals.metaschedule.budget.spend`.
    """
    settings, manifest, folder = run.settings, run.manifest, run.path / METASCHEDULE
    budget_s = manifest.spent_s
    observer.message(f"{settings.model}: MetaSchedule may tune for {budget_s:.0f} s, as the run did; kept in {folder}")

    def show(state: TunedModel, spent_s: float) -> None:
        scheduled = len(state.kernels) - len(state.untuned)
        detail = f"{state.trials} measured, {scheduled} of {len(state.kernels)} kernels have a schedule"
        observer.step("MetaSchedule", min(spent_s, budget_s), budget_s, detail)

    measure = settings.measure.model_copy(update={"threads": manifest.device["threads"]})
    tuned = spend(folder, source, manifest.target, measure, budget_s, show)
    observer.step("MetaSchedule", budget_s, budget_s)
    return tuned
