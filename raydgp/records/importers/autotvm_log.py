"""Logs of AutoTVM as history: its CUDA templates' spaces are ours, numbered alike (`raydgp.templates.cuda.spaces`).

Format 0.2, of TVM up to 0.19: a JSON object a line, with `input` [target, template, arguments, keyword arguments],
`config` with its `index` and its knobs as `entity`, `result` [costs in seconds, error number, seconds in all, time].
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

from raydgp.errors import MALFORMED, InputError
from raydgp.records.journal import Quarantined, Scan
from raydgp.records.measurement import Measurement, Phases, Status
from raydgp.records.record import Context, Record
from raydgp.space import ConfigSpace
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, GroupConv2d, Workload

_CONVOLUTIONS: dict[str, Any] = {
    "conv2d_nchw.cuda": Conv2d,
    "conv2d_nchw_winograd.cuda": Conv2d,
    "depthwise_conv2d_nchw.cuda": DepthwiseConv2d,
    "group_conv2d_nchw.cuda": GroupConv2d,
}
_DENSE = {"dense_small_batch.gpu": "cuda.dense_small_batch.v1", "dense_large_batch.gpu": "cuda.dense_large_batch.v1"}
_WITHOUT_SPACE = {  # of operators that people know by another name than their template's
    "conv2d_transpose_nchw.cuda": "transposed convolutions have no space here",
    "batch_matmul.cuda": "products of batches of matrices have no space here",
}
_KINDS = ("cuda",)  # of targets, whose AutoTVM spaces are ours
_PRUNED = "dense_large_batch.gpu"  # of which we keep what AutoTVM meant to: fewer, so that its numbers are not ours
_STATUS = (  # of AutoTVM's error numbers, in order; the last one is of an unknown error
    Status.OK,
    Status.INVALID,
    Status.BUILD_ERROR,
    Status.BUILD_ERROR,
    Status.RUN_ERROR,
    Status.WRONG_ANSWER,
    Status.BUILD_TIMEOUT,
    Status.RUN_TIMEOUT,
    Status.RUN_ERROR,
)


def scan(path: Path, device: str | None) -> Scan:
    """Reads a log; lines that are no records of our spaces are passed over and reported by number.

    Args:
        device: name of the device that lines were measured on whose target has no `-model=`.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a log of AutoTVM") from None
    found: list[Record] = []
    odd: list[Quarantined] = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(_record(json.loads(line), path.stem, device, len(found)))
        except InputError as error:
            odd.append(Quarantined(number, str(error)))
        except MALFORMED:
            odd.append(Quarantined(number, "not a record of an AutoTVM log, version 0.2"))
    return Scan(found, odd, torn=False)


def _record(line: dict[str, Any], run: str, device: str | None, trial: int) -> Record:
    if line["version"] != 0.2:
        raise InputError(f"version {line['version']} of the format; only 0.2 is known")
    target, template, arguments, _ = line["input"]
    model = _options(target).get("model", "unknown")
    name = device if model == "unknown" else model
    if name is None:
        raise InputError("its target names no device by -model=; give --device")
    space = _space(template, arguments)
    index = _index(space, template, line["config"])
    costs, error_number, spent_s, time_unix_s = line["result"]
    status = _STATUS[error_number]
    measurement = Measurement(
        index=index,
        status=status,
        times_s=tuple(map(float, costs)) if status is Status.OK else (),
        phases=Phases(run_s=float(spent_s)),
        error="" if status is Status.OK else f"AutoTVM's error {error_number}",
        device={"kind": "cuda", "name": name},
        versions={"tvm": str(line["tvm_version"])},
        time_unix_s=float(time_unix_s),
    )
    context = Context(
        task=f"{template} {space.workload}",
        workload=space.workload.to_dict(),
        target=_target(target),
        space_hash=space.hash,
        strategy="autotvm",
        seed=0,
        run=run,
    )
    knobs = {name: list(v) if isinstance(v, tuple) else v for name, v in space.decode(index).items()}
    return Record(context=context, trial=trial, knobs=knobs, measurement=measurement)


