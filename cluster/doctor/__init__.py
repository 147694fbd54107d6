"""What a cluster is like for a sweep: its hosts are asked, and each answer is judged."""
