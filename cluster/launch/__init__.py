"""Launch a sweep on a system that gives out nodes, such as Slurm or Kubernetes."""
