"""Addresses as people may see them."""

import pytest

from skk.errors import without_password


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:pa/ss@h:1/db", "postgresql://h:1/db"),
        ("http://me:pa://ss@h/v1", "http://h/v1"),
        ("http://me:pa@ss@h", "http://h"),
        ("http://me:pa?ss@h", "http://…"),
        ("http://me:pa#ss@h", "http://…"),
        ("http://h/v1?api-key=pa@ss", "http://…"),
        ("http://h/v1?api-key=pass", "http://h/v1"),
        ("http://h/v1#pass", "http://h/v1"),
        ("me:pa://ss@h/db", "h/db"),
        ("me:pass@h/db", "h/db"),
        ("host=h password=pass", "…"),
        ("https://h/v1;key=pass", "https://…"),
        ("https://h/v1", "https://h/v1"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("", ""),
    ],
)
def test_an_address_shows_no_password(address, shown):
    """All before the last "@" goes, and all behind "?"; where that is not clear, everything but the scheme."""
    assert shown == without_password(address)
