"""A target: the processor or GPU that code is made for, and what that code may rely on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raydgp.errors import InputError, nearest
from raydgp.targets.kinds import Kind, is_kind, kind_named, kinds

Attributes = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a GPU lets a block of threads have. The defaults are those of every NVIDIA GPU since 2012.

    Attributes:
        threads: of a block.
        threads_z: of a block along threadIdx.z; no target says it, and CUDA has known no other.
        shared_bytes: of shared memory of a block, static: what newer devices have beyond 48 KB is to be had as dynamic
            memory only, which the papers' schedules do not use.
        registers: of a block.
        registers_thread: of a thread, of 32 bits; no target says it either.
        warp: threads that run in step.
    """

    threads: int = 1024
    threads_z: int = 64
    shared_bytes: int = 48 * 1024
    registers: int = 64 * 1024
    registers_thread: int = 255
    warp: int = 32


@dataclass(frozen=True, kw_only=True)
class Target:
    """A kind of target with the attributes that TVM compiles for, and the facts that follow from them.

    Two targets are equal where their attributes are: these are what a record keeps, so that a space made for a record's
    target is the space that it was measured in. Caches and features are of a machine or an architecture, beside them.

    Attributes:
        kind: its name, such as `llvm` or `cuda`.
        attributes: TVM's, `kind` left out, sorted by name; lists as tuples.
        architecture: such as `znver3` or `sm_90`; empty where nothing is known of it.
        instruction_set: of vectors, such as `avx2`; empty where there is none of its own.
        vector_bits: of a vector register; 0 on a GPU, whose threads are scalar.
        vector_registers: that code can name.
        cache_bytes: of a core's first, second, ... level of data cache; empty where it is not known.
        cores: that a kernel may use; None where it is not known.
        limits: of a GPU; None for a processor.
        features: of the instruction set beyond its name, as LLVM calls them; empty where it is not known.
    """

    kind: str
    attributes: Attributes = ()
    architecture: str = field(default="", compare=False)
    instruction_set: str = field(default="", compare=False)
    vector_bits: int = field(default=0, compare=False)
    vector_registers: int = field(default=0, compare=False)
    cache_bytes: tuple[int, ...] = field(default=(), compare=False)
    cores: int | None = field(default=None, compare=False)
    limits: Limits | None = field(default=None, compare=False)
    features: frozenset[str] = field(default=frozenset(), compare=False)

    @classmethod
    def here(cls, name: str) -> Target:
        """This machine's target of a kind; with `kind/architecture`, of code that keeps to what that one has.

        Raises:
            InputError: an unknown kind or architecture, or there is none here that runs it.
        """
        kind, _, architecture = name.partition("/")
        return kind_named(kind).restricted(architecture) if architecture else kind_named(kind).here()

    @classmethod
    def for_tasks(cls, name: str) -> Target:
        """What a model's kernels are told apart for, by the same names: its device may be another machine's.

        Raises:
            InputError: as of `here`.
        """
        return cls.here(name) if "/" in name else kind_named(name).for_tasks()

    @classmethod
    def from_dict(cls, attributes: Mapping[str, Any]) -> Target:
        """The target of TVM's attributes, as `to_dict` gives them and records keep them.

        Raises:
            InputError: they say no kind, or an unknown one.
        """
        kind = attributes.get("kind") if isinstance(attributes, Mapping) else None
        if not isinstance(kind, str):
            raise InputError(f"target: no kind in {attributes!r:.200}; name one of {', '.join(kinds())}")
        rest = {name: value for name, value in attributes.items() if name != "kind"}
        return kind_named(kind).from_attributes(rest)

    @classmethod
    def named(cls, name: str) -> Target:
        """The target of a name: a kind, kind/architecture, or an architecture of any kind.

        `llvm` and `cuda` are those of which nothing more is known. Others are `cuda/sm_90`, `llvm/haswell`, `apple-m1`.

        Raises:
            InputError: an unknown kind or architecture.
        """
        kind, _, architecture = name.partition("/")
        if architecture:
            return kind_named(kind).named(architecture)
        if is_kind(kind):
            return kind_named(kind).from_attributes({})
        owner = next((each for each in map(kind_named, kinds()) if name in each.architectures()), None)
        if owner is None:
            known = [*kinds(), *(arch for each in map(kind_named, kinds()) for arch in each.architectures())]
            raise InputError(f"unknown target {name!r}{nearest(name, known) if _near(name, known) else _known()}")
        return owner.named(name)

    @classmethod
    def of(cls, target: Target | str | Mapping[str, Any]) -> Target:
        """A target from what a user gives: one, its name, or TVM's attributes.

        Raises:
            InputError: as of `named` and `from_dict`.
        """
        if isinstance(target, Target):
            return target
        return cls.named(target) if isinstance(target, str) else cls.from_dict(target)

    @property
    def behaviour(self) -> Kind:
        """What is done differently for targets of its kind."""
        return kind_named(self.kind)

    def to_dict(self) -> dict[str, Any]:
        """TVM's attributes, JSON-able: what records, manifests and artefacts keep."""
        listed = {name: list(value) if isinstance(value, tuple) else value for name, value in self.attributes}
        return {"kind": self.kind, **listed}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """A field of a pydantic model: TVM's attributes in its JSON."""
        from pydantic_core import core_schema  # takes a while, and only settings and manifests need it

        written = core_schema.plain_serializer_function_ser_schema(cls.to_dict)
        return core_schema.no_info_plain_validator_function(cls.of, serialization=written)

    def __str__(self) -> str:
        return f"{self.kind}/{self.architecture}" if self.architecture else self.kind


def frozen(attributes: Mapping[str, Any]) -> Attributes:
    """TVM's attributes as `Target.attributes`."""
    return tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in sorted(attributes.items()))


def _near(name: str, known: list[str]) -> bool:
    return "did you mean" in nearest(name, known)


def _known() -> str:
    return f"; known are {', '.join(kinds())}, and their architectures such as llvm/haswell or cuda/sm_90"
