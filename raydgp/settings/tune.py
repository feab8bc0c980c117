"""The settings of a run of the tuner."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveFloat, field_validator

from raydgp.errors import InputError
from raydgp.settings import shapes
from raydgp.settings.base import Settings
from raydgp.settings.target import TARGET, TargetName, kind_of

PLACES = frozenset({"runs_dir", "models_dir", "mlflow"})  # settings of where things are, not of what is searched


class MeasureSettings(Settings):
    """How one configuration is built and timed."""

    number: int = Field(1, ge=1, description="The least number of calls that are timed together.")
    repeat: int = Field(3, ge=1, description="Timings of a configuration; their median is reported.")
    min_repeat_ms: int = Field(
        20, ge=0, description="`number` is raised until a timing lasts this long, in milliseconds."
    )
    build_timeout_s: float = Field(20.0, gt=0, description="Seconds that one configuration may take to compile.")
    run_timeout_s: float = Field(
        10.0, gt=0, description="Seconds that one configuration may take to run, its warm-up and check included."
    )
    threads: int | None = Field(
        None, ge=1, description="Threads of a CPU kernel; by default as many as the runner has cores."
    )
    stop_hopeless: bool = Field(
        True,
        description="Whether a kernel whose first timing is twice as long as its runner's best is timed no more, and a "
        "build that takes over three seconds and five times as long as those of its space usually do is ended.",
    )
    cold_cache: bool = Field(
        False, description="Whether single calls are timed, each after the caches are flushed; raise `repeat` with it."
    )
    model_mb: float | None = Field(
        None,
        ge=0,
        description="Megabytes of weights that a model reads between two calls of a layer, on a CPU; by default those "
        "of the model that is tuned.",
    )
    tolerance: float = Field(
        1e-3, gt=0, description="Largest error of an output, relative to the reference's largest magnitude."
    )


class RaySettings(Settings):
    address: str | None = Field(
        None, description="Address of a running Ray cluster (`auto` finds one); by default one is started here."
    )
    layers_in_flight: int = Field(2, ge=1, description="Layer tasks that are searched at the same time.")
    runners: int | None = Field(
        None, ge=1, description="Measurement runners; by default as many as the cluster has room for."
    )
    cores_per_runner: int | None = Field(
        None,
        ge=1,
        description="Cores of a CPU runner; a machine gets as many runners as its cores suffice for, each held to its "
        "own and none over two NUMA nodes. By default one runner has all of them.",
    )
    resources: dict[str, PositiveFloat] = Field(
        {}, description="What a runner of a function holds: `{cpu: 4}`, `{gpu: 1}`, or a resource of the cluster."
    )
    accelerator: str | None = Field(None, description="Kind of the runners' GPU by Ray's label, such as H100.")


class TrackingSettings(Settings):
    enabled: bool = Field(True, description="Whether results are sent to MLflow.")
    required: bool = Field(
        True,
        description="Whether a server that does not answer refuses the run at its start; else it is measured, and sent "
        "later.",
    )
    uri: str = Field(
        default_factory=lambda: os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db",
        description="MLflow tracking URI; by default that of MLFLOW_TRACKING_URI, else a database in this folder.",
    )
    experiment: str | None = Field(
        None, description="Name of the MLflow experiment; MODEL-TARGET by default, of a layer table MODEL-table-TARGET."
    )
    system_metrics: bool = Field(
        False,
        description="Whether processors, memory and GPUs of every node are looked at each 10 s and sent along, as "
        "system/NODE/...",
    )


class ModelSettings(Settings):
    """A model and what it is for: all that `raydgp inspect` needs."""

    model: str = Field(
        min_length=1,
        description="A network's layer table in the papers (`resnet18`), or a whole model: `zoo:resnet18`, "
        "`package.module:function`, a .pt2 or an .onnx file.",
    )
    inputs: dict[str, shapes.Shape] = Field(
        default_factory=dict,
        description="Shapes of an ONNX file's inputs, by name, as 1x3x224x224; 1x{64,128} tunes it for several sizes.",
    )
    target: TargetName = Field("llvm", description=TARGET)

    @field_validator("inputs", mode="before")
    @classmethod
    def _sizes(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: shapes.read(name, shape) for name, shape in value.items()}

    @field_validator("inputs")
    @classmethod
    def _together(cls, value: dict[str, shapes.Shape]) -> dict[str, shapes.Shape]:
        shapes.check(value)
        return value

    @property
    def kind(self) -> str:
        """Of the target."""
        return kind_of(self.target)

    @property
    def sizes(self) -> list[dict[str, tuple[int, ...]]]:
        """The given shapes, once for each size that the model is for."""
        return shapes.sizes(self.inputs)


class TuneSettings(ModelSettings):
    """One run of `raydgp tune`."""

    tasks: list[str] | None = Field(None, description="Names of the layer tasks that are tuned; all by default.")
    strategy: str = Field("autotvm", description="Name of the search strategy.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the strategy, by name.")
    trials: int = Field(
        64, ge=1, description="Configurations that are measured for each task; of a whole model on average."
    )
    minutes: float | None = Field(
        None, gt=0, description="Minutes to tune, shared among the tasks by what each has to gain."
    )
    batch: int = Field(16, ge=1, description="Configurations that one Tune trial measures.")
    seed: int = Field(0, ge=0, description="Seed of all random streams.")
    run: str | None = Field(
        None, pattern=r"^(?:[\w.-]*[\w-][\w.-]*)$", description="Name of the run; the same name resumes it."
    )
    runs_dir: Path = Field(Path("runs"), description="Folder of the runs.")
    models_dir: Path = Field(Path("models"), description="Folder of the pre-trained models for dgp and dgp+.")
    measure: MeasureSettings = Field(default_factory=MeasureSettings)
    ray: RaySettings = Field(default_factory=RaySettings)
    mlflow: TrackingSettings = Field(default_factory=TrackingSettings)

    @property
    def run_name(self) -> str:
        """Folder of the run: the same command finds it again, which is how a run resumes."""
        return self.run or f"{self.model_name}-{self._target}-{self.strategy}-seed{self.seed}"

    @property
    def _target(self) -> str:
        """As part of a file's name."""
        return self.target.replace("/", "-")

    @property
    def is_imported(self) -> bool:
        """Whether the model is imported as a whole, rather than a table of layers."""
        return ":" in self.model or Path(self.model).suffix.lower() in (".pt2", ".onnx")

    @property
    def model_name(self) -> str:
        """The model as part of a file's name."""
        return Path(self.model.rpartition(":")[2]).stem if self.is_imported else self.model

    @property
    def by_gain(self) -> bool:
        """Whether the tasks share one budget by what they gain, rather than each having its own."""
        return self.minutes is not None or self.is_imported

    @property
    def most_trials(self) -> int | None:
        """Configurations measured for each task; None where time alone is limited."""
        return None if self.minutes is not None and "trials" not in self.model_fields_set else self.trials

    @property
    def experiment(self) -> str:
        """Name of the MLflow experiment."""
        what = self.model_name if self.is_imported else f"{self.model_name}-table"
        return self.mlflow.experiment or f"{what}-{self._target}"

    @property
    def run_dir(self) -> Path:
        return self.runs_dir / self.run_name


def source_of(model: str) -> str:
    """What MODEL of the command line stands for, as `TuneSettings.model` has it: a name alone is a whole network.

    Raises:
        InputError: a file of another kind; says how to export one.
    """
    path = Path(model)
    if path.suffix in (".pt", ".pth") or (path.suffix.lower() not in (".pt2", ".onnx") and path.is_file()):
        raise InputError(
            f"{model}: only .pt2 and .onnx files hold a whole model; make one with "
            f"torch.export.save(torch.export.export(model.eval(), example_inputs), {path.stem + '.pt2'!r})"
        )
    return model if ":" in model or path.suffix.lower() in (".pt2", ".onnx") else f"zoo:{model}"
