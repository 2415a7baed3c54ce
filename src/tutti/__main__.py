"""`python -m tutti`: the command line, also under torchrun."""

from tutti.cli import main

if __name__ == "__main__":
    main()
