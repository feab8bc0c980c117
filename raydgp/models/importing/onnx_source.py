"""An ONNX file made into a Relax module that computes what onnxruntime does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from onnx import ModelProto
from tvm import relax

from raydgp.errors import InputError
from raydgp.models import beside
from raydgp.models.archive import refusal
from raydgp.models.folding import fold_batch_norms
from raydgp.models.importing.checking import difference, runnable
from raydgp.models.importing.imported import Array, Imported, digest_of
from raydgp.models.importing.onnx_faults import faults
from raydgp.models.importing.onnx_files import fix_inputs, read
from raydgp.models.importing.onnx_graph import Translated, translate
from raydgp.models.importing.onnx_inputs import draws, examples
from raydgp.models.importing.onnx_simplify import Reference, simplified
from raydgp.models.importing.onnx_types import single
from raydgp.models.onnx_operators.registration import EXPANDED


def from_onnx(path: Path, shapes: Mapping[str, Sequence[int]], check: bool) -> Imported:
    """Imports a file.

    Args:
        shapes: of inputs whose shapes are open, by name.
        check: whether it is compared with onnxruntime on several inputs.

    Raises:
        InputError: it cannot be imported, or differs.
    """
    model = read(path)
    notes = [*fix_inputs(path, model, shapes), *single(model)]
    simple = simplified(model, EXPANDED)
    with refusal(path, "the model does not run on its example inputs"):
        reference = Reference(model)
        inputs = examples(model)
        expected = reference(inputs)
    with refusal(path, "TVM cannot import the model"):
        translated = translate(simple, {})
        if check:
            translated = _right(path, model, simple, reference, translated)
    notes += _said(translated)
    digest = digest_of(translated.module)
    return Imported(
        path.stem,
        _finished(translated),
        tuple(inputs.values()),
        tuple(expected),
        digest,
        tuple(notes),
        translated.beside,
    )


def _finished(translated: Translated) -> relax.expr.IRModule:
    return relax.transform.DecomposeOpsForInference()(fold_batch_norms(translated.module))


def _right(
    path: Path, model: ModelProto, simple: ModelProto, reference: Reference, translated: Translated
) -> Translated:
    """The translation, operators that TVM computes wrongly moved beside it."""
    wrong = _wrong(model, reference, translated)
    if wrong is None:
        return translated
    found = faults(simple, next(draws(model)), set(translated.refused))
    if found:
        translated = translate(simple, translated.refused | found)
        if _wrong(model, reference, translated) is None:
            return translated
    named = "; ".join(f"{name}: {reason}" for name, reason in list(found.items())[:1])
    raise InputError(f"what TVM computes is not what onnxruntime does ({wrong}){f'; {named}' if named else ''}")


def _wrong(model: ModelProto, reference: Reference, translated: Translated) -> str | None:
    beside.register(translated.beside)
    try:
        run = runnable(_finished(translated))
        usual: list[Array] | None = None
        for feeds in draws(model):
            expected = reference(feeds)
            if wrong := difference(run(list(feeds.values())), expected, usual):
                return wrong
            usual = usual or expected
    except InputError:
        raise
    except Exception as error:  # of TVM, from its compiler or from the model as it runs
        return next((line for line in str(error).splitlines()[::-1] if line.strip()), type(error).__name__)
    return None


def _said(translated: Translated) -> list[str]:
    """What runs beside TVM, in words."""
    count = sum(len(part.nodes) for part in translated.parts)
    if not count:
        return []
    kinds = sorted({node.op_type for part in translated.parts for node in part.nodes})
    first, reason = next(iter(translated.refused.items()))
    several = f"{len(translated.parts)} parts" if len(translated.parts) > 1 else "one part"
    return [
        f"onnxruntime runs {count} operators ({', '.join(kinds)}) in {several} beside TVM; the first, {first}: {reason}"
    ]
