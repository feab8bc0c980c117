"""A space measured as a whole, kept as one Parquet file: what strategies are compared on without a machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raydgp.data import history
from raydgp.errors import MALFORMED, InputError, first_line
from raydgp.records.measurement import Measurement, Phases, Resources, Status
from raydgp.space import ConfigSpace, Indices
from raydgp.space.parametric import parameter_space
from raydgp.templates.spaces import config_spaces
from raydgp.workloads import Parametric, from_dict

_KEY = b"raydgp"


def is_recorded(path: Path) -> bool:
    """Whether a Parquet file is a recorded space by its description.

    Raises:
        InputError: it is no Parquet file.
    """
    try:
        return _KEY in (pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a Parquet file ({first_line(error)})") from None


def recorded_files(paths: Sequence[Path]) -> list[Path]:
    """The Parquet files of what a user names: files, folders of them, or what the package holds (`znver4`)."""
    found = [each for path in paths for each in history(path)]
    return [file for each in found for file in (sorted(each.glob("*.parquet")) if each.is_dir() else [each])]


@dataclass(frozen=True, eq=False)
class RecordedSpace:
    """Every statically valid configuration of a space with what was measured of it.

    Attributes:
        name: `<network>/<task>`.
        space: the space, usually thinned.
        indices: int64[n], ascending.
        status: Status of each, as text, [n].
        times_s: float64[n, repeats], NaN where it did not run and for repeats that others have more of.
        build_s, run_s: float64[n], what building and running it took.
        device, versions: where and with what it was measured.
        resources: what each one's CUDA kernels use; empty for a CPU, and for files of before it was kept.
    """

    name: str
    space: ConfigSpace
    indices: Indices
    status: NDArray[np.str_]
    times_s: NDArray[np.float64]
    build_s: NDArray[np.float64]
    run_s: NDArray[np.float64]
    device: dict[str, Any]
    versions: dict[str, str]
    resources: Sequence[tuple[Resources, ...]] = ()

    @classmethod
    def of(cls, name: str, space: ConfigSpace, measurements: Sequence[Measurement]) -> Self:
        """From the measurements of all valid configurations, of which the first tells device and versions."""
        ordered = sorted(measurements, key=lambda m: m.index)
        repeats = max((len(m.times_s) for m in ordered), default=0)
        times_s = np.full((len(ordered), repeats), np.nan)
        for row, measured in zip(times_s, ordered, strict=True):
            row[: len(measured.times_s)] = measured.times_s
        return cls(
            name,
            space,
            np.array([m.index for m in ordered], np.int64),
            np.array([str(m.status) for m in ordered]),
            times_s,
            np.array([m.phases.build_s for m in ordered]),
            np.array([m.phases.run_s for m in ordered]),
            ordered[0].device,
            ordered[0].versions,
            [m.resources for m in ordered] if any(m.resources for m in ordered) else (),
        )

    @property
    def median_s(self) -> NDArray[np.float64]:
        """Median latency: float64[n], infinite where it did not run correctly."""
        ok = self.status == Status.OK
        out = np.full(len(self.indices), np.inf)
        out[ok] = np.nanmedian(self.times_s[ok], axis=1)  # some have more repeats than others
        return out

    @property
    def gflops(self) -> NDArray[np.float64]:
        """10^9 operations a second at the median: float64[n], 0 where it did not run correctly."""
        return self.space.workload.flops / self.median_s / 1e9

    def position(self, indices: Indices) -> NDArray[np.int64]:
        """Rows of configurations: int64[k] -> int64[k].

        Raises:
            InputError: one of them was not recorded.
        """
        rows = np.searchsorted(self.indices, indices)
        if (rows >= len(self.indices)).any() or (self.indices[rows] != indices).any():
            raise InputError(f"{self.name}: a configuration that was not recorded; it is statically invalid")
        return rows

    def measurement(self, row: int) -> Measurement:
        """One row in the form in which it was measured."""
        times_s = self.times_s[row]
        return Measurement(
            index=int(self.indices[row]),
            status=Status(str(self.status[row])),
            times_s=tuple(times_s[np.isfinite(times_s)].tolist()),
            phases=Phases(build_s=float(self.build_s[row]), run_s=float(self.run_s[row])),
            device=self.device,
            versions=self.versions,
            resources=self.resources[row] if self.resources else (),
        )

    def save(self, path: Path) -> None:
        """Writes it; times as float32, which is finer than any clock here."""
        description = {
            "name": self.name,
            "workload": self.space.workload.to_dict(),
            "target": self.space.target,
            "options": {knob.name: knob.labels for knob in self.space.knobs},
            "space_hash": self.space.hash,
            "device": self.device,
            "versions": self.versions,
        }
        small = self.space.size <= np.iinfo(np.int32).max
        columns: dict[str, Any] = {
            "index": self.indices.astype(np.int32 if small else np.int64),
            "status": self.status.tolist(),
        }
        columns |= {f"time_{k}_s": self.times_s[:, k].astype(np.float32) for k in range(self.times_s.shape[1])}
        columns |= {"build_s": self.build_s.astype(np.float32), "run_s": self.run_s.astype(np.float32)}
        if self.resources:
            columns["resources"] = [json.dumps([asdict(used) for used in each]) for each in self.resources]
        table = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(description).encode()})
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, compression="zstd", compression_level=19)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            InputError: no such file, not a recorded space, or one of another version's templates.
        """
        remedy = "make one with `raydgp history record`"
        try:
            return cls._of_table(path, pq.read_table(path))
        except InputError:
            raise
        except (OSError, pa.ArrowException, *MALFORMED) as error:
            raise InputError(f"{path}: not a recorded space ({first_line(error)}); {remedy}") from None

    @classmethod
    def _of_table(cls, path: Path, table: pa.Table) -> Self:
        said = json.loads((table.schema.metadata or {})[_KEY])
        options = dict(said["options"])
        if not (
            isinstance(said["name"], str) and isinstance(said["device"], dict) and isinstance(said["versions"], dict)
        ):
            raise TypeError("its name, device or versions are none")
        workload, indices = from_dict(said["workload"]), table["index"].to_numpy().astype(np.int64)
        if isinstance(workload, Parametric):
            spaces = [parameter_space(workload, said["target"], indices)]
        else:
            spaces = [
                whole.restricted(options)
                for whole in config_spaces(workload, said["target"])
                if {knob.name for knob in whole.knobs} == set(options)
            ]
        space = next((each for each in spaces if each.hash == said["space_hash"]), None)
        if space is None:
            raise InputError(f"{path}: recorded with another version of its template; record it again")
        times = [name for name in table.column_names if name.startswith("time_")]
        return cls(
            said["name"],
            space,
            indices,
            np.array(table["status"].to_pylist()),
            np.stack([table[name].to_numpy() for name in times], axis=1).astype(np.float64),
            table["build_s"].to_numpy().astype(np.float64),
            table["run_s"].to_numpy().astype(np.float64),
            said["device"],
            said["versions"],
            [tuple(Resources(**used) for used in json.loads(each)) for each in table["resources"].to_pylist()]
            if "resources" in table.column_names
            else (),
        )
