"""Artefacts come back as they were saved, and nothing hostile gets in."""

import hashlib
import json
import pickle
import zipfile

import numpy as np
import pytest
import torch
import xgboost

from raydgp import Dense, config_space
from raydgp.errors import ModelError
from raydgp.surrogates import artefact
from raydgp.surrogates.artefact import CARD, Card
from raydgp.surrogates.deepgp_kind import DeepGPKind
from raydgp.surrogates.tree_check import check

TEMPLATE = "test.template.v1"
WEIGHTS = DeepGPKind.file


@pytest.fixture
def folder(tmp_path, pretrained):
    card = Card(group="conv", target="llvm", template=TEMPLATE, records=240, held_out={"spearman": float("nan")})
    artefact.save(tmp_path / "one", DeepGPKind(), pretrained.model, card)
    return tmp_path / "one"


def reseal(folder):
    """Makes the card vouch for whatever the weights file now is, as an attacker would."""
    card = json.loads((folder / CARD).read_text())
    card["sha256"] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    (folder / CARD).write_text(json.dumps(card))


def refused(folder, toy, match="pre-train|ours"):
    with pytest.raises(ModelError, match=match) as caught:
        artefact.load(folder, TEMPLATE, toy.names)
    assert "\n" not in str(caught.value)


def test_comes_back_as_it_was_saved(folder, pretrained, toy):
    scorer, card = artefact.load(folder, TEMPLATE, toy.names)
    features = toy.measured(50, 3)[0]
    np.testing.assert_array_equal(scorer.predict(features), pretrained.model.predict(features))
    assert (card.group, card.records, card.held_out) == ("conv", 240, {"spearman": None})


@pytest.mark.parametrize("size", [0, 1, 100, 5000])
def test_truncated_weights(folder, size, toy):
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:size])
    refused(folder, toy, "pre-train")
    reseal(folder)
    refused(folder, toy, "pre-train")


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_is_refused_and_executes_nothing(folder, tmp_path, kind, toy):
    trace = tmp_path / "executed"
    if kind == "pickle":
        (folder / WEIGHTS).write_bytes(pickle.dumps(Bomb(trace)))
    else:
        torch.save({"x": Bomb(trace)}, folder / WEIGHTS)
    reseal(folder)
    refused(folder, toy, "does not load")
    assert not trace.exists()


def test_a_packed_file_that_unpacks_to_too_much(folder, toy):
    with zipfile.ZipFile(folder / WEIGHTS, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(64 * 2**20 + 1))
    reseal(folder)
    refused(folder, toy, "unpacks to more than 64 MiB")


@pytest.mark.parametrize(
    "change",
    [
        {"template": "another.v1"},
        {"format": 99},
        {"shape": {"inputs": 4}},
        {"shape": {"inputs": 4, "hidden": [3, 3], "inducing": 10**9, "validity": False}},
        {"shape": {"inputs": 4, "hidden": [3, 5], "inducing": 24, "validity": False}},
        {"encoding": {}},
        {"surprise": 1},
        {"sha256": "0" * 64},
    ],
    ids=str,
)
def test_a_card_that_does_not_fit(folder, change, toy):
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | change))
    refused(folder, toy)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00\xff"])
def test_a_damaged_card(folder, text, toy):
    (folder / CARD).write_bytes(text.encode("latin-1"))
    refused(folder, toy, "damaged")


def test_another_feature_layout(folder, toy):
    with pytest.raises(ModelError, match="features"):
        artefact.load(folder, TEMPLATE, [*toy.names[:-1], "vectorise"])
    with pytest.raises(ModelError, match="order"):
        artefact.load(folder, TEMPLATE, toy.names[::-1])


def test_weights_that_are_not_finite(folder, toy):
    state = torch.load(folder / WEIGHTS, weights_only=True)
    state["layers.0.q_mean"][0, 0] = float("nan")
    torch.save(state, folder / WEIGHTS)
    reseal(folder)
    refused(folder, toy, "finite")


