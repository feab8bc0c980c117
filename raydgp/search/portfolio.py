"""The bar for whatever learns from other devices: measure in the order in which those would have it."""

from __future__ import annotations

from functools import cached_property

from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.search.elsewhere import ElsewhereOptions
from raydgp.space import Indices
from raydgp.surrogates.elsewhere import Elsewhere


class Portfolio(BookkeepingStrategy):
    """Configurations by their mean slow-down on other devices, the least first, and then uniform draws.

    Learns nothing from what it measures. Without measurements from elsewhere it draws from the beginning.
    """

    name = "portfolio"
    options_model = ElsewhereOptions
    options: ElsewhereOptions

    @cached_property
    def _ranked(self) -> Indices:
        return Elsewhere.read(self.options.elsewhere, self.space).ranked

    def propose(self, n: int) -> Indices:
        if not self.options.elsewhere:
            return self.draw(n)
        left = self._ranked[self.unvisited(self._ranked)][:n]
        return left if len(left) else self.draw(n)
