"""In which order kernels are measured, so that what is there means something wherever it is cut short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

MODEL = -1  # in place of a task


def order(
    places: Sequence[Sequence[int]], defaults: Sequence[int | None], models: Sequence[int] = ()
) -> Iterator[tuple[int, int]]:
    """Every task's default first, then the models, then the tasks in turn.

    Args:
        places: of each task's kernels, in the order that the bundle wants.
        defaults: place of each task's default.
        models: numbers of whole models.

    Yields:
        Task and place, or `MODEL` and the number of one.
    """
    for task, default in enumerate(defaults):
        if default is not None and default in places[task]:
            yield task, default
    yield from ((MODEL, model) for model in models)
    rest = [[place for place in own if place != default] for own, default in zip(places, defaults, strict=True)]
    for row in zip_longest(*rest):
        yield from ((task, place) for task, place in enumerate(row) if place is not None)


def anchors(tasks: Sequence[int], count: int) -> list[int]:
    """Some of the tasks, evenly spread: their defaults are measured again and again, to show how clocks drift."""
    if len(tasks) <= count:
        return list(tasks)
    return [tasks[i * (len(tasks) - 1) // (count - 1)] for i in range(count)]
