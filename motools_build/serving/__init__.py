"""Serves the models in `artifacts/` to Inspect, as `--model motools/...`."""
