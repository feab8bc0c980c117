"""Proximal policy optimisation for walks over knobs: Chameleon's agent (ICLR 2020, and its public code).

The networks are so small (about 2 000 weights) that plain arrays are faster than a framework, and their weights are one
vector that a strategy's state can carry.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_WIDTH, _HEAD, _SHARPNESS = 20, 3, 10.0  # Chameleon divides by 0.1


@dataclass(frozen=True)
class PPOSettings:
    """Chameleon's public code; the paper has clip .3 and entropy .1, as far as is known."""

    discount: float = 0.9
    gae: float = 0.99
    clip: float = 0.2
    entropy: float = 0.3
    value: float = 1.0
    learning_rate: float = 1e-3
    minibatch: int = 32
    gradient_steps: int = 3


class Episodes(NamedTuple):
    """Walks of e episodes over t steps; what comes after an episode's end is masked out.

    Attributes:
        states: float64[t, e, knobs]. actions: int64[t, e, knobs], 0 down, 1 stay, 2 up.
        rewards: float64[t, e]. alive: bool[t, e].
    """

    states: Floats
    actions: NDArray[np.int64]
    rewards: Floats
    alive: NDArray[np.bool_]


class Agent:
    """Policy and value network over a state of one number a knob, with Adam.

    Policy: two shared dense layers of 20, then for each knob two of 3 and a softmax over down, stay, up. Value: three
    dense layers of 20. All activations are tanh.

    Attributes:
        weights: float64[w], of both networks; changed in place.
        moments: float64[2, w], Adam's.
        updates: Adam's step count.
    """

    def __init__(self, knobs: int, rng: np.random.Generator, settings: PPOSettings = PPOSettings()) -> None:
        self.settings = settings
        self._shapes = {
            "p1": (knobs, _WIDTH), "q1": (_WIDTH,), "p2": (_WIDTH, _WIDTH), "q2": (_WIDTH,),
            "h1": (knobs, _WIDTH, _HEAD), "g1": (knobs, _HEAD), "h2": (knobs, _HEAD, _HEAD), "g2": (knobs, _HEAD),
            "h3": (knobs, _HEAD, _HEAD), "g3": (knobs, _HEAD),
            "v1": (knobs, _WIDTH), "u1": (_WIDTH,), "v2": (_WIDTH, _WIDTH), "u2": (_WIDTH,),
            "v3": (_WIDTH, _WIDTH), "u3": (_WIDTH,), "v4": (_WIDTH, 1), "u4": (1,),
        }  # fmt: skip
        self.weights = np.concatenate([_glorot(name, shape, rng) for name, shape in self._shapes.items()])
        self.moments = np.zeros((2, len(self.weights)))
        self.updates = 0
        self._w = self._views(self.weights)

    def _views(self, vector: Floats) -> dict[str, Floats]:
        """The named arrays of a weight vector."""
        views, at = {}, 0
        for name, shape in self._shapes.items():
            size = prod(shape)
            views[name] = vector[at : at + size].reshape(shape)
            at += size
        return views

    # --- the networks

    def log_policy(self, states: Floats) -> Floats:
        """Log-probability of down, stay, up: float64[n, knobs] -> float64[n, knobs, 3]."""
        return self._policy(self._w, states)[0].swapaxes(0, 1)

    def values(self, states: Floats) -> Floats:
        """Expected return: float64[n, knobs] -> float64[n]."""
        return self._value(self._w, states)[0]

    def act(self, states: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draws an action for each knob: float64[n, knobs] -> int64[n, knobs]."""
        log = self.log_policy(states)
        return np.argmax(log + rng.gumbel(size=log.shape), axis=2)

    @staticmethod
    def _policy(w: dict[str, Floats], x: Floats) -> tuple[Floats, tuple[Floats, ...]]:
        """Log-probabilities float64[knobs, n, 3], and the activations; heads come first, for batched products."""
        a = np.tanh(x @ w["p1"] + w["q1"])
        b = np.tanh(a @ w["p2"] + w["q2"])
        c = np.tanh(b @ w["h1"] + w["g1"][:, None])
        d = np.tanh(c @ w["h2"] + w["g2"][:, None])
        logits = _SHARPNESS * d @ w["h3"] + w["g3"][:, None]
        logits -= logits.max(axis=2, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=2, keepdims=True)), (a, b, c, d)

    @staticmethod
    def _value(w: dict[str, Floats], x: Floats) -> tuple[Floats, tuple[Floats, ...]]:
        a = np.tanh(x @ w["v1"] + w["u1"])
        b = np.tanh(a @ w["v2"] + w["u2"])
        c = np.tanh(b @ w["v3"] + w["u3"])
        return (c @ w["v4"] + w["u4"])[:, 0], (a, b, c)

    # --- learning

    def learn(self, episodes: Episodes, rng: np.random.Generator) -> None:
        """`gradient_steps` minibatches for each episode, on advantages standardised over all of them."""
        s = self.settings
        alive = episodes.alive
        shape = alive.shape
        states, actions = episodes.states[alive], episodes.actions[alive]
        values = np.zeros(shape)
        values[alive] = self.values(states)
        advantages = advantages_of(episodes.rewards, values, alive, s.discount, s.gae)
        returns = (advantages + values)[alive]
        advantage = advantages[alive]
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        old = chosen(self.log_policy(states), actions)
        for _ in range(s.gradient_steps * shape[1]):
            rows = rng.integers(len(states), size=min(s.minibatch, len(states)))
            gradient = self.gradient(states[rows], actions[rows], old[rows], advantage[rows], returns[rows])[1]
            self._adam(gradient)

    def gradient(
        self, x: Floats, actions: NDArray[np.int64], old: Floats, advantage: Floats, returns: Floats
    ) -> tuple[float, Floats]:
        """The clipped loss of a minibatch and its gradient by the weights: float, float64[w].

        Loss: -mean(min(r A, clip(r) A)) + value mean((V - R)^2) / 2 - entropy x mean entropy of a knob's action,
        r the ratio of the probabilities of all knobs' actions together.
        """
        s, n, w = self.settings, len(x), self._w
        out = np.empty_like(self.weights)  # every part is written
        g = self._views(out)

        log, (a, b, c, d) = self._policy(w, x)
        p = np.exp(log)
        ratio = np.exp(chosen(log.swapaxes(0, 1), actions) - old)
        clipped = np.clip(ratio, 1 - s.clip, 1 + s.clip)
        surrogate = np.minimum(ratio * advantage, clipped * advantage)
        entropy = -(p * log).sum(axis=2)
        inside = ratio * advantage <= clipped * advantage
        by_log = np.where(inside, -ratio * advantage, 0.0) / n
        by_logits = by_log[:, None] * (np.eye(3)[actions.T] - p)
        by_logits += s.entropy / entropy.size * p * (log + entropy[..., None])

        g["h3"][...] = _SHARPNESS * d.swapaxes(1, 2) @ by_logits
        g["g3"][...] = by_logits.sum(axis=1)
        by_d = by_logits @ w["h3"].swapaxes(1, 2) * (_SHARPNESS * (1 - d**2))
        g["h2"][...] = c.swapaxes(1, 2) @ by_d
        g["g2"][...] = by_d.sum(axis=1)
        by_c = by_d @ w["h2"].swapaxes(1, 2) * (1 - c**2)
        g["h1"][...] = b.T @ by_c
        g["g1"][...] = by_c.sum(axis=1)
        by_b = (by_c @ w["h1"].swapaxes(1, 2)).sum(axis=0) * (1 - b**2)
        _dense(g, "p2", "q2", a, by_b)
        _dense(g, "p1", "q1", x, (by_b @ w["p2"].T) * (1 - a**2))

        value, (a, b, c) = self._value(w, x)
        error = value - returns
        by_value = (s.value * error / n)[:, None]
        _dense(g, "v4", "u4", c, by_value)
        by_c = (by_value @ w["v4"].T) * (1 - c**2)
        _dense(g, "v3", "u3", b, by_c)
        by_b = (by_c @ w["v3"].T) * (1 - b**2)
        _dense(g, "v2", "u2", a, by_b)
        _dense(g, "v1", "u1", x, (by_b @ w["v2"].T) * (1 - a**2))
        loss = -surrogate.mean() + s.value * (error**2).mean() / 2 - s.entropy * entropy.mean()
        return float(loss), out

    def _adam(self, gradient: Floats, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-5) -> None:
        self.updates += 1
        self.moments[0] = b1 * self.moments[0] + (1 - b1) * gradient
        self.moments[1] = b2 * self.moments[1] + (1 - b2) * gradient**2
        first, second = self.moments[0] / (1 - b1**self.updates), self.moments[1] / (1 - b2**self.updates)
        self.weights -= self.settings.learning_rate * first / (np.sqrt(second) + eps)


def chosen(log: Floats, actions: NDArray[np.int64]) -> Floats:
    """Log-probability of the actions of all knobs: float64[n, knobs, 3], int64[n, knobs] -> float64[n]."""
    return np.take_along_axis(log, actions[..., None], axis=2)[..., 0].sum(axis=1)


def advantages_of(rewards: Floats, values: Floats, alive: NDArray[np.bool_], discount: float, gae: float) -> Floats:
    """Generalised advantage estimates; after an episode's end there is nothing more to gain: float64[t, e], 0 there."""
    out = np.zeros_like(rewards)
    ahead, value_ahead = np.zeros(rewards.shape[1]), np.zeros(rewards.shape[1])
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + discount * value_ahead - values[t]
        ahead = np.where(alive[t], delta + discount * gae * ahead, 0.0)
        value_ahead = np.where(alive[t], values[t], 0.0)
        out[t] = ahead
    return out


def _dense(g: dict[str, Floats], weight: str, bias: str, inputs: Floats, by_output: Floats) -> None:
    g[weight][...] = inputs.T @ by_output
    g[bias][...] = by_output.sum(axis=0)


def _glorot(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Glorot-uniform weights and zero biases, flat."""
    if name[0] in "qgu":
        return np.zeros(prod(shape))
    limit = np.sqrt(6 / (shape[-1] + shape[-2]))
    return rng.uniform(-limit, limit, prod(shape))
