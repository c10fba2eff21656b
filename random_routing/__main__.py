"""`python -m random_routing`."""

from random_routing.commands.app import main

main()
