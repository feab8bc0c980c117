"""Plans of one small layer, and builds that cost nothing, or no process of their own."""

from typing import ClassVar

from raydgp.build.compile import compile_kernel
from raydgp.records import Status
from raydgp.run.builder import Built
from raydgp.settings import BundleSettings

SMALL = {"layer": "resnet18/rb4-sc"}


def plan(*tasks, target="cuda/sm_90", **rest):
    return BundleSettings(target=target, tasks=list(tasks), **rest)


class FakeBuilders:
    """Codes that follow from the index alone; one in `failing` times out."""

    failing: ClassVar[set[int]] = set()
    asked: ClassVar[list[int]] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def build(self, wanted, target, timeout_s, part):
        assert part == "parts"
        for _, index in wanted:
            self.asked.append(index)
            if index in self.failing:
                yield Built(status=Status.BUILD_TIMEOUT, error="no answer within 20 s, killed"), 0.0
            else:
                yield Built(status=Status.OK, library=b"code %d" % (index % 50) * 9, build_s=0.25), 0.0


class OwnBuilders(FakeBuilders):
    """Real builds in this process, which has loaded TVM already."""

    def build(self, wanted, target, timeout_s, part):
        for space, index in wanted:
            made = compile_kernel(space.template, space.workload, space.decode(index), target, part)
            yield (
                Built(
                    status=Status.OK,
                    library=made.library,
                    launches=made.launches,
                    workspaces=made.workspaces,
                    resources=made.resources,
                ),
                0.0,
            )
