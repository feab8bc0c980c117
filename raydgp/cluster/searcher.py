"""Any of our strategies as a search algorithm of Ray Tune: one Tune trial is one batch of configurations."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ray.tune.search import Searcher

from raydgp import search
from raydgp.errors import InputError
from raydgp.records import Measurement
from raydgp.search import Outcome, Strategy
from raydgp.space import ConfigSpace


class RaydgpSearcher(Searcher):
    """Proposes batches of configurations and learns from their GFLOPS.

    A trial's config holds `indices`, `knobs` (the same decoded), `trials` (their places in the search, from 0) and the
    seconds this batch and the learning before it took, `propose_s` and `learn_s`. A trial reports `gflops`, a list in
    the order of `indices` or a number for a batch of one, 0 or NaN where it failed, and, if it likes, lists `valid`, of
    bools, and `samples`, of the GFLOPS of every repeat. A trial that fails or reports nothing counts as failed
    configurations, once.

        tune.Tuner(
            lambda config: tune.report({"gflops": my_measure(config["knobs"][0])}),
            tune_config=tune.TuneConfig(search_alg=RaydgpSearcher(space, trials=64), num_samples=64, metric="gflops",
                                        mode="max"),
        )

    Args:
        space: where to search.
        strategy: a name of `raydgp.search.names()`, or a strategy made for this space that has not been asked yet; then
            `seed` and `options` are its own.
        trials: configurations to measure; afterwards `suggest` says that it is finished.
        batch: configurations of one Tune trial, at most.
        seed: of the strategy's random stream.
        options: of the strategy.
        known: what was measured before. It is not measured again but told when the search asks for it, so that an
            interrupted search goes on by asking the same again.
        points_to_evaluate: configurations, as knobs or indices, to measure right after the default one.
        metric, mode: of Tune, which sets them by itself; the mode can only be `max`.

    Raises:
        InputError: unknown strategy or option, a strategy for another space, a point outside of the space, or mode
            `min`.
    """

    def __init__(
        self,
        space: ConfigSpace,
        strategy: str | Strategy = "autotvm",
        trials: int = 64,
        batch: int = 1,
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
        known: Mapping[int, Measurement] | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any] | int] | None = None,
        metric: str | None = None,
        mode: str | None = None,
    ) -> None:
        super().__init__(metric=metric, mode=_maximised(mode))
        self.space = space
        points = [p if isinstance(p, int) else space.encode(p) for p in points_to_evaluate or ()]
        self.search = search.Search(_strategy(strategy, space, seed, options or {}), trials, batch, points)
        self._known = dict(known or {})
        self._live: dict[str, list[int]] = {}
        self._asked = 0
        self._learn_s = 0.0

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Takes Tune's metric; False for a search space of Tune's, because ours is set."""
        if config:
            return False
        self._metric, self._mode = metric or self._metric, _maximised(mode) or self._mode
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]  # FINISHED is a str
        """The next batch with something to measure, or `FINISHED`."""
        propose_s = 0.0
        while True:
            began = time.perf_counter()
            indices = self.search.ask().tolist()
            propose_s += time.perf_counter() - began
            if not indices:
                return Searcher.FINISHED
            first, self._asked = self._asked, self._asked + len(indices)
            places = [(index, first + place) for place, index in enumerate(indices) if index not in self._known]
            known = [self._known[index] for index in indices if index in self._known]
            self._tell([Outcome.measured(m, self.space.workload.flops) for m in known])
            if places:
                break
        self._live[trial_id] = [index for index, _ in places]
        learn_s, self._learn_s = self._learn_s, 0.0
        return {
            "indices": [index for index, _ in places],
            "knobs": [self.space.decode(index) for index, _ in places],
            "trials": [trial for _, trial in places],
            "propose_s": propose_s,
            "learn_s": learn_s,
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Learns from a trial, once; a trial that it does not know is passed over."""
        indices = self._live.pop(trial_id, [])
        self._tell(self._outcomes(indices, {} if error or result is None else result))

    def save(self, checkpoint_path: str) -> None:
        """Writes its state as JSON."""
        Path(checkpoint_path).write_text(json.dumps(self.state()))

    def state(self) -> dict[str, Any]:
        """All that `set_state` needs, JSON-able."""
        return {"search": self.search.state(), "live": self._live, "asked": self._asked, "learn_s": self._learn_s}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continues where `state` was taken, on a searcher made with the same arguments; `trials` may have grown."""
        self.search.restore(state["search"])
        self._live = {trial: list(indices) for trial, indices in state["live"].items()}
        self._asked, self._learn_s = state["asked"], state["learn_s"]

    def restore(self, checkpoint_path: str) -> None:
        """Continues where `save` was called, on a searcher made with the same arguments.

        Raises:
            InputError: the file is not a state of this searcher.
        """
        try:
            self.set_state(json.loads(Path(checkpoint_path).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{checkpoint_path}: not a state of this searcher ({error!r}); start anew") from None

    def _outcomes(self, indices: list[int], result: Mapping[str, Any]) -> list[Outcome]:
        """Returns what a trial reported of its configurations; failures where that makes no sense."""
        gflops = _listed(result.get("gflops", result.get(self.metric)))
        valid = _listed(result.get("valid", [True] * len(indices)))
        samples = _listed(result.get("samples", [()] * len(indices)))
        if not len(gflops) == len(valid) == len(samples) == len(indices):
            return [Outcome(index) for index in indices]
        return [Outcome.of(*row) for row in zip(indices, gflops, valid, samples, strict=True)]

    def _tell(self, outcomes: list[Outcome]) -> None:
        if outcomes:
            began = time.perf_counter()
            self.search.tell(outcomes)
            self._learn_s += time.perf_counter() - began


def _strategy(strategy: str | Strategy, space: ConfigSpace, seed: int, options: Mapping[str, Any]) -> Strategy:
    if isinstance(strategy, str):
        return search.create(strategy, space, seed, **options)
    if options:
        raise InputError(f"options {', '.join(options)} come with a name; make {strategy.name} with them")
    if strategy.space.hash != space.hash:
        raise InputError(f"strategy {strategy.name} is for {strategy.space}, not for {space}; make it for this space")
    return strategy


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | np.ndarray) else [value]


def _maximised(mode: str | None) -> str | None:
    if mode not in (None, "max"):
        raise InputError(f"mode {mode!r}: GFLOPS are maximised; give mode='max'")
    return mode
