"""The plan of a bundle: what of which layers is built here to be measured elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

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


class BundleSettings(Settings):
    """What `raydgp bundle make` builds."""

    on_command_line: ClassVar[bool] = False

    target: str = Field(
        description="`llvm` is this machine's CPU, `cuda` its GPU; others by name, such as `cuda/sm_90`."
    )
    tasks: list[BundleTask] = Field(min_length=1, description="Layers, in the order of measuring.")
    caches: list[Literal["warm", "rotated"]] = Field(
        ["warm"], min_length=1, description="How each kernel is timed: its inputs in the caches, beyond them, or both."
    )
    seed: int = Field(0, ge=0, description="Seed of all random streams.")
    measure: MeasureSettings = Field(default_factory=MeasureSettings, description="How it is built and measured.")


class MergeSettings(Settings):
    """What `raydgp bundle merge` makes of results."""

    out: Path | None = Field(None, description="Folder of the run to write; runs/BUNDLE by default.")
    mlflow: TrackingSettings = Field(default_factory=TrackingSettings)
