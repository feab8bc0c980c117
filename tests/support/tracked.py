"""Runs written by hand, and all that MLflow shows of them."""

import re
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from raydgp.records import Context, Journal, Measurement, Phases, Record, RunManifest, Status, TaskEntry
from raydgp.records.frames import read_parquet
from raydgp.targets import Target

CREATED_UNIX_S = 1.75e9
NETWORK = {"a": 2, "b": 1}  # tasks by count
WORKLOADS = {"a": {"op": "dense", "n": 1, "k": 64, "m": 32}, "b": {"op": "dense", "n": 1, "k": 32, "m": 64}}
FINISH_S = 240.0  # the follower is nice: on a busy machine it comes last


def bare_manifest(**settings: object) -> RunManifest:
    """Of a finished run without tasks."""
    return RunManifest(
        settings={"model": "resnet18", **settings},
        tasks=[],
        target=Target.named("llvm"),
        device={},
        versions={},
        created_unix_s=CREATED_UNIX_S,
        finished_unix_s=CREATED_UNIX_S + 1,
    )


def manifest(uri: str, finished: bool = True) -> RunManifest:
    tasks = [
        TaskEntry(
            name=name,
            workload=WORKLOADS[name],
            count=count,
            group="dense",
            space_hash=name * 16,
            space_size=1000,
            default_index=0,
        )
        for name, count in NETWORK.items()
    ]
    return RunManifest(
        settings={"model": "resnet18", "trials": 40, "mlflow": {"uri": uri}},
        tasks=tasks,
        target=Target.named("llvm"),
        device={"name": "cpu", "threads": 2},
        versions={"tvm": "0.27"},
        git_commit="abc",
        created_unix_s=CREATED_UNIX_S,
        peak_gflops=100.0,
        finished_unix_s=CREATED_UNIX_S + 1000 if finished else None,
    )


def record(task: str, index: int) -> Record:
    context = Context(
        task=task,
        workload=WORKLOADS[task],
        target=Target.named("llvm"),
        space_hash=task * 16,
        strategy="random",
        seed=0,
        run="run",
    )
    failed = index % 4 == 3
    measured = Measurement(
        index=index,
        status=Status.RUN_ERROR if failed else Status.OK,
        times_s=() if failed else ((60 - index) * 1e-5,),
        phases=Phases(build_s=0.1, run_s=0.2),
        time_unix_s=CREATED_UNIX_S + index,
    )
    return Record(context=context, trial=index, knobs={"tile": [1, index]}, measurement=measured)


def write_run(folder: Path, uri: str, n: int = 40, finished: bool = True) -> Path:
    manifest(uri, finished).save(folder)
    with Journal(folder / "journal.jsonl") as journal:
        journal.append([record(task, i) for i in range(n) for task in NETWORK])
    return folder


def snapshot(uri: str) -> dict[str, Any]:
    """Everything in the store that a user can see, by the run's part."""
    client = MlflowClient(tracking_uri=uri)
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    runs = client.search_runs([experiment.experiment_id])
    seen: dict[str, Any] = {}
    names = {run.info.run_id: run.info.run_name for run in runs}
    for run in runs:
        part = run.data.tags["raydgp.part"]
        assert part not in seen, "a run twice"
        history = {
            key: [(m.step, m.timestamp, m.value) for m in client.get_metric_history(run.info.run_id, key)]
            for key in run.data.metrics
        }
        tags = {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}
        parent = names.get(run.data.tags.get("mlflow.parentRunId", ""))
        folder = Path(client.download_artifacts(run.info.run_id, ""))
        texts = {f.name: f.read_text() for f in folder.iterdir() if f.suffix != ".parquet"}
        texts = {k: re.sub(r'"uri": *"[^"]*"', '"uri": ""', text) for k, text in texts.items()}
        parquet = [read_parquet(f) for f in folder.glob("*.parquet")]
        info = run.info
        span = (info.run_name, info.status, info.start_time, info.end_time)
        seen[part] = [span, parent, run.data.params, tags, history, texts, parquet]
    return seen
