"""Training as a Spark application while an open alert calls for it; its options are those of `wattcast retrain`."""

from wattcast.cli import program
from wattcast.cli.models.retrain import main

if __name__ == "__main__":
    program.run(main, "retrain")
