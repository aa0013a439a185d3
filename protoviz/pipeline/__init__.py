"""Running a study: driver, tasks, resume, dvc.lock, verification, publication, remote reading."""
