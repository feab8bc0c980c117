"""A bundle's file: what was written is read again, and damage gives one line."""

import hashlib
import json
import zipfile

import numpy as np
import pytest

from raydgp.build.launch import Launch
from raydgp.bundle.format import Header, Kernel, Task
from raydgp.bundle.inputs import logical_input, logical_inputs
from raydgp.bundle.reading import Bundle
from raydgp.bundle.runner.archive import CODES, FORMAT, HEADER
from raydgp.bundle.writing import compressed, lines, sampled, write
from raydgp.errors import InputError
from raydgp.templates import Layout

CODE = [b"first code" * 50, b"second"]
NAMES = [hashlib.sha256(code).hexdigest() for code in CODE]
REFERENCE = np.arange(40, dtype=np.float32).reshape(5, 8)
KERNELS = [
    Kernel(
        index=7,
        knobs={"tile": [2, 4], "pad": "stage"},
        origin="default",
        status="ok",
        code=NAMES[1],
        layouts=(0, 1),
        out=2,
        out_shape=(5, 8),
        launches=(Launch(kernel="main_kernel", grid=(3, 1, 1), block=(32, 1, 1), arguments=(0, 2, 1, 3)),),
        workspaces=(640,),
    ),
    Kernel(index=9, knobs={}, origin="draw", status="build_error", error="no such loop"),
]
LAYOUTS = [
    Layout(),
    Layout().einsum("ea,fcab,ub->eucf", np.eye(3), np.ones((2, 3)) / 3),
    Layout().slice((0, 5), (1, 2)),
]


@pytest.fixture
def members():
    task = Task(
        name="net/layer",
        workload={"op": "dense"},
        template="cuda.dense.v1",
        space_hash="0123",
        flops=80,
        inputs=((5, 4), (8, 4)),
        output=(5, 8),
        default=0,
        expected="tasks/0/expected.xz",
        layouts=tuple(layout.steps for layout in LAYOUTS),
        kernels="tasks/0/kernels.jsonl.xz",
        count=2,
    )
    header = Header(
        format=FORMAT,
        made_unix_s=1.5,
        versions={"tvm": "0.1"},
        target={"kind": "cuda", "arch": "sm_90"},
        kind="cuda",
        threads=None,
        measure={"repeat": 3},
        caches=("warm", "rotated"),
        tasks=(task,),
    )
    codes = [
        {"code": NAMES[0], "block": 0, "offset": 0, "size": 500},
        {"code": NAMES[1], "block": 0, "offset": 500, "size": 6},
    ]
    return {
        HEADER: header.model_dump_json().encode(),
        task.kernels: compressed(lines(kernel.model_dump(mode="json") for kernel in KERNELS)),
        task.expected: compressed(sampled(REFERENCE)),
        CODES: compressed(lines(codes)),
        "blocks/0.xz": compressed(b"".join(CODE)),
    }


@pytest.fixture
def written(members, tmp_path):
    def write_it(**changed):
        path = tmp_path / "x.bundle"
        write(path, [*(members | changed).items()])
        return path

    return write_it


def test_what_was_written_is_read_again(written):
    with Bundle(written()) as bundle:
        (task,) = bundle.header.tasks
        assert bundle.kernels(task) == KERNELS
        assert [bundle.code(name) for name in NAMES] == CODE
        positions, values = bundle.expected(task)
        np.testing.assert_array_equal(values, REFERENCE.ravel()[positions])
        assert len(positions) == 40
        assert [Layout(steps).steps for steps in task.layouts[::2]] == [(), (("slice", [[0, 5], [1, 2]]),)]
        weight = np.random.default_rng(0).random((4, 2, 3, 3), np.float32)
        np.testing.assert_array_equal(Layout(task.layouts[1]).apply(weight), LAYOUTS[1].apply(weight))
        assert bundle.sha256 == hashlib.sha256(zipfile.ZipFile(bundle.path).read(HEADER)).hexdigest()


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "x.bundle", [("a", b"1"), ("b", tmp_path / "no such member")])
    assert not list(tmp_path.iterdir())


def test_equal_bundles_are_equal_files(written):
    assert written().read_bytes() == written().read_bytes()


def test_large_outputs_are_checked_at_positions_that_are_spread(tmp_path):
    content = sampled(np.arange(100_000, dtype=np.float32))
    positions = np.frombuffer(content, "<i8", 16384)
    assert len(content) == 12 * 16384
    assert set(np.diff(positions)) == {6, 7}
    np.testing.assert_array_equal(np.frombuffer(content, "<f4", 16384, 8 * 16384), positions.astype(np.float32))


def read_all(path):
    with Bundle(path) as bundle:
        (task,) = bundle.header.tasks
        return bundle.kernels(task), bundle.expected(task), bundle.code(NAMES[0])


@pytest.mark.parametrize("member", [HEADER, CODES, "blocks/0.xz", "tasks/0/kernels.jsonl.xz", "tasks/0/expected.xz"])
@pytest.mark.parametrize("content", [b"", b"nonsense", compressed(b"nonsense"), compressed(b'{"a": 1}\n')])
def test_damage_is_told_in_one_line(written, member, content):
    path = written(**{member: content})
    with pytest.raises(InputError, match=r"x\.bundle: (damaged at|format)") as caught:
        read_all(path)
    assert "\n" not in str(caught.value)


def test_bytes_that_changed_on_the_way_are_found(written):
    path = written()
    content = bytearray(path.read_bytes())
    content[content.index(b"blocks/0.xz") + 40] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged at blocks/0\.xz"), Bundle(path) as bundle:
        bundle.code(NAMES[0])


def test_a_code_that_is_not_what_it_is_called_is_not_handed_out(written):
    path = written(**{"blocks/0.xz": compressed(b"".join(reversed(CODE)))})
    with pytest.raises(InputError, match=r"damaged at blocks/0\.xz"), Bundle(path) as bundle:
        bundle.code(NAMES[1])


def test_other_files_are_named(tmp_path, written):
    (tmp_path / "text").write_text("no bundle")
    (tmp_path / "cut").write_bytes(written().read_bytes()[:-30])
    for name, message in (("text", "not a bundle"), ("cut", "cut short"), ("missing", "No such file")):
        with pytest.raises(InputError, match=f"{name}: .*{message}"):
            Bundle(tmp_path / name)
    header = json.loads(zipfile.ZipFile(written()).read(HEADER)) | {"format": 2}
    with pytest.raises(InputError, match="format 2, and this version reads 1"):
        Bundle(written(**{HEADER: json.dumps(header).encode()}))


def test_inputs_are_the_same_everywhere():
    """Written down once: numpy keeps the streams of its bit generators."""
    data, weight = logical_inputs([(2, 3), (100, 100)])
    assert data.dtype == np.float32
    assert data.shape == (2, 3)
    assert not np.array_equal(data.ravel(), weight.ravel()[:6])
    assert weight.min() >= -1
    assert weight.max() < 1
    assert abs(float(weight.mean())) < 0.02
    np.testing.assert_array_equal(logical_input(1, (100, 100)), weight)
    np.testing.assert_array_equal(data.ravel()[:3] * 2**23, [-8194886, -4336085, -6519193])
