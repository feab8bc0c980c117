import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raydgp import Conv2d, config_space
from raydgp.errors import ModelError
from raydgp.surrogates.encoding import Encoding, relative

SPACE = config_space(Conv2d(n=1, ci=64, h=14, w=14, co=32, kh=3, kw=3, padding=(1, 1)), "cuda")
INDICES = SPACE.sample(400, np.random.default_rng(0))
FEATURES = SPACE.features(INDICES)
LABELS = np.random.default_rng(1).random(400)
ENCODING = Encoding.fit(SPACE.feature_names, FEATURES, LABELS)


def test_source_is_standardised():
    encoded = ENCODING.features(FEATURES)
    constant = FEATURES.std(axis=0) == 0
    np.testing.assert_allclose(encoded.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(encoded.std(axis=0)[~constant], 1, atol=1e-5)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(ENCODING.labels(LABELS).mean(), 0, atol=1e-6)


def test_factors_are_logarithms_and_unroll_steps_are_positions():
    by_name = dict(zip(SPACE.feature_names, ENCODING.features(FEATURES).T, strict=True))
    raw = dict(zip(SPACE.feature_names, FEATURES.T, strict=True))
    assert np.corrcoef(by_name["tile_f.0"], np.log2(raw["tile_f.0"]))[0, 1] == pytest.approx(1, abs=1e-6)
    position = np.searchsorted([0, 512, 1500], raw["auto_unroll_max_step"])
    assert np.corrcoef(by_name["auto_unroll_max_step"], position)[0, 1] == pytest.approx(1, abs=1e-6)


def test_another_space_of_the_template_keeps_the_source_statistics():
    other = config_space(Conv2d(n=1, ci=128, h=7, w=7, co=512, kh=3, kw=3, padding=(1, 1)), "cuda")
    rows = other.features(other.sample(50, np.random.default_rng(0)))
    again = np.concatenate([rows, FEATURES])
    np.testing.assert_array_equal(ENCODING.features(again)[:50], ENCODING.features(rows))


def test_options_the_source_never_saw_lie_between_their_neighbours():
    encoding = Encoding.fit(("a", "b"), np.array([[0, 1], [512, 2]], np.float32), np.zeros(2))
    low, unseen, high = encoding.features(np.array([[0, 1], [256, 1], [4000, 1]], np.float32))[:, 0]
    assert low < unseen < high


def test_json_way_and_back():
    assert Encoding.from_dict(ENCODING.to_dict()) == ENCODING


@pytest.mark.parametrize("damage", [{"mean": None}, {"std": ["x"]}, {"names": ["one"]}, {"label_std": None}])
def test_damaged_normalisation_is_refused(damage):
    with pytest.raises(ModelError):
        Encoding.from_dict(ENCODING.to_dict() | damage)


def test_another_number_of_columns_is_refused():
    with pytest.raises(ModelError, match="20 features"):
        ENCODING.features(FEATURES[:, :14])


@given(st.lists(st.tuples(st.floats(0, 1e5), st.booleans()), min_size=1))
def test_labels_are_shares_of_the_best_that_ran(rows):
    gflops, valid = (np.array(column) for column in zip(*rows, strict=True))
    labels = relative(gflops, valid)
    assert (labels[~valid] == 0).all()
    assert labels.min() >= 0
    assert labels.max() == (1 if (gflops * valid).max() > 0 else 0)
    assert relative(gflops, valid, best=2e5).max() <= 0.5
