"""What a workload is: a frozen, checked description of one operator with its shapes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import MALFORMED, InputError, first_line
from raydgp.registry import Registry

Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One operator with its shapes. Equal workloads have equal kernels, whatever network they came from.

    An operator is one subclass, a frozen dataclass of its shapes, that has at least `op`, `flops`, `input_shapes`,
    `output_shape` and `reference`. Its class is found by `op` from then on, in this process and in those that build and
    run its kernels.

    Attributes:
        op: name of the operator in records.
        plain: `module:function` of (workload, TVM tensors of the inputs) -> the output, as TVM's library computes it,
            for comparisons with unscheduled kernels and other tuners; empty where there is none.
        relax: name of a Relax operator -> `module:function` of (call, shape of its data, constant weight) -> the
            workload, or None where it is another operator's, for layers of imported models.
        channel_axis: of the output of a layer, that a bias is added along; None where it cannot be a layer's anchor.
        largest: that a number of it can be: TVM's indices have 32 bits.
    """

    op: ClassVar[str]
    plain: ClassVar[str] = ""
    relax: ClassVar[Mapping[str, str]] = {}
    channel_axis: ClassVar[int | None] = None
    largest: ClassVar[int] = 2**31 - 1

    def __init_subclass__(cls, **options: Any) -> None:
        """Makes the operator known by its name.

        Raises:
            InputError: the name is taken.
        """
        super().__init_subclass__(**options)
        if "op" in cls.__dict__:
            OPERATORS.register(cls.op, cls)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "tuple[int, int]":
                value = _pair(self.op, field.name, value)
                object.__setattr__(self, field.name, value)
                low = 0 if field.name == "padding" else 1
                bad = not all(low <= v <= self.largest for v in value)
            elif field.type == "int":
                low, bad = 1, isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= self.largest
            else:
                continue  # a subclass's own business
            if bad:
                raise InputError(
                    f"{self.op}: {field.name}={value!r:.100} must be made of whole numbers from {low} to {self.largest}"
                )

    @property
    def flops(self) -> int:
        """Floating-point operations of one call, a multiply-add counted as two."""
        raise NotImplementedError

    @property
    def group(self) -> str:
        """Key of the workloads that share one pre-trained surrogate."""
        return self.op

    @property
    def label(self) -> str:
        """What people know a layer by, short enough for a function's name."""
        return self.op

    @property
    def layer(self) -> Workload:
        """What it computes, whichever algorithm does: of the tasks of one layer, a model takes the fastest."""
        return self

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of data, weight and what else it takes, in their logical layouts."""
        raise NotImplementedError

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the output in its logical layout."""
        raise NotImplementedError

    def random_inputs(self, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
        """Inputs to try a kernel on: standard normal arrays of `input_shapes`."""
        return tuple(rng.standard_normal(shape, np.float32) for shape in self.input_shapes)

    def reference(self, *inputs: Array) -> Array:
        """The output that every kernel must give for some inputs."""
        raise NotImplementedError

    def sizes(self) -> dict[str, float]:
        """Positive numbers that tell layers of one operator apart, for models that learn across layers."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        return {"op": self.op, **dataclasses.asdict(self)}

    def __str__(self) -> str:
        return f"{self.op}({', '.join(f'{k}={v}' for k, v in dataclasses.asdict(self).items())})"


OPERATORS: Registry[type[Workload]] = Registry("operator", "raydgp.operators", others=["raydgp.templates"])


def from_dict(data: dict[str, Any]) -> Workload:
    """Inverse of `Workload.to_dict`.

    Raises:
        InputError: unknown operator, missing or unknown field, impossible shape.
    """
    if not isinstance(data, dict):
        raise InputError(f"workload: {data!r:.100} is not an object")
    fields = dict(data)
    op = fields.pop("op", None)
    if not isinstance(op, str) or op not in OPERATORS:
        raise InputError(f"workload: unknown op {op!r}; known are {', '.join(OPERATORS.names())}")
    if isinstance(fields.get("anchor"), dict):
        fields["anchor"] = from_dict(fields["anchor"])
    try:
        return cast(Workload, OPERATORS[op](**fields))
    except InputError:
        raise
    except MALFORMED as error:
        raise InputError(f"workload {op}: {first_line(error).split('__init__() ')[-1]}") from None


def _pair(op: str, name: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2 or any(type(v) is not int for v in value):
        raise InputError(f"{op}: {name}={value!r} must be a pair of whole numbers")
    return (value[0], value[1])
