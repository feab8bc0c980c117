"""Log lines out of the processes of a cluster: kept where they are written, asked for by the driver."""

from __future__ import annotations

import logging


class Lines(logging.Handler):
    """Keeps warnings of the logger `raydgp` in this process until they are asked for."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kept: list[str] = []
        logging.getLogger("raydgp").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(record.getMessage())

    def drain(self) -> list[str]:
        """Returns what came since the last call."""
        kept, self._kept = self._kept, []
        return kept


class Logging:
    """An actor whose process keeps its log lines once it is told to."""

    _lines: Lines | None = None

    async def keep_log(self) -> None:
        self._lines = self._lines or Lines()

    async def logged(self) -> list[str]:
        """The lines since the last call, each once."""
        return self._lines.drain() if self._lines else []
