"""The manifest of a run: what was asked for, of what, and where; everything measured is in the journal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from raydgp.errors import InputError
from raydgp.records.history import Machine
from raydgp.records.model_latency import ModelLatency
from raydgp.settings import TuneSettings
from raydgp.space import ConfigSpace
from raydgp.targets import Target

FILE_NAME = "run.json"


class TaskEntry(BaseModel):
    """A layer task of the run.

    Attributes:
        name: of the task, unique within the run.
        workload: `Workload.to_dict()`.
        count: how often the network calls it.
        group: key of the workloads that share a surrogate.
        space_hash: `ConfigSpace.hash` of the space that is searched.
        space_size: number of its configurations.
        default_index: the configuration that is measured first.
        untuned_s: seconds a call of the kernel that TVM makes without a schedule; None where it was not measured.
        start_points: configurations that are measured right after the default, out of earlier experience.
        settled: another run has searched this task: its best are measured again, not searched for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    workload: dict[str, Any]
    count: int
    group: str
    space_hash: str
    space_size: int
    default_index: int
    untuned_s: float | None = None
    start_points: list[int] = []
    settled: bool = False

    @classmethod
    def of(cls, name: str, count: int, space: ConfigSpace, **found: Any) -> Self:
        """The entry of a task that is searched in a space.

        Args:
            found: further fields.
        """
        return cls(
            name=name,
            workload=space.workload.to_dict(),
            count=count,
            group=space.workload.group,
            space_hash=space.hash,
            space_size=space.size,
            default_index=space.default,
            **found,
        )


class RunManifest(BaseModel):
    """What the driver writes beside the journal.

    Attributes:
        settings: `TuneSettings` as JSON.
        tasks: what is tuned, in the order of the network.
        target: what it tunes for; TVM's attributes in the file.
        device: where it measures: name, kind, cores or driver, threads.
        versions: of raydgp, tvm, and what else shapes the kernels.
        git_commit: of the user's project, the directory that raydgp ran in; None outside of a repository.
        created_unix_s: when the run was first started.
        peak_gflops: the device's measured peak.
        spent_s: seconds of tuning so far, where the budget is the whole model's.
        finished_unix_s: None while it runs, or when it was stopped.
        source: what tells the file or function that the model was imported from, from a changed one; None where nothing
            does.
        models: latencies of whole models that came in a bundle; no journal has them.
        notes: what the user should know of how the model was imported, such as what runs beside TVM.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: dict[str, Any]
    tasks: list[TaskEntry]
    target: Target
    device: dict[str, Any]
    versions: dict[str, str]
    git_commit: str | None = None
    created_unix_s: float
    peak_gflops: float | None = None
    spent_s: float = 0.0
    finished_unix_s: float | None = None
    source: str | None = None
    models: list[ModelLatency] = []
    notes: list[str] = []

    @property
    def machine(self) -> Machine:
        """What its measurements are of."""
        return Machine(self.target, self.device)

    @classmethod
    def load(cls, run_dir: Path) -> Self:
        """Reads the manifest of a run.

        Raises:
            InputError: the folder is not a run, or its manifest is damaged.
        """
        try:
            return cls.model_validate_json((run_dir / FILE_NAME).read_bytes())
        except OSError:
            raise InputError(
                f"{run_dir} is not a run: it has no {FILE_NAME}; give a folder such as runs/NAME"
            ) from None
        except ValidationError as error:
            fault = error.errors()[0]
            where = [".".join(map(str, fault["loc"]))] if fault["loc"] else []
            said = ": ".join([str(run_dir / FILE_NAME), *where, fault["msg"]])
            raise InputError(
                f"{said}; remove the file, and the `raydgp tune` command that began the run writes it anew and goes on"
            ) from None

    def tune_settings(self) -> TuneSettings:
        """The settings that the run was started with.

        Raises:
            InputError: they are not settings of this raydgp.
        """
        try:
            return TuneSettings.model_validate(self.settings)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"]))
            raise InputError(
                f"the run's settings are of another raydgp: {where}: {fault['msg']}; use that one"
            ) from None

    def save(self, run_dir: Path) -> None:
        """Writes the manifest as a whole or not at all."""
        run_dir.mkdir(parents=True, exist_ok=True)
        write_atomically(run_dir / FILE_NAME, self.model_dump_json(indent=1))


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file so that a reader, or a crash, finds the old or the new one, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
