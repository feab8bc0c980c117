"""Kinds of pre-trained models: each declares in one class how it is made, written, read, and what it predicts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.registry import Registry
from raydgp.surrogates.encoding import Rows
from raydgp.surrogates.history import History
from raydgp.workloads import Parametric, Workload


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """How a model is pre-trained; a kind takes of it what applies.

    Attributes:
        epochs: of a training at most; the deep-GP paper allows 3000.
        seed: of everything random.
        device: where it is trained, `cpu` or `cuda`.
    """

    epochs: int = 3000
    seed: int = 0
    device: str = "cpu"


class PretrainedModel(Protocol):
    """What a pre-trained model tells a search, in shares of the task's best GFLOPS."""

    def predict(self, features: Rows, /) -> NDArray[np.float64]:
        """Expected performance, that of a configuration that fails counted as 0: float32[n, d] -> float64[n]."""
        ...

    def expected(self, features: Rows, /) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Expected performance of those that run, and the probability that they do: float32[n, d] -> float64[n] x 2."""
        ...


M = TypeVar("M", bound=PretrainedModel)
K = TypeVar("K", bound="type[PretrainedKind[Any]]")


class PretrainedKind(ABC, Generic[M]):
    """A kind of pre-trained model.

    Attributes:
        name: in the cards of its artefacts.
        file: name of the file that holds a model's weights. It is data: reading it executes nothing.
        of_all: whether one model learns from all groups of a template's tasks, rather than each group having its own.
        context: whether it sees what `templates.columns` adds to the knobs.
        libraries: modules whose versions its card keeps.
    """

    name: ClassVar[str]
    file: ClassVar[str]
    of_all: ClassVar[bool] = False
    context: ClassVar[bool] = False
    libraries: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def fit(self, history: History, settings: PretrainSettings) -> M:
        """A model trained on all of the history.

        Raises:
            InputError: there is too little of it.
        """

    @abstractmethod
    def write(self, model: M, path: Path) -> dict[str, Any]:
        """Writes the weights into a file; gives back the fields `encoding` and `shape` of the card, which is JSON."""

    @abstractmethod
    def read(self, path: Path, card: dict[str, Any], names: Sequence[str], device: str) -> M:
        """The model of a file whose checksum is the card's.

        Args:
            card: the fields `encoding` and `shape`.
            names: feature columns of the space that it is to score.

        Raises:
            ModelError: made for other columns. Whatever else is raised counts as a damaged file.
        """

    def limited(self, threads: int) -> AbstractContextManager[None]:
        """Holds a model to so many threads while it predicts, where it would take more."""
        return nullcontext()

    def group(self, workload: Workload) -> str:
        """The group whose tasks a model for a workload learns from; empty where it is of all.

        What has nothing but parameters shares no features with others of its template, so it always has its own.
        """
        return "" if self.of_all and not isinstance(workload, Parametric) else workload.group

    def folder(self, group: str, template: str) -> str:
        """Name of a model's folder among others; the group is empty where it is of all."""
        return "-".join(part for part in (group, template, self.name) if part)

    def versions(self) -> dict[str, str]:
        """Versions of the libraries."""
        return {name: str(import_module(name).__version__) for name in self.libraries}


def _check(name: str, part: Any) -> None:
    if not (isinstance(part, type) and issubclass(part, PretrainedKind)):
        raise InputError(f"kind of pre-trained model {name!r}: {part!r} is not derived from PretrainedKind")
    missing = sorted(getattr(part, "__abstractmethods__", ()))
    if missing:
        raise InputError(f"kind of pre-trained model {name!r}: {part.__name__} lacks {', '.join(missing)}; define them")


_kinds: Registry[type[PretrainedKind[Any]]] = Registry(
    "kind of pre-trained model",
    "raydgp.pretrained",
    {"deepgp": "raydgp.surrogates.deepgp_kind:DeepGPKind", "trees": "raydgp.surrogates.trees:TreesKind"},
    _check,
)


def register_kind(kind: K) -> K:
    """Makes a class derived from `PretrainedKind` known by its `name`; may be used as a decorator.

    `raydgp pretrain` then makes its models, and `dgp+` starts from them where its option `kinds` says so. Installed
    packages do the same without a call, by an entry point `name = "module:Class"` of `raydgp.pretrained`.

    Raises:
        InputError: it has no name, an abstract method is missing, or another kind has the name.
    """
    name = getattr(kind, "name", None)
    if not isinstance(name, str):
        raise InputError(f"{kind!r} has no name; give the class an attribute `name`")
    _kinds.register(name, kind)
    return kind


def names() -> list[str]:
    """Names of the kinds."""
    return _kinds.names()


def require(name: str) -> None:
    """Checks that there is a kind of a name, without importing it.

    Raises:
        InputError: there is none; names the nearest.
    """
    _kinds.require(name)


def named(name: str) -> PretrainedKind[Any]:
    """The kind of a name.

    Raises:
        InputError: there is none.
    """
    return _kinds[name]()
