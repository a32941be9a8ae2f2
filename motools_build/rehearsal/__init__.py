"""An OpenAI-compatible server on this machine, with faults to order: a sweep can be
rehearsed with it, crashes and refusals included, at no cost.

    python -m motools_build.rehearsal --fault 'lost:on=POST /v1/files:probability=0.2'

Nothing is trained, nothing is kept: a job takes the seconds it is told to, a model
answers as a row of its training file does, and all is gone when the server ends.
"""
