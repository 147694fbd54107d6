"""What the sections `data` of several tasks share."""
