"""What one measured configuration is: its status, all of its repeats, and where the time went."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from raydgp.errors import InputError, form_of

LARGEST = 2**63 - 1  # of an index: numpy's integers
_LATEST_S = 1e11  # of a time that is one, in the year 5138
Natural = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
_NUMBERS = (float, int)
_OPTIONAL = ("resources", "conditions", "caches")


class Status(StrEnum):
    """How a measurement ended. A failure is a status, never a magic latency."""

    OK = "ok"  # it ran, and its answer is right
    INVALID = "invalid"  # the space's static check, or the target's, refuses it: nothing was built
    BUILD_ERROR = "build_error"  # scheduling, compiling or linking failed
    BUILD_TIMEOUT = "build_timeout"  # building took longer than `measure.build_timeout_s`
    RUN_ERROR = "run_error"  # the kernel crashed, or the process that ran it ended
    RUN_TIMEOUT = "run_timeout"  # running took longer than `measure.run_timeout_s`
    WRONG_ANSWER = "wrong_answer"  # it differs from the reference by more than `measure.tolerance`
    RUNNER_LOST = "runner_lost"  # twice no answer from a runner: says nothing about the configuration


class Phases(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Where the time of one configuration went, in seconds.

    Attributes:
        propose_s: choosing it, its share of its batch's.
        build_s: from the schedule to machine code.
        queue_s: waiting for a runner.
        run_s: loading, checking and timing it.
        learn_s: teaching the strategy what came before this batch was asked for, its share of its batch's.
    """

    propose_s: float = 0.0
    build_s: float = 0.0
    queue_s: float = 0.0
    run_s: float = 0.0
    learn_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one CUDA kernel uses of the device, as the assembler says when it makes the cubin.

    Attributes:
        kernel: its name.
        registers: of one thread.
        spill_bytes: written to and read from memory by one thread because registers were too few.
        shared_bytes: static shared memory of one block.
    """

    kernel: str
    registers: int
    spill_bytes: int
    shared_bytes: int


class Measurement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The outcome for one configuration.

    Attributes:
        index: the configuration in its space.
        status: how it ended.
        times_s: seconds a call, one entry a repeat; empty unless the kernel ran.
        phases: where the time went.
        error: one line on what went wrong; empty when ok.
        device: where it ran: name, kind, cores or driver, threads.
        versions: of raydgp, tvm, and what else shapes the kernel.
        time_unix_s: when it ended.
        resources: of each CUDA kernel that was built, in the order of their launch; empty for a CPU.
        conditions: clocks, temperature and power of a GPU at the end of the run, where they could be read; `waited`
            where other processes disturbed it: the share of a repeat that its threads waited for a processor;
            `slower` where the first repeat stayed the only one: how many times as slow as its runner's best it was.
        caches: `rotated` where its inputs were beyond the caches at every call; empty where they were left warm.
    """

    index: Natural
    status: Status
    times_s: tuple[float, ...] = ()
    phases: Phases = msgspec.field(default_factory=Phases)
    error: str = ""
    device: dict[str, Any] = msgspec.field(default_factory=dict)
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    time_unix_s: float = 0.0
    resources: tuple[Resources, ...] = ()
    conditions: dict[str, float] = msgspec.field(default_factory=dict)
    caches: str = ""

    @property
    def ok(self) -> bool:
        """Ran, gave the right answer, and every repeat is a finite positive time."""
        return self.status is Status.OK and bool(self.times_s) and all(math.isfinite(t) and t > 0 for t in self.times_s)

    @property
    def time_ms(self) -> int:
        """Milliseconds since 1970 when it ended; 0 where what it says is no time at all."""
        return round(1000 * self.time_unix_s) if 0 <= self.time_unix_s < _LATEST_S else 0

    @property
    def median_s(self) -> float:
        """Median over the repeats; infinite when not ok, so that it never is the best."""
        return statistics.median(self.times_s) if self.ok else math.inf

    @property
    def spread(self) -> float:
        """(slowest - fastest repeat) / median; 0 when not ok."""
        return (max(self.times_s) - min(self.times_s)) / self.median_s if self.ok else 0.0

    def gflops(self, flops: int) -> float:
        """10^9 floating-point operations a second at the median; 0 when not ok."""
        return flops / self.median_s / 1e9 if self.ok else 0.0

    def to_dict(self) -> dict[str, Any]:
        """All fields, JSON-able; those that few have are left out where they are empty."""
        return {name: value for name, value in msgspec.to_builtins(self).items() if value or name not in _OPTIONAL}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Measurement:
        """Inverse of `to_dict`, also after a way through JSON.

        Raises:
            InputError: a field is missing, unknown or of the wrong kind.
        """
        with form_of("not a measurement"):
            fields = dict(data)
            fields["status"] = Status(fields["status"])
            fields["times_s"] = tuple(float(t) for t in fields["times_s"])
            fields["phases"] = Phases(**fields["phases"])
            fields["resources"] = tuple(Resources(**used) for used in fields.get("resources", ()))
            measured = cls(**fields)
            check_measurement(measured)
        return measured


def check_measurement(measured: Measurement) -> None:
    """Whether what a measurement says is possible. Timings that are not finite are: they never count.

    Raises:
        InputError: names the field.
    """
    check_integer("index", measured.index)
    phases = measured.phases
    for seconds in (*(getattr(phases, name) for name in Phases.__struct_fields__), measured.time_unix_s):
        if type(seconds) not in _NUMBERS:
            raise InputError(f"not a measurement: {seconds!r:.100} is no time")
    if type(measured.error) is not str or type(measured.caches) is not str:
        raise InputError("not a measurement: error and caches are texts")
    if not (type(measured.device) is type(measured.versions) is type(measured.conditions) is dict):
        raise InputError("not a measurement: device, versions and conditions are objects")
    if measured.conditions and not all(type(value) in _NUMBERS for value in measured.conditions.values()):
        raise InputError("not a measurement: conditions are numbers")
    for used in measured.resources:
        for name in ("registers", "spill_bytes", "shared_bytes"):
            check_integer(name, getattr(used, name))


def check_integer(name: str, value: Any) -> None:
    """Whether a number of a record is one that it may be.

    Raises:
        InputError: it is not from 0 to `LARGEST`.
    """
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise InputError(f"not a record: {name} is {value!r:.100}, not a number from 0 to 2^63 - 1")
