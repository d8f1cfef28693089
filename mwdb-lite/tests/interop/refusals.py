"""What the scripts beside this one share."""


def refused(error, call, *args, **kwargs):
    """Fails unless the call raises exactly this error."""
    try:
        call(*args, **kwargs)
    except error as raised:
        assert type(raised) is error, f"{type(raised)} instead of {error}"
        return
    raise AssertionError(f"{call} was not refused with {error}")
