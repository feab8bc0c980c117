"""What all commands share: how they find a run, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from raydgp.errors import InputError, RaydgpError


class RunPath(click.Path):
    """A run: a folder, or the name of one under `runs`, which a shell can complete."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        names = sorted(file.parent.name for file in Path("runs").glob("*/run.json"))
        found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return found or super().shell_complete(ctx, param, incomplete)


def run_dir_of(run: Path) -> Path:
    """A folder as it is, a bare name as a run under `runs`."""
    return run if run.is_dir() or run.parent != Path() else Path("runs") / run


def run_command(command: Callable[[], Any]) -> NoReturn:
    """Runs a command to the end of this process: every error on purpose becomes one line and an exit code."""
    try:
        sys.exit(command())
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.exceptions.Abort:
        _fail("stopped", 1)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except InputError as error:
        _fail(str(error), 2)
    except RaydgpError as error:
        _fail(str(error), 1)


def _fail(message: str, code: int) -> NoReturn:
    print(f"raydgp: {message}", file=sys.stderr)
    sys.exit(code)
