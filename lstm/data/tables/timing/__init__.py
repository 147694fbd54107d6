"""Times of a table: the formats they are written in, their zones, the steps between them, and open hours."""
