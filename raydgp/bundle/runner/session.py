"""One run of the runner: kernels in their order, anchors between them, all of it within the budget."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from raydgp.bundle.runner.archive import Archive
from raydgp.bundle.runner.child import joined
from raydgp.bundle.runner.hands import Hands
from raydgp.bundle.runner.model_session import measure_model
from raydgp.bundle.runner.ordering import MODEL, anchors, order
from raydgp.bundle.runner.progress import Progress, say
from raydgp.bundle.runner.results import Results
from raydgp.errors import ChildDied, ChildHung, InputError

_PREPARE_TIMEOUT_S = 60.0  # inputs of a large task
_ANCHORS, _ANCHORS_EVERY_S = 3, 60.0


@dataclass(frozen=True)
class Outcome:
    """How one kernel fared.

    Attributes:
        times_s: by state of the caches; empty unless ok.
        run_s: from the request to the answer.
        overhead_s: all that it took beside the calls of the kernel, for the check and for the timing.
    """

    status: str
    error: str = ""
    times_s: dict[str, list[float]] = field(default_factory=dict)
    conditions: dict[str, float] = field(default_factory=dict)
    run_s: float = 0.0
    overhead_s: float = 0.0


class Session:
    """Measures what the results lack.

    Args:
        hands: with the device open.
    """

    def __init__(self, archive: Archive, results: Results, hands: Hands) -> None:
        self._archive, self._results, self._hands = archive, results, hands
        header = archive.header
        self._caches: list[str] = header["caches"]
        self._timeout_s: float = header["measure"]["run_timeout_s"]
        self._kernels = [archive.kernels(task) for task in range(len(archive.tasks))]
        self._places = [[p for p, line in enumerate(own) if line["status"] == "ok"] for own in self._kernels]
        self._references: dict[int, bytes] = {}
        self.unfit: dict[int, str] = {}
        whole = [number for number, model in enumerate(archive.models) if not model["error"]]
        total = sum(map(len, self._places)) + len(whole)
        left = [[p for p in own if self._lacking(task, p)] for task, own in enumerate(self._places)]
        models = [number for number in whole if number not in results.models]
        self._left = list(order(left, [task["default"] for task in archive.tasks], models))
        self.progress = Progress(total - len(self._left), total, time.monotonic() + hands.left_s)
        self._anchors_due = time.monotonic() + (0.0 if results.done else _ANCHORS_EVERY_S)

    def run(self) -> None:
        """Returns when all is measured.

        Raises:
            BudgetOver: the time is over.
            Unopened: the device can no longer be used.
            InputError: the bundle is damaged, or not for this machine.
            JournalError: the results cannot be written.
        """
        for task, place in self._left:
            if time.monotonic() >= self._anchors_due:
                self._anchors_due = time.monotonic() + _ANCHORS_EVERY_S
                self._measure_anchors()
            if task == MODEL:
                self.progress.finished(measure_model(place, self._archive, self._results, self._hands))
                continue
            caches = self._lacking(task, place)
            if task in self.unfit or (outcome := self._measure(task, place, caches)) is None:
                continue
            share = {"run_s": outcome.run_s / len(caches), "overhead_s": outcome.overhead_s / len(caches)}
            for state in caches:
                self._results.append({"task": task, "place": place, **self._line(task, place, state, outcome), **share})
            self.progress.finished(outcome.status)

    def _lacking(self, task: int, place: int) -> list[str]:
        return [state for state in self._caches if (task, place, state) not in self._results.done]

    def _line(self, task: int, place: int, state: str, outcome: Outcome) -> dict[str, Any]:
        return {
            "index": self._kernels[task][place]["index"],
            "caches": state,
            "status": outcome.status,
            "times_s": outcome.times_s.get(state, []),
            "error": outcome.error,
            "time_unix_s": time.time(),
            "conditions": outcome.conditions,
        }

    def _measure_anchors(self) -> None:
        """Measures some tasks' defaults once more, if they are right."""
        defaults = [task["default"] for task in self._archive.tasks]
        right = [task for task, place in enumerate(defaults) if place in self._results.right.get(task, [])]
        for task in anchors(right, _ANCHORS):
            if task in self.unfit or (outcome := self._measure(task, defaults[task], self._caches)) is None:
                continue
            for state in self._caches:
                line = self._line(task, defaults[task], state, outcome)
                self._results.append({"anchor": task, "place": defaults[task], **line})

    def _measure(self, task: int, place: int, caches: Sequence[str]) -> Outcome | None:
        """One kernel; None where its task cannot be measured at all."""
        if not self._tell(task):
            return None
        right = self._results.right.get(task)
        if caches and task not in self._references and right and place != right[0]:
            self._measure(task, right[0], [])  # the reference of what was measured before
            if not self._tell(task):
                return None
        began = time.monotonic()
        kernel = self._kernels[task][place]
        code = self._archive.code(kernel["code"])
        asked = time.monotonic()
        try:
            request = {"do": "measure", "task": task, "kernel": kernel, "caches": list(caches)}
            answer, reference = self._hands.call(request, code, self._timeout_s)
        except ChildHung as error:
            return Outcome("run_timeout", str(error), run_s=time.monotonic() - asked)
        except ChildDied as error:
            if "SIGILL" in str(error) and not self._results.right:
                raise InputError(
                    f"{self._archive.path}: this processor lacks instructions of its kernels; make it for this one"
                ) from None
            return Outcome("run_error", str(error), run_s=time.monotonic() - asked)
        status = answer.get("status", "run_error")
        if status != "ok":
            # What computes nonsense may have written beyond its output, and after an illegal access on a GPU every
            # later call of the process fails
            self._hands.replace()
        elif reference:
            self._references[task] = reference
        ended = time.monotonic()
        return Outcome(
            status,
            answer["error"],
            answer.get("times_s", {}),
            answer.get("conditions", {}),
            ended - asked,
            ended - began - answer.get("timing_s", 0.0),
        )

    def _tell(self, task: int) -> bool:
        """Tells the child of a task, unless it knows it; False where the task cannot be measured."""
        self._hands.open()
        if task in self._hands.known:
            return True
        entry = self._archive.tasks[task]
        content = {name: entry[name] for name in ("inputs", "output", "layouts")}
        body = joined(self._archive.expected(task), self._references.get(task, b""))
        try:
            answer, _ = self._hands.call({"do": "task", "task": task, "content": content}, body, _PREPARE_TIMEOUT_S)
            error = answer.get("error", "")
        except (ChildDied, ChildHung) as failure:
            error = str(failure)
        if error:
            self.unfit[task] = error
            say(f"task {entry['name']} cannot be measured: {error}")
            return False
        self._hands.known.add(task)
        return True
