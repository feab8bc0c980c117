"""What the package carries: settings files and recorded spaces, found by the names that commands take.

One rule for both: a path that exists is taken as it is; any other is looked up here, with or without its folder, so
that `configs/quickstart.yaml` and `quickstart`, `history/znver4` and `znver4` work wherever the package is installed.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

_ROOT = Path(str(files(__name__)))


def configuration(path: Path) -> Path:
    """The settings file that a path or a name means; the path itself where there is none."""
    return path if path.is_file() else _packaged(path, "configs", ".yaml")[0]


def history(path: Path) -> list[Path]:
    """The files or folders of recorded measurements that a path or a name means; the path itself where there are none.

    A pattern that the shell has left as it is, because nothing here matches it (`history/znver4/*.parquet`), counts
    as a name.
    """
    return [path] if path.exists() else _packaged(path, "history", ".parquet")


def configurations() -> list[str]:
    """Names of the packaged settings files."""
    return sorted(path.stem for path in (_ROOT / "configs").glob("*.yaml"))


def _packaged(path: Path, folder: str, suffix: str) -> list[Path]:
    if path.is_absolute() or ".." in path.parts:
        return [path]
    for pattern in (str(path), f"{folder}/{path}", f"{folder}/{path}{suffix}"):
        if found := sorted(_ROOT.glob(pattern)):
            return found
    return [path]
