"""How a run of ours is known in MLflow: by which tag it is found again, by which parameters runs are compared."""

from __future__ import annotations

from typing import Any

from raydgp.records import RunFolder
from raydgp.settings import TuneSettings

RUN_TAG = "raydgp.run"  # on all parts of a tuning run
PART_TAG = "raydgp.part"  # which of them; empty for the parent
TUNED_BY_TAG = "raydgp.tuned_by"  # on a deployed model's run: the `RUN_TAG` of the run that tuned it
_NOT_PARAMS = {"run", "runs_dir", "models_dir", "mlflow"}  # where things are, not what is searched


def run_tag(run: RunFolder) -> str:
    """Value of `RUN_TAG`: two runs of one name that were started at different times are two."""
    return f"{run.name}@{run.manifest.created_unix_s!r}"


def settings_params(settings: TuneSettings) -> dict[str, Any]:
    """All settings that shape a search, nested ones as `section.key`; what is not set is left out."""
    return _flat(settings.model_dump(mode="json", exclude=_NOT_PARAMS))


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in settings.items():
        out |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return {key: value for key, value in out.items() if value is not None}
