"""Whether a file of XGBoost's trees can be loaded: its C++ ends the process where sizes or node numbers do not fit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from raydgp.surrogates.ubjson import parse

_NODE_ARRAYS = (
    *("left_children", "right_children", "parents", "split_indices", "split_conditions", "split_type"),
    *("base_weights", "default_left", "loss_changes", "sum_hessian"),
)
_NO_PARENT = 2**31 - 1
_CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")


def check(data: bytes, columns: int) -> None:
    """Checks a model that `Booster.save_raw("ubj")` gives of boosted trees over so many columns.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, RecursionError: it is none of ours.
    """
    document = parse(data)
    learner = document["learner"]
    booster, parameters = learner["gradient_booster"], learner["learner_model_param"]
    model = booster["model"]
    trees = model["trees"]
    _same("a model", set(document), {"learner", "version"})
    _same("booster", booster["name"], "gbtree")
    _same("objective", learner["objective"]["name"], "reg:squarederror")
    _same("columns", [parameters[key] for key in ("num_feature", "num_class", "num_target")], [str(columns), "0", "1"])
    _same("base score", math.isfinite(float(parameters["base_score"].strip("[]"))), True)
    _same("trees", [int(model["gbtree_model_param"]["num_trees"]), len(model["tree_info"])], [len(trees)] * 2)
    _same("groups", set(map(int, model["tree_info"])), {0})
    rounds = [int(each) for each in model["iteration_indptr"]]
    _same("rounds", rounds, sorted(rounds))
    _same("rounds", [rounds[0], rounds[-1]], [0, len(trees)])
    for tree in trees:
        _check_tree(tree, columns)


def _check_tree(tree: dict[str, Any], columns: int) -> None:
    nodes = int(tree["tree_param"]["num_nodes"])
    sizes = {key: len(tree[key]) for key in (*_NODE_ARRAYS, *_CATEGORIES)}
    _same("nodes", sizes, dict.fromkeys(_NODE_ARRAYS, nodes) | dict.fromkeys(_CATEGORIES, 0))
    _same("a tree", [tree["tree_param"][key] for key in ("num_feature", "size_leaf_vector")], [str(columns), "1"])
    left, right = (np.asarray(tree[key], np.int64) for key in ("left_children", "right_children"))
    _same("leaves", ((left == -1) == (right == -1)).all(), True)
    children = np.concatenate([left, right])
    children = children[children != -1]
    # Each node is the child of one, and the root of none: then the way from the root has an end.
    _same("children", len(np.unique(children)), len(children))
    _same("children", ((children > 0) & (children < nodes)).all() and nodes > 0, True)
    parents, inner = np.asarray(tree["parents"], np.int64), np.flatnonzero(left != -1)
    fit = parents[0] == _NO_PARENT and (parents[left[inner]] == inner).all() and (parents[right[inner]] == inner).all()
    _same("parents", bool(fit) and bool(((parents[1:] >= 0) & (parents[1:] < nodes)).all()), True)
    columns_used = np.asarray(tree["split_indices"], np.int64)
    _same("columns", ((columns_used >= 0) & (columns_used < columns)).all(), True)
    _same("kinds of splits", not np.any(tree["split_type"]), True)


def _same(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise ValueError(f"{what}: {found!r:.200} in place of {wanted!r:.200}")
