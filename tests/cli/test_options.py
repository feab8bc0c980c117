"""Options of the command line: made of the settings' fields, laid over a file, explained by --help."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from pydantic import Field

from raydgp import cli
from raydgp.cli.options import common_options, settings_of, settings_options
from raydgp.errors import InputError
from raydgp.settings import Settings


class _Section(Settings):
    uri: str = Field("here", description="Where it goes.")


class _Some(Settings):
    count: int = Field(3, ge=1, description="How many.")
    names: list[str] | None = Field(None, description="Which; all by default.")
    options: dict[str, Any] = Field({}, description="More.")
    fast: bool = Field(True, description="Whether it hurries.")
    section: _Section = Field(default_factory=_Section)


@click.command()
@settings_options(
    _Some,
    *("count", "names", "options", "fast", "section.uri"),
    flags={"fast": "hurry"},
    known={"section.uri": lambda: ["here", "there"]},
)
@common_options
def command(config: Path | None, as_json: bool, **given: Any) -> None:
    """Print the settings."""
    click.echo(settings_of(_Some, config, given).model_dump_json())


def run(*arguments: str) -> Any:
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_without_options_the_defaults_hold() -> None:
    assert run() == {"count": 3, "names": None, "options": {}, "fast": True, "section": {"uri": "here"}}


def test_every_kind_of_option_reaches_its_field() -> None:
    given = run(
        *("--count", "5", "--names", "a, b", "--names", "c", "--options", "n=4", "--options", "s=x", "--no-hurry"),
        *("--section-uri", "there"),
    )
    assert given == {
        "count": 5,
        "names": ["a", "b", "c"],
        "options": {"n": 4, "s": "x"},
        "fast": False,
        "section": {"uri": "there"},
    }


def test_options_go_over_the_file_and_leave_the_rest_of_it(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text("count: 7\nfast: false\noptions: {a: 1, b: 2}\nsection: {uri: there}\n")
    given = run("--config", str(path), "--count", "9", "--options", "b=3")
    assert given == {
        "count": 9,
        "names": None,
        "options": {"a": 1, "b": 3},
        "fast": False,
        "section": {"uri": "there"},
    }


def test_no_names_are_not_all_names() -> None:
    assert run("--names", "")["names"] == []


def test_a_bad_value_names_its_key() -> None:
    with pytest.raises(InputError, match="key 'count'"):
        run("--count", "0")


def test_an_assignment_without_a_key_is_refused() -> None:
    done = CliRunner().invoke(command, ["--options", "=4"])
    assert done.exit_code == 2
    assert "is not KEY=VALUE" in done.output


def test_help_has_the_description_the_default_and_the_known_names() -> None:
    said = CliRunner().invoke(command, ["--help"]).output
    assert "How many.  [default: 3]" in said
    assert "[here|there]" in said


def test_verbose_shows_the_log_on_standard_error(quiet: logging.Logger) -> None:
    @click.command()
    @common_options
    def talk(as_json: bool) -> None:
        logging.getLogger("raydgp.talk").info("a runner was lost")

    assert CliRunner().invoke(talk).stderr == ""
    assert "INFO raydgp.talk: a runner was lost" in CliRunner().invoke(talk, ["-v"]).stderr


@pytest.fixture
def quiet() -> Iterator[logging.Logger]:
    """The package's logger, as it was before afterwards."""
    logger = logging.getLogger("raydgp")
    handlers, level = list(logger.handlers), logger.level
    yield logger
    logger.handlers[:], logger.level = handlers, level


def test_the_list_of_commands_cuts_no_summary() -> None:
    done = CliRunner().invoke(cli.group, ["--help"], terminal_width=80)
    assert done.exit_code == 0
    assert "..." not in done.output.partition("Commands:")[2]


@pytest.mark.parametrize("name", ["tune", "deploy", "compare", "pretrain", "report", "sync", "doctor"])
def test_every_command_prints_json_and_its_log(name: str) -> None:
    said = CliRunner().invoke(cli.group, [name, "-h"]).output
    assert "--json" in said
    assert "--verbose" in said


def test_a_shell_completes_runs_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "other"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text("{}")
    context, parameter = click.Context(cli.group), cli.group.commands["report"].params[0]
    assert [item.value for item in parameter.type.shell_complete(context, parameter, "o")] == ["one", "other"]
    (item,) = parameter.type.shell_complete(context, parameter, "runs/o")
    assert item.type == "file"
