"""The code of an eval's task: its package, its parameters, and the files it reads."""
