"""What is kept on the disk: artifacts, records, unfinished jobs, runs, locks."""
