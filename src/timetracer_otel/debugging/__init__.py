"""A replayed lane under a debugger: forwards with pdb or debugpy, backwards by running it again from a fork."""
