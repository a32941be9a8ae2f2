"""Where workers run: the protocol of launchers, the one for this machine, and how a
project chooses another."""
