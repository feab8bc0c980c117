"""Templates for CPUs, on activations blocked by channels."""
