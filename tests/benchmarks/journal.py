"""What opening a long journal takes: python tests/benchmarks/journal.py [RECORDS]

Writes a journal of so many records (10^5 by default; 10^6 take 0.9 GB) and reads it back in a process of its own.
Prints microseconds and bytes of memory for each record, and both over what parsing the same lines as JSON takes, which
is a measure of the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from raydgp import config_space, zoo
from raydgp.records import Context, Measurement, Phases, Record, Status, scan
from raydgp.records.history import first
from raydgp.records.lines import encode
from raydgp.targets import Target

JSON_LINES = 10_000


def write(path: Path, count: int) -> None:
    target, rng = Target.here("llvm"), np.random.default_rng(0)
    tasks = zoo.tasks("resnet18")
    spaces = [config_space(task.workload, target) for task in tasks]
    contexts = [
        Context(
            task=task.name,
            workload=task.workload.to_dict(),
            target=target,
            space_hash=space.hash,
            strategy="autotvm",
            seed=0,
            run="benchmark",
        )
        for task, space in zip(tasks, spaces, strict=True)
    ]
    device = target.behaviour.device(target, 2)
    with path.open("wb") as file:
        for trial in range(count):
            context, space = contexts[trial % len(tasks)], spaces[trial % len(tasks)]
            index, times_s, phases = int(rng.integers(space.size)), 1e-3 + rng.random(3), rng.random(3)
            measured = Measurement(
                index=index,
                status=Status.OK,
                times_s=tuple(times_s.tolist()),
                phases=Phases(build_s=float(phases[0]), queue_s=float(phases[1]), run_s=float(phases[2])),
                device=device,
                versions={"raydgp": "1", "tvm": "0.27"},
                time_unix_s=1.7e9 + trial,
            )
            record = Record(context=context, trial=trial, knobs=space.decode(index), measurement=measured)
            file.write(encode(record))


def read(path: Path) -> None:
    with path.open("rb") as file:
        lines = [line for _, line in zip(range(JSON_LINES), file, strict=False)]
    began = time.process_time()
    for line in lines:
        json.loads(line)
    json_us = 1e6 * (time.process_time() - began) / len(lines)
    before_bytes = psutil.Process().memory_info().rss
    began = time.process_time()
    records = scan(path).records
    scan_us = 1e6 * (time.process_time() - began) / len(records)
    memory = (psutil.Process().memory_info().rss - before_bytes) / len(records)
    began = time.process_time()
    wanted = [r for r in records if r.context.task == "rb3-conv2" and r.context.target.kind == "llvm"]
    query_us = 1e6 * (time.process_time() - began) / len(records)
    began = time.process_time()
    kept = first(records)
    first_us = 1e6 * (time.process_time() - began) / len(records)
    size = path.stat().st_size / len(records)
    print(f"{len(records)} records of {size:.0f} bytes; {len(wanted)} of one task, {len(kept)} that count")
    print(f"opened   {scan_us:7.2f} us a record = {scan_us / json_us:5.2f} x json.loads ({json_us:.2f} us)")
    print(f"memory   {memory:7.0f} bytes a record = {memory / size:5.2f} x its line")
    print(f"queried  {query_us:7.2f} us a record by task and target; first of each: {first_us:.2f} us")


def main() -> None:
    if sys.argv[1:2] == ["--read"]:
        read(Path(sys.argv[2]))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        write(path, count)
        subprocess.run([sys.executable, __file__, "--read", str(path)], check=True)


if __name__ == "__main__":
    main()
