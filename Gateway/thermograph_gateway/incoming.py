"""What devices tell beside captures: replies to answers, people who ask to be called, times. Each message is taken once."""

from __future__ import annotations

from .answers import take_replies
from .calls import SCHEMA as CALL_SCHEMA
from .calls import take_calls
from .catalogue import Catalogue
from .ledger import Connection
from .source import DeviceMessage
from .times import SCHEMA as TIMES_SCHEMA
from .times import take_times

SCHEMAS = (CALL_SCHEMA, TIMES_SCHEMA)
BATCH = 500
# What a look of the page takes; the rest waits for the next one, two seconds later, so that a flood keeps nobody from the page.
BATCHES_OF_A_LOOK = 2


def _is_first(connection: Connection, message: DeviceMessage) -> bool:
    return connection.execute("INSERT INTO taken (source_key) VALUES (?) ON CONFLICT DO NOTHING", (message.key,)).rowcount == 1


class Incoming:
    """Takes messages into the ledger, each once however many threads and gateways look."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._taken: set[str] | None = None

    def _known(self) -> set[str]:
        # Only a folder asks by key; a database looks itself, and its table may be large.
        if self._taken is None:
            rows = self._catalogue.ledger.connection.execute("SELECT source_key FROM taken")
            self._taken = {row["source_key"] for row in rows}
        return self._taken

    def take(self, batches: int = BATCHES_OF_A_LOOK) -> int:
        """Takes what is new; how many messages that were."""
        ledger, count = self._catalogue.ledger, 0
        for _ in range(batches):
            messages = self._catalogue.source.fresh(SCHEMAS, BATCH, lambda key: key in self._known())
            if not messages:
                break
            with ledger.transaction() as connection:
                # Another thread or another gateway may have taken some since they were looked for.
                new = [message for message in messages if _is_first(connection, message)]
                take_replies(connection, new)
                take_calls(connection, new)
                take_times(connection, new)
            if self._taken is not None:
                self._taken.update(message.key for message in messages)
            count += len(messages)
        return count
