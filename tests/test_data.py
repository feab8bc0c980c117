"""What comes with the package is found by path and by name, and a file of the user's own goes first."""

from pathlib import Path

import pytest

from raydgp.data import configuration, configurations, history
from raydgp.errors import InputError
from raydgp.records.recorded import RecordedSpace, recorded_files
from raydgp.settings import CompareSettings, TuneSettings, load


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["quickstart", "quickstart.yaml", "configs/quickstart.yaml"])
def test_a_configuration_by_any_of_its_names(name: str) -> None:
    assert load(Path(name), {}, TuneSettings).run_name == "quickstart"


def test_every_packaged_configuration_is_valid() -> None:
    kinds = {"compare": CompareSettings}
    for name in configurations():
        load(Path(name), {}, kinds.get(name, TuneSettings))


def test_a_file_of_the_users_own_goes_first(tmp_path: Path) -> None:
    (tmp_path / "quickstart").write_text("model: vgg16\n")
    assert load(Path("quickstart"), {}, TuneSettings).model == "vgg16"


def test_a_folder_does_not_hide_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "quickstart").mkdir()
    assert configuration(Path("quickstart")).suffix == ".yaml"


def test_an_unknown_configuration_is_answered_with_those_that_exist() -> None:
    with pytest.raises(InputError, match=r"^quickstrat: No such file .* compare, quickstart, resnet18$"):
        load(Path("quickstrat"), {}, TuneSettings)


@pytest.mark.parametrize("name", ["znver4", "history/znver4", "history/znver4/*.parquet"])
def test_recorded_spaces_by_any_of_their_names(name: str) -> None:
    files = recorded_files([Path(name)])
    assert len(files) == 11
    assert RecordedSpace.load(files[0]).device["name"] == "AMD EPYC"


def test_one_recorded_space() -> None:
    names = ("znver4/alexnet-conv4", "history/znver4/alexnet-conv4.parquet")
    (one,), (other,) = (recorded_files([Path(name)]) for name in names)
    assert one == other
    assert one.is_file()


@pytest.mark.parametrize("name", ["absent", "../data", "/absent", "absent/*.parquet"])
def test_what_is_nowhere_stays_as_it_is_for_the_message(name: str) -> None:
    assert history(Path(name)) == [Path(name)]
