"""How a figure earns its verdict: pure functions over integers, standard library and scipy.special only."""
