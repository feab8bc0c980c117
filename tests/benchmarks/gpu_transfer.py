"""Searches that know a kernel from GPUs of other architectures, on other people's recorded kernels.

    python tests/benchmarks/gpu_transfer.py [--seeds 3] [--trials 240] [--shuffled] [--spaces NAME,...] FOLDER

FOLDER as for `gpu_spaces.py`, files named KERNEL-DEVICE. For each, measurements until within 5 % and 1 % of the best
(medians over seeds, batches of 8): `portfolio` and `dgp+` with the files of the same kernel from other architectures,
and `dgp+` with nothing. With `--shuffled` the others' times are dealt out at random: what misleads may not cost much.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from gpu_spaces import CHOSEN_ON, Recording

from raydgp.app.compare.trajectory import follow
from raydgp.records.recorded import RecordedSpace
from raydgp.space.parametric import parameter_space
from raydgp.workloads import Parametric

_ALIKE = [{"GTX_1080Ti", "P100"}]  # devices of one architecture
_SHARES = (0.95, 0.99)


def kernel_and_device(file: Path) -> tuple[str, str]:
    kernel, device = file.stem.removesuffix("-hub").split("-", 1)
    return kernel, device


def converted(file: Path, out: Path, rng: np.random.Generator | None) -> Path:
    """The same as a recorded space of ours; its times dealt out at random where a generator is given."""
    recording, (kernel, device) = Recording(file), kernel_and_device(file)
    options = {knob.name: [int(label) for label in knob.labels] for knob in recording.space.knobs}
    space = parameter_space(Parametric(name=kernel, parameters=json.dumps(options)), only=recording.indices)
    times_s, none = recording.ms[:, None] / 1e3, np.zeros(len(recording.ms))
    RecordedSpace(
        file.stem,
        space,
        recording.indices,
        np.where(np.isfinite(times_s[:, 0]), "ok", "run_error"),
        times_s if rng is None else rng.permutation(times_s),
        none,
        none,
        {"name": device},
        {},
    ).save(out / f"{file.stem}.parquet")
    return out / f"{file.stem}.parquet"


def others(file: Path, files: list[Path]) -> list[Path]:
    """Those of the same kernel from other architectures."""
    kernel, device = kernel_and_device(file)
    alike = next((group for group in _ALIKE if device in group), {device})
    found = [
        (other, *kernel_and_device(other)) for other in files if other.stem.endswith("hub") == file.stem.endswith("hub")
    ]
    return [other for other, of, on in found if of == kernel and on not in alike]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=240)
    parser.add_argument("--shuffled", action="store_true")
    parser.add_argument("--spaces", help="names of files, separated by commas; all without it")
    told = parser.parse_args()
    files = sorted(told.folder.glob("*.parquet"))
    wanted = [file for file in files if not told.spaces or file.stem in told.spaces.split(",")]
    ways = ("portfolio", "dgp+", "dgp+ alone")
    costs: dict[bool, list[np.ndarray]] = {True: [], False: []}
    print(f"{'space':28s}" + "".join(f"{way + ' 95/99 %':>20s}" for way in ways))
    with tempfile.TemporaryDirectory() as temporary:
        (plain, told_to_others) = (Path(temporary) / name for name in ("plain", "others"))
        rng = np.random.default_rng(0) if told.shuffled else None
        theirs = {file: converted(file, told_to_others, rng) for file in files}
        for file in wanted:
            paths = [str(theirs[other]) for other in others(file, files)]
            if not paths:
                continue
            recorded = RecordedSpace.load(converted(file, plain, None))
            cost = np.zeros((len(ways), len(_SHARES)))
            for row, way in zip(cost, ways, strict=True):
                name, options = way.split()[0], {} if "alone" in way else {"elsewhere": paths}
                seeds = range(told.seeds if name == "dgp+" else 1)
                found = [follow(recorded, name, {"preset": "small", **options}, s, told.trials, 8) for s in seeds]
                for k, share in enumerate(_SHARES):
                    row[k] = np.median([min(went.measurements_to(share), 2 * told.trials) for went in found])
            costs[file.stem in CHOSEN_ON].append(cost)
            print(f"{file.stem:28s}" + "".join(f"{low:13.0f} /{high:5.0f}" for low, high in cost), flush=True)
    for chosen, part in costs.items():
        if part:
            mean = np.exp(np.log(part).mean(axis=0))
            print(f"{'settings chosen on these' if chosen else 'not seen before':28s}", end="")
            print("".join(f"{low:13.1f} /{high:5.1f}" for low, high in mean), " geometric means")


if __name__ == "__main__":
    main()
