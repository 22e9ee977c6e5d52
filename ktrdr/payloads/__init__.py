"""What is stored, sent to a worker, served and printed: pydantic models and nothing else."""
