"""Fork servers: processes of tests are forked from servers that have done the imports.

A command's process spends most of its time on imports: half a second for doit and this
package, more for openai, and three seconds in a worker that runs Inspect. A session of
pytest has two servers, one for each kind of process, which import once and then fork;
all processes of pytest-xdist ask the same two:

- `commands`: `python -W error -m doit ...`, for `Project.doit`;
- `workers`: `python -m motools_build.running.worker`, for the runs of a project. They
  reach the server by the launcher `forked`, which `registered/` adds as any package
  would.

A forked process runs the same code as a real one: the same `main`, with its own folder,
environment, descriptors and exit code. It differs in two ways. It did not start with
the request's environment, so a request whose PYTHON* variables or locale differ from
the server's is refused, and gets a real process; but it takes on another PYTHONPATH,
if that leads to this repository. And at its end the interpreter is not
torn down, so Python does not warn of objects left open in modules.

`Project.start` starts real processes, because tests kill them and send them signals. So
do all tests that are marked `real_process`: those of deaths, and of the main job.
"""
