"""The one error that a user's input may end in: a line that says what is wrong, where, and what to do about it."""


class UserError(ValueError):
    """Something the user gave cannot be used. The message is one line: what, where, remedy."""
