"""What can be chosen from, as a person and as a program reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from raydgp import search, zoo
from raydgp.cli import group
from tests.support.tracked import manifest, write_run


def listed(*arguments: str) -> list[dict[str, object]]:
    answer = CliRunner().invoke(group, ["list", *arguments, "--json"])
    assert answer.exit_code == 0, answer.output
    rows: list[dict[str, object]] = json.loads(answer.output)
    return rows


def test_runs_are_listed_by_age_with_what_they_came_to(tmp_path: Path) -> None:
    write_run(tmp_path / "new", "sqlite:///m.db")
    older = manifest("sqlite:///m.db", finished=False)
    older.model_copy(update={"created_unix_s": older.created_unix_s - 1}).save(tmp_path / "old")
    (tmp_path / "none").mkdir()
    rows = listed("runs", "--runs-dir", str(tmp_path))
    assert [(row["run"], row["measured"], row["ms tuned"], row["state"]) for row in rows] == [
        ("old", 0, None, "not finished"),
        ("new", 80, 0.66, "finished"),
    ]
    table = CliRunner(env={"COLUMNS": "80"}).invoke(group, ["list", "runs", "--runs-dir", str(tmp_path)]).output
    assert "All on cpu:" in table
    assert table.count(" 20") >= 2
    assert "not finished" in table
    assert max(map(len, table.splitlines())) <= 80
    empty = CliRunner().invoke(group, ["list", "runs", "--runs-dir", str(tmp_path / "none")])
    assert empty.output.startswith("No runs in ")


@pytest.mark.parametrize("name", search.names())
def test_every_strategy_says_what_it_is_and_its_presets(name: str) -> None:
    (row,) = (row for row in listed("strategies") if row["strategy"] == name)
    assert len(str(row["what it is"])) > 20
    told = json.loads(CliRunner().invoke(group, ["list", "strategies", name, "--json"]).output)
    assert {option["option"] for option in told["options"]} == set(search.describe(name))
    assert "small" in told["presets"]


def test_tasks_of_a_table() -> None:
    assert [row["task"] for row in listed("tasks", "alexnet")] == [task.name for task in zoo.tasks("alexnet")]
