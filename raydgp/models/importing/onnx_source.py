"""An ONNX file made into a Relax module that computes what onnxruntime does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import tvm
from onnx import ModelProto, NodeProto

from raydgp.errors import InputError
from raydgp.models import beside
from raydgp.models.accuracy import QUANTISED, TOLERANCE, difference
from raydgp.models.importing.checking import runnable
from raydgp.models.importing.finishing import finished
from raydgp.models.importing.imported import Array, Cut, Imported, digest_of
from raydgp.models.importing.onnx_faults import faults
from raydgp.models.importing.onnx_files import fix_inputs, read, without_objects
from raydgp.models.importing.onnx_graph import Translated, translate
from raydgp.models.importing.onnx_inputs import draws, examples, taken
from raydgp.models.importing.onnx_running import Reference
from raydgp.models.importing.onnx_simplify import simplified
from raydgp.models.importing.onnx_sizes import check_sizes
from raydgp.models.importing.onnx_types import single
from raydgp.models.importing.onnx_typing import typed
from raydgp.models.onnx_operators.registration import EXPANDED
from raydgp.models.refusal import last_line, refusal


def from_onnx(path: Path, shapes: Mapping[str, Sequence[int]], check: bool) -> Imported:
    """Imports a file.

    Args:
        shapes: of inputs whose shapes are open, by name.
        check: whether it is compared with onnxruntime on several inputs.

    Raises:
        InputError: it cannot be imported, or differs.
    """
    model = read(path)
    notes = fix_inputs(path, model, shapes)
    with refusal(path, "its tensors cannot be read"):
        notes += without_objects(model) + single(model)
        check_sizes(model)
        simple = simplified(model, EXPANDED)
    with refusal(path, "the model does not run on its example inputs"):
        reference = Reference(model)
        if empty := [name for name, array in examples(model).items() if not array.size]:
            raise InputError(f"input {empty[0]!r} has no elements: give its sizes with --input {empty[0]}=1x3x224x224")
        inputs, expected, whole = taken(model, reference)
    with refusal(path, "TVM cannot import the model"):
        simple = typed(simple, inputs)
        translated = translate(simple, {})
        if check:
            translated, module = _right(path, model, simple, reference, translated, whole)
        else:
            module = finished(translated.module)
    cut = _cut(translated)
    return Imported(
        path.stem,
        module,
        tuple(inputs.values()),
        tuple(expected),
        digest_of(translated.module),
        (*notes, *_said(cut)),
        translated.beside,
        cut,
        tuple(inputs),
        tuple(value.name for value in model.graph.output),
        _kinds(model.graph.node) - _kinds(simple.graph.node),
        _tolerance(model),
    )


def _right(
    path: Path, model: ModelProto, simple: ModelProto, reference: Reference, translated: Translated, whole: int | None
) -> tuple[Translated, tvm.IRModule]:
    """The translation, operators that TVM computes wrongly moved beside it, and its finished module."""
    wrong = _compared(model, reference, translated, whole)
    if not isinstance(wrong, str):
        return translated, wrong
    found = faults(simple, next(draws(model, whole)), set(translated.refused))
    if found:
        translated = translate(simple, translated.refused | found)
        module = _compared(model, reference, translated, whole)
        if not isinstance(module, str):
            return translated, module
    named = "; ".join(f"{name}: {reason}" for name, reason in list(found.items())[:1])
    raise InputError(f"what TVM computes is not what onnxruntime does ({wrong}){f'; {named}' if named else ''}")


def _compared(model: ModelProto, reference: Reference, translated: Translated, whole: int | None) -> tvm.IRModule | str:
    """The finished module where it computes what the reference does; else what is wrong of it."""
    beside.register(translated.beside)
    try:
        module = finished(translated.module)
        run = runnable(module)
        usual: list[Array] | None = None
        for feeds in draws(model, whole):
            try:
                expected = reference(feeds)
            except Exception:  # these numbers are none that the model takes
                if usual is None:
                    raise
                continue
            if wrong := difference(run(list(feeds.values())), expected, usual, _tolerance(model)):
                return wrong
            usual = usual or expected
    except InputError:
        raise
    except Exception as error:  # of TVM, from its compiler or from the model as it runs
        return last_line(error)
    return module


def _tolerance(model: ModelProto) -> float:
    quantised = any("Quantize" in node.op_type or node.op_type.startswith("QLinear") for node in model.graph.node)
    return QUANTISED if quantised else TOLERANCE


def _cut(translated: Translated) -> tuple[Cut, ...]:
    """What runs beside TVM, part by part."""
    cut = []
    for name, part in translated.parts.items():
        made = [output for node in part.nodes for output in node.output]
        reason = next((translated.refused[output] for output in made if output in translated.refused), "")
        cut.append(Cut(name, dict(_kinds(part.nodes)), tuple(part.inputs), tuple(part.outputs), reason))
    return tuple(cut)


def _said(cut: Sequence[Cut]) -> list[str]:
    """The same in a line."""
    if not cut:
        return []
    kinds = Counter[str]()
    for part in cut:
        kinds.update(part.operators)
    several = f"{len(cut)} parts" if len(cut) > 1 else "one part"
    operators = f"{kinds.total()} operators" if kinds.total() > 1 else "one operator"
    named = ", ".join(sorted(kinds))
    return [f"onnxruntime runs {operators} ({named}) in {several} beside TVM; of the first: {cut[0].reason}"]


def _kinds(nodes: Iterable[NodeProto]) -> Counter[str]:
    return Counter(node.op_type for node in nodes)
