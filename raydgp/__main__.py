"""`python -m raydgp` is the command line."""

from raydgp.cli import main

main()
