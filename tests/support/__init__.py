"""What several tests share: models, kernels and runs to test with, fakes, and processes of Python."""
