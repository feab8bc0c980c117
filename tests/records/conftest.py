from collections.abc import Callable
from typing import Any

import pytest

from raydgp.records import Context, Measurement, Phases, Record, Status
from raydgp.targets import Target


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """A record of configuration `index` that took `seconds`; anything else by the name of its field."""

    def make(index: int = 0, seconds: float = 1e-3, **fields: Any) -> Record:
        context = Context(
            task=fields.pop("task", "conv0"),
            workload={"op": "dense", "n": 1, "k": 64, "m": 32},
            target=Target.named("llvm"),
            space_hash=fields.pop("space_hash", "a" * 16),
            strategy="random",
            seed=0,
            run="test",
        )
        trial = fields.pop("trial", index)
        status = fields.pop("status", Status.OK)
        measured = Measurement(
            index=index,
            status=status,
            times_s=(seconds, seconds / 3, seconds * 1.1) if status is Status.OK else (),
            phases=fields.pop("phases", Phases(build_s=0.1 + 0.2, run_s=1 / 3)),
            error="" if status is Status.OK else "it\nbroke: ü",
            device=fields.pop("device", {"name": "cpu", "threads": 2}),
            versions={"tvm": "0.27"},
            time_unix_s=1.6e9 + index * 0.1,
            resources=fields.pop("resources", ()),
            conditions=fields.pop("conditions", {}),
        )
        assert not fields
        return Record(context=context, trial=trial, knobs={"tile_x": [4, 2], "unroll": 1}, measurement=measured)

    return make
