"""Recorded measurements: made here, or read from other tuners."""
