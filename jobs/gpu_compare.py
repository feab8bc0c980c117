"""Tuners on this machine's GPU, on layers whose space was not recorded, and cuDNN through torch: ratios of one run.

    python jobs/gpu_compare.py --models models/sm_90 --trials 64

A row a layer and tuner goes to gpu_compare.csv, also of Winograd's algorithm and of tensor cores (inputs rounded to
float16), as autotvm finds them. `--target llvm` tries it on a CPU, against torch's library for it.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import pandas as pd
import torch
import torch_layer

from raydgp import zoo
from raydgp.app.compare import live
from raydgp.cli.shared import run_command
from raydgp.measure.local import LocalMeasurer
from raydgp.settings import MeasureSettings
from raydgp.targets import Target

LAYERS = ["resnet18/rb2-conv2", "vgg16/conv3-1", "mobilenet_v1/sp-6-conv2", "mobilenet_v1/sp-7-dp1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"), help="of `raydgp pretrain`, for dgp and dgp+")
    parser.add_argument("--layers", nargs="+", default=LAYERS)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--target", default="cuda", choices=["cuda", "llvm"])
    given = parser.parse_args()
    target, tables = Target.here(given.target), []
    with LocalMeasurer(target, MeasureSettings(min_repeat_ms=10)) as measurer:
        for layer in given.layers:
            workload = {f"{net}/{task.name}": task.workload for net in zoo.NETWORKS for task in zoo.tasks(net)}[layer]
            bests = live.tuned(workload, target, measurer, given.models, given.trials)
            others = {"torch": partial(torch_layer.seconds, workload, given.target)}
            if given.target == "cuda":
                others["torch float16"] = partial(torch_layer.seconds, workload, given.target, torch.float16)
            table = pd.Series(live.in_turns(bests, measurer, given.rounds, others), name="seconds").to_frame()
            for other in ("default", "metaschedule", "torch"):
                table[f"over {other}"] = table["seconds"][other] / table["seconds"]
            table["tuning_s"] = pd.Series({name: best.tuning_s for name, best in bests.items()})
            tables.append(table.rename_axis("tuner").reset_index().assign(layer=layer))
            pd.concat(tables).to_csv("gpu_compare.csv", index=False)
            print(tables[-1].to_string(index=False, float_format="{:.6g}".format), flush=True)
    print("Results: gpu_compare.csv")


if __name__ == "__main__":
    run_command(main)
