"""The reader's page: works without scripts, asks nothing of other hosts, tells the audit who looked at whom."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, abort, g, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException

from . import HEALTHY_LEFT_RIGHT, INTENDED_USE, __version__
from .accounts import ROLES, Accounts
from .answers import STATE_WORDS, STATES, AnswerChanged, answer, answers_of, check, follow_corrections, latest
from .calls import open_calls
from .catalogue import PAGE_ROWS, Catalogue, Entry, Filter
from .clinic_pages import clinic_routes
from .conditions import VIEW_WORDS, date_words, minute, sides, warnings
from .corrections import KINDS
from .errors import GatewayError, ImageRefused, StoreUnavailable
from .images import Window, false_colours, png, scale_picture
from .pages import Answer, Pages, signed_in, who
from .plots import Point, svg
from .readings import (
    CHOICES,
    agreements,
    lock,
    read_of_patient,
    reading_note,
    reading_of,
    typed_number,
)
from .record import OUTCOMES, VIEWS
from .report import report, trend
from .wording import sentinel_words, verdict_words

COOKIE = "thermograph_login"
FORM_COOKIE = "thermograph_form"
PICTURE_PIXELS = 320
FORM_BYTES_MAXIMUM = 64 * 1024
_POLICY = "; ".join(
    ("default-src 'none'", "img-src 'self'", "style-src 'self'", "script-src 'self'", "connect-src 'self'")
    + ("form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'")
)
# What a picture shows of the model is kept back until the reading is locked.
_BLINDED_KINDS = ("occlusion",)


def create_app(catalogue: Catalogue, *, secure: bool = False, clock: Callable[[], float] = time.time) -> Flask:
    """The WSGI application. `secure`: cookies only over TLS."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = FORM_BYTES_MAXIMUM
    app.config["MAX_FORM_MEMORY_SIZE"] = FORM_BYTES_MAXIMUM
    accounts = Accounts(catalogue.ledger, clock)
    pages = Pages(catalogue, accounts, clock, secure)
    app.jinja_env.globals.update(
        intended_use=INTENDED_USE, healthy_range=HEALTHY_LEFT_RIGHT, version=__version__, view_words=VIEW_WORDS,
        date_words=date_words, minute=minute, sides=sides,
        choices=CHOICES, states=STATES, state_words=STATE_WORDS, outcomes=OUTCOMES, views=VIEWS, roles=ROLES, kinds=KINDS,
    )  # fmt: skip
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.before_request
    def identify() -> None:
        token = request.cookies.get(COOKIE, "")
        g.login = accounts.login(token) if token and len(token) < 128 else None

    @app.context_processor
    def login_in_templates() -> dict[str, Any]:
        return {"login": g.get("login")}

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if not request.path.startswith("/static/"):
            response.headers["Cache-Control"] = "no-store"
        return response

    @app.errorhandler(HTTPException)
    def http_fault(error: HTTPException) -> tuple[str, int]:
        return render_template("fault.html", title=error.name, text=error.description or ""), error.code or 500

    @app.errorhandler(GatewayError)
    def own_fault(error: GatewayError) -> tuple[str, int]:
        return render_template("fault.html", title="Not done", text=str(error)), 422

    @app.errorhandler(StoreUnavailable)
    def database_fault(error: StoreUnavailable) -> tuple[str, int]:
        app.logger.error("%s", error)
        return render_template("fault.html", title="Not done", text="The database does not answer; try again."), 503

    _login_routes(app, pages)
    _reading_routes(app, pages)
    clinic_routes(app, pages)
    _picture_routes(app, pages)
    _administration_routes(app, pages)
    return app


