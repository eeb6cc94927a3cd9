"""What every app stands on: AWS, errors, jobs, health, the permission decorator."""
