"""Where commands print."""

from rich.console import Console

out = Console()
progress = Console(stderr=True)  # so that stdout holds the result alone


def say(text: str) -> None:
    """Prints a line of the result as it is, however long it is."""
    out.print(text, soft_wrap=True, markup=False)
