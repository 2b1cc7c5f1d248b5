"""What devices tell beside captures: replies to answers, people who ask to be called, times. Each message is taken once."""

from __future__ import annotations

from .answers import take_replies
from .calls import SCHEMA as CALL_SCHEMA
from .calls import take_calls
from .catalogue import Catalogue
from .times import SCHEMA as TIMES_SCHEMA
from .times import take_times

SCHEMAS = (CALL_SCHEMA, TIMES_SCHEMA)
BATCH = 500
# One look takes so many batches; the rest waits for the next, so that a flood of messages keeps nobody from the page.
BATCHES_MAXIMUM = 20


class Incoming:
    """Takes messages into the ledger. Safe to use from one thread at a time."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._taken: set[str] | None = None

    def _known(self) -> set[str]:
        # Only a folder asks by key; a database looks itself, and its table may be large.
        if self._taken is None:
            rows = self._catalogue.ledger.connection.execute("SELECT source_key FROM taken")
            self._taken = {row["source_key"] for row in rows}
        return self._taken

    def take(self) -> int:
        """Takes what is new; how many messages that were."""
        ledger, count = self._catalogue.ledger, 0
        for _ in range(BATCHES_MAXIMUM):
            messages = self._catalogue.source.fresh(SCHEMAS, BATCH, lambda key: key in self._known())
            if not messages:
                break
            with ledger.transaction() as connection:
                connection.executemany(
                    "INSERT INTO taken (source_key) VALUES (?) ON CONFLICT DO NOTHING", [(message.key,) for message in messages]
                )
                take_replies(connection, messages)
                take_calls(connection, messages)
                take_times(connection, messages)
            if self._taken is not None:
                self._taken.update(message.key for message in messages)
            count += len(messages)
        return count
