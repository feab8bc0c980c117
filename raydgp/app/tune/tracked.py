"""MLflow beside a run: who follows it, and what the user is told of it in the end."""

from __future__ import annotations

import os

from raydgp import tracking
from raydgp.app.observer import Observer
from raydgp.records import RunFolder
from raydgp.settings import TuneSettings

_TIMEOUT_S = 60.0  # MLflow follows while the run goes on, so that little is left to send at its end


def tracker_of(settings: TuneSettings, observer: Observer) -> tracking.TrackerProcess | None:
    """The process that sends a run to MLflow, not yet started; None where nothing is to be sent.

    Raises:
        InputError: MLflow does not answer, and the settings require it.
    """
    if not settings.mlflow.enabled:
        return None
    if down := tracking.check(settings.mlflow.uri, settings.mlflow.required):
        observer.message(f"{down}: what is measured is sent once the server answers")
    return tracking.TrackerProcess(settings.run_dir)


def sent(tracker: tracking.TrackerProcess, run: RunFolder, observer: Observer) -> str:
    """Waits until MLflow has the run, and says where it is to be seen."""
    observer.message("Sending the rest of the run to MLflow ...")
    if tracker.finish(_TIMEOUT_S):
        return f"MLflow: {tracking.how_to_look(run)}"
    return f"MLflow is not up to date; run `raydgp sync {run.path}`"


def shown(settings: TuneSettings, run: RunFolder, observer: Observer) -> list[str]:
    """Sends what MLflow lacks of a run with nothing left to measure, if it can be sent, and says where it is."""
    if not settings.mlflow.enabled:
        return []
    if tracking.is_complete(run):
        return [f"MLflow: {tracking.how_to_look(run)}"]
    if down := tracking.check(settings.mlflow.uri, required=False):
        observer.message(f"{down}: it is sent once the server answers")
    if not os.access(run.path, os.W_OK):
        observer.message(f"{run.path} cannot be written, so nothing is sent to MLflow")
        return []
    tracker = tracking.TrackerProcess(run.path)
    tracker.start()
    return [sent(tracker, run, observer)]
