"""What is found in an unknown table: columns, roles, seasons."""
