"""What a run's folder remembers of MLflow: where the run is there, and how much of it. It only saves work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from raydgp.errors import MALFORMED
from raydgp.records import RunFolder
from raydgp.records.manifest import write_atomically
from raydgp.tracking.uris import database_of, page

STATE_NAME = "mlflow.json"


def load(run_dir: Path) -> dict[str, Any]:
    """`experiment_id`; `sent`, the last step by run id; `all_of`, as of `whole`. Empty where it is gone or damaged."""
    try:
        state = json.loads((run_dir / STATE_NAME).read_bytes())
        return {
            "experiment_id": str(state["experiment_id"]),
            "sent": {str(key): int(step) for key, step in state["sent"].items()},
            "all_of": state.get("all_of"),
        }
    except (OSError, *MALFORMED):
        return {}


def save(run_dir: Path, experiment_id: str, sent: dict[str, int], all_of: list[Any] | None) -> None:
    """Writes it as a whole or not at all."""
    state = {"experiment_id": experiment_id, "sent": sent, "all_of": all_of}
    write_atomically(run_dir / STATE_NAME, json.dumps(state, indent=1))


def whole(run: RunFolder) -> list[Any]:
    """What tells one state of a run from another: where it is tracked, how long its journal is, when it ended."""
    size = run.journal.stat().st_size if run.journal.is_file() else 0
    return [run.settings.mlflow.uri, size, run.manifest.finished_unix_s]


def is_complete(run: RunFolder) -> bool:
    """Whether MLflow was sent all that there is of a run, and a database of its own is still there."""
    database = database_of(run.settings.mlflow.uri)
    return load(run.path).get("all_of") == whole(run) and (database is None or database.is_file())


def how_to_look(run: RunFolder) -> str:
    """How a user sees a tracked run in MLflow's pages."""
    return page(run.settings.mlflow.uri, load(run.path).get("experiment_id", ""))
