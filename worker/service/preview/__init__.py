"""What a change of a pod would do, shown without doing it."""
