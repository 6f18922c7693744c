"""What both clients stand on: requests, deadlines, retries, server-sent events and errors, each written once.

``flow`` says what happens in an exchange, without doing it; ``blocking`` and ``awaiting`` do it, with httpx.
"""
