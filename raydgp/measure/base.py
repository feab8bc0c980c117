"""The measuring interface: configurations in, their outcomes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

from raydgp.records import Measurement
from raydgp.space import ConfigSpace, Indices


class Measurer(ABC):
    """Measures configurations. What every one keeps is in `raydgp.testing.MeasurerContract`."""

    @abstractmethod
    def measure(self, space: ConfigSpace, indices: Indices) -> list[Measurement]:
        """Outcomes of int64[n], one for each in the order asked; whatever a configuration does is a status.

        Raises:
            InputError: an index or a target of another space.
            RaydgpError: nothing can be measured here at all.
        """

    def close(self) -> None:  # noqa: B027 - not every one holds something
        """Gives back what it holds; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
