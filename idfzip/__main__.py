"""`python -m idfzip` is the command line."""

from idfzip.cli.main import main

main()
