"""Deep GPs as pre-trained models: one for each group of tasks, as the paper's (ICCV 2021). Weights are tensors only."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from raydgp.errors import ModelError
from raydgp.surrogates.deepgp import DeepGP
from raydgp.surrogates.encoding import Encoding
from raydgp.surrogates.history import History
from raydgp.surrogates.kinds import PretrainedKind, PretrainSettings
from raydgp.surrogates.scorer import Scorer, Shape, fitted
from raydgp.surrogates.threads import limited
from raydgp.surrogates.training import Training

_MAX_BYTES = 64 * 2**20  # of the weights, unpacked; the paper's model has 2 MB
_MAX_WIDTH = 1024
_SHAPE, _TRAINING = Shape(), Training()  # the paper's


class DeepGPKind(PretrainedKind[Scorer]):
    """The paper's model of one group of tasks.

    Args:
        shape: of the model.
        training: how it is trained; the settings of a pre-training say for how many epochs.
    """

    name = "deepgp"
    file = "weights.pt"
    libraries = ("torch", "gpytorch")

    def __init__(self, shape: Shape = _SHAPE, training: Training = _TRAINING) -> None:
        self.shape, self.training = shape, training

    def limited(self, threads: int) -> AbstractContextManager[None]:
        return limited(threads)

    def folder(self, group: str, template: str) -> str:
        return f"{group}-{template}"

    def fit(self, history: History, settings: PretrainSettings) -> Scorer:
        training = replace(self.training, epochs=settings.epochs)
        names, labels = tuple(history.names), history.labels()
        columns = (names, history.features, labels, history.valid)
        return fitted(*columns, self.shape, training, settings.seed, settings.device)

    def write(self, model: Scorer, path: Path) -> dict[str, Any]:
        weights = {name: value.detach().cpu().contiguous() for name, value in model.model.state_dict().items()}
        torch.save(weights, path)
        return {"encoding": model.encoding.to_dict(), "shape": model.model.shape}

    def read(self, path: Path, card: dict[str, Any], names: Sequence[str], device: str) -> Scorer:
        encoding, shape = Encoding.from_dict(card["encoding"]), card["shape"]
        if encoding.names != tuple(names):
            odd = sorted(set(encoding.names) ^ set(names)) or "their order"
            raise ModelError(f"{path.parent}: made for other features ({odd}); pre-train for this space")
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
                raise ModelError(f"{path}: unpacks to more than {_MAX_BYTES >> 20} MiB; not an artefact of ours")
        state = torch.load(path, map_location="cpu", weights_only=True)
        if max([shape["inputs"], shape["inducing"], *shape["hidden"]]) > _MAX_WIDTH:
            raise ModelError(f"{path.parent}: asks for layers wider than {_MAX_WIDTH}; not an artefact of ours")
        with torch.random.fork_rng(devices=[]):
            model = DeepGP(**shape)
        model.load_state_dict(state)
        if not all(torch.isfinite(p).all() for p in model.parameters()):
            raise ModelError(f"{path}: holds numbers that are not finite; pre-train again")
        return Scorer(model.to(device), encoding)
