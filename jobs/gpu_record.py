"""Records sub-spaces of ten layers on this machine's GPU into history/<arch>: what `raydgp pretrain` learns from.

    python jobs/gpu_record.py --valid 400
    raydgp pretrain history/sm_90 --out models/sm_90 --device cuda

The same command goes on where it was stopped and leaves alone what is there. `--target llvm` tries it on a CPU.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from raydgp import zoo
from raydgp.app.history.recording import record, sub_space
from raydgp.cli.shared import run_command
from raydgp.measure.local import LocalMeasurer
from raydgp.settings import MeasureSettings
from raydgp.targets import Target

LAYERS = [
    *("resnet18/rb3-conv2", "resnet18/rb1-conv1", "resnet18/rb4-sc", "vgg16/conv4-3", "vgg16/conv2-2"),
    *("mobilenet_v1/sp-7-conv2", "mobilenet_v1/sp-4-conv2"),
    *("mobilenet_v1/sp-5-dp1", "mobilenet_v1/sp-1-dp1", "mobilenet_v1/sp-13-dp1"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--valid", type=int, default=400, help="configurations of a sub-space, at most")
    parser.add_argument("--layers", nargs="+", default=LAYERS)
    parser.add_argument("--target", default="cuda", choices=["cuda", "llvm"])
    parser.add_argument("--out", type=Path, help="history/<arch> by default")
    given = parser.parse_args()
    target = Target.here(given.target)
    folder = given.out or Path("history") / target.architecture
    fixed = ["unroll_explicit=0"] if given.target == "cuda" else []  # the compiler unrolls too, and in less time
    workloads = {f"{net}/{task.name}": task.workload for net in zoo.NETWORKS for task in zoo.tasks(net)}
    with LocalMeasurer(target, MeasureSettings(min_repeat_ms=10, stop_hopeless=False)) as measurer:
        for name in given.layers:
            path = folder / f"{name.replace('/', '-')}.parquet"
            if not path.exists():
                space = sub_space(workloads[name], target, given.valid, fixed)
                found = record(name, space, target, measurer, path, lambda *_: None)
                print(f"{name}: {len(found.indices)} configurations, best {found.gflops.max():.0f} GFLOPS", flush=True)
    print(f"Results: {folder}")


if __name__ == "__main__":
    run_command(main)
