"""What people do inside pods: read what they print, run commands, copy files."""
