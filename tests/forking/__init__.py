"""Processes of the tests, forked from servers that have imported what they need.

A command's process spends most of its time on imports: half a second for doit and this
package, more for openai, and three seconds in a worker that runs Inspect. A session of
pytest has two servers, one a kind of process, which import once and fork the rest:

- `commands`: `python -W error -m doit ...`, for `Project.doit`;
- `workers`: `python -m motools_build.running.worker`, for the runs of a project. They
  reach it over the launcher `forked`, which `registered/` adds as any package would.

What is forked runs the same code from there on: the same `main`, with a folder, an
environment, descriptors and an exit code of its own. Two things it cannot have. One is
what Python reads as it starts, so that a request whose PYTHON* variables or locale
differ from the server's is refused, and gets a real process. PYTHONPATH is an exception:
the process takes on another one, if it leads to this repository. The other is an end at
which all that the server imported is taken apart, so that objects left in modules are
not told of.

`Project.start`, whose processes are killed and sent signals, starts real ones. So does
all in tests that are marked `real_process`: those of deaths, and of the main job.
"""
