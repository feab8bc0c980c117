"""`python -m raydgp.rivals.metaschedule.child FD FOLDER BUDGET_S SETTINGS`: MetaSchedule tunes the model of a folder.

It does so in a thread of its own, so that the parent may ask at any time whether it still runs.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

from raydgp.sandbox.child_loop import Handle, allow_torch, one_line, serve
from raydgp.sandbox.messages import Message


def start() -> Handle:
    folder, budget_s = Path(sys.argv[2]), float(sys.argv[3])
    allow_torch()
    import xgboost  # noqa: F401 - MetaSchedule would import it during a kernel's turn

    from raydgp.errors import InputError
    from raydgp.models.importing import load
    from raydgp.rivals.metaschedule.model import TunedModel, tune_model
    from raydgp.settings import MeasureSettings

    settings, state = MeasureSettings.model_validate_json(sys.argv[4]), TunedModel.load(folder)
    if state is None:
        raise InputError(f"{folder}: nothing says what to tune")
    faults: list[str] = []

    def tune() -> None:
        try:
            tune_model(load(state.model, check=False).module, state, folder, settings, budget_s)
        except Exception as error:
            faults.append(one_line(error))

    thread = threading.Thread(target=tune, daemon=True)
    thread.start()

    def handle(request: dict[str, Any], _: bytes) -> Message:
        thread.join(request["wait_s"])
        return {"running": thread.is_alive(), "faults": faults}, b""

    return handle


if __name__ == "__main__":
    serve(start)
