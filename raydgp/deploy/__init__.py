"""A user's model in, a faster model out: import, tasks, compilation, measurement of the whole."""
