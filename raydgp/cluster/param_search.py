"""A search in Ray Tune's own `param_space`: one configuration a trial, any metric, lowered or raised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from raydgp.cluster.param_space import ParamSpace
from raydgp.errors import InputError
from raydgp.search import Outcome, Search, Strategy
from raydgp.search.objective import Mode, Objective
from raydgp.space import ConfigSpace


class ParamSearch:
    """What `RaydgpSearcher` does without a space of its own.

    Args:
        config: Tune's `param_space`.
        metric: what trials report.
        mode: `min` or `max`.
        make: (space) -> the strategy.
        batch: configurations between two learnings.
        points: to be tried first.
        rewards: their values of the metric, where they are known; then they are not tried.

    Attributes:
        live: configurations that Tune's trials have and have not reported, by trial.

    Raises:
        InputError: no metric or mode, a `param_space` without a space, points outside of it, or not as many rewards.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        metric: str | None,
        mode: str | None,
        make: Callable[[ConfigSpace], Strategy],
        batch: int,
        points: Sequence[Mapping[str, Any]],
        rewards: Sequence[float] | None,
    ) -> None:
        if not metric or mode not in ("min", "max"):
            raise InputError(f"metric {metric!r}, mode {mode!r}: give both to tune.TuneConfig, mode as 'min' or 'max'")
        if rewards is not None and len(rewards) != len(points):
            raise InputError(
                f"evaluated_rewards: {len(rewards)} for {len(points)} points_to_evaluate; give one for each"
            )
        self._params = ParamSpace(config)
        space = self._params.space
        indices = [self._params.index(point) for point in points]
        if indices:
            space.default = indices[0]  # the first trial; in the middle of everything without points
        self.metric, self._objective = metric, Objective(cast(Mode, mode))
        self.search = Search(make(space), space.size, batch, [] if rewards is not None else indices, in_order=False)
        self.search.tell([self._outcome(i, value) for i, value in zip(indices, rewards or (), strict=False)])
        self._waiting: list[int] = []
        self.live: dict[str, int] = {}

    @property
    def space(self) -> ConfigSpace:
        return self._params.space

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next configuration, nested as Tune has it; None where all have been tried."""
        if not self._waiting:
            self._waiting = self.search.ask().tolist()
        if not self._waiting:
            return None
        self.live[trial_id] = self._waiting.pop(0)
        return self._params.config(self.live[trial_id])

    def complete(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Learns from a trial, once; without the metric, or with one that is no number, it has failed."""
        if trial_id in self.live:
            self.search.tell([self._outcome(self.live.pop(trial_id), result.get(self.metric))])

    def state(self) -> dict[str, Any]:
        """All that `restore` needs, JSON-able."""
        return {
            "search": self.search.state(),
            "waiting": self._waiting,
            "live": self.live,
            "scale": self._objective.scale,
            "points": self._params.points(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues where `state` was taken, on a search of the same `param_space`.

        Raises:
            InputError: it was another one.
        """
        self.search.restore(state["search"])
        self._waiting, self.live = list(state["waiting"]), dict(state["live"])
        self._objective.scale = state["scale"]
        self._params.restore(state["points"])

    def _outcome(self, index: int, value: Any) -> Outcome:
        return Outcome.of(index, self._objective.score(value))
