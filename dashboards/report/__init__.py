"""The report: HTML pages, figures, and the comparison of sweeps."""
