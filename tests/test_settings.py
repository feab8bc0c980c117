from pathlib import Path
from typing import Any

import pytest

from raydgp.errors import InputError
from raydgp.settings import TuneSettings, load


@pytest.fixture
def refused(tmp_path: Path) -> Any:
    """The message with which a file of this text is refused."""

    def message(text: str | bytes, **overrides: Any) -> str:
        path = tmp_path / "tune.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(InputError) as error:
            load(path, overrides, TuneSettings)
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)
        return str(error.value)

    return message


def test_a_file_with_overrides_over_it(tmp_path: Path) -> None:
    path = tmp_path / "tune.yaml"
    path.write_text("model: alexnet\ntrials: 8\nmeasure: {number: 7, repeat: 5}\n")
    settings = load(
        path, {"trials": 16, "seed": None, "measure": {"repeat": 2}, "mlflow": {"enabled": None}}, TuneSettings
    )
    assert (settings.model, settings.trials, settings.seed) == ("alexnet", 16, 0)
    assert (settings.measure.number, settings.measure.repeat) == (7, 2)
    assert settings.mlflow.enabled


def test_no_file_means_the_defaults() -> None:
    assert load(None, {"model": "vgg16"}, TuneSettings) == TuneSettings(model="vgg16")


def test_settings_survive_json() -> None:
    settings = load(None, {"model": "vgg16", "ray": {"runners": 2}}, TuneSettings)
    assert TuneSettings.model_validate(settings.model_dump(mode="json")) == settings


def test_the_same_settings_have_the_same_folder() -> None:
    assert load(None, {"model": "vgg16"}, TuneSettings).run_dir == Path("runs/vgg16-llvm-autotvm-seed0")
    assert load(None, {"model": "vgg16", "run": "mine", "runs_dir": "/x"}, TuneSettings).run_dir == Path("/x/mine")


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("model: alexnet\ntrails: 8", "trails", "trials"),
        ("model: alexnet\nmeasure: {min_repeat_mss: 8}", "measure.min_repeat_mss", "min_repeat_ms"),
        ("model: alexnet\nray: {runner: 8}", "ray.runner", "runners"),
        ("model: alexnet\nmlflow: {url: x}", "mlflow.url", "uri"),
        ("modle: alexnet", "modle", "model"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(refused: Any, text: str, key: str, near: str) -> None:
    assert f"unknown key {key!r}; did you mean {near!r}?" in refused(text)


def test_an_unknown_key_near_to_nothing_is_answered_with_all(refused: Any) -> None:
    assert "known are address, layers_in_flight, runners, cores_per_runner, resources, accelerator" in refused(
        "model: a\nray: {zzz: 1}"
    )


def test_a_missing_model_is_named(refused: Any) -> None:
    assert "key 'model' is missing" in refused("trials: 3")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("model: a\ntrials: -1", "trials"),
        ("model: a\ntrials: many", "trials"),
        ("model: a\ntrials: 1.5", "trials"),
        ("model: 3", "model"),
        ("model: a\ntarget: metal", "target"),
        ("model: a\nmeasure: 7", "measure"),
        ("model: a\nmeasure: {repeat: 0}", "measure.repeat"),
        ("model: a\ntasks: conv1", "tasks"),
        ("model: a\ntasks: [1]", "tasks.0"),
        ("model: a\nrun: ../elsewhere", "run"),
        ("model: a\nrun: '.'", "run"),
        ("model: a\nrun: '..'", "run"),
        (f"model: a\ntrials: 1{400 * '0'}", "trials"),
        (f"model: a\nseed: 1{20 * '0'}", "seed"),
        (f"model: a\noptions: {{a: [1{20 * '0'}]}}", "options"),
        ("model: a\nminutes: .inf", "minutes"),
        ("model: a\nmeasure: {tolerance: .nan}", "measure.tolerance"),
        ("model: a\nseed: -1", "seed"),
        ("model: a\nmeasure: {run_timeout_s: 0}", "measure.run_timeout_s"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(refused: Any, text: str, key: str) -> None:
    assert f"key {key!r}: " in refused(text)


@pytest.mark.parametrize("text", ["model: [a", "a: b: c", "model: a\n\tseed: 1", "!!python/object:os.system {}"])
def test_broken_yaml_is_named_with_its_line(refused: Any, text: str) -> None:
    assert "line " in refused(text)
    assert "not valid YAML" in refused(text)


DOUBLING = ", ".join(f"m{i + 1}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]" for i in range(24))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (1000 * "[" + 1000 * "]", "nested too deep"),
        (f"model: a\ntrials: 1{5000 * '0'}", "not valid YAML"),
        ("model: a\nrun: 2001-99-99", "not valid YAML"),
        (f"model: a\noptions: {{m0: &a [1], {DOUBLING}}}", "more than"),
    ],
)
def test_yaml_that_asks_too_much_is_refused_in_little_time(refused: Any, text: str, reason: str) -> None:
    message = refused(text)
    assert reason in message
    assert len(message) < 1000


def test_bytes_that_are_no_text(refused: Any) -> None:
    assert "not valid YAML" in refused(b"\xff\xfe\x00model")


@pytest.mark.parametrize("text", ["- a\n- b", "just words", "42"])
def test_what_is_no_mapping(refused: Any, text: str) -> None:
    assert "must be a mapping of settings" in refused(text)


def test_a_section_that_is_not_one_is_named_even_under_overrides(refused: Any) -> None:
    assert "key 'ray'" in refused("model: a\nray: [1]")
    assert "key 'ray'" in refused("model: a\nray: [1]", ray={"runners": 2})


def test_an_empty_section_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tune.yaml"
    path.write_text("model: a\nmeasure:\n  # repeat: 5\nseed:\n")
    assert load(path, {}, TuneSettings) == TuneSettings(model="a")
    assert load(path, {"measure": {"repeat": 2}}, TuneSettings).measure.repeat == 2


def test_an_override_is_checked_like_the_file(refused: Any) -> None:
    assert "key 'trials'" in refused("model: a", trials=-5)
    with pytest.raises(InputError, match="command line: key 'trials'"):
        load(None, {"model": "a", "trials": -5}, TuneSettings)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: No such file.* --config .* quickstart"):
        load(tmp_path / "none.yaml", {}, TuneSettings)
    with pytest.raises(InputError, match="Is a directory"):
        load(tmp_path, {}, TuneSettings)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "tune.yaml"
    path.write_text("# nothing\n")
    assert load(path, {"model": "a"}, TuneSettings) == TuneSettings(model="a")


def test_mlflow_is_where_the_environment_says_unless_the_settings_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert TuneSettings(model="a").mlflow.uri == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert TuneSettings(model="a").mlflow.uri == "http://tracking:5000"
    assert load(None, {"model": "a", "mlflow": {"uri": "sqlite:///x.db"}}, TuneSettings).mlflow.uri == "sqlite:///x.db"


def test_a_target_that_keeps_to_another_processor_is_part_of_no_path():
    given = TuneSettings(model="zoo:resnet18", target="llvm/haswell")
    assert (given.kind, given.run_name) == ("llvm", "resnet18-llvm-haswell-autotvm-seed0")
