import numpy as np

from raydgp.search.niches import neighbourhoods, one_knob_away


def anything(indices):
    return np.ones(len(indices), bool)


def test_one_knob_away_is_each_other_option_of_each_knob(lattice):
    centre = int(lattice.from_digits(np.array([[3, 2, 1, 0]]))[0])
    found = lattice.digits(one_knob_away(lattice, centre))
    assert len(np.unique(found, axis=0)) == (lattice.radix - 1).sum()
    assert ((found != [3, 2, 1, 0]).sum(axis=1) == 1).all()


def test_centres_lie_apart_and_run_and_have_neighbours_left(lattice):
    told = lattice.from_digits(np.array([[0, 0, 0, 0], [0, 0, 1, 1], [5, 4, 6, 0], [3, 3, 3, 0]]))
    gflops = np.array([9.0, 8.0, 7.0, 0.0])
    around = neighbourhoods(lattice, told, gflops, anything, 4)
    assert [set(a) for a in around] == [set(one_knob_away(lattice, int(told[i]))) for i in (0, 2)]
    spent = one_knob_away(lattice, int(told[0]))
    around = neighbourhoods(lattice, told, gflops, lambda indices: ~np.isin(indices, spent), 1)
    assert set(around[0]) == set(one_knob_away(lattice, int(told[1]))) - set(spent)
