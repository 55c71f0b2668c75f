"""What is made here for other programs: the client's wheel, the schemas of what is sent and answered."""
