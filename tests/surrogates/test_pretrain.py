import numpy as np
import pytest

from raydgp import Dense, config_space
from raydgp.errors import InputError
from raydgp.surrogates.history import History, Measured
from raydgp.surrogates.pretrain import pretrain
from raydgp.surrogates.ranking import ranking


def test_a_left_out_task_is_ranked_well(pretrained):
    assert pretrained.held_out.by == "task"
    assert pretrained.held_out.spearman > 0.7
    assert 0.7 < pretrained.held_out.ndcg <= 1
    assert (pretrained.records, pretrained.tasks) == (240, 3)


def test_invalid_configurations_are_ranked_low(pretrained, toy):
    features, _, valid = toy.measured(300, 11)
    predicted = pretrained.model.predict(features)
    assert predicted[~valid].mean() < predicted[valid].mean() - 0.2


def test_the_scale_of_a_task_does_not_matter(history, toy):
    scaled = History(toy.names, history.features, history.gflops * (1 + history.task), history.valid, history.task)
    np.testing.assert_allclose(scaled.labels(), history.labels())


def test_of_two_tasks_points_are_left_out(history, toy):
    result = pretrain(toy.kind, history.rows(history.task < 2), toy.settings)
    assert result.held_out.by == "point"
    assert result.held_out.spearman > 0.5


def test_ranking_is_perfect_for_the_labels_themselves(history):
    class Oracle:
        def predict(self, features):
            return history.gflops / 1000

    spearman, ndcg = ranking(Oracle(), history.rows(history.task >= 0))
    assert spearman == pytest.approx(1)
    assert ndcg == pytest.approx(1)


@pytest.mark.parametrize("keep", [0, 1])
def test_too_little_history_is_refused(history, keep, toy):
    with pytest.raises(InputError, match="measure more"):
        pretrain(toy.kind, history.rows(np.arange(len(history)) < keep), toy.settings)


def test_history_of_spaces_keeps_the_tasks_apart():
    spaces = [config_space(Dense(n=1, k=k, m=64), "cuda") for k in (64, 128)]
    rows = [np.arange(space.size) for space in spaces]
    tasks = [Measured(s, i, i.astype(float) + 1, np.ones(len(i), bool)) for s, i in zip(spaces, rows, strict=True)]
    history = History.of(tasks)
    assert len(history) == spaces[0].size + spaces[1].size
    assert np.bincount(history.task).tolist() == [spaces[0].size, spaces[1].size]
    assert history.labels().max() == history.labels()[spaces[0].size - 1] == 1


def test_history_of_different_templates_is_refused():
    one = config_space(Dense(n=1, k=64, m=64), "cuda")
    other = config_space(Dense(n=64, k=64, m=64), "cuda")
    tasks = [Measured(space, np.array([0]), np.ones(1), np.ones(1, bool)) for space in (one, other)]
    with pytest.raises(InputError, match="layouts"):
        History.of(tasks)
    with pytest.raises(InputError, match="layouts"):
        History.of([])
