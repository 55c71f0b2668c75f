"""What is true once a step has succeeded, told without looking again."""
