"""The settings of a live comparison."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from raydgp.settings.base import Settings
from raydgp.settings.target import TARGET, TargetName
from raydgp.settings.tune import MeasureSettings, RaySettings, TrackingSettings


class LiveSettings(Settings):
    """What `raydgp compare` searches on hardware, with every strategy and seed."""

    models: list[str] = Field([], description="Layer tables and whole models, as `model` of `raydgp tune`.")
    tasks: dict[str, list[str]] = Field({}, description="Names of tasks, by model; all by default.")
    target: TargetName = Field("llvm", description=TARGET)
    minutes: float | None = Field(
        None, gt=0, description="Minutes of each search of a model, as in `raydgp tune`, in place of `trials`."
    )
    folder: Path = Field(Path("study"), description="Folder of the study: its runs, finalists and deployed models.")
    models_dir: Path = Field(Path("models"), description="Folder of the pre-trained models for dgp and dgp+.")
    at_a_time: int = Field(
        1,
        ge=1,
        description="Searches at a time, on the same runners; with `minutes`, 1 keeps them from sharing the time.",
    )
    turns: int = Field(
        5, ge=1, description="How often the best configurations of all strategies are measured again, in turns."
    )
    calls: int = Field(600, ge=1, description="Timed calls of each deployed model, in turns; the paper's 600.")
    measure: MeasureSettings = Field(default_factory=MeasureSettings)
    ray: RaySettings = Field(default_factory=RaySettings)
    mlflow: TrackingSettings = Field(default_factory=TrackingSettings)