def _target(text: str) -> Target:
    """Kind and architecture of `cuda -keys=cuda,gpu -arch=sm_70 ...`."""
    kind, given = text.split()[0], _options(text)
    if kind not in _KINDS:
        raise InputError(f"target {kind}; only {', '.join(_KINDS)} has AutoTVM's spaces here")
    return Target.from_dict({"kind": kind, **({"arch": given["arch"]} if "arch" in given else {})})


def _options(target: str) -> dict[str, str]:
    """The options of `kind -name=value ...`."""
    return dict(option.lstrip("-").split("=", 1) for option in target.split()[1:] if "=" in option)


def _space(template: str, arguments: list[Any]) -> ConfigSpace:
    """The space of a task.

    Raises:
        InputError: there is none of this template, or not for these arguments.
    """
    if template in _CONVOLUTIONS:
        algorithm = "winograd" if "winograd" in template else "direct"
        return config_space(_convolution(_CONVOLUTIONS[template], arguments), "cuda", algorithm)
    if template in _DENSE:
        (n, k), (m, _) = map(_shape, arguments[:2])
        space = config_space(Dense(n=n, k=k, m=m), "cuda")
        if space.template == _DENSE[template]:
            return space
    raise InputError(_WITHOUT_SPACE.get(template, f"template {template}, which has no space here"))


def _convolution(kind: Any, arguments: list[Any]) -> Workload:
    (n, ci, h, w), (co, _, kh, kw) = map(_shape, arguments[:2])
    stride, padding, dilation = (_pair(value) for value in arguments[2:5])
    own: dict[str, Any] = {"co": co} if kind is not DepthwiseConv2d else {}
    if kind is GroupConv2d:
        own["groups"] = arguments[5]
    elif kind is DepthwiseConv2d and (co, arguments[1][1][1]) != (ci, 1):
        raise InputError("depthwise convolutions with a channel multiplier have no space here")
    return kind(n=n, ci=ci, h=h, w=w, kh=kh, kw=kw, stride=stride, padding=padding, dilation=dilation, **own)


def _shape(tensor: list[Any]) -> list[int]:
    kind, shape, dtype = tensor
    if kind != "TENSOR" or dtype != "float32":
        raise InputError(f"arrays of {dtype}; only float32 has a space here")
    return list(shape)


def _pair(value: Any) -> tuple[int, int]:
    """The values of both axes, of one number, a pair, or a padding by top, left, bottom, right."""
    if isinstance(value, int):
        return value, value
    if len(value) == 4 and value[:2] != value[2:]:
        raise InputError("paddings that differ from side to side have no space here")
    return value[0], value[1]


def _index(space: ConfigSpace, template: str, config: dict[str, Any]) -> int:
    """The configuration that the knobs say, if the number agrees.

    Raises:
        InputError: it does not, or the knobs are not this space's.
    """
    extents = {knob.name: prod(knob.values[0].tolist()) for knob in space.knobs}
    names = _names([name for name, _, _ in config["entity"]])
    knobs = {
        name: _option(kind, value, extents.get(name, 1))
        for name, (_, kind, value) in zip(names, config["entity"], strict=True)
    }
    index = space.encode(knobs)
    if template != _PRUNED and index != config["index"]:
        raise InputError(f"number {config['index']} is not what the knobs say; another version's space")
    return index


def _names(names: list[str]) -> list[str]:
    """The knobs as they are called today: logs of 2018 have the kernel's height as `tile_rx` and before its width."""
    x, y = "tile_rx", "tile_ry"
    if x in names and y in names and names.index(x) < names.index(y):
        return [{x: y, y: x}.get(name, name) for name in names]
    return names


def _option(kind: str, value: Any, extent: int) -> Any:
    """A choice, or a split whose open factor, -1, is what the others leave."""
    if kind != "sp":
        return value
    return tuple(extent // prod(f for f in value if f != -1) if factor == -1 else factor for factor in value)
