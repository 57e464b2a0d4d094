"""Ids of orders: short enough to be typed, and never the same twice."""

from __future__ import annotations

import base64
import secrets

from sniperforge.domain.ids import OrderId


def new_order_id() -> OrderId:
    """`o` and 11 letters and digits: 55 random bits."""
    return OrderId("o" + base64.b32encode(secrets.token_bytes(7)).decode().lower()[:11])
