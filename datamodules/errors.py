"""The one exception the data tools raise for a fault the user can mend."""


class DataError(Exception):
    """A fault in the data or its settings, told in one sentence naming the value and the knob."""
