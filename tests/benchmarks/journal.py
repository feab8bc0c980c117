"""What opening a long journal takes: python tests/benchmarks/journal.py [RECORDS]

Writes a journal of so many records (10^5 by default; 10^6 take 0.9 GB and are 10^5 that are repeated) and reads it
back, each time in a process of its own: all of it, the records of one task and target, then the same once it is
compacted. Prints microseconds and bytes of memory for each record, and over what parsing the same lines as JSON takes,
which is a measure of the machine.

python tests/benchmarks/journal.py RECORDS COPIES copies the compacted journal's segment so often and only queries them
by columns: what 10^7 records take where they are 10 of 10^6.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from raydgp import config_space, zoo
from raydgp.records import Context, Journal, Measurement, Phases, Record, Status, scan
from raydgp.records.history import first
from raydgp.records.lines import encode, goes_on, segments_folder
from raydgp.targets import Target

JSON_LINES = 10_000
DIFFERENT = 100_000
TASK = "rb3-conv2"


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
        for trial in range(min(count, DIFFERENT)):
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
    lines = path.read_bytes()
    with path.open("ab") as file:
        for _ in range(count // DIFFERENT - 1):
            file.write(lines)


def read(path: Path) -> None:
    """Opens all of it."""
    with path.open("rb") as file:
        lines = [line for _, line in zip(range(JSON_LINES), file, strict=False)]
    before_bytes = psutil.Process().memory_info().rss
    began = time.process_time()
    records = scan(path).records
    scan_us = 1e6 * (time.process_time() - began) / len(records)
    memory = (psutil.Process().memory_info().rss - before_bytes) / len(records)
    began = time.process_time()
    wanted = [r for r in records if r.context.task == TASK and r.context.target.kind == "llvm"]
    query_us = 1e6 * (time.process_time() - began) / len(records)
    began = time.process_time()
    kept = first(records)
    first_us = 1e6 * (time.process_time() - began) / len(records)
    print(f"{len(records)} records; {len(wanted)} of one task, {len(kept)} that count")
    print(f"opened   {scan_us:7.2f} us and {memory:.0f} bytes of memory a record", end="")
    if len(lines) > 1:
        began = time.process_time()
        for line in lines:
            json.loads(line)
        json_us = 1e6 * (time.process_time() - began) / len(lines)
        print(f" = {scan_us / json_us:.2f} x json.loads ({json_us:.2f} us)", end="")
    print(
        f"\nqueried  {query_us:7.2f} us a record by task and target once it is open; first of each: {first_us:.2f} us"
    )


def query(path: Path) -> None:
    """Opens what is of one task and target."""

    def is_wanted(context: Context) -> bool:
        return context.task == TASK and context.target.kind == "llvm"

    began = time.process_time()
    found = scan(path, is_wanted).records
    print(f"records of one task and target: {len(found)} in {time.process_time() - began:.2f} s")


def columns(path: Path) -> None:
    """The best of one task and target, by columns alone."""
    from raydgp.records import segments  # loads pyarrow, which is not what is measured

    began, began_cpu = time.monotonic(), time.process_time()
    table = segments.columns(path)
    opened_s, opened_cpu_s = time.monotonic() - began, time.process_time() - began_cpu
    memory = psutil.Process().memory_info().rss / 1e6
    began, began_cpu = time.monotonic(), time.process_time()
    best = segments.best(table, lambda context: context.task == TASK and context.target.kind == "llvm", 10)
    query_s, query_cpu_s = time.monotonic() - began, time.process_time() - began_cpu
    print(f"columns of {len(table)} records: {opened_s:.2f} s ({opened_cpu_s:.2f} s of processor), {memory:.0f} MB")
    print(f"the {len(best)} best of one task and target: {query_s:.3f} s ({query_cpu_s:.3f} s of processor)")


def alone(what: str, path: Path) -> None:
    subprocess.run([sys.executable, __file__, f"--{what}", str(path)], check=True)


def main() -> None:
    if sys.argv[1:2] and sys.argv[1].startswith("--"):
        {"--read": read, "--query": query, "--columns": columns}[sys.argv[1]](Path(sys.argv[2]))
        return
    count, copies = (int(word) for word in (sys.argv[1:] + ["100000", "1"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        write(path, count)
        if copies == 1:
            alone("read", path)
            alone("query", path)
        before, began = path.stat().st_size, time.process_time()
        with Journal(path) as journal:
            journal.compact()
        took_us = 1e6 * (time.process_time() - began) / count
        (segment,) = segments_folder(path).glob("*.parquet")
        size = segment.stat().st_size
        print(
            f"compacted {took_us:6.2f} us a record; {size / count:.0f} bytes each where lines have {before / count:.0f}"
        )
        for number in range(1, copies):
            shutil.copy(segment, segment.with_name(f"{number:06d}.parquet"))
        path.write_bytes(goes_on(copies))
        if copies == 1:
            alone("read", path)
            alone("query", path)
        alone("columns", path)


if __name__ == "__main__":
    main()
