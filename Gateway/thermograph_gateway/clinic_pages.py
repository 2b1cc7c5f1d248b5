"""Who asks to be called, and how long captures took."""

from __future__ import annotations

from flask import Flask, Response, redirect, render_template, request, url_for

from .calls import called, earlier_calls, open_calls
from .pages import Answer, Pages, signed_in, who
from .times import DAYS, as_json, distributions, duration, picture
from .witness import devices


def clinic_routes(app: Flask, pages: Pages) -> None:
    catalogue = pages.catalogue

    @app.get("/calls")
    @signed_in()
    def calls() -> Answer:
        pages.refresh()
        waiting, total = open_calls(catalogue)
        pages.audit("calls")
        return render_template("calls.html", calls=waiting, calling=total, earlier=earlier_calls(catalogue))

    @app.post("/calls/<call_id>/called")
    @signed_in()
    def take_off(call_id: str) -> Answer:
        row = called(catalogue, call_id[:64], request.form.get("presses", ""), who().user)
        catalogue.ledger.audit(who().user, "called", row["site"], row["patient_ref"], detail=f"device {row['device']}")
        return redirect(url_for("worklist"))

    @app.get("/devices")
    @signed_in()
    def devices_page() -> Answer:
        return render_template("devices.html", devices=devices(catalogue))

    @app.get("/times")
    @signed_in()
    def times() -> Answer:
        pages.refresh()
        site = request.args.get("site", "")[:36]
        found = distributions(catalogue, site)
        return render_template(
            "times.html", found=[(one, picture(one)) for one in found], days=DAYS, duration=duration,
            sites=catalogue.sites(), site=site,
        )  # fmt: skip

    @app.get("/times.json")
    @signed_in()
    def times_json() -> Answer:
        found = distributions(catalogue, request.args.get("site", "")[:36])
        return Response(as_json(found), mimetype="application/json")
