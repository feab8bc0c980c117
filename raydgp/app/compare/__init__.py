"""Strategies beside each other, on recorded spaces and live."""
