"""Where the metrics of a tuning job are: contexts and TensorBoards, and the points of their time series."""
