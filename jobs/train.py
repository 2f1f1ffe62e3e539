"""Training as a Spark application; its options are those of `wattcast train`."""

from wattcast.cli import program
from wattcast.cli.models.train import main

if __name__ == "__main__":
    program.run(main, "train")
