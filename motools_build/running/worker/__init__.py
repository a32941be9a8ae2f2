"""The worker process, `python -m motools_build.running.worker`, for heavy stages."""
