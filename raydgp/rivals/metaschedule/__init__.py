"""TVM's own tuner, as a baseline."""
