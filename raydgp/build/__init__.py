"""From a configuration to machine code."""
