"""Pre-trained models of a fresh install: made once, of the measurements of this architecture that come with raydgp."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import raydgp
from raydgp import search
from raydgp.data import history
from raydgp.settings import TuneSettings
from raydgp.targets import Target, kind_named

_KIND = "trees"  # takes seconds; a deep GP takes minutes


def with_models(settings: TuneSettings, say: Callable[[str], None]) -> TuneSettings:
    """The settings with models of this machine's architecture, where a strategy would start without any.

    What was measured on another architecture misleads, so it is left alone. The models are kept in the user's cache
    folder, for this version of raydgp.

    Args:
        say: is told that they are made.
    """
    if settings.models_dir.is_dir() or "artefact" in settings.options:
        return settings
    if settings.ray.address or not search.starts_from_model(settings.strategy):
        return settings
    if not kind_named(settings.kind).on_processors:  # of GPUs nothing whole has been recorded yet
        return settings
    architecture = Target.here(settings.target).architecture
    recorded = history(Path(architecture)) if architecture else []
    if not all(path.is_dir() for path in recorded) or not recorded:
        return settings
    folder = cache_folder() / "models" / f"{raydgp.__version__}-{architecture}"
    if not folder.is_dir():
        say(f"Learning once what raydgp knows of {architecture}, some seconds; kept in {folder}")
        try:
            _make(recorded, folder)
        except OSError as error:
            say(f"{folder} cannot be written ({error.strerror}); the search starts without a model")
            return settings
    return settings.model_copy(update={"models_dir": folder})


def _make(recorded: Sequence[Path], folder: Path) -> None:
    from raydgp.app import pretraining  # loads what models are made with, which most runs do not need
    from raydgp.surrogates import PretrainSettings, sources

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as temporary:
        draft = Path(temporary) / folder.name
        for plan in pretraining.plans(sources.gather(recorded)):
            if plan.kind == _KIND:
                pretraining.make(plan, draft, PretrainSettings(seed=0), evaluate=False)
        if not folder.is_dir():  # another process may have been as fast
            draft.rename(folder)


def cache_folder() -> Path:
    """Where a user's caches are, by the XDG specification."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "raydgp"
