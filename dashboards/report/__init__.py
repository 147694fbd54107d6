"""The report: pages, figures, the comparison of sweeps."""
