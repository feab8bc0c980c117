"""Kernels built and timed in supervised child processes."""
