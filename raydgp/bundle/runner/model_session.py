"""One whole model, sent to the child and measured there."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from raydgp.bundle.runner.archive import Archive
from raydgp.bundle.runner.child import joined
from raydgp.bundle.runner.hands import Hands
from raydgp.bundle.runner.progress import say
from raydgp.bundle.runner.results import Results
from raydgp.errors import ChildDied, ChildHung

_LOAD_TIMEOUT_S = 60.0  # of the weights of a large model


def measure_model(number: int, archive: Archive, results: Results, hands: Hands) -> str:
    """Measures a model and writes down what came of it. A crash or a hang costs this model only.

    Returns:
        Its status.

    Raises:
        BudgetOver: the time is over.
        Unopened: the device can no longer be used.
        InputError: the bundle is damaged.
        JournalError: the results cannot be written.
    """
    entry = archive.models[number]
    hands.open()
    began = time.monotonic()
    try:
        answer = _answered(number, archive, hands)
    except ChildHung as error:
        answer = {"status": "run_timeout", "error": str(error)}
    except ChildDied as error:
        answer = {"status": "run_error", "error": str(error)}
    status: str = answer.get("status", "run_error")
    if status != "ok":
        hands.replace()  # as after a kernel
    line: dict[str, Any] = {"model": number, "name": entry["name"], "status": status, "error": answer["error"]}
    found = {name: answer.get(name, []) for name in ("times_s", "steps_s")}
    when = {"run_s": time.monotonic() - began, "time_unix_s": time.time()}
    results.append({**line, **found, **when, "conditions": answer.get("conditions", {})})
    ended = f"{1e3 * median(found['times_s']):.3f} ms" if status == "ok" else f"{status}: {answer['error']}"
    say(f"model {entry['name']}: {ended}")
    return status


def _answered(number: int, archive: Archive, hands: Hands) -> dict[str, Any]:
    entry, sequence = archive.models[number], archive.sequence(number)
    tasks = {kernel["task"] for kernel in sequence["kernels"] if kernel["task"] is not None}
    lines = {task: archive.kernels(task) for task in tasks}
    kernels = [k if k["task"] is None else lines[k["task"]][k["place"]] for k in sequence["kernels"]]
    body = joined(
        archive.member(entry["arrays"]),
        archive.member(entry["expected"]),
        *(archive.code(kernel["code"]) for kernel in kernels),
    )
    said = [{name: kernel[name] for name in ("launches", "workspaces")} for kernel in kernels]
    answer, _ = hands.call({"do": "model", "content": sequence, "kernels": said}, body, _LOAD_TIMEOUT_S)
    if "error" in answer:
        return answer
    measure = archive.header["measure"]
    answer, _ = hands.call({"do": "measure model", "measure": measure}, b"", measure["run_timeout_s"])
    return answer
