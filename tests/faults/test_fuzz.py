"""Whatever is handed over damaged or edited is read, or refused in one line: no other exception, no hang, no gigabyte.

A short try of each kind; `python tests/benchmarks/fuzz.py` is the long one. Models are tried in tests/models.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raydgp import Conv2d, config_space, search
from raydgp.app.history.importers import import_files
from raydgp.app.run import Run
from raydgp.bundle.format import Header
from raydgp.bundle.merging import merge
from raydgp.bundle.reading import Bundle
from raydgp.cluster import RaydgpSearcher
from raydgp.errors import RaydgpError
from raydgp.records.deployed import Deployed
from raydgp.records.files import read_records
from raydgp.records.frames import write_parquet
from raydgp.records.journal import scan
from raydgp.records.lines import encode
from raydgp.records.lock import FileLock, Held, check_free
from raydgp.records.recorded import RecordedSpace
from raydgp.records.summary import RunSummary
from raydgp.settings import TuneSettings, load
from raydgp.surrogates import artefact
from raydgp.surrogates.sources import gather
from raydgp.surrogates.tree_check import check
from raydgp.targets import Target
from raydgp.templates.spaces import config_spaces
from tests.support import bundles, small_run
from tests.support.foreign_files import cache, t4
from tests.support.foreign_files import line as autotvm_line
from tests.support.hostile_files import bounded, damaged, edited, encoded, hostile_json, hostile_zip, redescribed
from tests.support.recordings import kernel, recording
from tests.support.tracked import write_run

tried = settings(
    max_examples=int(os.environ.get("RAYDGP_FUZZ", "25")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
numbers = st.integers(0, 2**32)


def survives(read: Callable[[], Any]) -> None:
    """What a user would get: something, or one line."""
    said = "something"
    with bounded():
        try:
            read()
        except RaydgpError as error:
            said = str(error)
    assert said
    assert "\n" not in said


def handed(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    small_run.SmallRun(path)()
    return path.read_bytes()


@tried
@given(number=numbers)
def test_a_journal(tmp_path: Path, journal: bytes, number: int) -> None:
    rng, out = random.Random(number), b""
    for line in journal.splitlines():
        body = line[: line.rindex(b',"crc32"')] + b"}"
        if rng.random() < 0.5:
            body = hostile_json(body, rng).strip()
        body = body[:-1]
        out += body + b',"crc32":"%08x"}\n' % zlib.crc32(body)
    path = handed(tmp_path, "journal.jsonl", damaged(out, rng) if rng.random() < 0.2 else out)
    with bounded():
        records = scan(path).records
        RunSummary([], records)
        b"".join(map(encode, records))
    survives(lambda: gather([path]))


@tried
@given(number=numbers)
def test_settings(tmp_path: Path, number: int) -> None:
    rng = random.Random(number)
    said = TuneSettings(model="resnet18").model_dump(mode="json")
    text = yaml.safe_dump(said).encode() if rng.random() < 0.5 else json.dumps(said).encode()
    text = damaged(text, rng) if rng.random() < 0.5 else encoded(edited(said, rng))
    survives(lambda: load(handed(tmp_path, "settings.yaml", text), {"seed": 3}, TuneSettings))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("runs") / "run", "sqlite:///none.db", n=3)
    way = {"median_ms": 1.0, "median_low_ms": 0.9, "median_high_ms": 1.1, "p95_ms": 1.2}
    handed(folder, "deployed.json", json.dumps({"folder": "x", "ours": way, "others": {"torch": way}}).encode())
    return folder


@tried
@given(number=numbers)
@pytest.mark.parametrize("name", ["run.json", "deployed.json"])
def test_the_folder_of_a_run(tmp_path: Path, run_folder: Path, name: str, number: int) -> None:
    for file in ("run.json", "deployed.json", "journal.jsonl"):
        handed(tmp_path, file, (run_folder / file).read_bytes())
    handed(tmp_path, name, hostile_json((run_folder / name).read_bytes(), random.Random(number)))

    def shown() -> None:
        Deployed.load(tmp_path)
        run = Run.open(tmp_path)
        json.dumps([run.to_dict(), run.notes])

    survives(shown)


@tried
@given(number=numbers)
def test_a_lock(tmp_path: Path, number: int) -> None:
    path = tmp_path / "run.lock"
    lock = FileLock(path)
    try:
        path.write_bytes(hostile_json(path.read_bytes(), random.Random(number)))
        with pytest.raises(Held) as held:
            check_free(path)
        assert "\n" not in str(held.value)
    finally:
        lock.release()


@tried
@given(number=numbers)
def test_the_state_of_a_searcher(tmp_path: Path, number: int) -> None:
    searcher = RaydgpSearcher(small_run.SPACE, "genetic", 12, 4)
    config = searcher.suggest("one")
    assert isinstance(config, dict)
    path = tmp_path / "state.json"
    searcher.save(str(path))
    path.write_bytes(hostile_json(path.read_bytes(), random.Random(number)))
    survives(lambda: RaydgpSearcher(small_run.SPACE, "genetic", 12, 4).restore(str(path)))


@tried
@given(number=numbers)
def test_a_log_of_autotvm(tmp_path: Path, number: int) -> None:
    workload = Conv2d(n=1, ci=16, h=14, w=14, co=32, kh=3, kw=3, padding=(1, 1))
    space = config_spaces(workload, "cuda")[0]
    rng, index = random.Random(number), space.default
    line = encoded(autotvm_line("conv2d_nchw.cuda", workload, index, space.decode(index)))
    path = handed(tmp_path, "log", b"\n".join([line, hostile_json(line, rng), line]))
    survives(lambda: import_files([path], "V100", tmp_path / "out.parquet"))


@tried
@given(number=numbers)
@pytest.mark.parametrize("whole", [cache(), t4()], ids=["cache", "t4"])
def test_spaces_of_kernel_tuner(tmp_path: Path, whole: dict[str, Any], number: int) -> None:
    path = handed(tmp_path, "T4.json", hostile_json(encoded(whole), random.Random(number)))
    survives(lambda: import_files([path], "A4000", tmp_path / "out.parquet"))


@tried
@given(number=numbers)
def test_a_recorded_space(tmp_path: Path, number: int) -> None:
    space, rng = kernel("k", x=[1, 2, 4], y=[1, 2]), random.Random(number)
    path = recording(tmp_path, "d", space, [1.0, 2.0, 3.0, 4.0, 5.0, float("nan")])
    path.write_bytes(damaged(path.read_bytes(), rng) if rng.random() < 0.5 else redescribed(path, rng))
    survives(lambda: RecordedSpace.load(path))
    survives(lambda: gather([path]))


@tried
@given(number=numbers)
def test_a_parquet_file_of_records(tmp_path: Path, journal: bytes, number: int) -> None:
    import pandas as pd

    rng, path = random.Random(number), tmp_path / "records.parquet"
    write_parquet(scan(handed(tmp_path, "journal.jsonl", journal)).records[:3], path)
    if rng.random() < 0.5:
        path.write_bytes(damaged(path.read_bytes(), rng))
    else:
        frame = pd.read_parquet(path)
        name = rng.choice(list(frame.columns))
        column = frame[name].astype(object)
        column.iloc[0] = rng.choice([None, "x", "[" * 5000, "{}", "[]", "null", "1e999"])
        frame[name] = column.astype(str) if rng.random() < 0.9 else column.astype(str) + "x"
        frame.to_parquet(path)
    survives(lambda: read_records(path))
    survives(lambda: gather([path]))


@pytest.fixture(scope="module")
def trees() -> tuple[bytes, int]:
    features = np.random.default_rng(0).random((40, 3)).astype(np.float32)
    booster = xgboost.train({"nthread": 1, "max_depth": 3}, xgboost.DMatrix(features, features[:, 0]), 2)
    return bytes(booster.save_raw("ubj")), features.shape[1]


@tried
@given(number=numbers)
def test_trees(trees: tuple[bytes, int], number: int) -> None:
    """What passes the check is loaded by XGBoost in this process: it must not end it."""
    data, columns = trees
    hostile = damaged(data, random.Random(number))
    with bounded():
        try:
            check(hostile, columns)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return
        booster = xgboost.Booster()
        booster.load_model(bytearray(hostile))
        booster.inplace_predict(np.zeros((3, columns), np.float32))


@tried
@given(number=numbers)
def test_the_card_of_an_artefact(tmp_path: Path, number: int) -> None:
    card = {
        **dict.fromkeys(("group", "target", "template", "sha256"), "x"),
        **{"kind": "trees", "device": ["d"], "records": 1, "tasks": 1, "workloads": [{}], "space_hashes": ["h"]},
        **{"held_out": {"spearman": 0.5}, "versions": {"raydgp": "0"}, "encoding": {"names": ["a"]}},
        **{"shape": {}, "format": 1},
    }
    rng = random.Random(number)
    handed(tmp_path, "trees.ubj", b"no trees")
    card["sha256"] = hashlib.sha256(b"no trees").hexdigest()
    handed(tmp_path, "card.json", hostile_json(encoded(card), rng))
    survives(lambda: artefact.load(tmp_path, "x", ["a"]))
    survives(lambda: search.create("dgp", config_space(small_run.WORKLOAD, "llvm"), artefact=tmp_path))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    task = bundles.Kernels("task", small_run.WORKLOAD)
    for code in (b"one", b"two"):
        task.add(code, [[], []], [], small_run.WORKLOAD.output_shape, index=len(code))
    return bundles.bundle(tmp_path_factory.mktemp("bundle") / "x.bundle", [task], Target.named("cuda/sm_90"))


@tried
@given(number=numbers)
def test_a_bundle(tmp_path: Path, bundle: Path, number: int) -> None:
    path = handed(tmp_path, "x.bundle", hostile_zip(bundle, random.Random(number)))

    def read() -> None:
        with Bundle(path) as opened:
            for task in opened.header.tasks:
                for each in opened.kernels(task):
                    opened.code(each.code)
                opened.expected(task)
            for model in opened.header.models:
                opened.sequence(model)

    survives(read)


@tried
@given(number=numbers)
def test_results_of_a_bundle(tmp_path: Path, bundle: Path, number: int) -> None:
    with Bundle(bundle) as opened:
        assert isinstance(opened.header, Header)
        header = {"results": 1, "bundle": opened.sha256, "device": {"name": "d"}, "started_unix_s": 1.0}
    own = {"task": 0, "place": 0, "caches": "warm", "status": "ok", "times_s": [1e-3], "error": "", "run_s": 1.0}
    lines = [header, {**own, "time_unix_s": 2.0}, {**own, "place": 1, "status": "run_error", "times_s": []}]
    content = b"".join(encoded(each) + b"\n" for each in lines)
    path = handed(tmp_path, "results.jsonl", hostile_json(content, random.Random(number)))
    survives(lambda: merge(bundle, [path], "run"))