def _login_routes(app: Flask, pages: Pages) -> None:
    accounts = pages.accounts

    def form(message: str, status: int) -> Response:
        token = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(32)
        response = Response(render_template("login.html", message=message, csrf=token), status=status)
        response.set_cookie(FORM_COOKIE, token, httponly=True, samesite="Strict", secure=pages.secure)
        return response

    @app.get("/login")
    def login() -> Answer:
        return form("", 200)

    @app.post("/login")
    def log_in() -> Answer:
        expected = request.cookies.get(FORM_COOKIE, "")
        if not expected or not hmac.compare_digest(expected.encode(), request.form.get("csrf", "").encode()):
            abort(403, "The form did not come from this page, or it is too old: open the page again.")
        name, address = request.form.get("name", "")[:64].strip().lower(), request.remote_addr or ""
        token = accounts.log_in(name, request.form.get("password", ""), address)
        if token is None:
            seconds = accounts.locked_seconds(name, address)
            pages.catalogue.ledger.audit(name, "login refused", detail=address)
            if seconds > 0:
                return form(f"Too many wrong passwords. Try again in {-(-seconds // 60)} minutes.", 429)
            return form("Name or password are wrong.", 403)
        pages.catalogue.ledger.audit(name, "login", detail=address)
        response = redirect(url_for("worklist"))
        response.set_cookie(COOKIE, token, httponly=True, samesite="Strict", secure=pages.secure)
        return response

    @app.post("/logout")
    @signed_in()
    def log_out() -> Answer:
        pages.audit("logout")
        accounts.log_out(request.cookies.get(COOKIE, ""))
        response = redirect(url_for("login"))
        response.delete_cookie(COOKIE)
        return response


