"""The tests of raydgp; what several of them share is in `support`."""
