"""`rapport demo`: the whole platform on its own data, from a survey answer to a verdict and a message."""
