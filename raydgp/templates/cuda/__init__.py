"""The papers' templates for NVIDIA GPUs."""
