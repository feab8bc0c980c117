"""What nodes used, as MLflow's system metrics."""

from __future__ import annotations

import json
from pathlib import Path

from mlflow import MlflowClient

from raydgp.records import RunFolder
from raydgp.tracking.mlflow_writer import MlflowWriter
from raydgp.tracking.usage import UsageFollower
from tests.support.tracked import write_run


def line(node: str, second: int, **used: float) -> str:
    return json.dumps({"time_unix_s": second, "node_id": node, "used": used}) + "\n"


def test_only_whole_and_sound_lines_count_each_once(tmp_path: Path) -> None:
    file = tmp_path / "usage.jsonl"
    follower = UsageFollower(file)
    assert follower.poll() == []
    torn = line("b" * 56, 3, cpu=3.0)
    file.write_text(line("a" * 56, 1, cpu=1.0, memory=9.0) + "not json\n[]\n" + line("a" * 56, 2, cpu=2.0) + torn[:20])
    found = [(metric.key, metric.value, metric.timestamp, metric.step) for metric in follower.poll()]
    a = "system/aaaaaaaa"
    assert found == [(f"{a}/cpu", 1.0, 1000, 1), (f"{a}/memory", 9.0, 1000, 1), (f"{a}/cpu", 2.0, 2000, 2)]
    with file.open("a") as out:
        out.write(torn[20:])
    assert [(metric.key, metric.step) for metric in follower.poll()] == [("system/bbbbbbbb/cpu", 1)]
    assert follower.poll() == []


def test_they_are_with_the_run_and_sending_them_again_changes_nothing(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/m.db"
    run = RunFolder(write_run(tmp_path / "run", uri))
    run.usage.write_text("".join(line("c" * 56, second, cpu_utilization_percentage=second) for second in range(1, 5)))
    for _ in range(2):
        MlflowWriter(run.path).finish()
    client = MlflowClient(tracking_uri=uri)
    (experiment,) = [each for each in client.search_experiments() if each.name != "Default"]
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`raydgp.part` = ''")
    history = client.get_metric_history(parent.info.run_id, "system/cccccccc/cpu_utilization_percentage")
    assert [(metric.step, metric.value) for metric in history] == [(second, float(second)) for second in range(1, 5)]
