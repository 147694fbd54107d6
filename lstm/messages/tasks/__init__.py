"""Messages about tasks, their data and what they predict; each subject is in a file of its own."""
