"""Everything below `artifacts/`: artifacts and their records, the state of jobs, the
ledger of paid requests, the log of runs, and locks."""
