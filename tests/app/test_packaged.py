"""Models of a fresh install: of this machine's architecture, made once; of no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raydgp import data
from raydgp.app.tune import packaged
from raydgp.app.tune.planning import plan, strategy_of
from raydgp.settings import TuneSettings
from raydgp.surrogates import sources
from raydgp.targets import Target


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    here = Target.named("llvm/znver4")
    monkeypatch.setattr(Target, "here", lambda kind: here)
    few = data.history(Path("znver4/mobilenet_v1-sp-*"))[:2]
    monkeypatch.setattr(sources, "gather", lambda paths, gather=sources.gather: gather(few))


def settings_of(**given: Any) -> TuneSettings:
    return TuneSettings(model="mobilenet_v1", **{"strategy": "dgp+", **given})


def test_models_of_this_architecture_are_made_once_and_used(tmp_path: Path) -> None:
    said: list[str] = []
    settings = packaged.with_models(settings_of(), said.append)
    assert settings.models_dir.is_relative_to(tmp_path / "cache")
    assert len(said) == 1
    assert "znver4" in said[0]
    again = packaged.with_models(settings_of(), said.append)
    assert (again, len(said)) == (settings, 1)
    settings, tasks = plan(settings)
    starts = [strategy_of(settings, task).start for task in tasks]
    assert any(str(settings.models_dir) in start and "cold" not in start for start in starts)


def test_where_nothing_can_be_kept_the_search_starts_without_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    said: list[str] = []
    settings = settings_of()
    assert packaged.with_models(settings, said.append) is settings
    assert "cannot be written (Not a directory); the search starts without a model" in said[-1]


@pytest.mark.parametrize(
    "given",
    [{"strategy": "autotvm"}, {"options": {"artefact": "mine"}}, {"target": "cuda"}, {"ray": {"address": "auto"}}],
)
def test_nothing_is_made_where_it_is_not_asked_for_or_would_not_fit(given: dict[str, Any], tmp_path: Path) -> None:
    settings = settings_of(**given)
    assert packaged.with_models(settings, lambda _: pytest.fail("said something")) is settings
    assert not (tmp_path / "cache").exists()


def test_another_architecture_learns_nothing_and_a_folder_of_ones_own_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    assert packaged.with_models(settings_of(), lambda _: None).models_dir == Path("models")
    (tmp_path / "models").rmdir()
    monkeypatch.setattr(Target, "here", lambda kind: Target.named("llvm/haswell"))
    assert packaged.with_models(settings_of(), lambda _: None).models_dir == Path("models")
