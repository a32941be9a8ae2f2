"""What is kept on the disk: artifacts and their records, the state of jobs, the ledger
of what was paid for, the log of runs, and locks."""
