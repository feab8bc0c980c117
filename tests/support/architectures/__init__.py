"""Architectures as people bring them, small, with seeded weights: `ARCHITECTURES[name]()` gives module and inputs.

Each stands for a family: what its members are made of is here, in widths that compile in seconds.
"""

from tests.support.architectures import attention, convolutional, sequences, unusual
from tests.support.architectures.registration import ARCHITECTURES

__all__ = ["ARCHITECTURES", "attention", "convolutional", "sequences", "unusual"]
