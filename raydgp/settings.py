"""The YAML configuration as pydantic models. An unknown key is an error that names the nearest known one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from raydgp.data import configuration, configurations
from raydgp.errors import InputError, nearest


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=_Model)


class MeasureSettings(_Model):
    """How one configuration is built and timed."""

    number: int = Field(1, ge=1, description="calls timed together at the least")
    repeat: int = Field(3, ge=1, description="timings kept; their median is reported")
    min_repeat_ms: int = Field(20, ge=0, description="number is raised until a repeat lasts this long")
    build_timeout_s: float = Field(20.0, gt=0)
    run_timeout_s: float = Field(10.0, gt=0, description="of one configuration, warm-up and check included")
    threads: int | None = Field(None, ge=1, description="threads a CPU kernel gets; all cores of the runner by default")
    cold_cache: bool = Field(False, description="times single calls that find the caches flushed; raise repeat with it")
    model_mb: float | None = Field(
        None,
        ge=0,
        description="MB of weights that a model reads between two calls of a layer, for CPUs; its own by default",
    )
    tolerance: float = Field(1e-3, gt=0, description="largest error, relative to the reference's largest magnitude")


class RaySettings(_Model):
    address: str | None = Field(None, description="of a running cluster (`auto` finds one); None starts one here")
    layers_in_flight: int = Field(2, ge=1, description="layer tasks that search at the same time")
    runners: int | None = Field(None, ge=1, description="runner actors; as many as the cluster has room for by default")
    accelerator: str | None = Field(None, description="GPU kind of the runners by Ray's label, e.g. H100")


class TrackingSettings(_Model):
    enabled: bool = True
    uri: str = Field("sqlite:///mlflow.db", description="any MLflow tracking URI")
    experiment: str | None = Field(None, description="`<model>-<target>` by default")


class TuneSettings(_Model):
    """One run of `raydgp tune`."""

    model: str = Field(
        min_length=1,
        description="a network's layer table in the papers (`resnet18`), or a whole model: `zoo:resnet18`, "
        "`package.module:function`, a .pt2 or an .onnx file",
    )
    tasks: list[str] | None = Field(None, description="names of its layer tasks; all by default")
    target: Literal["llvm", "cuda"] = "llvm"
    strategy: str = "autotvm"
    options: dict[str, Any] = Field(default_factory=dict, description="settings of the strategy by name")
    trials: int = Field(64, ge=1, description="configurations measured for each task; of a whole model on average")
    minutes: float | None = Field(None, gt=0, description="time to tune, shared among the tasks by what they gain")
    batch: int = Field(16, ge=1, description="configurations a Tune trial measures")
    seed: int = Field(0, ge=0)
    run: str | None = Field(None, pattern=r"^[\w.-]+$", description="name of the run's folder")
    runs_dir: Path = Path("runs")
    models_dir: Path = Field(Path("models"), description="pre-trained models of `raydgp pretrain`, for dgp and dgp+")
    measure: MeasureSettings = MeasureSettings()
    ray: RaySettings = RaySettings()
    mlflow: TrackingSettings = TrackingSettings()

    @property
    def run_name(self) -> str:
        """Folder of the run: the same command finds it again, which is how a run resumes."""
        return self.run or f"{self.model_name}-{self.target}-{self.strategy}-seed{self.seed}"

    @property
    def is_imported(self) -> bool:
        """Whether the model is imported as a whole, rather than a table of layers."""
        return ":" in self.model or Path(self.model).suffix in (".pt2", ".onnx")

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
        return self.mlflow.experiment or f"{self.model_name}-{self.target}"

    @property
    def run_dir(self) -> Path:
        return self.runs_dir / self.run_name


class CompareSettings(_Model):
    """One comparison of `raydgp compare`."""

    strategies: dict[str, dict[str, Any]] = Field(
        {"random": {}, "autotvm": {}}, description="name in the table -> options; `strategy` among them if not the name"
    )
    baseline: str = Field("autotvm", description="strategy of the ratios")
    seeds: int = Field(10, ge=1)
    trials: int = Field(1000, ge=1, description="measurements that a search may take")
    batch: int = Field(8, ge=1, description="measurements between two learnings")
    workers: int = Field(1, ge=1, description="searches at a time; 1 where the seconds are to be trusted")
    epochs: int = Field(60, ge=1, description="of the pre-trainings at most; the paper allows 3000")
    models_dir: Path = Field(Path("models-left-out"), description="where the models that leave a task out are kept")


def load(path: Path | None, overrides: dict[str, Any], kind: type[M]) -> M:
    """Reads a YAML file (none: the defaults) and lays the overrides whose value is not None over it.

    Args:
        path: of a file, or the name of a packaged one such as `quickstart`.
        overrides: nested as in the file.
        kind: of the settings.

    Raises:
        InputError: no such file, broken YAML, unknown key, wrong type or value; names the file, the key, the remedy.
    """
    path = configuration(path) if path else None
    source = str(path) if path else "command line"
    data: Any = {}
    if path is not None:
        try:
            data = yaml.safe_load(path.read_text()) or {}
        except OSError as error:
            known = ", ".join(configurations())
            raise InputError(
                f"{source}: {error.strerror or error}; give --config a file that exists, or one of {known}"
            ) from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            where = getattr(error, "problem_mark", None)
            at = f"line {where.line + 1}: " if where else ""
            raise InputError(f"{source}: {at}not valid YAML ({getattr(error, 'problem', error)})") from None
        if not isinstance(data, dict):
            raise InputError(f"{source}: must be a mapping of settings such as `model: resnet18`")
    try:
        return kind.model_validate(_merged(data, overrides))
    except ValidationError as error:
        raise InputError(f"{source}: {_explain(error, kind)}") from None


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`; None, which is what an empty section of YAML is, says nothing in either."""
    out = {key: value for key, value in base.items() if value is not None}
    for key, value in over.items():
        if not isinstance(value, dict):
            out |= {} if value is None else {key: value}
        elif isinstance(out.get(key, {}), dict):  # else it stays as it is, for validation to name it
            out[key] = _merged(out.get(key, {}), value)
    return out


def _explain(error: ValidationError, kind: type[_Model]) -> str:
    """The first fault in one line: the key, what is wrong, and the nearest key where it is unknown."""
    faults = error.errors()
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])  # a misspelt key also misses
    path = [str(part) for part in fault["loc"]]
    key = ".".join(path)
    if fault["type"] == "extra_forbidden":
        return f"unknown key {key!r}{nearest(path[-1], _keys(path[:-1], kind))}"
    if fault["type"] == "missing":
        return f"key {key!r} is missing; give it in the file or on the command line"
    return f"key {key!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}, not {fault['input']!r}"


def _keys(path: list[str], kind: type[_Model]) -> list[str]:
    model: Any = kind
    for part in path:
        model = model.model_fields[part].annotation
    return list(model.model_fields)
