"""From a model to a faster one: import, tasks, compiling with the best configurations, measuring the whole."""
