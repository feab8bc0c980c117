"""Archives of torch that somebody has changed: what could run code is refused, and not run."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from raydgp.errors import InputError
from raydgp.models.importing import load


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a sound archive."""
    monkeypatch.chdir(tmp_path)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()
    torch.export.save(torch.export.export(model, (torch.ones(1, 3, 8, 8),)), "small.pt2")


class Attack:
    """What a pickle could do when it is loaded."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("attacked",)


def pickled() -> bytes:
    buffer = io.BytesIO()
    torch.save(Attack(), buffer)
    return buffer.getvalue()


def edited(change: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return edit


def graph(document: Any) -> Any:
    return document["graph_module"]["graph"]


MODEL, WEIGHTS, SAMPLE = "models/model.json", "data/weights/model_weights_config.json", "data/sample_inputs/model.pt"
CODE = "x=__import__('os').mkdir('attacked')"
ATTACKS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "sample input": (SAMPLE, lambda data: pickled()),
    "opaque object": ("data/constants/opaque_obj_0", lambda data: pickled()),
    "legacy weights": ("data/weights/model.pt", lambda data: pickled()),
    "compiled library": ("data/aotinductor/model/model.so", lambda data: b"\x7fELF"),
    "pickled weight": (WEIGHTS, edited(lambda doc: next(iter(doc["config"].values())).update(use_pickle=True))),
    "operator": (MODEL, edited(lambda doc: graph(doc)["nodes"][0].update(target="torch.os.system"))),
    "input's name": (MODEL, edited(lambda doc: graph(doc)["inputs"][-1]["as_tensor"].update(name=CODE))),
    "argument's name": (
        MODEL,
        edited(lambda doc: doc["graph_module"]["module_call_graph"][0]["signature"].update(forward_arg_names=[CODE])),
    ),
    "guard": (MODEL, edited(lambda doc: doc["guards_code"].append(CODE[2:]))),
    "symbol": (
        MODEL,
        edited(lambda doc: graph(doc)["nodes"][0]["inputs"].append({"arg": {"as_expr": {"expr_str": CODE[2:]}}})),
    ),
}


def repacked(name: str, changed: str, change: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile("small.pt2") as old, zipfile.ZipFile(name, "w") as new:
        root = old.namelist()[0].split("/")[0]
        for record in {*old.namelist(), f"{root}/{changed}"}:
            data = old.read(record) if record in old.namelist() else b""
            new.writestr(record, change(data) if record == f"{root}/{changed}" else data)


def test_a_repacked_archive_loads() -> None:
    repacked("repacked.pt2", MODEL, lambda data: data)
    assert load("repacked.pt2").digest == load("small.pt2").digest


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_archive_with_code_is_refused_and_not_run(attack: str) -> None:
    repacked("evil.pt2", *ATTACKS[attack])
    with pytest.raises(InputError, match=r"^evil\.pt2: ") as refused:
        load("evil.pt2")
    assert "\n" not in str(refused.value)
    assert "broken" not in str(refused.value)  # refused for what it holds, not because the edit has damaged it
    assert not Path("attacked").exists()


def test_an_archive_that_unpacks_to_a_gigabyte_is_refused_at_once() -> None:
    repacked("bomb.pt2", MODEL, lambda data: data)
    with zipfile.ZipFile("bomb.pt2", "a", zipfile.ZIP_DEFLATED) as archive:
        root = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{root}/.data/zeros", bytes(64 << 20))
    with pytest.raises(InputError, match=r"^bomb\.pt2: unpacks to \d+ MiB"):
        load("bomb.pt2")
