"""protoviz: how a network's features grow up, seen through the images that drive its units most."""

__version__ = "0.1.0"
