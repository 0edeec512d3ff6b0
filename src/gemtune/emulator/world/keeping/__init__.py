"""The state file: what outlives the process, and how a file is written whole and held by one process."""
