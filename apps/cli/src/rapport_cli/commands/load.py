def load() -> None:
    """later"""
