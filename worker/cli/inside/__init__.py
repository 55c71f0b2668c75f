"""What people do inside pods: read their output, run commands, copy files."""
