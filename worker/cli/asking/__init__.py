"""Tasks that are sent, and questions that are put with less; `calls` decides which."""
