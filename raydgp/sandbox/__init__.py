"""Child processes, the messages to them, and what the machine says of itself. Loads no TVM."""
