"""The networks: recurrent cells and their variants, layers with a head, and the linear map of a forecaster."""
