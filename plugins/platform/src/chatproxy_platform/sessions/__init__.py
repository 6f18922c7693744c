"""Conversations that are kept: begun, resumed, stored, listed, deleted."""
