"""`python -m raydgp.bundle.runner BUNDLE --out FILE --minutes M`; of a packed script, `python SCRIPT` with the same."""

from raydgp.bundle.runner.command import main

if __name__ == "__main__":
    main()
