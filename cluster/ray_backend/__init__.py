"""Ray: how a cluster is joined, checked and watched, the actor that trains a trial, and Ray Tune over both."""
