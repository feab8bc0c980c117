"""Kinds of targets: what is done differently for each, in one object, so that a new kind is one class, registered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from raydgp.errors import InputError
from raydgp.registry import Registry, resolve
from raydgp.sandbox.cpus import cpu_name, own_cores

if TYPE_CHECKING:
    from raydgp.targets.target import Target


class Kind(ABC):
    """All that differs by kind of target. The defaults are of one whose kernels run on processors, built by TVM alone.

    What takes TVM, or is of a room above this one, is named as `module:attribute` and imported by `part` when it is
    used. A kind has no state.

    Attributes:
        name: of the kind, and of TVM's target where `tvm` is not overridden.
        description: of its devices, for messages.
        tvm_device: TVM's name of the device that kernels run on.
        on_processors: kernels run on the processors that builds and searches also use. Then runners pin their threads,
            have a node each, and wait for builds; layers of a model are timed with its weights out of the caches; and
            kernels without a schedule can run, as a baseline.
        resource: Ray's name of what there is one of for each runner; empty where there is one runner a node.
        runner_options: of Ray's actor that one runner is, by which it gets it.
        build: (scheduled module, Target) -> `raydgp.build.compile.CompiledKernel`.
        parts: the same, of machine code that can be run without TVM's compiler, as a bundle holds it; empty where there
            is none.
        executable: (Relax module, Target) -> a whole model, with TVM's `export_library`.
        traced: `raydgp.templates.traced.design.TracedRules` of the spaces of kernels that have no template; empty where
            there are none, and such kernels run as TVM makes them.
        peak: (Target, threads) -> GFLOPS that the arithmetic units reach; empty where nothing measures it.
    """

    name: ClassVar[str]
    description: ClassVar[str] = "a processor"
    tvm_device: ClassVar[str] = "cpu"
    on_processors: ClassVar[bool] = True
    resource: ClassVar[str] = ""
    runner_options: ClassVar[Mapping[str, Any]] = {}
    build: ClassVar[str] = "raydgp.build.compile:compile_library"
    parts: ClassVar[str] = ""
    executable: ClassVar[str] = "raydgp.build.compile:compile_executable"
    traced: ClassVar[str] = ""
    peak: ClassVar[str] = ""

    @abstractmethod
    def here(self) -> Target:
        """This machine's target.

        Raises:
            InputError: there is none of this kind here.
        """

    def restricted(self, architecture: str) -> Target:
        """This machine's target with code that keeps to what another architecture of its kind has.

        Raises:
            InputError: there is no such architecture, or this machine cannot run its code.
        """
        raise InputError(f"target {self.name} knows no architectures by name; leave out {architecture!r}")

    @abstractmethod
    def from_attributes(self, attributes: Mapping[str, Any]) -> Target:
        """The target of TVM's attributes, without `kind`: whatever a record says, also of an unknown architecture."""

    def architectures(self) -> tuple[str, ...]:
        """Those that have a name."""
        return ()

    def named(self, architecture: str) -> Target:
        """The target of an architecture's name.

        Raises:
            InputError: there is no such architecture.
        """
        raise InputError(f"target {self.name} knows no architectures by name; leave out {architecture!r}")

    def for_tasks(self) -> Target:
        """The target that a model's kernels are told apart for, before it is known where they will run."""
        return self.here()

    def tvm(self, target: Target) -> dict[str, Any]:
        """The attributes of TVM's target."""
        return target.to_dict()

    def tvm_host(self) -> dict[str, Any] | None:
        """The attributes of TVM's target for the code that starts kernels; None where that is the kernels' own."""
        return None

    def device(self, target: Target, threads: int | None = None) -> dict[str, Any]:
        """What a record says of this machine's device: kind, name, and what else makes it slower or faster.

        Args:
            threads: of a kernel on processors, if they are to be said too.

        Raises:
            InputError: there is no such device here.
        """
        said = {"kind": self.name, "name": cpu_name(), "cores": len(own_cores())}
        return said if threads is None else {**said, "threads": threads}

    def check_here(self, target: Target) -> None:  # noqa: B027 - by default code that runs nowhere else is not known
        """Whether this machine has the device that a target is of.

        Raises:
            InputError: it has none, or another one.
        """

    def alike(self, device: Mapping[str, Any]) -> dict[str, Any]:
        """What devices must share beside the target for their timings to be compared: those of all runners of a run."""
        return {key: device.get(key) for key in ("name", "cores", "threads")}

    def conditions(self) -> dict[str, float]:
        """Clocks, temperature and power of the device right now, where they can be read."""
        return {}

    def intrinsics(self) -> tuple[str, ...] | None:
        """TVM's modules of tensor intrinsics that schedules for this kind may use; None for all of them."""
        return ()

    def part(self, name: str) -> Any:
        """What is named by an attribute such as `build`.

        Raises:
            InputError: it cannot be imported.
        """
        return resolve(getattr(self, name), f"target {self.name}: {name}")


FUNCTION = "function"  # the kind of what is not compiled

_KINDS: Registry[Kind] = Registry(
    "target",
    "raydgp.targets",
    {
        "llvm": "raydgp.targets.llvm:LLVM",
        "cuda": "raydgp.targets.cuda:CUDA",
        FUNCTION: "raydgp.targets.function:FUNCTION_KIND",
    },
)


def register(kind: Kind) -> None:
    """Adds a kind of target under its name.

    Raises:
        InputError: the name is taken by another kind.
    """
    _KINDS.register(kind.name, kind)


def kind_named(name: str) -> Kind:
    """A kind by its name.

    Raises:
        InputError: there is none of this name.
    """
    return _KINDS[name]


def is_kind(name: str) -> bool:
    """Whether there is a kind of this name."""
    return name in _KINDS


def kinds() -> list[str]:
    """Names of the kinds that networks are compiled for."""
    return [name for name in _KINDS.names() if name != FUNCTION]
