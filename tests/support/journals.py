"""Records for a journal."""

from raydgp.records import Context, Measurement, Record, Status
from raydgp.targets import Target


def record(index: int, time_unix_s: float = 0.0, task: str = "t") -> Record:
    context = Context(
        task=task, workload={}, target=Target.named("llvm"), space_hash="h", strategy="random", seed=0, run="r"
    )
    measured = Measurement(index=index, status=Status.OK, times_s=(1e-3 / (index + 1),), time_unix_s=time_unix_s)
    return Record(context=context, trial=index, knobs={"k": [1, index]}, measurement=measured)
