"""Pre-trained models on disk: a folder with the weights and a card that says what they are."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from raydgp.errors import ModelError
from raydgp.space import ConfigSpace
from raydgp.surrogates.kinds import PretrainedKind, PretrainedModel, named

if TYPE_CHECKING:
    from raydgp.surrogates.pretrain import Pretrained

CARD = "card.json"
_FORMAT = 1
_MAX_BYTES = 64 * 2**20  # of the weights; a deep GP of the paper's size has 2 MB


@dataclass(frozen=True, kw_only=True)
class Card:
    """What an artefact is and where it comes from.

    Attributes:
        group, target, template: whose configurations it scores; see `Workload.group` and `ConfigSpace`.
        kind: its name in `surrogates.kinds`; where that is of all groups, the group is empty.
        device: names of the devices that were measured.
        records, tasks: size of the history.
        workloads: its tasks, each as `Workload.to_dict()`.
        space_hashes: of their spaces, in the same order.
        held_out: by, spearman, ndcg; see `ranking.HeldOut`.
        versions: of raydgp and the libraries of its kind.
        encoding, shape: what its kind keeps, `names` of the feature columns in the encoding.
        sha256: of the weights file, set by `save`.
    """

    group: str
    target: str
    template: str
    kind: str = "deepgp"
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
    def of(
        cls,
        kind: PretrainedKind[Any],
        spaces: Sequence[ConfigSpace],
        made: Pretrained[Any],
        device: Sequence[str],
    ) -> Card:
        """The card of a model pre-trained on measurements of these spaces, all of one target and template."""
        return cls(
            group=kind.group(spaces[0].workload),
            target=spaces[0].target,
            template=spaces[0].template,
            kind=kind.name,
            device=sorted(set(device)),
            records=made.records,
            tasks=made.tasks,
            workloads=[space.workload.to_dict() for space in spaces],
            space_hashes=[space.hash for space in spaces],
            held_out=asdict(made.held_out),
            versions={"raydgp": version("raydgp"), **kind.versions()},
        )


def save(folder: Path, kind: PretrainedKind[Any], model: Any, card: Card) -> Card:
    """Writes weights and card into a folder, which is made; gives back the card as written."""
    folder.mkdir(parents=True, exist_ok=True)
    own = kind.write(model, folder / kind.file)
    written = Card(**{**asdict(card), **own, "kind": kind.name, "sha256": _sha256(folder / kind.file)})
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
        card: Card = TypeAdapter(Card).validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise ModelError(f"{folder}: {CARD} is damaged ({where}: {fault['msg']}); pre-train again") from None
    except RecursionError:
        raise ModelError(f"{folder}: {CARD} is damaged (nested too deep); pre-train again") from None
    except OSError as error:
        raise ModelError(f"{folder}: {CARD}: {error.strerror or error}; give the folder of an artefact") from None
    except (ValueError, TypeError) as error:
        raise ModelError(f"{folder}: {CARD} is damaged ({error}); pre-train again") from None
    if card.format != _FORMAT:
        raise ModelError(f"{folder}: format {card.format!r} is not this version's {_FORMAT}; pre-train again")
    return card


def load(folder: Path, template: str, names: Sequence[str], device: str = "cpu") -> tuple[PretrainedModel, Card]:
    """The model of an artefact. Executes nothing of what is in the file.

    Args:
        template: of the space that it is to score, `ConfigSpace.template`.
        names: of the columns that its kind sees, as of `history.seen_by_model`.

    Raises:
        ModelError: damaged, truncated, of an unknown kind, or of another template or feature layout.
        InputError: its kind is not known here.
    """
    card = read_card(folder)
    kind = named(card.kind)
    if card.template != template:
        raise ModelError(f"{folder}: made for template {card.template}, not {template}; pre-train for this one")
    path = folder / kind.file
    try:
        _check_weights(path, card)
        return kind.read(path, {"encoding": card.encoding, "shape": card.shape}, names, device), card
    except ModelError:
        raise
    except Exception as error:  # whatever a hostile file provokes in the parsers of weights
        raise ModelError(f"{folder}: {kind.file} does not load ({type(error).__name__}); pre-train again") from None


def _check_weights(path: Path, card: Card) -> None:
    """Whether the weights are those that the card was written for, of a plausible size.

    Raises:
        ModelError: they are not, or cannot be read.
    """
    folder, weights = path.parent, path.name
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{folder}: {weights} is larger than {_MAX_BYTES >> 20} MiB; not an artefact of ours")
        if _sha256(path) != card.sha256:
            raise ModelError(f"{folder}: {weights} is not the file its card was written for; pre-train again")
    except OSError as error:
        raise ModelError(f"{folder}: {weights}: {error.strerror or error}; pre-train again") from None


def find(root: Path, space: ConfigSpace, kind: str = "deepgp") -> Path | None:
    """The artefact for a space: `root` itself if it is one, or of its folders that with most records, then the last.

    Args:
        kind: of the model, see `Card`.
    """
    if (root / CARD).exists():
        return root if read_card(root).kind == kind else None
    wanted = (space.target, space.template, kind)
    found = []
    for path in sorted(root.glob(f"*/{CARD}")):
        card = read_card(path.parent)
        if (card.target, card.template, card.kind) == wanted and card.group in ("", space.workload.group):
            found.append((card.records, path.parent))
    return max(found)[1] if found else None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _finite(value: Any) -> Any:
    """JSON knows no NaN: None instead."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
