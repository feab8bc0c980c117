"""What other devices measured of a kernel, in files of every kind, as one table of a space."""

import numpy as np
import pytest

from raydgp.errors import InputError
from raydgp.surrogates.elsewhere import Elsewhere
from tests.support.recordings import kernel, recording

SPACE = kernel("kernel", block=[16, 32, 64], layout=["a", "b"])


def test_configurations_are_ranked_by_their_mean_slow_down(tmp_path):
    files = [
        recording(tmp_path, "one", SPACE, [1, 2, 3, 4, 5, np.nan]),
        recording(tmp_path, "other", SPACE, [6, 2, 3, 1, 10, 4]),
    ]
    elsewhere = Elsewhere.read(files, SPACE)
    slow_down = np.array([(1 + 6) / 2, 2, 3, (4 + 1) / 2, (5 + 10) / 2, (12 + 4) / 2])  # what failed counts as 12
    np.testing.assert_allclose(elsewhere.expected(np.arange(6)), -np.log(slow_down), rtol=1e-6)
    assert elsewhere.ranked.tolist() == np.argsort(slow_down, kind="stable").tolist()
    columns = elsewhere.columns(np.arange(6))
    assert columns.shape == (6, 2)
    np.testing.assert_allclose([columns.mean(axis=0), columns.std(axis=0)], [[0, 0], [1, 1]], atol=1e-6)


def test_another_device_may_have_other_options(tmp_path):
    theirs = kernel("kernel", block=[8, 64, 16], layout=["b", "a"])
    elsewhere = Elsewhere.read([recording(tmp_path, "one", theirs, [9, 1, 2, 9, 3, 4])], SPACE)
    named = [tuple(SPACE.decode(index).values()) for index in elsewhere.ranked.tolist()]
    assert named == [(64, "b"), (16, "b"), (64, "a"), (16, "a")]
    unknown = SPACE.encode({"block": 32, "layout": "a"})
    assert elsewhere.expected(np.array([unknown])) == pytest.approx(np.median(elsewhere.mean))
    assert elsewhere.columns(np.array([unknown])).tolist() == [[0.0]]


def test_other_kernels_say_nothing(tmp_path):
    file = recording(tmp_path, "one", kernel("another", block=[16, 32, 64], layout=["a", "b"]), [1, 2, 3, 4, 5, 6])
    with pytest.raises(InputError, match=r"elsewhere: .*one\.parquet has no measurements of kernel\(block, layout\)"):
        Elsewhere.read([file], SPACE)
