"""A deployed model as MLflow's `mlflow.pyfunc.load_model` has it; named in its `MLmodel` as the loader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.models.folder import Library

Array = NDArray[Any]


class Predictor:
    """Runs a deployed model on what MLflow hands over."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def predict(
        self, model_input: Array | Mapping[str, Array], params: dict[str, Any] | None = None
    ) -> Array | dict[str, Array]:
        """The only output as an array, several as `output0`, `output1`, ...

        Args:
            model_input: the only input as an array, or inputs by the names `input0`, `input1`, ...
            params: none are known.

        Raises:
            InputError: other inputs than the model takes.
        """
        named = isinstance(model_input, Mapping)
        names = sorted(model_input, key=lambda name: (len(name), name)) if named else []
        outputs = self._library(*([model_input[name] for name in names] if named else [np.asarray(model_input)]))
        return outputs[0] if len(outputs) == 1 else {f"output{place}": array for place, array in enumerate(outputs)}


def _load_pyfunc(path: str) -> Predictor:
    """What MLflow calls, by this name, with the path of the deployed model's folder."""
    return Predictor(Library(Path(path)))
