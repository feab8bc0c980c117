"""One line of a journal: a measurement, and what it needs to be understood on its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from raydgp.errors import InputError, form_of
from raydgp.records.measurement import LARGEST, Measurement, check_integer
from raydgp.targets import Target

_set_field = object.__setattr__


@dataclass(frozen=True, kw_only=True)
class Context:
    """Whose measurement it is: what a record needs to be understood on its own.

    Attributes:
        task: the layer task's name, unique within its run.
        workload: `Workload.to_dict()`.
        target: what the kernel was made for; TVM's attributes in a record.
        space_hash: `ConfigSpace.hash`; an index means nothing in another space.
        strategy: name of the search strategy; `finalists` where deploying has measured it again.
        seed: of the run's random streams.
        run: name of the run.
    """

    task: str
    workload: dict[str, Any]
    target: Target
    space_hash: str
    strategy: str
    seed: int
    run: str

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Context:
        """Inverse of what a record keeps, also after a way through JSON.

        Raises:
            InputError: a field is missing, unknown or of the wrong kind.
        """
        with form_of("not a record"):
            fields = dict(data)
            fields["target"] = Target.from_dict(fields["target"])
            context = cls(**fields)
        for name in ("task", "space_hash", "strategy", "run"):
            if not isinstance(getattr(context, name), str):
                raise InputError(f"not a record: {name} is {getattr(context, name)!r:.100}, not a text")
        if not isinstance(context.workload, dict):
            raise InputError("not a record: workload is not an object")
        check_integer("seed", context.seed)
        hash(context.target)  # attributes of other kinds than TVM's cannot be compared
        return context


class _Undecoded:
    """Room for the JSON of knobs that nobody has asked for yet."""

    __slots__ = ("_knobs",)
    _knobs: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Record(_Undecoded):
    """One line of a journal: a measurement with its context, its knobs, and its place in the search.

    Attributes:
        context: whose measurement it is.
        trial: 0 for the task's first measured configuration (the default, where that is valid), then counting up; of
            finalists, 0 for those of the first deployment, then counting up.
        knobs: `ConfigSpace.decode(index)`, tuples as lists.
        measurement: the outcome.
    """

    context: Context
    trial: int
    knobs: dict[str, Any]
    measurement: Measurement

    def to_dict(self) -> dict[str, Any]:
        """All fields, nested as they are, JSON-able."""
        context = {name: getattr(self.context, name) for name in Context.__dataclass_fields__}
        context["target"] = self.context.target.to_dict()
        own = {"context": context, "trial": self.trial, "knobs": dict(self.knobs)}
        return {**own, "measurement": self.measurement.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Record:
        """Inverse of `to_dict`, also after a way through JSON.

        Raises:
            InputError: a field is missing, unknown or of the wrong kind.
        """
        with form_of("not a record"):
            fields = dict(data)
            fields["context"] = Context.from_dict(fields["context"])
            fields["measurement"] = Measurement.from_dict(fields["measurement"])
            record = cls(**fields)
        check_integer("trial", record.trial)
        if not isinstance(record.knobs, dict):
            raise InputError("not a record: knobs are not an object")
        return record

    @classmethod
    def undecoded(cls, context: Context, trial: int, knobs: bytes, measurement: Measurement) -> Record:
        """A record whose knobs are JSON until they are asked for: most of a million records' never are.

        Raises:
            InputError, UnicodeDecodeError: the trial or the knobs are of the wrong kind.
        """
        if knobs[:1] != b"{" or not 0 <= trial <= LARGEST:
            raise InputError("not a record: its trial or its knobs are none")
        if not knobs.isascii():
            knobs.decode()  # later would be too late
        record = object.__new__(cls)
        _set_field(record, "context", context)
        _set_field(record, "trial", trial)
        _set_field(record, "measurement", measurement)
        _set_field(record, "_knobs", knobs)
        return record

    def __getattr__(self, name: str) -> Any:
        if name != "knobs":  # `_knobs` too, where there is none
            raise AttributeError(name)
        _set_field(self, "knobs", json.loads(self._knobs))
        return self.knobs
