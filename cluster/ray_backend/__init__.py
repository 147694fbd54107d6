"""Ray: how a cluster is joined, and the actor that trains a trial there."""
