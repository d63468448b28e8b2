"""The sub-commands, one module each; `cli.py` has the table of them."""
