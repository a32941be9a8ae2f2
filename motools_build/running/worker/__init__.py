"""`python -m motools_build.running.worker`: heavy stages, in a process of their own."""
