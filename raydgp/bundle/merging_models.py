"""Results of a bundle's whole models made into latencies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from raydgp.bundle.models import Sequence as ModelSequence
from raydgp.bundle.reading import Bundle
from raydgp.errors import InputError
from raydgp.records import Status
from raydgp.records.model_latency import KernelShare, ModelLatency


def model_latencies(bundle: Bundle, lines: Iterable[dict[str, Any]]) -> list[ModelLatency]:
    """The latencies of a bundle's models, a model's first result counting; of those that were not measured, none.

    Args:
        lines: of results.

    Raises:
        InputError: the bundle is damaged, or the lines are of another one.
    """
    first: dict[int, dict[str, Any]] = {}
    for line in lines:
        first.setdefault(line["model"], line)
    found = []
    for number, entry in enumerate(bundle.header.models):
        said = {"name": entry.name, "source": entry.source, "digest": entry.digest}
        if entry.error:
            when = bundle.header.made_unix_s
            found.append(ModelLatency(**said, status=Status.BUILD_ERROR, error=entry.error, time_unix_s=when))
        elif number in first:
            line = first[number]
            shares = _shares(bundle, bundle.sequence(entry), line["steps_s"]) if line["status"] == Status.OK else ()
            measured = {name: line[name] for name in ("status", "error", "times_s", "conditions", "time_unix_s")}
            found.append(ModelLatency(**said, **measured, kernels=tuple(shares)))
    return found


def _shares(bundle: Bundle, sequence: ModelSequence, steps_s: Sequence[float]) -> list[KernelShare]:
    if len(steps_s) != len(sequence.steps):
        raise InputError(f"{bundle.path}: its models are not those of the results; give the bundle that was measured")
    calls, times_s = [0] * len(sequence.kernels), [0.0] * len(sequence.kernels)
    for step, time_s in zip(sequence.steps, steps_s, strict=True):
        calls[step.kernel] += 1
        times_s[step.kernel] += time_s
    tasks = bundle.header.tasks
    return [
        KernelShare(
            name=kernel.name,
            task="" if kernel.task is None else tasks[kernel.task].name,
            calls=calls[place],
            time_s=times_s[place],
        )
        for place, kernel in enumerate(sequence.kernels)
    ]