def test_a_folder_that_is_none(tmp_path, toy):
    with pytest.raises(ModelError, match="folder of an artefact"):
        artefact.load(tmp_path / "none", TEMPLATE, toy.names)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"records": "many"}, "records"),
        ({"records": 1.5}, "records"),
        ({"tasks": None}, "tasks"),
        ({"device": "cpu"}, "device"),
        ({"versions": {"raydgp": 1}}, "versions.raydgp"),
        ({"kind": ["deepgp"]}, "kind"),
    ],
)
def test_a_card_with_values_of_other_types_is_damaged(folder, toy, change, reason):
    card = json.loads((folder / CARD).read_text()) | change
    (folder / CARD).write_text(json.dumps(card))
    refused(folder, toy, match=f"is damaged \\({reason}.*pre-train again")
    with pytest.raises(ModelError, match="is damaged"):
        artefact.find(folder.parent, SPACES[0])


def test_a_card_nested_too_deep_is_damaged(folder, toy):
    card = (folder / CARD).read_text()
    (folder / CARD).write_text(card.replace('"held_out": {', f'"held_out": {{"deep": {5000 * "["}{5000 * "]"},'))
    refused(folder, toy, match="nested too deep")


@pytest.fixture(scope="module")
def trees():
    """XGBoost's trees as a file's bytes, and what they are over."""
    features = np.random.default_rng(0).random((40, 3)).astype(np.float32)
    parameters = {"nthread": 1, "max_depth": 3, "num_parallel_tree": 2}
    booster = xgboost.train(parameters, xgboost.DMatrix(features, features[:, 0]), 2)
    return bytes(booster.save_raw("ubj")), features.shape[1]


def test_trees_that_were_edited_are_refused_before_xgboost_sees_them(trees):
    data, columns = trees
    check(data, columns)
    arrays = {
        key: data.index(key.encode() + b"[$") + len(key) + len("[$l#L") + 8
        for key in ("left_children", "right_children", "parents", "split_indices")
    }
    number = (10**6).to_bytes(4, "big")
    for key, at in arrays.items():
        for edited in (data[:at] + number + data[at + 4 :], data[: at - 1] + b"\x7f" + data[at:]):
            with pytest.raises((ValueError, KeyError)):
                check(edited, columns)
        assert key
    left = arrays["left_children"]
    with pytest.raises(ValueError, match="children"):  # its own child: a way without an end
        check(data[:left] + bytes(4) + data[left + 4 :], columns)
    for wrong in (data[:-1], data + b"}", data.replace(b"gbtree", b"gbtrap"), b"", 10_000 * b"["):
        with pytest.raises((ValueError, KeyError, TypeError, RecursionError)):
            check(wrong, columns)
    with pytest.raises(ValueError, match="columns"):
        check(data, columns + 1)


SPACES = [config_space(Dense(n=1, k=k, m=64), "cuda") for k in (64, 128)]


def test_find_takes_the_one_for_the_task_with_most_records(tmp_path, pretrained):
    template = SPACES[0].template
    for name, group, kind, records in (
        ("a", "dense", "deepgp", 10),
        ("b", "dense", "deepgp", 30),
        ("c", "conv", "deepgp", 99),
        ("d", "", "trees", 50),
    ):
        card = Card(group=group, target="cuda", template=template, records=records)
        artefact.save(tmp_path / name, type("Kind", (DeepGPKind,), {"name": kind})(), pretrained.model, card)
    assert artefact.find(tmp_path, SPACES[0]) == tmp_path / "b" == artefact.find(tmp_path / "b", SPACES[0])
    assert artefact.find(tmp_path, SPACES[0], "trees") == tmp_path / "d"
    assert artefact.find(tmp_path / "b", SPACES[0], "trees") is None
    assert artefact.find(tmp_path, config_space(Dense(n=64, k=64, m=64), "cuda")) is None
    assert artefact.find(tmp_path / "nowhere", SPACES[0]) is None


def test_the_card_says_what_the_model_is(tmp_path, pretrained):
    space = SPACES[0]
    kind = DeepGPKind()
    artefact.save(tmp_path, kind, pretrained.model, Card.of(kind, [space], pretrained, ["cpu x", "cpu x"]))
    card = artefact.read_card(tmp_path)
    assert (card.group, card.target, card.template) == ("dense", "cuda", space.template)
    assert (card.records, card.tasks, card.device) == (240, 3, ["cpu x"])
    assert card.held_out["spearman"] == pretrained.held_out.spearman
    assert set(card.versions) == {"raydgp", "torch", "gpytorch"}
    assert card.encoding["names"] == list(pretrained.model.encoding.names)
