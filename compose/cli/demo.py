"""placeholder"""
def demo() -> int:
    """Demo."""
    return 2
