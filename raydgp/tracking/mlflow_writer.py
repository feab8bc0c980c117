"""Writes a run into MLflow: one parent run, a child run for each task and strategy, everything by explicit run id.

Points carry the times of their records, and MLflow keeps a metric with the same key, step, time and value once, so
that writing again changes nothing. A curve is thinned (`on_curve`); its last point is always there. What may change
when a run is resumed (versions, best configuration) is a tag, because parameters never can.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from raydgp.records import Record, RunFolder
from raydgp.records.frames import write_parquet
from raydgp.records.points import Point, on_curve, run_point, task_point
from raydgp.records.summary import RunSummary, TaskSummary
from raydgp.reports import html
from raydgp.tracking import identity, state
from raydgp.tracking.database import prepare
from raydgp.tracking.experiments import RUNS, experiment_id
from raydgp.tracking.identity import PART_TAG, RUN_TAG
from raydgp.tracking.usage import UsageFollower

_METRICS_A_CALL = 1000  # as many as log_batch takes
_POINTS_A_CALL = 90  # of up to eleven metrics
_PARENT = ""  # the parent run's key among the run's parts


class MlflowWriter:
    """One run of ours in MLflow. Any method raises what MLflow raises; nothing is lost then, only not yet sent.

    `mlflow.json` keeps the experiment's id, and for each run there its id and the last step sent. It only saves work:
    runs are found again by their tags.
    """

    def __init__(self, run_dir: Path) -> None:
        run = RunFolder(run_dir)
        self._run_dir = run_dir
        self._manifest, self._settings, self._name = run.manifest, run.settings, run.name
        self._id = identity.run_tag(run)
        self._summary = RunSummary(self._manifest.tasks, machine=self._manifest.machine)
        self._follower, self._usage = run.follower(), UsageFollower(run.usage)
        self._records: list[Record] = []
        self._parts: dict[str, TaskSummary] = {}  # in the order of their first records
        prepare(self._settings.mlflow.uri)
        self._client = MlflowClient(tracking_uri=self._settings.mlflow.uri)
        self._experiment_id = experiment_id(self._client, self._settings.mlflow.uri, self._settings.experiment, RUNS)
        self._params: dict[str, dict[str, str]] = {}  # those that MLflow has, by the key of their part
        self._run_ids = self._find_runs()
        self._sent: dict[str, int] = state.load(run_dir).get("sent", {})
        if _PARENT not in self._run_ids:
            self._create(_PARENT)
        self._save_state()

    def update(self) -> None:
        """Sends the points of the records that came since the last update."""
        points: defaultdict[str, list[Point]] = defaultdict(list)
        for entry in self._follower.poll():
            if not isinstance(entry, Record):
                continue
            self._records.append(entry)
            if task := self._summary.add(entry):
                self._parts.setdefault(_key(task), task)
                if on_curve(task.measured):
                    points[_key(task)].append(task_point(task, self._manifest.peak_gflops))
                if on_curve(self._summary.measured):
                    points[_PARENT].append(run_point(self._summary))
        for key, part in points.items():
            if key not in self._run_ids:
                self._create(key)
            self._send(self._run_ids[key], part)
        used = self._usage.poll()
        for first in range(0, len(used), _METRICS_A_CALL):
            self._client.log_batch(self._run_ids[_PARENT], metrics=used[first : first + _METRICS_A_CALL])

    def finish(self) -> None:
        """Sends the rest: best configurations, the table of layers, the records as Parquet, and how the run ended."""
        whole = state.whole(RunFolder(self._run_dir))  # before the journal is read: what comes later is not in it
        self.update()
        status = "FINISHED" if self._manifest.finished_unix_s else "KILLED"
        for key, part in self._parts.items():
            run_id = self._run_ids[key]
            self._describe(key)
            self._send(run_id, [task_point(part, self._manifest.peak_gflops)])
            if part.best_record:
                best = part.best_record.to_dict() | {"gflops": part.gflops}
                self._client.log_dict(run_id, best, "best.json")
            self._client.set_terminated(run_id, status, part.last_ms)
        self._describe(_PARENT)
        self._finish_parent(self._run_ids[_PARENT], status)
        self._save_state(whole)

    def _finish_parent(self, run_id: str, status: str) -> None:
        self._send(run_id, [run_point(self._summary)])
        rows = [part.row(self._manifest.peak_gflops) for part in self._summary.tasks.values()]
        rows = [row | {"best_knobs": json.dumps(row["best_knobs"])} for row in rows]
        self._client.log_text(run_id, pd.DataFrame(rows).to_csv(index=False), "layers.csv")
        self._client.log_text(run_id, self._manifest.model_dump_json(indent=1), "run.json")
        self._client.log_text(run_id, html([RunFolder(self._run_dir)]), "report.html")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "records.parquet"
            write_parquet(self._records, file)
            self._client.log_artifact(run_id, str(file))
        self._send_models(run_id)
        ended_ms = round(1000 * self._manifest.finished_unix_s) if self._manifest.finished_unix_s else None
        self._client.set_terminated(run_id, status, ended_ms or self._summary.last_ms)

    def _send_models(self, run_id: str) -> None:
        """Latencies of whole models that came in a bundle."""
        metrics = []
        for model in self._manifest.models:
            if model.times_s:
                name, time_ms = f"model_latency_ms/{_metric(model.name)}", round(1000 * model.time_unix_s)
                metrics.append(Metric(name, 1e3 * model.median_s, time_ms, 0))
        if metrics:
            self._client.log_batch(run_id, metrics=metrics)

    # --- runs

    def _find_runs(self) -> dict[str, str]:
        """Run ids by the key of their part. A run that is found goes on, so it is marked as running again."""
        query = f"tags.`{RUN_TAG}` = '{self._id}'"
        runs = self._client.search_runs([self._experiment_id], query, max_results=10_000)
        for run in runs:
            self._client.update_run(run.info.run_id, status="RUNNING")
            self._params[run.data.tags[PART_TAG]] = dict(run.data.params)
        return {run.data.tags[PART_TAG]: run.info.run_id for run in runs}

    def _create(self, key: str) -> None:
        part = self._parts.get(key)
        tags = {RUN_TAG: self._id, PART_TAG: key}
        if part is None:
            name, started_ms = self._name, round(1000 * self._manifest.created_unix_s)
        else:
            name, started_ms = f"{part.name} {part.strategy}", part.first_ms
            tags["mlflow.parentRunId"] = self._run_ids[_PARENT]
        tags |= identity.source_tags("tune", self._manifest)
        run = self._client.create_run(self._experiment_id, started_ms, tags, name)
        self._run_ids[key] = run.info.run_id
        self._describe(key)
        if part is None and self._manifest.tasks:
            self._client.log_inputs(run.info.run_id, [identity.spaces(self._manifest)])

    # --- what goes into them

    def _describe(self, key: str) -> None:
        """Parameters and tags of a run. Sent at both ends, for in between a resumed run may have changed the tags.

        A parameter keeps the value of the run's first start; what it is now is the tag `now.<name>`.
        """
        part = self._parts.get(key)
        texts, tags = identity.params(self._settings), identity.tags(self._manifest)
        if part:
            task = part.entry
            texts |= {"strategy": part.strategy, "task": task.name, "count": str(task.count), "group": task.group}
            texts |= {"space_size": str(task.space_size), **identity.flat(task.workload, "workload.")}
            tags["space_hash"] = task.space_hash
            tags |= identity.flat(part.best_knobs, "best.")
        there = self._params.setdefault(key, {})
        tags |= {f"now.{name}": text for name, text in texts.items() if there.get(name, text) != text}
        new = {name: text for name, text in texts.items() if name not in there}
        self._client.log_batch(
            self._run_ids[key],
            params=[Param(name, text) for name, text in new.items()],
            tags=[RunTag(name, text) for name, text in tags.items()],
        )
        there |= new

    def _save_state(self, all_of: list[Any] | None = None) -> None:
        state.save(self._run_dir, self._experiment_id, self._sent, all_of)

    def _send(self, run_id: str, points: list[Point]) -> None:
        new = [point for point in points if point.step > self._sent.get(run_id, 0)]
        for first in range(0, len(new), _POINTS_A_CALL):
            batch = new[first : first + _POINTS_A_CALL]
            metrics = [Metric(k, v, point.time_ms, point.step) for point in batch for k, v in point.metrics.items()]
            self._client.log_batch(run_id, metrics=metrics)
            self._sent[run_id] = batch[-1].step
            self._save_state()


def _metric(name: str) -> str:
    """A name as part of a metric's, of which MLflow takes few characters."""
    return re.sub(r"[^\w\-. ]", "_", name)


def _key(task: TaskSummary) -> str:
    """The key by which MLflow's run of a task's part is found again."""
    return f"{task.name}/{task.strategy}"
