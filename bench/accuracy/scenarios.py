"""What a model is evaluated and analysed under."""

from model import make_outliers

SCENARIOS = {"plain": (0.0, 0), "sink": (12.0, 0), "outliers": (0.0, 6), "severe": (0.0, 12)}  # name: (sink in nats, exponent)


def prepare(model, name):
    """Gives the model the scenario's outliers; returns its sink in nats."""
    nats, exponent = SCENARIOS[name]
    make_outliers(model, exponent)
    return nats
