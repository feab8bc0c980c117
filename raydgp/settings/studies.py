"""The settings of what is done with recorded measurements: record them, import them, compare on them, pre-train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from raydgp.settings.base import Settings
from raydgp.settings.live import LiveSettings
from raydgp.settings.target import TARGET, TargetName
from raydgp.settings.tune import MeasureSettings, TrackingSettings


class CompareSettings(Settings):
    """One comparison of `raydgp compare`."""

    strategies: dict[str, dict[str, Any]] = Field(
        {"random": {}, "autotvm": {}},
        description="Options of each strategy, by its name in the table; `strategy` among them if that differs.",
    )
    baseline: str = Field("autotvm", description="Strategy that the ratios are over.")
    seeds: int = Field(10, ge=1, description="Searches of each strategy on each space.")
    trials: int = Field(1000, ge=1, description="Measurements that a search may take.")
    batch: int = Field(8, ge=1, description="Measurements between two learnings.")
    patience: int | None = Field(
        None,
        ge=1,
        description="Measurements without anything better after which a search ends, as AutoTVM's early stopping; "
        "without it a search ends once it has the best of its space.",
    )
    runners: list[Annotated[int, Field(ge=1)]] = Field(
        [1], min_length=1, description="Runners that measure at a time, by a simulated clock; each number is compared."
    )
    workers: int = Field(1, ge=1, description="Searches at a time; with 1 the seconds can be trusted.")
    epochs: int = Field(60, ge=1, description="Epochs of each pre-training at most; the paper allows 3000.")
    models_dir: Path = Field(
        Path("models-left-out"), description="Folder of the models that are pre-trained without one of the tasks."
    )
    live: LiveSettings = Field(
        default_factory=LiveSettings, description="What is searched on hardware, where no recorded spaces are given."
    )


class PretrainingSettings(Settings):
    """What `raydgp pretrain` learns from, and how."""

    experiment: list[str] = Field([], description="MLflow experiments whose runs are learnt from, too.")
    out: Path = Field(Path("models"), description="Folder of the artefacts.")
    alias: str = Field("champion", description="Alias of the registered version.")
    epochs: int = Field(100, ge=1, description="Epochs of each training at most; the paper allows 3000.")
    evaluate: bool = Field(
        True,
        description="Whether a training without a held-out part comes first, for the figures of the model's card; it "
        "doubles the time.",
    )
    seed: int = Field(0, ge=0, description="Seed of all random streams.")
    device: str = Field("cpu", description="Where the models are trained, cpu or cuda.")
    mlflow: TrackingSettings = Field(default_factory=TrackingSettings)


class RecordSettings(Settings):
    """What `raydgp history record` measures."""

    model: str = Field(min_length=1, description="Network of the task.")
    task: str = Field(description="Layer task whose space is measured.")
    target: TargetName = Field("llvm", description=TARGET)
    valid: int = Field(2000, ge=1, description="Most valid configurations that the thinned space may have.")
    fix: list[str] = Field([], description="Knobs that keep one option each, as KNOB=OPTION.")
    out: Path = Field(description="Parquet file to write.")
    measure: MeasureSettings = Field(default_factory=MeasureSettings)


class ImportSettings(Settings):
    """What `raydgp history import` makes of other tuners' logs."""

    device: str | None = Field(
        None, min_length=1, description="Name of the device that they were measured on, where the files do not say it."
    )
    out: Path = Field(description="Parquet file to write; a folder of them for several recorded spaces.")
