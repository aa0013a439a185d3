"""`python -m protoviz`: the command line."""

from protoviz.cli.main import main

if __name__ == "__main__":
    main()
