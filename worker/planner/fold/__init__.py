"""What is true once a step has succeeded, worked out without looking again."""
