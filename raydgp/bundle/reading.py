"""A bundle read again, each part as what `raydgp.bundle.format` says it is."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from raydgp.bundle.format import Header, Kernel, Task
from raydgp.bundle.models import ModelEntry
from raydgp.bundle.models import Sequence as ModelSequence
from raydgp.bundle.runner.archive import HEADER, Archive


class Bundle:
    """An open bundle. Whatever is damaged gives one line; no code is handed out that is not what it was.

    Args:
        path: of the file.

    Raises:
        InputError: no such file, no bundle, damaged, or of another format. So do all its methods.

    Attributes:
        header: what `bundle.json` says.
        sha256: of the bytes of `bundle.json`, which identifies the bundle.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._archive = path, Archive(path)
        self.sha256 = self._archive.digest
        try:
            self.header = Header.model_validate(self._archive.header)
        except ValidationError:
            raise self._archive.damaged(HEADER) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._archive.close()

    def kernels(self, task: Task) -> list[Kernel]:
        """The kernels of a task, by place."""
        try:
            return [Kernel.model_validate(line) for line in self._archive.kernels(self.header.tasks.index(task))]
        except ValidationError:
            raise self._archive.damaged(task.kernels) from None

    def sequence(self, model: ModelEntry) -> ModelSequence:
        """The steps of a model that can be run."""
        try:
            return ModelSequence.model_validate(self._archive.sequence(self.header.models.index(model)))
        except ValidationError:
            raise self._archive.damaged(model.sequence) from None

    def expected(self, task: Task) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Positions in the flat logical output, and the reference's values there: int64[n], float32[n]."""
        content = self._archive.member(task.expected)
        count, rest = divmod(len(content), 12)
        if rest:
            raise self._archive.damaged(task.expected)
        return np.frombuffer(content, "<i8", count), np.frombuffer(content, "<f4", count, 8 * count)

    def code(self, sha256: str) -> bytes:
        """Machine code, checked."""
        return self._archive.code(sha256)

    def library(self, file: str) -> bytes:
        """One of the libraries of `Header.runtime`."""
        return self._archive.member(self.header.runtime[file])
