import numpy as np

from raydgp.search.ppo import Agent, Episodes, PPOSettings, advantages_of, chosen


def batch(agent, knobs, n=7, seed=1):
    rng = np.random.default_rng(seed)
    x, actions = rng.random((n, knobs)), rng.integers(3, size=(n, knobs))
    old = chosen(agent.log_policy(x), actions) + 0.3 * rng.normal(size=n)  # ratios on both sides of the clip
    return x, actions, old, rng.normal(size=n), rng.normal(size=n)


def test_the_gradient_equals_finite_differences():
    rng = np.random.default_rng(0)
    agent = Agent(4, rng)
    data = batch(agent, 4)
    gradient = agent.gradient(*data)[1]
    for at in rng.choice(len(agent.weights), 150, replace=False):
        kept, sides = agent.weights[at], []
        for delta in (1e-6, -1e-6):
            agent.weights[at] = kept + delta
            sides.append(agent.gradient(*data)[0])
        agent.weights[at] = kept
        assert abs((sides[0] - sides[1]) / 2e-6 - gradient[at]) < 1e-6 + 1e-4 * abs(gradient[at])


def test_the_policy_is_a_distribution_and_actions_follow_it():
    rng = np.random.default_rng(2)
    agent = Agent(3, rng)
    x = rng.random((1, 3))
    p = np.exp(agent.log_policy(x))[0]
    assert np.allclose(p.sum(axis=1), 1)
    actions = agent.act(np.repeat(x, 20_000, axis=0), rng)
    for knob in range(3):
        assert np.abs(np.bincount(actions[:, knob], minlength=3) / 20_000 - p[knob]).max() < 0.02


def test_advantages_equal_their_definition():
    rng = np.random.default_rng(3)
    lengths = [5, 1, 3]
    rewards, values = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    alive = np.arange(5)[:, None] < np.array(lengths)
    out = advantages_of(rewards, values, alive, 0.9, 0.7)
    for e, length in enumerate(lengths):
        ahead = [values[t + 1, e] if t + 1 < length else 0.0 for t in range(length)]
        delta = [rewards[t, e] + 0.9 * ahead[t] - values[t, e] for t in range(length)]
        for t in range(length):
            assert np.isclose(out[t, e], sum((0.9 * 0.7) ** (u - t) * delta[u] for u in range(t, length)))
        assert (out[length:, e] == 0).all()


def test_it_learns_to_go_up():
    """Reward for every knob moved up: after some episodes most actions are up."""
    rng = np.random.default_rng(4)
    agent = Agent(3, rng, PPOSettings(discount=0.0, entropy=0.01, learning_rate=1e-2))
    for _ in range(15):
        states = rng.random((10, 8, 3))
        actions = agent.act(states.reshape(-1, 3), rng).reshape(10, 8, 3)
        agent.learn(Episodes(states, actions, (actions == 2).mean(axis=2), np.ones((10, 8), bool)), rng)
    assert (agent.act(rng.random((500, 3)), rng) == 2).mean() > 0.8
