"""The runner of bundles beside the local measurer: are its times the same, and what does a kernel cost beside them?

`python -m tests.benchmarks.bundle_overhead [kernels]` measures random valid configurations of ResNet-18's layers by
both in turns, twenty at a time, each kernel built once. It prints the median ratio of their median times and how many
statuses agree; then, of all of them in one bundle, the runner's overhead a kernel: decompression, messages, loading,
layouts and both checks.
"""

import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from raydgp import config_space, zoo
from raydgp.bundle.runner import command
from raydgp.measure import LocalMeasurer
from raydgp.records import Measurement
from raydgp.run.supervisor import Supervisor
from raydgp.settings import MeasureSettings
from raydgp.space import ConfigSpace, Indices
from raydgp.targets import Target
from raydgp.templates.registry import template_named
from tests.support.bundles import Kernels, bundle, results

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 200
SETTINGS = MeasureSettings(threads=1)
TURN = 20
LAYERS = ("rb4-conv1", "rb3-conv1", "rb2-conv1", "rb1-conv1", "conv0")


def main() -> None:
    target = Target.here("llvm")
    spaces = [config_space(task.workload, target) for task in zoo.tasks("resnet18") if task.name in LAYERS]
    whole = {space: Kernels(str(space.workload), space.workload) for space in spaces}
    rng, ratios, same = np.random.default_rng(0), list[float](), list[bool]()
    with LocalMeasurer(target, SETTINGS) as measurer, tempfile.TemporaryDirectory() as folder:
        for number, space in enumerate(islice(cycle(spaces), COUNT // TURN)):
            built: dict[int, bytes] = {}
            local = {each.index: each for each in watched(measurer, space, space.sample_valid(TURN, rng), built)}
            for each in (part := Kernels("part", space.workload)), whole[space]:
                add(each, space, built)
            for line in measured(Path(folder), str(number), [part], target):
                other = local[line["index"]]
                same.append(line["status"] == other.status)
                if line["status"] == other.status == "ok":
                    ratios.append(float(np.median(line["times_s"])) / other.median_s)
            print(f"{space.workload}: so far {len(same)} kernels, ratio {np.median(ratios):.3f}", flush=True)
        lines = measured(Path(folder), "whole", list(whole.values()), target)
    low, middle, high = np.percentile(ratios, [10, 50, 90])
    print(
        f"{len(ratios)} kernels: runner / local measurer {middle:.3f} (10th to 90th percentile {low:.3f} to {high:.3f})"
    )
    print(f"statuses that agree: {np.mean(same):.1%}")
    low, middle, high = np.percentile(
        [1e3 * line["overhead_s"] for line in lines if line["status"] == "ok"], [10, 50, 90]
    )
    print(f"overhead a kernel: median {middle:.2f} ms (10th to 90th percentile {low:.2f} to {high:.2f})")


def measured(folder: Path, name: str, tasks: list[Kernels], target: Target) -> list[dict[str, Any]]:
    path, out = bundle(folder / f"{name}.bundle", tasks, target, SETTINGS), folder / f"{name}.jsonl"
    command.run(path, out, 10)
    return results(out)[1]


def watched(
    measurer: LocalMeasurer, space: ConfigSpace, indices: Indices, built: dict[int, bytes]
) -> list[Measurement]:
    """Measures, and keeps the libraries."""
    real = Supervisor.run

    def run(self: Supervisor, space: ConfigSpace, index: int, library: bytes, settings: MeasureSettings) -> object:
        built[index] = library
        return real(self, space, index, library, settings)

    with mock.patch.object(Supervisor, "run", run):
        return measurer.measure(space, indices)


def add(task: Kernels, space: ConfigSpace, built: dict[int, bytes]) -> None:
    template: Any = template_named(space.template)
    for index, library in built.items():
        knobs = space.decode(index)
        layouts = [layout.steps for layout in template.layouts(space.workload, knobs)]
        out = template.out_layout(space.workload, knobs).steps
        task.add(library, layouts, out, template.out_shape(space.workload, knobs), index)


if __name__ == "__main__":
    main()
