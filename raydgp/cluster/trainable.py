"""The trainable of Ray Tune that measures: one trial is one batch of configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ray
from msgspec.structs import replace
from ray.actor import ActorHandle
from ray.tune import Trainable

from raydgp.errors import RaydgpError
from raydgp.records import Context, Measurement, Record
from raydgp.registry import adopt
from raydgp.search import Outcome
from raydgp.templates.spaces import config_space
from raydgp.workloads import from_dict


class MeasureBatch(Trainable):
    """Has a batch measured by the pool and journalled configuration by configuration, then reports once.

    To be used with `tune.with_parameters(MeasureBatch, pool=..., recorder=..., context=...)` and the configs of
    `RaydgpSearcher`. Reports `gflops` and `valid` in the order of the config's `indices`, `best_gflops`, and `fault`:
    None, or name and message of the error that ended the batch; then nothing of it may be told.
    """

    def setup(  # type: ignore[override]  # the rest comes from tune.with_parameters
        self,
        config: dict[str, Any],
        pool: ActorHandle,
        recorder: ActorHandle,
        context: Context,
        parts: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Once an actor.

        Args:
            pool: a `RunnerPool`.
            recorder: a `Recorder`.
            context: whose measurements these are.
            parts: that the driver has registered, see `raydgp.registry.registered`.
        """
        self._pool, self._recorder, self._context = pool, recorder, context
        self._refused: RaydgpError | None = None
        self.config = config
        try:
            adopt(parts or {})
            self._space = config_space(from_dict(context.workload), context.target)
        except RaydgpError as error:  # raised here, Tune would but say that the actor is gone
            self._refused = error

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The next trial takes this actor over."""
        self.config = new_config
        return True

    def step(self) -> dict[str, Any]:
        try:
            if self._refused:
                raise self._refused
            measured = self._measured()
        except RaydgpError as error:
            cause = getattr(error, "cause", error)
            return {"best_gflops": 0.0, "fault": [type(cause).__name__, str(cause)], "done": True}
        outcomes = [Outcome.measured(m, self._space.workload.flops) for m in measured]
        return {
            "gflops": [outcome.gflops for outcome in outcomes],
            "valid": [outcome.valid for outcome in outcomes],
            "samples": [outcome.samples for outcome in outcomes],
            "best_gflops": max(outcome.gflops for outcome in outcomes),
            "fault": None,
            "done": True,
        }

    def _measured(self) -> list[Measurement]:
        """In the order of the indices; what has come is journalled while the rest is waited for."""
        indices = self.config["indices"]
        places = {index: place for place, index in enumerate(indices)}
        out: dict[int, Measurement] = {}
        written: list[ray.ObjectRef] = []
        measuring: Any = self._pool.measure_all.options(num_returns="streaming")
        for group in measuring.remote(self._context.workload, indices):
            came = sorted((self._timed(data) for data in ray.get(group)), key=lambda m: places[m.index])
            written.append(self._recorder.append.remote([self._record(places[m.index], m) for m in came]))
            out |= {m.index: m for m in came}
        ray.get(written)
        return [out[index] for index in indices]

    def _timed(self, data: dict[str, Any]) -> Measurement:
        """The measurement with its share of what the search thought about its batch."""
        measured = Measurement.from_dict(data)
        share = 1 / len(self.config["indices"])
        propose_s, learn_s = share * self.config["propose_s"], share * self.config["learn_s"]
        return replace(measured, phases=replace(measured.phases, propose_s=propose_s, learn_s=learn_s))

    def _record(self, place: int, measured: Measurement) -> Record:
        knobs, trial = self._space.decode(measured.index), self.config["trials"][place]
        return Record(context=self._context, trial=trial, knobs=knobs, measurement=measured)
