"""Run a study: driver, tasks, resuming, dvc.lock, verification, publication, remote reading."""
