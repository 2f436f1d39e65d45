"""How fast it is: against an ordinary script, against itself, against what the machine can do."""
