"""The code of an eval's task: where it is installed, its arguments, what it reads."""
