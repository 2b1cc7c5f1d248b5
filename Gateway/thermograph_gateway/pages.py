"""What every page needs: who looks, forms that came from here, the audit, what is new."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, cast

from flask import abort, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from .accounts import Accounts, Login
from .answers import follow_corrections
from .catalogue import Catalogue, Entry
from .errors import GatewayError, StoreUnavailable
from .incoming import Incoming
from .readings import reading_of

REFRESH_SECONDS = 2.0

P = ParamSpec("P")
Answer = str | BaseResponse | tuple[str, int]


class Pages:
    """The routes over one catalogue."""

    def __init__(self, catalogue: Catalogue, accounts: Accounts, clock: Callable[[], float], secure: bool) -> None:
        self.catalogue = catalogue
        self.accounts = accounts
        self._clock = clock
        self.secure = secure
        self._fresh = 0.0
        self._refreshing = threading.Lock()
        self.incoming = Incoming(catalogue)
        # Why what is new could not be taken in the last time.
        self.refresh_fault = ""

    def refresh(self) -> None:
        """Takes in what is new, at most every two seconds and by one request at a time. A fault leaves the rest to be read."""
        if self._clock() - self._fresh < REFRESH_SECONDS or not self._refreshing.acquire(blocking=False):
            return
        try:
            self.catalogue.refresh()
            self.catalogue.take_device_corrections()
            self.incoming.take()
            follow_corrections(self.catalogue)
            self.refresh_fault = ""
        except StoreUnavailable:
            raise
        except GatewayError as error:
            self.refresh_fault = str(error)
        finally:
            self._fresh = self._clock()
            self._refreshing.release()

    def audit(self, action: str, entry: Entry | None = None, detail: str = "") -> None:
        """Who looked at whom; nothing is shown when it cannot be written."""
        self.catalogue.ledger.audit(
            who().user,
            action,
            entry.record.site if entry else "",
            entry.patient_ref if entry else "",
            entry.capture_id if entry else "",
            detail[:500],
        )

    def entry(self, capture_id: str) -> Entry:
        found = self.catalogue.entry(capture_id)
        if found is None:
            abort(404, "There is no such capture here; it may have been withdrawn.")
        return found

    def has_read(self, entry: Entry) -> bool:
        return reading_of(self.catalogue, entry.capture_id, who().user) is not None


def who() -> Login:
    return cast(Login, g.login)


def signed_in(role: str = "") -> Callable[[Callable[P, Answer]], Callable[P, Answer]]:
    """Only for those who are in, and for `role` where one is named; forms need their token."""

    def decorate(function: Callable[P, Answer]) -> Callable[P, Answer]:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Answer:
            if g.login is None:
                return redirect(url_for("login"))
            if role and who().role != role:
                abort(403, f"This page is for the role {role}.")
            if request.method == "POST" and not hmac.compare_digest(request.form.get("csrf", "").encode(), who().csrf.encode()):
                abort(403, "The form did not come from this page, or it is too old: open the page again.")
            return function(*args, **kwargs)

        return guarded

    return decorate
