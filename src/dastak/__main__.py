"""Run the command as `python -m dastak`."""

from dastak.cli import main

if __name__ == "__main__":
    main()
