"""The models of `artifacts/` as models of Inspect: `--model motools/...`."""
