"""What goes wrong, told to a person: what, where, what was expected, what to do."""


class GatewayError(Exception):
    """A fault that a person can mend; its text is shown as it is."""


class RecordRefused(GatewayError):
    """A record that is not shown, with the reason."""


class ImageRefused(GatewayError):
    """An image that is not shown, with the reason."""


class ImageDropped(ImageRefused):
    """An image that the far side kept for a while only; nothing is wrong with it."""


class StoreUnavailable(GatewayError):
    """The gateway's database does not answer; trying again may help."""


class StoreConflict(GatewayError):
    """A row that must be unique is there already, or may not be changed."""
