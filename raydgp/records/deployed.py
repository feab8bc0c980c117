"""What the last `raydgp deploy` of a run has measured, kept in the run's folder beside its journal."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from raydgp.errors import InputError
from raydgp.records.manifest import write_atomically

FILE_NAME = "deployed.json"


class Way(BaseModel):
    """Latencies of one way to run the model, in milliseconds a call.

    Attributes:
        median_low_ms, median_high_ms: 95 % confidence interval of the median.
        p95_ms: 95 % of the calls took at most this long.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    median_ms: float
    median_low_ms: float
    median_high_ms: float
    p95_ms: float


class Deployed(BaseModel):
    """A deployed model.

    Attributes:
        folder: where it was written.
        ours: of the model itself.
        others: of what it was compared with, by name; a line on what went wrong where there is none.
        gb_s: 10^9 bytes a second of the machine's memory; None where it was not measured.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    folder: str
    ours: Way
    others: dict[str, Way | str]
    gb_s: float | None = None

    @property
    def ways(self) -> dict[str, Way | str]:
        """All of them, the fastest first and what did not run last."""
        ways = {"raydgp": self.ours, **self.others}
        return dict(
            sorted(ways.items(), key=lambda way: (1, 0.0) if isinstance(way[1], str) else (0, way[1].median_ms))
        )

    @classmethod
    def load(cls, run_dir: Path) -> Self | None:
        """Of a run's folder; None where nothing was deployed.

        Raises:
            InputError: the file is damaged.
        """
        path = run_dir / FILE_NAME
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
            raise InputError(f"{path}: {reason}; remove it, `raydgp deploy {run_dir}` writes it anew") from None

    def save(self, run_dir: Path) -> None:
        """Writes it as a whole or not at all."""
        write_atomically(run_dir / FILE_NAME, self.model_dump_json(indent=1))
