"""Surfaces: HTTP in and out, one module for each API.

Rule: a surface reads bytes from a client, hands them to the engine and sends what the engine answers; it calls no
hook and decides nothing. Litestar is known here and in `chatproxy.app` only.
"""
