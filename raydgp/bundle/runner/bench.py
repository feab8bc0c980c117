"""Checks and times kernels in the child, and keeps what the next kernels need again."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from raydgp.bundle.inputs import logical_inputs
from raydgp.bundle.runner.launcher import Buffers, Launcher
from raydgp.bundle.runner.right import Expected, Reference
from raydgp.sandbox.messages import Message
from raydgp.templates.layouts import Layout


class Task:
    """What all kernels of a task share.

    Attributes:
        reference: the whole right output; None until a kernel has given it.
    """

    def __init__(self, content: Mapping[str, Any], expected: bytes, reference: bytes) -> None:
        self.layouts = [Layout(tuple(map(tuple, steps))) for steps in content["layouts"]]
        self.inputs = logical_inputs(content["inputs"])
        self.expected = Expected(tuple(content["output"]), expected)
        whole = np.frombuffer(reference, np.float32) if reference else self.expected.whole()
        self.reference = None if whole is None else Reference(whole.reshape(self.expected.shape))


class Bench:
    """Measures one kernel after the other on a launcher's device.

    Args:
        settings: dump of `raydgp.settings.MeasureSettings`.
    """

    def __init__(self, launcher: Launcher, settings: Mapping[str, Any]) -> None:
        self._launcher, self._settings = launcher, settings
        self._tasks: dict[int, Task] = {}
        self._held = Held(launcher.room_bytes)

    def add(self, number: int, content: Mapping[str, Any], expected: bytes, reference: bytes = b"") -> None:
        """Takes a task.

        Args:
            content: its entry in the bundle.
            expected: the bundle's sample of the right output.
            reference: the whole of it in float32; empty where no kernel has given it yet.
        """
        self._tasks[number] = Task(content, expected, reference)

    def make_room(self) -> None:
        """Gives up the arguments of earlier kernels."""
        self._held.drop()

    def measure(self, number: int, kernel: Mapping[str, Any], code: bytes, caches: Sequence[str]) -> Message:
        """Checks a kernel, and times it for each state of the caches.

        The first kernel of a task that agrees with the bundle's sample of the right output gives the reference of all
        that come after it.

        Returns:
            `status`, `error`, `times_s` by state of the caches, `timing_s` that the kernel's calls took in all,
            `conditions`; and the reference, where this kernel is the one that gives it.
        """
        task = self._tasks[number]
        loaded = self._launcher.load(code, kernel, self._inputs(number, kernel, "rotated" in caches))
        answer = self._measured(task, kernel, loaded, caches)
        loaded.close()  # not after a fault: then the device may answer to nothing, and this process ends
        return answer

    def _measured(self, task: Task, kernel: Mapping[str, Any], loaded: Any, caches: Sequence[str]) -> Message:
        tolerance, layout = self._settings["tolerance"], task.layouts[kernel["out"]]
        loaded.clear()
        began = time.perf_counter()
        loaded.call()
        timing_s = time.perf_counter() - began
        first = loaded.output()
        logical, given = layout.apply(first), b""
        if task.reference is None:
            if error := task.expected.fault(logical, tolerance):
                return _wrong(error)
            task.reference = Reference(logical.astype(np.float32))
            given = task.reference.whole.tobytes()
        elif error := task.reference.fault(logical, tolerance):
            return _wrong(error)
        before, times, began = first.copy(), {}, time.perf_counter()
        for state in caches:
            times[state] = loaded.times_s(state, self._settings)
        timing_s += time.perf_counter() - began
        # At once, while clocks are still those of the load
        conditions = self._launcher.conditions() if caches else {}
        after = loaded.output()
        if not np.array_equal(before.view(np.uint8), after.view(np.uint8)) and (
            error := task.reference.fault(layout.apply(after), tolerance)
        ):
            return _wrong(f"after the timing: {error}")
        if strange := [t for each in times.values() for t in each if not (math.isfinite(t) and t > 0)]:
            return {"status": "run_error", "error": f"the clock gave impossible times {strange}"}, b""
        answer = {"status": "ok", "error": "", "times_s": times, "timing_s": timing_s, "conditions": conditions}
        return answer, given

    def _inputs(self, number: int, kernel: Mapping[str, Any], rotated: bool) -> list[Any]:
        task, layouts = self._tasks[number], kernel["layouts"]
        sizes = [task.inputs[i].nbytes for i in range(len(layouts))]
        copies = self._launcher.copies(sum(sizes)) if rotated else 1

        def packed(place: int, layout: int) -> Callable[[], Buffers]:
            return lambda: self._launcher.upload(task.layouts[layout].apply(task.inputs[place]), copies)

        keys = [(number, place, layout, copies) for place, layout in enumerate(layouts)]
        return self._held.get({key: packed(*key[1:3]) for key in keys})


class Held:
    """Arguments that were used last, up to a size of all; those of one kernel are there together."""

    def __init__(self, room_bytes: int) -> None:
        self._room, self._kept = room_bytes, OrderedDict[Hashable, Buffers]()

    def get(self, wanted: Mapping[Any, Callable[[], Buffers]]) -> list[Buffers]:
        """Those wanted, by their keys; made where they are not there."""
        try:
            self._fill(wanted)
        except MemoryError:  # others share the device
            self._drop(wanted, 0)
            self._fill(wanted)
        self._drop(wanted, self._room)
        return [self._kept[key] for key in wanted]

    def drop(self) -> None:
        """Frees them all."""
        self._drop({}, 0)

    def _fill(self, wanted: Mapping[Any, Callable[[], Buffers]]) -> None:
        for key, make in wanted.items():
            if key not in self._kept:
                self._kept[key] = make()
            self._kept.move_to_end(key)

    def _drop(self, wanted: Mapping[Any, Callable[[], Buffers]], room_bytes: int) -> None:
        size = sum(each.nbytes for each in self._kept.values())
        for key in [key for key in self._kept if key not in wanted]:
            if size <= room_bytes:
                return
            freed = self._kept.pop(key)
            size -= freed.nbytes
            freed.free()


def _wrong(error: str) -> Message:
    return {"status": "wrong_answer", "error": error}, b""
