"""Any of our strategies as a search algorithm of Ray Tune: one Tune trial is one batch of configurations."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ray.tune.search import Searcher

from raydgp import search
from raydgp.cluster.param_search import ParamSearch
from raydgp.errors import MALFORMED, InputError, first_line
from raydgp.records import Measurement
from raydgp.records.manifest import write_atomically
from raydgp.search import Outcome, Search, Strategy
from raydgp.search.options import checked
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

    Without a space it searches the `param_space` of the Tuner, as other search algorithms of Tune do: a trial's config
    is one configuration, and its metric is lowered or raised as Tune's `mode` says. A trial without the metric, or with
    one that is no finite number, has failed. It is finished when every configuration was tried.

        tune.Tuner(
            trainable,
            param_space={"block": tune.choice([16, 32, 64]), "rate": tune.loguniform(1e-4, 1e-1)},
            tune_config=tune.TuneConfig(search_alg=RaydgpSearcher(strategy="dgp+"), num_samples=64, metric="seconds",
                                        mode="min"),
        )

    Args:
        space: where to search; Tune's `param_space` by default.
        strategy: a name of `raydgp.search.names()`, or a strategy made for this space that has not been asked yet; then
            `seed` and `options` are its own.
        trials: configurations to measure, 64 by default; afterwards `suggest` says that it is finished. Without a space
            it is Tune that counts.
        batch: configurations of one Tune trial, at most; without a space, those between two learnings.
        seed: of the strategy's random stream.
        options: of the strategy.
        known: what was measured before. It is not measured again but told when the search asks for it, so that an
            interrupted search goes on by asking the same again.
        points_to_evaluate: configurations, as knobs or indices, to measure right after the default one; without a
            space, configurations as Tune has them, to try first.
        evaluated_rewards: without a space, values of the metric for these points, which are then not tried.
        metric, mode: of Tune, which sets them by itself; with a space the mode can only be `max`.

    Raises:
        InputError: unknown strategy or option, a strategy for another space, a point outside of the space, or with a
            space mode `min`.
    """

    space: ConfigSpace
    search: Search

    def __init__(
        self,
        space: ConfigSpace | None = None,
        strategy: str | Strategy = "autotvm",
        trials: int | None = None,
        batch: int = 1,
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
        known: Mapping[int, Measurement] | None = None,
        points_to_evaluate: Sequence[Any] | None = None,
        evaluated_rewards: Sequence[float] | None = None,
        metric: str | None = None,
        mode: str | None = None,
    ) -> None:
        super().__init__(metric=metric, mode=_maximised(mode) if space else mode)
        self._params: ParamSearch | None = None
        self._saved: Mapping[str, Any] | None = None  # a state that waits for the param_space
        self._points, self._rewards, self._learns_after = list(points_to_evaluate or ()), evaluated_rewards, batch
        self._make = partial(_strategy, strategy, seed=seed, options=options or {})
        if space is None:
            _check_for_params(strategy, options or {}, trials, known)
        else:
            if evaluated_rewards is not None:
                raise InputError("evaluated_rewards: with a space of ours give `known`; they are for a param_space")
            self.space = space
            points = [p if isinstance(p, int) else space.encode(p) for p in self._points]
            budget = (64 if trials is None else trials, batch)
            self.search = Search(self._make(space), *budget, points, in_order=False)
        self._known = dict(known or {})
        self._live: dict[str, list[int]] = {}
        self._asked = 0
        self._learn_s = 0.0

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Takes Tune's metric and, where no space was given, its search space; False for one too many.

        Raises:
            InputError: as of `ParamSearch`.
        """
        if not hasattr(self, "space") or self._params:
            return self._take(metric, mode, config)
        if config:
            return False
        self._metric, self._mode = metric or self._metric, _maximised(mode) or self._mode
        return True

    @property
    def _nothing(self) -> str | None:
        """What `suggest` gives where the search asks for nothing; only trials that are out can end its waiting."""
        out = self._params.live if self._params else self._live
        return None if self.search.waits and out else Searcher.FINISHED

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # FINISHED is a str
        """The next batch with something to measure; None while it waits for outcomes, or `FINISHED`."""
        if self._params:
            return self._params.suggest(trial_id) or self._nothing
        if not hasattr(self, "space"):
            raise InputError("RaydgpSearcher has no space; give it one, or give the Tuner a param_space")
        propose_s = 0.0
        while True:
            began = time.perf_counter()
            indices = self.search.ask().tolist()
            propose_s += time.perf_counter() - began
            if not indices:
                return self._nothing
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
        if self._params:
            self._params.complete(trial_id, {} if error or result is None else result)
            return
        indices = self._live.pop(trial_id, [])
        self._tell(self._outcomes(indices, {} if error or result is None else result))

    def save(self, checkpoint_path: str) -> None:
        """Writes its state as JSON."""
        write_atomically(Path(checkpoint_path), json.dumps(self.state()))

    def state(self) -> dict[str, Any]:
        """All that `set_state` needs, JSON-able."""
        if self._params:
            return self._params.state()
        return {"search": self.search.state(), "live": self._live, "asked": self._asked, "learn_s": self._learn_s}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continues where `state` was taken, on a searcher made with the same arguments; `trials` may have grown."""
        if self._params:
            self._params.restore(state)
            return
        if not hasattr(self, "space"):
            self._saved = state
            return
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
        except InputError:
            raise
        except (OSError, *MALFORMED) as error:
            reason = first_line(error)
            raise InputError(f"{checkpoint_path}: not a state of this searcher ({reason}); start anew") from None

    def _take(self, metric: str | None, mode: str | None, config: dict[str, Any]) -> bool:
        """Begins a search in Tune's space, or goes on with the one that was restored into it."""
        self._metric, self._mode = metric or self._metric, mode or self._mode
        parts = (self._points, self._rewards)
        params = ParamSearch(config, self._metric, self._mode, self._make, self._learns_after, *parts)
        if self._params and self._params.space.hash != params.space.hash:
            return False
        if self._params is None:
            self._params, self.space, self.search = params, params.space, params.search
        if self._saved is not None:
            saved, self._saved = self._saved, None
            try:
                self._params.restore(saved)
            except MALFORMED as error:
                raise InputError(f"restore: not a state of this searcher ({first_line(error)}); start anew") from None
        return True

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


def _check_for_params(
    strategy: str | Strategy, options: Mapping[str, Any], trials: int | None, known: Mapping[int, Any] | None
) -> None:
    """Whether what was given will do for a space that is not known yet."""
    if not isinstance(strategy, str):
        raise InputError(f"strategy {strategy.name} is for {strategy.space}; give a name where the space is Tune's")
    if trials is not None or known:
        raise InputError("trials and known are for a space of ours; give num_samples and evaluated_rewards")
    checked(strategy, search.named(strategy).options_model, options)


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
