"""Other tuners' logs as records."""
