def watch() -> None:
    """later"""
