"""Pre-trained deep GPs on disk: a folder with the weights, tensors only, and a card that says what they are."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import torch

from raydgp.errors import ModelError
from raydgp.space import ConfigSpace
from raydgp.surrogates.deepgp import DeepGP
from raydgp.surrogates.encoding import Encoding
from raydgp.surrogates.pretrain import HeldOut
from raydgp.surrogates.scorer import Scorer

CARD, WEIGHTS = "card.json", "weights.pt"
DEEPGP, TREES_OF_ALL = "deepgp", "trees"
_FORMAT = 1
_MAX_BYTES = 64 * 2**20  # of the weights, unpacked; the paper's model has 2 MB
_MAX_WIDTH = 1024


class Fitted(Protocol):
    """What a card tells of a training; see `pretrain.PretrainedScorer` and `trees.PretrainedTrees`."""

    @property
    def held_out(self) -> HeldOut: ...
    @property
    def records(self) -> int: ...
    @property
    def tasks(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Card:
    """What an artefact is and where it comes from.

    Attributes:
        group, target, template: whose configurations it scores; see `Workload.group` and `ConfigSpace`.
        kind: `deepgp`, the paper's model of one group; or `trees` of all groups (`surrogates.trees`), whose group is
            empty.
        device: names of the devices that were measured.
        records, tasks: size of the history.
        workloads: its tasks, each as `Workload.to_dict()`.
        space_hashes: of their spaces, in the same order.
        held_out: by, spearman, ndcg; see `pretrain.HeldOut`.
        versions: of raydgp, torch and gpytorch.
        encoding: `Encoding.to_dict()`; its names are the feature layout.
        shape: arguments of `DeepGP`.
        sha256: of the weights file, set by `save`.
    """

    group: str
    target: str
    template: str
    kind: str = DEEPGP
    device: list[str] = field(default_factory=list)
    records: int = 0
    tasks: int = 0
    workloads: list[dict[str, Any]] = field(default_factory=list)
    space_hashes: list[str] = field(default_factory=list)
    held_out: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    encoding: dict[str, Any] = field(default_factory=dict)
    shape: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    format: int = _FORMAT

    @classmethod
    def of(cls, spaces: Sequence[ConfigSpace], made: Fitted, device: Sequence[str], kind: str = DEEPGP) -> Card:
        """The card of a model pre-trained on measurements of these spaces, all of one target and template."""
        return cls(
            group="" if kind == TREES_OF_ALL else spaces[0].workload.group,
            target=spaces[0].target,
            template=spaces[0].template,
            kind=kind,
            device=sorted(set(device)),
            records=made.records,
            tasks=made.tasks,
            workloads=[space.workload.to_dict() for space in spaces],
            space_hashes=[space.hash for space in spaces],
            held_out=asdict(made.held_out),
            versions={name: version(name) for name in ("raydgp", "torch", "gpytorch")},
        )


def save(folder: Path, scorer: Scorer, card: Card) -> Card:
    """Writes weights and card into a folder, which is made; gives back the card as written."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().contiguous() for name, value in scorer.model.state_dict().items()}
    torch.save(weights, folder / WEIGHTS)
    return write_card(folder, WEIGHTS, card, scorer.encoding.to_dict(), scorer.model.shape)


def write_card(folder: Path, weights: str, card: Card, encoding: dict[str, Any], shape: dict[str, Any]) -> Card:
    """Writes the card beside the weights that it vouches for; gives it back as written."""
    own = {"encoding": encoding, "shape": shape, "sha256": _sha256(folder / weights)}
    written = Card(**{**asdict(card), **own})
    (folder / CARD).write_text(json.dumps(_finite(asdict(written)), indent=1) + "\n")
    return written