def _reading_routes(app: Flask, pages: Pages) -> None:
    catalogue = pages.catalogue

    @app.get("/")
    @signed_in()
    def worklist() -> Answer:
        pages.refresh()
        query = request.args
        page = query.get("page", "0")
        wanted = Filter(
            site=query.get("site", "")[:36],
            view=query.get("view", "") if query.get("view") in VIEWS else "",
            outcome=query.get("outcome", "") if query.get("outcome") in OUTCOMES else "",
            failed_gates=query.get("failed") == "1",
            unread=query.get("unread") == "1",
            search=query.get("search", "")[:64],
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 0,
        )
        rows, total = catalogue.worklist(wanted, who().user)
        refused = catalogue.ledger.connection.execute("SELECT count(*) FROM refused").fetchone()[0]
        others = {name: value for name, value in query.items() if name != "page"}
        pages.audit("worklist", detail=json.dumps(others)[:500])
        calls, calling = open_calls(catalogue)
        return render_template(
            "worklist.html", fault=pages.refresh_fault, calls=calls, calling=calling,
            rows=rows, total=total, wanted=wanted, sites=catalogue.sites(), refused=refused,
            pages=-(-total // PAGE_ROWS), others=others,
        )  # fmt: skip

    @app.get("/refused")
    @signed_in()
    def refused() -> Answer:
        rows = catalogue.ledger.connection.execute("SELECT * FROM refused ORDER BY number DESC LIMIT 200").fetchall()
        return render_template("refused.html", rows=rows)

    @app.get("/patient/<site>/<ref>")
    @signed_in()
    def patient(site: str, ref: str) -> Answer:
        pages.refresh()
        entries = catalogue.patient(site, ref)
        if not entries:
            abort(404, "There is no such patient here.")
        pages.audit("patient", entries[-1])
        sessions: dict[str, list[Entry]] = {}
        for entry in entries:
            sessions.setdefault(entry.record.session_id, []).append(entry)
        plots = []
        for view in VIEWS:
            history = [entry for entry in entries if entry.record.view == view]
            points = trend(history)
            if points:
                title = f"Left minus right, {VIEW_WORDS[view]}, degC over time, {len(points)} captures"
                plots.append((title, svg(points, title), points))
            plots += _change_plots(history, VIEW_WORDS[view])
        has_read = read_of_patient(catalogue, site, ref, who().user)
        complete = {key for key, mine in sessions.items() if all(entry.capture_id in has_read for entry in mine)}
        return render_template(
            "patient.html", site=site, ref=ref, sessions=list(sessions.items())[::-1], plots=plots, has_read=has_read,
            complete=complete,
        )  # fmt: skip

    @app.get("/compare")
    @signed_in()
    def compare() -> Answer:
        entries = [pages.entry(value) for value in dict.fromkeys(request.args.getlist("id")[:8])]
        if not 2 <= len(entries) <= 4:
            abort(400, "Choose two to four captures to compare.")
        if len({(entry.record.site, entry.patient_ref, entry.record.view) for entry in entries}) != 1:
            abort(400, "Only captures of one patient and one view can be compared.")
        entries.sort(key=lambda entry: entry.record.utc_nanoseconds)
        for entry in entries:
            pages.audit("compare", entry)
        return _compare(pages, entries)

    @app.get("/capture/<capture_id>")
    @signed_in()
    def capture(capture_id: str) -> Answer:
        pages.refresh()
        entry = pages.entry(capture_id)
        pages.audit("capture", entry)
        return _capture(pages, entry, "", 200)

    @app.post("/capture/<capture_id>/reading")
    @signed_in()
    def read(capture_id: str) -> Answer:
        entry = pages.entry(capture_id)
        try:
            lock(catalogue, entry, who().user, request.form, request.form.get("note", ""))
        except GatewayError as error:
            return _capture(pages, entry, str(error), 422)
        pages.audit("reading", entry)
        return redirect(url_for("capture", capture_id=capture_id) + "#result")

    @app.post("/capture/<capture_id>/answer")
    @signed_in()
    def confirm_answer(capture_id: str) -> Answer:
        """Sends nothing yet: says what would go to whom."""
        entry = pages.entry(capture_id)
        state, note = request.form.get("state", ""), request.form.get("note", "")
        try:
            check(catalogue, entry, who().user, state, note)
        except StoreUnavailable:
            raise
        except GatewayError as error:
            return _capture(pages, entry, str(error), 422)
        pages.audit("answer asked", entry, state)
        standing = [a for a in answers_of(catalogue, entry) if a.id == latest(catalogue, capture_id)]
        return render_template("confirm.html", entry=entry, record=entry.record, state=state, note=note, standing=standing)

    @app.post("/capture/<capture_id>/answer/confirmed")
    @signed_in()
    def answer_it(capture_id: str) -> Answer:
        entry = pages.entry(capture_id)
        form = request.form
        try:
            if not hmac.compare_digest(form.get("record_sha256", "").encode(), entry.record.sha256.encode()) or (
                form.get("patient_ref") != entry.patient_ref
            ):
                raise AnswerChanged("the capture is not what it was when you chose your answer: look again, then answer")
            place = answer(catalogue, entry, who().user, form.get("state", ""), form.get("note", ""), form.get("seen", "")[:64])
        except StoreUnavailable:
            raise
        except GatewayError as error:
            return _capture(pages, entry, str(error), 409 if isinstance(error, AnswerChanged) else 422)
        pages.audit("answer", entry, place)
        return redirect(url_for("capture", capture_id=capture_id) + "#answer")

    @app.get("/agreement")
    @signed_in()
    def agreement() -> Answer:
        return render_template("agreement.html", rows=agreements(catalogue))


def _change_plots(history: list[Entry], view: str) -> list[tuple[str, str, list[Point]]]:
    """Change since the person's baseline, region by region, where the records have it."""
    regions: dict[str, list[Point]] = {}
    for entry in history:
        for region, value, _ in entry.record.changes:
            point = Point(entry.record.utc_nanoseconds, value, 0.0, entry.record.synchronised)
            regions.setdefault(region[:32], []).append(point)
    found = []
    for region, points in sorted(regions.items())[:6]:
        title = f"Change since baseline, {region}, {view}, degC over time; not a diagnosis"
        found.append((title, svg(points, title), points))
    return found


def _window() -> tuple[Window, str]:
    """The window that was asked for, the same for all pictures, and what was wrong with it."""
    low, high = (typed_number(request.args.get(name, "")) for name in ("low", "high"))
    if low is None and high is None and not (request.args.get("low") or request.args.get("high")):
        return Window(), ""
    try:
        if low is None or high is None:
            raise ImageRefused("the window's ends are two numbers in degC")
        return Window(low, high), ""
    except ImageRefused as refusal:
        return Window(), f"{refusal}; shown with 27 to 37"


def _compare(pages: Pages, entries: list[Entry]) -> Answer:
    window, message = _window()
    smooth = request.args.get("smooth") == "1"
    masters, faults = {}, {}
    for entry in entries:
        try:
            if entry.fault:
                raise ImageRefused(entry.fault)
            masters[entry.capture_id] = pages.catalogue.master(entry.record)
        except ImageRefused as refusal:
            faults[entry.capture_id] = str(refusal)
    place = _place({key: (master.columns, master.rows) for key, master in masters.items()})
    values: dict[str, float | None] = {}
    if place is not None:
        for key, master in masters.items():
            row, column = int(place[1] * master.rows), int(place[0] * master.columns)
            values[key] = master.celsius(row, column)
    left_right = svg(trend(entries), "Left minus right of these captures, degC, from the records") if trend(entries) else ""
    # Worked out by the device after its own registration; never by this page.
    differences = [entry for entry in entries if entry.record.image("change") is not None]
    shapes = {key: (master.columns, master.rows) for key, master in masters.items()}
    return render_template(
        "compare.html", entries=entries, faults=faults, window=window, smooth=smooth, message=message, place=place,
        values=values, warnings=warnings(entries), left_right=left_right, differences=differences, shapes=shapes,
        has_read=read_of_patient(pages.catalogue, entries[0].record.site, entries[0].patient_ref, who().user),
        pixels=PICTURE_PIXELS,
    )  # fmt: skip


def _place(shapes: dict[str, tuple[int, int]]) -> tuple[float, float] | None:
    """The place that was pointed at, as shares of width and height; None when nowhere."""
    query = request.args
    if not shapes:
        return None
    columns, rows = next(iter(shapes.values()))
    x, y = (typed_number(query.get(f"at.{axis}", "")) for axis in "xy")
    if x is not None and y is not None:
        share = (x / PICTURE_PIXELS, y / (PICTURE_PIXELS * rows / columns))
    else:
        column, row = (typed_number(query.get(name, "")) for name in ("column", "row"))
        if column is None or row is None:
            return None
        share = ((column - 0.5) / columns, (row - 0.5) / rows)
    return share if all(0 <= value < 1 for value in share) else None


def _capture(pages: Pages, entry: Entry, message: str, status: int) -> Answer:
    record = entry.record
    reading = reading_of(pages.catalogue, entry.capture_id, who().user)
    fault, shape = entry.fault, (32, 24)
    if not fault:
        try:
            master = pages.catalogue.master(record)
            shape = (master.columns, master.rows)
        except ImageRefused as refusal:
            fault = str(refusal)
    text = render_template(
        "capture.html", entry=entry, record=record, fault=fault, shape=shape, reading=reading, message=message,
        verdict=verdict_words(record) if reading else [], answers=answers_of(pages.catalogue, entry),
        note_of_reading=reading_note(pages.catalogue, entry, reading) if reading else "",
        answer_fault=pages.catalogue.source.answer_fault,
        watch=sentinel_words(record), warnings=warnings([entry]), pixels=PICTURE_PIXELS, window=Window(),
        shown=[i for i in record.images if i.kind in ("view", "change") or (reading and i.kind in _BLINDED_KINDS)],
    )  # fmt: skip
    return text, status


def _picture_routes(app: Flask, pages: Pages) -> None:
    catalogue = pages.catalogue

    @app.get("/picture/<capture_id>.png")
    @signed_in()
    def picture(capture_id: str) -> Answer:
        entry = pages.entry(capture_id)
        window, _ = _window()
        try:
            if entry.fault:
                raise ImageRefused(entry.fault)
            return Response(png(false_colours(catalogue.master(entry.record), window)), mimetype="image/png")
        except ImageRefused as refusal:
            abort(422, str(refusal))

    @app.get("/values/<capture_id>.json")
    @signed_in()
    def values(capture_id: str) -> Answer:
        entry = pages.entry(capture_id)
        try:
            if entry.fault:
                raise ImageRefused(entry.fault)
            master = catalogue.master(entry.record)
        except ImageRefused as refusal:
            abort(422, str(refusal))
        return Response(
            json.dumps({"columns": master.columns, "centikelvin": master.centikelvin.ravel().tolist()}),
            mimetype="application/json",
        )

    @app.get("/image/<capture_id>/<kind>.png")
    @signed_in()
    def image(capture_id: str, kind: str) -> Answer:
        entry = pages.entry(capture_id)
        if kind in _BLINDED_KINDS and not pages.has_read(entry):
            abort(403, "Lock your reading first; then what the model reacted to is shown.")
        try:
            if entry.fault:
                raise ImageRefused(entry.fault)
            return Response(catalogue.picture(entry.record, kind[:32])[1], mimetype="image/png")
        except ImageRefused as refusal:
            abort(422, str(refusal))

    @app.get("/scale.png")
    def scale() -> Answer:
        return Response(scale_picture(Window()), mimetype="image/png")

    def session(site: str, ref: str, session_id: str) -> tuple[list[Entry], list[Entry]]:
        entries = catalogue.patient(site, ref)
        mine = [entry for entry in entries if entry.record.session_id == session_id]
        if not mine:
            abort(404, "There is no such session here.")
        if not all(pages.has_read(entry) for entry in mine):
            abort(403, "The report shows the model's result: lock your reading of every capture of the session first.")
        pages.audit("report", mine[0])
        view, until = mine[0].record.view, mine[-1].record.utc_nanoseconds
        return mine, [e for e in entries if e.record.view == view and e.record.utc_nanoseconds <= until]

    @app.get("/report/<site>/<ref>/<session_id>.pdf")
    @signed_in()
    def report_pdf(site: str, ref: str, session_id: str) -> Answer:
        mine, history = session(site, ref, session_id)
        return Response(report(catalogue, mine, history), mimetype="application/pdf")

    @app.get("/report/<site>/<ref>/<session_id>")
    @signed_in()
    def report_html(site: str, ref: str, session_id: str) -> Answer:
        mine, history = session(site, ref, session_id)
        return report_page(mine, history, "")


def report_page(mine: list[Entry], history: list[Entry], picture_folder: str) -> str:
    """The report in HTML; without a folder of pictures they come from this server."""
    points = trend(history)
    title = f"Left minus right over time, {VIEW_WORDS[history[-1].record.view]}, from the records" if history else ""
    return render_template(
        "report.html", entries=mine, plot=svg(points, title) if points else "", words=verdict_words,
        pixels=PICTURE_PIXELS, window=Window(), folder=picture_folder,
    )  # fmt: skip


def _administration_routes(app: Flask, pages: Pages) -> None:
    catalogue, accounts = pages.catalogue, pages.accounts
    administrator = signed_in("administrator")

    @app.get("/administration")
    @administrator
    def administration() -> Answer:
        connection = catalogue.ledger.connection
        return render_template(
            "administration.html",
            users=accounts.users(),
            corrections=connection.execute("SELECT * FROM correction ORDER BY id DESC LIMIT 200").fetchall(),
            sites=catalogue.sites(),
        )

    @app.get("/audit")
    @administrator
    def audit() -> Answer:
        rows = catalogue.ledger.connection.execute("SELECT * FROM audit ORDER BY id DESC LIMIT 500").fetchall()
        return render_template("audit.html", rows=rows)

    @app.post("/administration/user")
    @administrator
    def change_user() -> Answer:
        name, what = request.form.get("name", "").strip().lower(), request.form.get("what", "")
        if what == "add":
            accounts.add(name, request.form.get("role", ""), request.form.get("password", ""))
        elif what == "password":
            accounts.set_password(name, request.form.get("password", ""))
        elif what in ("disable", "enable"):
            if name == who().user:
                raise GatewayError("you cannot keep yourself out")
            accounts.set_enabled(name, what == "enable")
        else:
            abort(400)
        pages.audit(f"user {what}", detail=name)
        return redirect(url_for("administration"))

    @app.post("/administration/correction")
    @administrator
    def correct() -> Answer:
        form = request.form
        kind, site, subject, target = (form.get(name, "").strip() for name in ("kind", "site", "subject", "target"))
        number = catalogue.correct(who().user, kind, site, subject, target, form.get("reason", "").strip())
        follow_corrections(catalogue)
        pages.audit(f"correction {kind}", detail=f"{number}: {site} {subject} {target}")
        return redirect(url_for("administration"))
