"""Rules of the check ``pii``, a module for each kind of data."""
