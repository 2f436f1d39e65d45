"""``python -m osakd``."""

from osakd.cli.main import run

if __name__ == "__main__":
    run()
