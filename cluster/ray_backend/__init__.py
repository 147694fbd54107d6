"""Ray: joining, checking and watching a cluster, the actor that trains trials, and Ray Tune over both."""