def read_card(folder: Path) -> Card:
    """The card of an artefact.

    Raises:
        ModelError: no card, not JSON, fields missing or unknown, or a format of another version.
    """
    try:
        data = json.loads((folder / CARD).read_text())
        if set(data) != {f.name for f in fields(Card)}:
            raise ValueError(f"fields {sorted(set(data) ^ {f.name for f in fields(Card)})} are missing or unknown")
        card = Card(**data)
    except OSError as error:
        raise ModelError(f"{folder}: {CARD}: {error.strerror or error}; give the folder of an artefact") from None
    except (ValueError, TypeError) as error:
        raise ModelError(f"{folder}: {CARD} is damaged ({error}); pre-train again") from None
    if card.format != _FORMAT:
        raise ModelError(f"{folder}: format {card.format!r} is not this version's {_FORMAT}; pre-train again")
    return card


def load(folder: Path, template: str, names: Sequence[str], device: str = "cpu") -> tuple[Scorer, Card]:
    """The scorer of an artefact. Executes nothing of what is in the file.

    Args:
        template, names: of the space that it is to score, `ConfigSpace.template` and `feature_names`.

    Raises:
        ModelError: damaged, truncated, not plain tensors, or of another template or feature layout.
    """
    card = read_card(folder)
    if card.template != template:
        raise ModelError(f"{folder}: made for template {card.template}, not {template}; pre-train for this one")
    encoding = Encoding.from_dict(card.encoding)
    if encoding.names != tuple(names):
        odd = sorted(set(encoding.names) ^ set(names)) or "their order"
        raise ModelError(f"{folder}: made for other features ({odd}); pre-train for this space")
    path = folder / WEIGHTS
    try:
        check_weights(folder, WEIGHTS, card)
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
                raise ModelError(f"{folder}: {WEIGHTS} is larger than {_MAX_BYTES >> 20} MiB; not an artefact of ours")
        state = torch.load(path, map_location="cpu", weights_only=True)
        if max([card.shape["inputs"], card.shape["inducing"], *card.shape["hidden"]]) > _MAX_WIDTH:
            raise ModelError(f"{folder}: {CARD} asks for layers wider than {_MAX_WIDTH}; not an artefact of ours")
        with torch.random.fork_rng(devices=[]):
            model = DeepGP(**card.shape)
        model.load_state_dict(state)
    except ModelError:
        raise
    except Exception as error:  # whatever a hostile file provokes in the parsers of zip, pickle and tensors
        raise ModelError(f"{folder}: {WEIGHTS} does not load ({type(error).__name__}); pre-train again") from None
    if not all(torch.isfinite(p).all() for p in model.parameters()):
        raise ModelError(f"{folder}: {WEIGHTS} holds numbers that are not finite; pre-train again")
    return Scorer(model.to(device), encoding), card


def check_weights(folder: Path, weights: str, card: Card) -> None:
    """Whether the weights are those that the card was written for, of a plausible size.

    Raises:
        ModelError: they are not, or cannot be read.
    """
    try:
        if (folder / weights).stat().st_size > _MAX_BYTES:
            raise ModelError(f"{folder}: {weights} is larger than {_MAX_BYTES >> 20} MiB; not an artefact of ours")
        if _sha256(folder / weights) != card.sha256:
            raise ModelError(f"{folder}: {weights} is not the file its card was written for; pre-train again")
    except OSError as error:
        raise ModelError(f"{folder}: {weights}: {error.strerror or error}; pre-train again") from None


def find(root: Path, space: ConfigSpace, kind: str = DEEPGP) -> Path | None:
    """The artefact for a space: `root` itself if it is one, or of its folders that with most records, then the last.

    Args:
        kind: of the model, see `Card`.
    """
    if (root / CARD).exists():
        return root if read_card(root).kind == kind else None
    wanted = ("" if kind == TREES_OF_ALL else space.workload.group, space.target, space.template, kind)
    found = []
    for path in sorted(root.glob(f"*/{CARD}")):
        card = read_card(path.parent)
        if (card.group, card.target, card.template, card.kind) == wanted:
            found.append((card.records, path.parent))
    return max(found)[1] if found else None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _finite(value: Any) -> Any:
    """JSON knows no NaN: None instead."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
