"""The reader's page, asked as a browser without scripts would, and as somebody who wants to break it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PASSWORD, Clinic, csrf
from tests.folders import Store, change_png, master_png, with_change
from thermograph_gateway.errors import GatewayError
from thermograph_gateway.readings import kappa
from thermograph_gateway.source import ReceiveFolder

Open = Callable[[], Clinic]


def some_captures(store: Store) -> list[str]:
    return [store.add(store.record("patient-1", day)) for day in range(3)]


def test_nobody_sees_anything_without_a_login(store: Store, opened: Open) -> None:
    capture = some_captures(store)[0]
    client = opened().app.test_client()
    of_capture = [f"/capture/{capture}", f"/picture/{capture}.png", f"/values/{capture}.json", f"/image/{capture}/view.png"]
    others = ["/", "/patient/clinic-a/patient-1", "/agreement", "/administration", "/audit", "/refused"]
    for path in [*of_capture, *others, f"/compare?id={capture}"]:
        answer = client.get(path)
        assert answer.status_code == 302, path
        assert answer.headers["Location"] == "/login"


def test_ten_wrong_passwords_lock_for_a_while(opened: Open) -> None:
    clinic = opened()
    client = clinic.app.test_client()
    token = client.get("/login").text.split('name="csrf" value="')[1].split('"')[0]

    def attempt(password: str) -> int:
        return client.post("/login", data={"csrf": token, "name": "reader-1", "password": password}).status_code

    assert [attempt("wrong") for _ in range(9)] == [403] * 9
    assert attempt("wrong") == 429
    assert attempt(PASSWORD) == 429, "the right password does not help while the lock holds"
    clinic.clock.now += 15 * 60 + 1
    assert attempt(PASSWORD) == 302


def test_a_reader_cannot_administer(opened: Open) -> None:
    client = opened().client("reader-1")
    assert client.get("/administration").status_code == 403
    assert client.get("/audit").status_code == 403
    answer = client.post(
        "/administration/user",
        data={"csrf": csrf(client), "what": "add", "name": "x", "role": "administrator", "password": PASSWORD},
    )
    assert answer.status_code == 403


def test_a_forged_form_is_refused(store: Store, opened: Open) -> None:
    capture = some_captures(store)[0]
    clinic = opened()
    client, other = clinic.client("reader-1"), clinic.client("reader-2")
    values = {"usable": "yes", "side": "none", "place": "none", "confidence": "3", "follow_up": "no"}
    for token in ("", "x", "é", csrf(other)):
        assert client.post(f"/capture/{capture}/reading", data={"csrf": token, **values}).status_code == 403
    assert clinic.catalogue.ledger.connection.execute("SELECT count(*) FROM reading").fetchone()[0] == 0
    assert (
        clinic.app.test_client().post("/login", data={"csrf": "x", "name": "reader-1", "password": PASSWORD}).status_code == 403
    )


def test_cookies_and_headers(store: Store, opened: Open) -> None:
    some_captures(store)
    client = opened().client()
    cookie = client.get_cookie("thermograph_login")
    assert cookie is not None
    assert cookie.http_only
    assert cookie.same_site == "Strict"
    headers = client.get("/").headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_login_ends_when_idle_or_out_or_kept_out(opened: Open) -> None:
    clinic = opened()
    client = clinic.client()
    clinic.clock.now += 29 * 60
    assert client.get("/").status_code == 200
    clinic.clock.now += 31 * 60
    assert client.get("/").status_code == 302
    client, boss = clinic.client(), clinic.client("boss")
    boss.post("/administration/user", data={"csrf": csrf(boss), "what": "disable", "name": "reader-1"})
    assert client.get("/").status_code == 302
    token = boss.get_cookie("thermograph_login")
    assert boss.post("/logout", data={"csrf": csrf(boss)}).status_code == 302
    assert token is not None
    boss.set_cookie("thermograph_login", token.value)
    assert boss.get("/").status_code == 302, "a token that was logged out is worth nothing"


def test_the_models_result_is_kept_back_until_the_reading_is_locked(store: Store, opened: Open) -> None:
    record = store.record("patient-1", 1)
    record["verdict"].update(outcome="above-threshold", score=0.777, reasons=["because of the test"])
    capture = store.add(record)
    clinic = opened()
    client = clinic.client()
    everything = "".join(
        client.get(path).text
        for path in (f"/capture/{capture}", "/", "/patient/clinic-a/patient-1", "/?outcome=above-threshold", "/agreement")
    )
    for secret in ("0.777", "because of the test", "above its upper"):
        assert secret not in everything
    assert "0 captures, newest first" in client.get("/?outcome=above-threshold").text
    assert client.get(f"/report/clinic-a/patient-1/{record['session_id']}.pdf").status_code == 403
    assert client.post(f"/capture/{capture}/answer", data={"csrf": csrf(client), "state": "answered"}).status_code == 422
    clinic.read(client, capture)
    page = client.get(f"/capture/{capture}").text
    for told in ("0.777", "because of the test", "above its upper threshold", "does not replace mammography"):
        assert told in page
    assert "1 captures, newest first" in client.get("/?outcome=above-threshold").text
    assert client.get(f"/report/clinic-a/patient-1/{record['session_id']}.pdf").data[:5] == b"%PDF-"
    assert client.get(f"/report/clinic-a/patient-1/{record['session_id']}").status_code == 200
    # Another reader is still blind.
    assert "0.777" not in clinic.client("reader-2").get(f"/capture/{capture}").text


def test_a_locked_reading_cannot_be_changed(store: Store, opened: Open) -> None:
    capture = some_captures(store)[0]
    clinic = opened()
    client = clinic.client()
    clinic.read(client, capture)
    values = {"usable": "no", "side": "left", "place": "armpit", "confidence": "1", "follow_up": "yes"}
    assert client.post(f"/capture/{capture}/reading", data={"csrf": csrf(client), **values}).status_code == 422
    connection = clinic.catalogue.ledger.connection
    for statement in (
        "UPDATE reading SET usable = 'no'",
        "DELETE FROM reading",
        "DELETE FROM audit",
        "UPDATE answer SET note = ''",
    ):
        if "answer" in statement:
            connection.execute(
                "INSERT INTO answer (id, capture_id, reviewer, at, state, note, place)"
                " VALUES ('i', 'c', 'r', 'a', 'answered', 'n', 'p')"
            )
        with pytest.raises(Exception, match="append-only|permission denied"):
            connection.execute(statement)


def test_words_that_are_never_said(store: Store, opened: Open) -> None:
    captures = []
    for day, outcome in enumerate(("below-threshold", "above-threshold", "uncertain", "not-assessable")):
        record = store.record("patient-1", day)
        record["verdict"].update(outcome=outcome, probability=0.4)
        captures.append(store.add(record))
    clinic = opened()
    client = clinic.client()
    for capture in captures:
        clinic.read(client, capture)
        text = client.get(f"/capture/{capture}").text.lower()
        for word in ("benign", "malignant", "positive", "negative", "cancer"):
            assert word not in text
        assert "probability is not shown" in text, "no population in the record, no probability"


def test_a_probability_is_shown_with_its_population(store: Store, opened: Open) -> None:
    record = store.record("patient-1", 1, schema="thermograph.capture.v2")
    population = {"description": "120 women of one clinic", "prevalence": 0.05}
    record["verdict"].update(probability=0.41, probability_population=population)
    capture = store.add(record)
    clinic = opened()
    client = clinic.client()
    clinic.read(client, capture)
    assert "0.41 in this population: 120 women of one clinic (prevalence 5.0%)" in client.get(f"/capture/{capture}").text


def test_comparison_reads_one_place_in_all_pictures_without_scripts(store: Store, opened: Open) -> None:
    even, warm = {"master.png": master_png(33)}, {"master.png": master_png(35)}
    first = store.add(store.record("patient-1", 1, images=master_only(store)), even)
    second = store.add(store.record("patient-1", 2, images=master_only(store)), warm)
    client = opened().client()
    # Right of the middle, as a press on the picture sends it.
    page = client.get(f"/compare?id={first}&id={second}&at.x=300&at.y=100").text
    assert re.findall(r"<output[^>]*>([^<]*)</output>", page) == ["34.00 degC", "36.00 degC"]
    page = client.get(f"/compare?id={first}&id={second}&column=1&row=1").text
    assert re.findall(r"<output[^>]*>([^<]*)</output>", page) == ["33.00 degC", "35.00 degC"]
    # And by the values that the script reads.
    values = json.loads(client.get(f"/values/{first}.json").data)
    assert (values["columns"], values["centikelvin"][0], values["centikelvin"][31]) == (32, 30615, 30715)


def master_only(store: Store) -> list[dict[str, object]]:
    base = store.bases[0][0]["images"]
    return [dict(image) for image in base if image["kind"] == "master"]


def test_geometries_other_than_32_by_24(store: Store, opened: Open) -> None:
    captures = [
        store.add(
            store.record("patient-1", day, schema="thermograph.capture.v2", images=master_only(store)),
            {"master.png": master_png(33, rows=62, columns=80)},
        )
        for day in (1, 2)
    ]
    client = opened().client()
    page = client.get(f"/compare?id={captures[0]}&id={captures[1]}&column=80&row=62")
    assert re.findall(r"<output[^>]*>([^<]*)</output>", page.text) == ["34.00 degC"] * 2
    assert client.get(f"/capture/{captures[0]}").status_code == 200


@pytest.mark.parametrize(("typed", "shown"), [("28,5", "28.5"), ("28.5", "28.5"), (" 28 ", "28")])
def test_number_formats_of_other_countries(store: Store, opened: Open, typed: str, shown: str) -> None:
    first, second, _ = some_captures(store)
    client = opened().client()
    page = client.get("/compare", query_string={"id": [first, second], "low": typed, "high": "36,5"}).text
    assert f'name="low" value="{shown}"' in page
    assert 'name="high" value="36.5"' in page


def test_a_window_that_makes_no_sense_is_told(store: Store, opened: Open) -> None:
    first, second, _ = some_captures(store)
    client = opened().client()
    for low, high in (("37", "27"), ("nan", "37"), ("a", "b"), ("1e400", "3"), ("-500", "37")):
        page = client.get("/compare", query_string={"id": [first, second], "low": low, "high": high})
        assert page.status_code == 200
        assert "shown with 27 to 37" in page.text


def test_only_the_same_view_of_one_patient_is_compared(store: Store, opened: Open) -> None:
    first = store.add(store.record("patient-1", 1))
    oblique = store.add(store.record("patient-1", 1, "left-oblique"))
    other = store.add(store.record("patient-2", 1))
    client = opened().client()
    for second in (oblique, other, first):
        assert client.get(f"/compare?id={first}&id={second}").status_code == 400


def test_differing_conditions_are_told(store: Store, opened: Open) -> None:
    first = store.add(store.record("patient-1", 1))
    changed = store.record("patient-1", 2)
    changed["acquisition"].update(lens="110x75", distance_cm=80, emissivity=0.95)
    changed["versions"].update(firmware="0.2.0", configuration_sha256="f" * 64, model_sha256="e" * 64)
    changed["captured_at"]["synchronised"] = False
    for gate in changed["gates"]:
        if gate["code"] == "ambient-range":
            gate["value"] += 3
        if gate["code"] == "motion":
            gate["passed"] = False
    second = store.add(changed)
    page = opened().client().get(f"/compare?id={first}&id={second}").text
    for word in ("lens", "distance (cm)", "emissivity", "firmware", "configuration", "model"):
        assert f"{word} differs" in page
    assert "ambient differs" in page
    assert "gates failed" in page
    assert "the clock was not synchronised" in page
    assert "camera differs" not in page
    assert "No difference picture" in page


def test_a_difference_picture_is_the_devices_own(store: Store, opened: Open) -> None:
    first = store.add(store.record("patient-1", 1))
    changed = store.record("patient-1", 2)
    second = store.add(changed, with_change(store, changed))
    clinic = opened()
    client = clinic.client()
    page = client.get(f"/compare?id={first}&id={second}").text
    assert page.count("/change.png") == 1
    assert f"/image/{second}/change.png" in page
    assert "No difference picture" not in page
    words = "Change against earlier sessions, by the device: beyond variation; 4 sessions; from 0.8 degC on it can be told"
    assert words not in page, "a conclusion is kept back until the reading is locked; the picture is a measurement"
    clinic.read(client, second)
    assert words in client.get(f"/compare?id={first}&id={second}").text
    picture = client.get(f"/image/{second}/change.png")
    assert picture.data == change_png()
    assert client.get(f"/image/{first}/change.png").status_code == 422
    assert f"/image/{second}/change.png" in client.get(f"/capture/{second}").text
    store.replace_image(second, "change.png", change_png(b"x"))
    assert client.get(f"/image/{second}/change.png").status_code == 422


def test_alike_conditions_give_no_warning(store: Store, opened: Open) -> None:
    first, second, _ = some_captures(store)
    page = opened().client().get(f"/compare?id={first}&id={second}").text
    assert "Before you compare" not in page


def test_sides_follow_the_record(store: Store, opened: Open) -> None:
    def sides(mirrored: bool | None) -> list[str]:
        record = store.record("patient-1", 10 if mirrored is None else int(mirrored), schema="thermograph.capture.v2")
        if mirrored is not None:
            record["geometry"] = {"mirrored": mirrored}
        captures.append(store.add(record))
        return captures

    captures: list[str] = []
    for value in (None, False, True):
        sides(value)
    client = opened().client()

    def shown(capture: str) -> list[str]:
        page = client.get(f"/capture/{capture}").text
        return re.findall(r"<span>(patient&#39;s \w+)</span>", page) + (
            ["unsure"] if "as the device reckons them" in page else []
        )

    right, left = "patient&#39;s right", "patient&#39;s left"
    assert shown(captures[0]) == [right, left, "unsure"]
    assert shown(captures[1]) == [right, left]
    assert shown(captures[2]) == [left, right]


def test_plots_are_the_records_numbers(store: Store, opened: Open) -> None:
    for day, value in enumerate((0.144, -1.28)):
        record = store.record("patient-1", day)
        record["verdict"]["left_right_difference"] = {
            "celsius": value,
            "standard_error_celsius": 0.05,
            "largest_local_celsius": 1,
        }
        store.add(
            record, {"master.png": master_png(30 + day), **{k: v for k, v in store.bases[0][1].items() if k != "master.png"}}
        )
    client = opened().client()
    page = client.get("/patient/clinic-a/patient-1").text
    assert re.findall(r"([+-]\d\.\d\d) degC, standard error 0.05", page) == ["+0.14", "-1.28"]
    # The noise of a measurement is not what is usual between two healthy sides: both stand beside the plot and the picture.
    assert page.count("healthy sides there are up to 3 degC") == 1
    capture = re.search(r'href="(/capture/[^"]+)"', page)
    assert capture
    assert "healthy sides there are up to 3 degC" in client.get(capture[1]).text


def test_an_answer_lies_ready_and_its_note_stays(store: Store, opened: Open) -> None:
    capture = some_captures(store)[0]
    clinic = opened()
    client = clinic.client()
    clinic.read(client, capture)
    assert clinic.answer(client, capture, "repeat-requested", "words for the file").status_code == 302
    (laid,) = store.answers()
    content = json.loads(laid)
    assert content["state"] == "repeat-requested"
    assert content["capture_id"] == capture
    assert content["reviewer"] == "reader-1"
    assert b"words" not in laid
    assert "words for the file" in client.get(f"/capture/{capture}").text
    assert clinic.answer(client, capture, "cured").status_code == 422


def test_every_look_at_a_patient_is_audited(store: Store, opened: Open) -> None:
    first, second, _ = some_captures(store)
    clinic = opened()
    client = clinic.client()
    client.get(f"/capture/{first}")
    client.get("/patient/clinic-a/patient-1")
    client.get(f"/compare?id={first}&id={second}")
    rows = clinic.catalogue.ledger.connection.execute(
        "SELECT \"user\", action, patient_ref, capture_id FROM audit WHERE patient_ref <> '' ORDER BY id"
    ).fetchall()
    assert [(r["action"], r["capture_id"]) for r in rows if r["action"] != "patient"] == [
        ("capture", first), ("compare", first), ("compare", second)]  # fmt: skip
    assert {r["user"] for r in rows} == {"reader-1"}
    assert {r["patient_ref"] for r in rows} == {"patient-1"}
    assert "compare" in clinic.client("boss").get("/audit").text


def test_kappa_of_two_readers() -> None:
    # Cohen 1960's form with the example of Landis and Koch's textbook table: 20, 5, 10, 15 of 50: kappa 0.4.
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    observed, value = kappa(pairs)
    assert observed == pytest.approx(0.7)
    assert value == pytest.approx(0.4)
    assert kappa([("a", "a")] * 3) == (1.0, None)
    assert kappa([("a", "b"), ("b", "a")])[1] == pytest.approx(-1)
    assert kappa([]) == (0.0, None)


def test_agreement_page(store: Store, opened: Open) -> None:
    captures = some_captures(store)
    clinic = opened()
    first, second = clinic.client("reader-1"), clinic.client("reader-2")
    for index, capture in enumerate(captures):
        clinic.read(first, capture, usable="yes" if index else "no")
        clinic.read(second, capture, usable="yes")
    page = first.get("/agreement").text
    assert "<td>usable</td><td>3</td><td>67 %</td><td>0.00</td>" in page


def test_users_and_passwords(opened: Open, quick_passwords: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thermograph_gateway.accounts._N", quick_passwords)
    clinic = opened()
    accounts = clinic.client("boss")
    token = csrf(accounts)
    add = {"csrf": token, "what": "add", "name": "new", "role": "reader", "password": "short"}
    assert accounts.post("/administration/user", data=add).status_code == 422
    assert accounts.post("/administration/user", data={**add, "password": PASSWORD}).status_code == 302
    assert accounts.post("/administration/user", data={**add, "password": PASSWORD}).status_code == 422
    assert accounts.post("/administration/user", data={**add, "what": "disable", "name": "boss"}).status_code == 422
    stored = clinic.catalogue.ledger.connection.execute('SELECT password FROM "user"').fetchall()
    assert all(row["password"].startswith("scrypt$32768$8$1$") for row in stored)
    assert len({row["password"] for row in stored}) == len(stored)


def test_reader_without_a_receive_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match=r"captures\.sqlite is missing"):
        ReceiveFolder(tmp_path)
