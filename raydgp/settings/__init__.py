"""The settings of the commands: one pydantic model each, which a YAML file and the command line's options fill."""

from raydgp.settings.base import Settings, load, parsed
from raydgp.settings.bundles import BundleModel, BundleSettings, BundleTask, MergeSettings
from raydgp.settings.live import LiveSettings
from raydgp.settings.studies import CompareSettings, ImportSettings, PretrainingSettings, RecordSettings
from raydgp.settings.tune import (
    PLACES,
    MeasureSettings,
    ModelSettings,
    RaySettings,
    TrackingSettings,
    TuneSettings,
    source_of,
)

__all__ = [
    "PLACES",
    "BundleModel",
    "BundleSettings",
    "BundleTask",
    "CompareSettings",
    "ImportSettings",
    "LiveSettings",
    "MeasureSettings",
    "MergeSettings",
    "ModelSettings",
    "PretrainingSettings",
    "RaySettings",
    "RecordSettings",
    "Settings",
    "TrackingSettings",
    "TuneSettings",
    "load",
    "parsed",
    "source_of",
]
