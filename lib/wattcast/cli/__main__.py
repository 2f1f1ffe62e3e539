"""`python -m wattcast.cli` runs the command `wattcast`."""

from wattcast.cli.main import main

if __name__ == "__main__":
    main()
