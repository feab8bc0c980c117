"""The plan of a bundle: what of which layers is built here to be measured elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from raydgp.settings.base import Settings
from raydgp.settings.tune import MeasureSettings, TrackingSettings


class BundleTask(Settings):
    """Configurations of one layer, its default always among them."""

    layer: str = Field(description="`<network>/<task>` of the papers' layer tables, such as `resnet18/rb3-conv2`.")
    algorithm: str = Field("direct", description="What computes it: `direct`, `winograd` or `tensor_core`.")
    draws: int = Field(0, ge=0, description="Random valid configurations.")
    grid: int = Field(0, ge=0, description="All valid ones of a sub-space that has so many at most.")
    winners: list[Path] = Field(
        [],
        description="Journals, Parquet files and logs of AutoTVM from other devices, folders of them, or the name of "
        "what comes with the package (`tophub`): their best configurations, of whatever layer, whose knobs it has.",
    )
    refused: int = Field(
        0,
        ge=0,
        description="Configurations of a GPU that the register rule alone refuses, each with a neighbour.",
    )


class BundleModel(Settings):
    """A whole model, timed from its inputs to its outputs; its kernels are tasks like the plan's layers."""

    model: str | None = Field(
        None, description="As `raydgp tune` takes it, such as `resnet18` or a file; by default that of `run`."
    )
    inputs: dict[str, tuple[int, ...]] = Field(
        default_factory=dict, description="Shapes of an ONNX file's inputs, by name, as lists."
    )
    run: Path | None = Field(
        None, description="Folder of a run whose best configurations it gets; the defaults without one."
    )
    winners: list[Path] = Field(
        [],
        description="As of a task: a kernel that no run has measured gets the winner of the most similar layer in "
        "place of the default.",
    )
    draws: int = Field(0, ge=0, description="Random valid configurations of each of its kernels, measured alone.")
    tensor_core: int = Field(
        0,
        ge=0,
        description="Random valid configurations, and the default, of each of its convolutions and dense layers on "
        "tensor cores, measured alone.",
    )


class BundleSettings(Settings):
    """What `raydgp bundle make` builds."""

    on_command_line: ClassVar[bool] = False

    target: str = Field(
        description="`llvm` is this machine's CPU, `cuda` its GPU; others by name, such as `cuda/sm_90`."
    )
    tasks: list[BundleTask] = Field([], description="Layers, in the order of measuring.")
    models: list[BundleModel] = Field(
        [], validate_default=True, description="Whole models, measured after the defaults of all tasks."
    )
    caches: list[Literal["warm", "rotated"]] = Field(
        ["warm"], min_length=1, description="How each kernel is timed: its inputs in the caches, beyond them, or both."
    )
    seed: int = Field(0, ge=0, description="Seed of all random streams.")
    measure: MeasureSettings = Field(default_factory=MeasureSettings, description="How it is built and measured.")

    @field_validator("models")
    @classmethod
    def _anything(cls, models: list[BundleModel], info: ValidationInfo) -> list[BundleModel]:
        if not models and not info.data.get("tasks", True):
            raise ValueError("name a layer under `tasks`, or a model here")
        return models


class MergeSettings(Settings):
    """What `raydgp bundle merge` makes of results."""

    out: Path | None = Field(None, description="Folder of the run to write; runs/BUNDLE by default.")
    mlflow: TrackingSettings = Field(default_factory=TrackingSettings)
