"""A soak: python tests/benchmarks/soak.py [CONFIGURATIONS]

Runs so many configurations (10 000 by default, about an hour) on one supervised child at a time; 5 % crash, 2 % hang,
5 % are wrong. Prints how many ended as another thing than they are, and what this process holds after the first tenth
and at the end.
"""

from __future__ import annotations

import sys
import time

from tests.support.soak import soak


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    began_s = time.monotonic()

    def told(done: int) -> None:
        if done % 500 == 499:
            print(f"{done + 1} of {count}, {time.monotonic() - began_s:.0f} s", flush=True)

    found = soak(count, seed=0, told=told)
    print(", ".join(f"{number} {name}" for name, number in found.counts.most_common()))
    print(f"{len(found.wrong)} ended as another thing: {found.wrong[:5]}")
    print(f"after a tenth {found.early}\nat the end    {found.late}")


if __name__ == "__main__":
    main()
