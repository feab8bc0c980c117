"""Configuration spaces of schedule templates, by target. numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from raydgp.errors import InputError, nearest
from raydgp.space import ConfigSpace
from raydgp.space.parametric import parameter_space
from raydgp.targets import Target
from raydgp.templates.registry import Entry, algorithms, entry_for
from raydgp.workloads import Fused, Parametric, Workload


def config_space(
    workload: Workload, target: Target | str | Mapping[str, Any], algorithm: str = "direct"
) -> ConfigSpace:
    """The configuration space of a workload on a target.

    Args:
        target: a target, its name, or TVM's attributes. Its limits say what is valid. They change neither the
            configurations nor the space's hash, but may change the default.
        algorithm: `direct`, or also a space of its own: `winograd` for a convolution, and on `cuda` `tensor_core` for a
            convolution or a dense layer, which computes with the inputs rounded to float16. Arrays stay float32 for
            the user, but the result is that of the rounded ones, so it is never taken unless it is asked for. A fused
            layer says itself which algorithm computes it.

    Raises:
        InputError: unknown target, a workload without a template there, or a GPU without tensor cores.
    """
    return _config_space(workload, Target.of(target), algorithm)


def config_spaces(workload: Workload, target: Target | str | Mapping[str, Any]) -> list[ConfigSpace]:
    """The spaces of all algorithms that the workload can be computed by, `direct` first: where a record may be from.

    They are no choice to take the fastest of: `tensor_core`, the last one on `cuda`, rounds its inputs to float16.

    Raises:
        InputError: as of `config_space`.
    """
    target = Target.of(target)
    spaces = [config_space(workload, target)]
    for algorithm in algorithms(target.kind, type(workload)):
        if algorithm != "direct":
            with suppress(InputError):  # not of these shapes, or of another GPU
                spaces.append(config_space(workload, target, algorithm))
    return spaces


def serves_layers(anchor: Workload, target: Target) -> bool:
    """Whether a template computes this operator as a layer of a model on a target, by its direct algorithm."""
    entry = entry_for(target.kind, type(anchor))
    if entry is None or entry.layers is None:
        return False
    with suppress(InputError):
        config_space(anchor, target)
        return True
    return False


@lru_cache(maxsize=256)
def _config_space(workload: Workload, target: Target, algorithm: str) -> ConfigSpace:
    if isinstance(workload, Parametric):
        return parameter_space(workload, target.kind)
    if isinstance(workload, Fused):
        if algorithm != "direct":
            raise InputError(f"{workload} says itself which algorithm computes it; leave out {algorithm!r}")
        return _layer_space(workload, target)
    entry = entry_for(target.kind, type(workload), algorithm)
    if entry is None:
        known = algorithms(target.kind, type(workload))
        said = f"no schedule template for {workload.op} on {target.kind} with algorithm {algorithm!r}"
        raise InputError(said + (nearest(algorithm, known) if known else ""))
    return _made(entry, workload, target)


def _made(entry: Entry, workload: Workload, target: Target) -> ConfigSpace:
    space = entry.space(workload, target)
    if space.template not in entry.schedules or space.target != target.kind:
        raise InputError(
            f"the space of {workload.op} is of template {space.template!r} on {space.target}, which was not registered "
            f"for it on {target.kind}; known are {', '.join(entry.schedules)}"
        )
    return space


def _layer_space(workload: Fused, target: Target) -> ConfigSpace:
    """The anchor's space with the channel blocks of the model's activations. The epilogue adds no knobs.

    Raises:
        InputError: the algorithm does not serve the anchor, or there are no such blocks.
    """
    entry = entry_for(target.kind, type(workload.anchor), workload.algorithm)
    if entry is None or entry.layers is None:
        raise InputError(f"no schedule template for {workload} on {target.kind}")
    layers = entry.layers
    anchor = layers.stored(workload.anchor, workload.block_in) if layers.stored else workload.anchor
    space = _made(entry, anchor, target)
    if layers.blocks is None:
        if (workload.block_in, workload.block_out) != (1, 1):
            raise InputError(f"no schedule template for {workload} on {target.kind}: its arrays are blocked")
        return space.taken_for(workload)
    if workload.block_in == 1 and not layers.reads_plain:
        raise InputError(f"no schedule template for {workload} on {target.kind}: its data is not blocked")
    options = {}
    if layers.written:
        options[layers.written] = _with_block(workload, space, layers.written, workload.block_out)
    if layers.read and workload.block_in > 1:
        options[layers.read] = _with_block(workload, space, layers.read, workload.block_in)
    return space.restricted(options).taken_for(workload)


def _with_block(workload: Fused, space: ConfigSpace, name: str, block: int) -> list[Any]:
    """The options of a split of channels whose last two factors make a block."""
    knob = next(knob for knob in space.knobs if knob.name == name)
    kept = [label for label in knob.labels if label[-2] * label[-1] == block]
    if not kept:
        raise InputError(f"no schedule template for {workload}: {name} has no blocks of {block}")
    return kept
