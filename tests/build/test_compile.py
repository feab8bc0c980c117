import os
import shutil
import tempfile

import numpy as np
import pytest
import tvm

from raydgp.build.compile import compile_kernel
from raydgp.errors import BuildError
from raydgp.templates.reference import random_inputs, reference
from raydgp.templates.registry import template_for
from tests.support.kernels import build


def test_the_bytes_are_a_library_that_computes_the_workload(space, library, tmp_path):
    path = tmp_path / "kernel.so"
    path.write_bytes(library)
    template, knobs = template_for(space), space.decode(space.default)
    inputs = random_inputs(space.workload, 0)
    out = tvm.runtime.empty(template.out_shape(space.workload, knobs), "float32")
    arrays = [tvm.runtime.tensor(array) for array in template.pack(space.workload, knobs, inputs)]
    tvm.runtime.load_module(str(path))["main"](*arrays, out)
    actual = template.unpack(space.workload, knobs, out.numpy())
    np.testing.assert_allclose(actual, reference(space.workload, inputs), rtol=1e-4, atol=1e-4)


def test_whatever_fails_inside_is_one_line(space, target):
    knobs = {**space.decode(space.default), "tile_ow": "seven"}
    with pytest.raises(BuildError) as caught:
        compile_kernel(space.template, space.workload, knobs, target)
    assert "\n" not in str(caught.value)
    assert 10 < len(str(caught.value)) < 500


@pytest.fixture
def only(tmp_path, monkeypatch):
    """Leaves only the programs named on the PATH; a compiler still finds its own linker."""

    def leave(*programs: str) -> None:
        hidden, shown = tmp_path / "hidden", tmp_path / "shown"
        for folder, names in ((hidden, ["ld", "as"]), (shown, programs)):
            folder.mkdir()
            for name in names:
                (folder / name).symlink_to(os.path.realpath(shutil.which(name) or "/nowhere"))
        monkeypatch.setenv("COMPILER_PATH", str(hidden))
        monkeypatch.setenv("PATH", str(shown))

    return leave


def test_links_where_there_is_only_gcc(space, target, only):
    only("gcc")
    assert build(space, space.default, target).startswith(b"\x7fELF")


def test_without_any_linker_the_error_names_the_remedy(space, target, only):
    only()
    with pytest.raises(BuildError, match="install gcc or binutils"):
        build(space, space.default, target)


def test_nothing_stays_in_the_temporary_folder(space, target, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    build(space, space.default, target)
    with pytest.raises(BuildError):
        compile_kernel(space.template, space.workload, {}, target)
    assert list(tmp_path.iterdir()) == []
