"""Ray Tune in a process of its own, killed at a trial and restored by the next call.

python -m tests.support.restored_tune FOLDER KILLED_AT

It kills itself when the KILLED_ATth trial has ended; called again it restores what is in the folder.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from ray import tune

from raydgp.cluster import RaydgpSearcher
from tests.support import fakes
from tests.support.small_run import SPACE, WORKLOAD, measured

TRIALS = 6
_NAME = "restored"


def asked(folder: Path) -> list[int]:
    """What trials began with, in order."""
    return [int(line) for line in (folder / "asked").read_text().split()]


def uninterrupted() -> list[int]:
    """What an uninterrupted search asks for."""
    searcher, found = _searcher(), []
    while isinstance(config := searcher.suggest("trial"), dict):
        (index,) = config["indices"]
        searcher.on_trial_complete(trial_id="trial", result={"gflops": measured(index).gflops(WORKLOAD.flops)})
        found.append(index)
    return found


def _searcher() -> RaydgpSearcher:
    return RaydgpSearcher(SPACE, "genetic", TRIALS, seed=2, options={"population": 2})


class _Killing(tune.Callback):
    """Kills its process once; it is restored with the rest."""

    def __init__(self, at: int, killed: Path) -> None:
        self._left, self._killed = at, killed

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._left -= 1
        if self._left == 0 and not self._killed.exists():
            self._killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, killed_at: int) -> None:
    def trainable(config: dict[str, Any]) -> None:
        (index,) = config["indices"]
        with (folder / "asked").open("a") as file:
            file.write(f"{index}\n")
        tune.report({"gflops": measured(index).gflops(WORKLOAD.flops)})

    fakes.start_ray()
    run = folder / _NAME
    if tune.Tuner.can_restore(str(run)):
        tuner = tune.Tuner.restore(str(run), trainable=trainable, resume_unfinished=True)
    else:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=_searcher(),
                num_samples=TRIALS,
                metric="gflops",
                mode="max",
                max_concurrent_trials=1,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=str(folder), name=_NAME, verbose=0, callbacks=[_Killing(killed_at, folder / "killed")]
            ),
        )
    results = tuner.fit()
    assert len(results) == TRIALS
    assert not results.errors


if __name__ == "__main__":
    os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = "0"  # its state is saved as often as anything changes
    main(Path(sys.argv[1]), int(sys.argv[2]))
