"""Plugins: from entry points to the calls of a request.

`discovery` finds and loads them, `registry` checks them against the hooks, `order` sorts them, `hooks` calls them.
"""
