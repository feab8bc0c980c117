"""A run's log: what went wrong on the way, and nothing of the logger's state left behind."""

import logging
from pathlib import Path

from raydgp.app.logs import logged_to


def test_the_file_has_the_lines_and_the_logger_is_as_before(tmp_path: Path) -> None:
    logger = logging.getLogger("raydgp")
    before = logger.level, list(logger.handlers)
    with logged_to(tmp_path / "log"):
        logging.getLogger("raydgp.cluster").warning("runner lost: %s", "it crashed")
        logging.getLogger("raydgp.app").info("goes on")
        logging.getLogger("elsewhere").warning("not ours")
    logging.getLogger("raydgp").warning("too late")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        "WARNING raydgp.cluster: runner lost: it crashed",
        "INFO raydgp.app: goes on",
    ]
    assert (logger.level, list(logger.handlers)) == before
