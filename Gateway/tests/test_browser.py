"""A doctor's way through the page in Debian's Chromium: with scripts, without them, and with axe's eyes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from axe_selenium_python import Axe
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.ui import WebDriverWait

from tests.conftest import PASSWORD, Clinic
from tests.folders import Folder, Store, identifier
from thermograph_gateway.service import run, server_for

# Where pictures are kept for a person to look at; nowhere unless asked for.
PICTURES = os.environ.get("GATEWAY_PICTURES")


@pytest.fixture
def address(store: Store, opened: Callable[[], Clinic]) -> Iterator[str]:
    """The page over three sessions of a patient, served as it is in a clinic."""
    for day in range(3):
        for view in ("frontal", "left-oblique"):
            record = store.record("patient-1", 30 * day, view)
            record["verdict"]["left_right_difference"].update(celsius=0.1 * day, standard_error_celsius=0.03)
            if day == 2:
                record["captured_at"]["synchronised"] = False
                record["acquisition"]["distance_cm"] = 60
            store.add(record, store.bases[2 if day == 1 else 0][1])
    store.add(store.record("patient-2", 1))
    server = server_for(opened().app, "127.0.0.1", 0, None, None)
    ready = threading.Event()
    thread = threading.Thread(target=run, args=(server, ready))
    thread.start()
    assert ready.wait(60)
    yield f"http://127.0.0.1:{server.bind_addr[1]}"
    server.stop()
    thread.join(10)


def browser(scripts: bool = True) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1500,1300", "--disable-dev-shm-usage",
                     "--disable-background-networking", "--disable-component-update", "--no-first-run"):  # fmt: skip
        options.add_argument(argument)
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))


@pytest.fixture
def driver() -> Iterator[webdriver.Chrome]:
    made = browser()
    yield made
    made.quit()


def log_in(driver: webdriver.Chrome, address: str) -> None:
    driver.get(address)
    driver.find_element(By.NAME, "name").send_keys("reader-1")
    driver.find_element(By.NAME, "password").send_keys(PASSWORD, Keys.ENTER)
    WebDriverWait(driver, 60).until(lambda d: d.title.startswith("Worklist"))


def picture(driver: webdriver.Chrome, name: str) -> None:
    if PICTURES:
        driver.save_screenshot(str(Path(PICTURES) / f"{name}.png"))


def requested(driver: webdriver.Chrome) -> list[str]:
    """The addresses of all requests that the browser made for the page."""
    found = []
    for line in driver.get_log("performance"):  # type: ignore[no-untyped-call]
        message = json.loads(line["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    return found


def check_access(driver: webdriver.Chrome) -> None:
    axe = Axe(driver)
    axe.inject()
    faults: list[dict[str, Any]] = axe.run()["violations"]
    assert faults == [], axe.report(faults)


def read(driver: webdriver.Chrome) -> None:
    for name, value in (
        ("usable", "yes"),
        ("side", "left"),
        ("place", "upper-outer"),
        ("confidence", "4"),
        ("follow_up", "undecided"),
    ):
        Select(driver.find_element(By.NAME, name)).select_by_visible_text(value)
    driver.find_element(By.XPATH, "//button[text()='Lock my reading']").click()
    WebDriverWait(driver, 60).until(lambda d: "The model's result" in d.page_source)


def test_a_doctors_way(driver: webdriver.Chrome, address: str) -> None:
    log_in(driver, address)
    check_access(driver)
    driver.find_element(By.NAME, "search").send_keys("patient-1", Keys.ENTER)
    WebDriverWait(driver, 60).until(lambda d: "6 captures, newest first" in d.page_source)
    picture(driver, "worklist")
    driver.find_element(By.LINK_TEXT, "patient-1").click()
    WebDriverWait(driver, 60).until(lambda d: "Patient patient-1" in d.title)
    check_access(driver)
    picture(driver, "patient")
    frontal = [box for box in driver.find_elements(By.NAME, "id") if "frontal" in box.find_element(By.XPATH, "../..").text]
    assert len(frontal) == 3
    for box in frontal:
        box.click()
    driver.find_element(By.XPATH, "//button[text()='Compare']").click()
    WebDriverWait(driver, 60).until(lambda d: "Compare frontal views" in d.title)
    check_access(driver)
    images = driver.find_elements(By.CSS_SELECTOR, "input.thermogram")
    outputs = driver.find_elements(By.CSS_SELECTOR, "output.temperature")
    WebDriverWait(driver, 60).until(lambda d: all(d.execute_script("return arguments[0].naturalWidth", i) != 1 for i in images))
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", images[0])
    # The mouse over one picture reads the same place in all.
    ActionChains(driver).move_to_element_with_offset(images[0], 0, 0).perform()
    WebDriverWait(driver, 60).until(lambda _: all("degC" in o.text for o in outputs))
    middle = [o.text for o in outputs]
    picture(driver, "compare")
    cookie = driver.get_cookie("thermograph_login")
    assert cookie is not None
    values = requests.get(
        address + str(images[0].get_attribute("data-values")), cookies={cookie["name"]: cookie["value"]}, timeout=60
    ).json()
    near = [f"{values['centikelvin'][r * 32 + c] / 100 - 273.15:.2f} degC" for r in (11, 12) for c in (15, 16)]
    assert middle[0] in near
    # So do the keys.
    driver.execute_script("arguments[0].focus({preventScroll: true})", images[1])
    for _ in range(12):
        images[1].send_keys(Keys.ARROW_UP)
    WebDriverWait(driver, 60).until(lambda _: [o.text for o in outputs] != middle)
    picture(driver, "compare")
    driver.find_element(By.LINK_TEXT, "Open").click() if False else driver.find_elements(By.PARTIAL_LINK_TEXT, "Open")[
        0
    ].click()
    WebDriverWait(driver, 60).until(lambda d: d.title.startswith("Capture"))
    check_access(driver)
    picture(driver, "capture-before-the-reading")
    read(driver)
    check_access(driver)
    picture(driver, "capture-after-the-reading")
    driver.find_element(By.XPATH, "//button[text()='Answered']").click()
    WebDriverWait(driver, 60).until(lambda d: d.title.startswith("Confirm: answered"))
    check_access(driver)
    picture(driver, "confirm")
    assert "Nothing has been sent yet" in driver.page_source
    driver.find_element(By.LINK_TEXT, "No, go back").click()
    WebDriverWait(driver, 60).until(lambda d: "No answer yet" in d.page_source)
    driver.find_element(By.XPATH, "//button[text()='Please repeat']").click()
    WebDriverWait(driver, 60).until(lambda d: d.title.startswith("Confirm: please repeat"))
    driver.find_element(By.XPATH, "//button[text()='Yes, send it']").click()
    WebDriverWait(driver, 60).until(lambda d: "<strong>please repeat</strong> by reader-1" in d.page_source)
    check_access(driver)
    picture(driver, "answered")
    driver.find_element(By.XPATH, "//button[text()='Log out']").click()
    WebDriverWait(driver, 60).until(lambda d: d.title.startswith("Log in"))
    check_access(driver)
    driver.get(f"{address}/")
    assert driver.title.startswith("Log in")
    urls = requested(driver)
    assert len(urls) > 20
    own = ("chrome:", "data:", "about:", "chrome-extension:", "devtools:")
    assert [url for url in urls if not url.startswith((address + "/", *own))] == []
    severe = [line for line in driver.get_log("browser") if "Content Security Policy" in line["message"]]  # type: ignore[no-untyped-call]
    assert severe == []


def test_somebody_asks_to_be_called(driver: webdriver.Chrome, store: Store, address: str) -> None:
    for number in range(2):
        store.event(f"call-{number}", {
            "schema": "thermograph.session.v1", "kind": "call-requested", "at": "2026-03-01T08:00:00Z",
            "patient_ref": "patient-1", "session_id": identifier("session", "patient-1", 0),
        })  # fmt: skip
    for number, (capture_id, _, _) in enumerate(store.added):
        edge, queue, cloud, response = 2_000 + 300 * number, 60_000 * 4**number, 900, 3_600_000 * (number + 1)
        store.event(f"times-{number}", {
            "schema": "thermograph.times.v1", "kind": "times", "at": "2026-03-01T08:00:00Z", "capture_id": capture_id,
            "total_ms": None if number == 0 else edge + queue + cloud + response, "edge_ms": edge,
            "queue_ms": None if number == 0 else queue, "cloud_ms": cloud, "response_ms": None if number == 0 else response,
        })  # fmt: skip
    log_in(driver, address)
    assert "1 person asks to be called" in driver.page_source
    assert "pressed 2 times" in driver.page_source
    check_access(driver)
    picture(driver, "worklist-with-a-call")
    driver.find_element(By.LINK_TEXT, "Times").click()
    WebDriverWait(driver, 60).until(lambda d: d.title.startswith("Times"))
    assert len(driver.find_elements(By.CSS_SELECTOR, "svg.plot")) == 5
    check_access(driver)
    picture(driver, "times")
    driver.find_element(By.LINK_TEXT, "Worklist").click()
    WebDriverWait(driver, 60).until(lambda d: d.title.startswith("Worklist"))
    driver.find_element(By.XPATH, "//button[starts-with(., 'Called')]").click()
    WebDriverWait(driver, 60).until(lambda d: "to be called" not in d.page_source)
    driver.find_element(By.LINK_TEXT, "Calls").click()
    WebDriverWait(driver, 60).until(lambda d: d.title.startswith("Calls"))
    assert "reader-1" in driver.find_element(By.TAG_NAME, "tbody").text
    check_access(driver)
    picture(driver, "calls")
    head = {"sequence": 7, "size": 31, "head": "ab" * 32}
    if isinstance(store, Folder):
        log = {"outbox_id": identifier("outbox"), "alarms": ["audit-shrunk"], "heads": [head]}
        (store.path / "clinic-a" / "unit-1" / "audit-heads.json").write_text(
            json.dumps({"schema": "thermograph.audit-heads.v1", "logs": [log]})
        )
    driver.find_element(By.LINK_TEXT, "Devices").click()
    WebDriverWait(driver, 60).until(lambda d: d.title.startswith("Devices"))
    assert ("1 log contradicts" in driver.page_source) == isinstance(store, Folder)
    check_access(driver)
    picture(driver, "devices")


def test_the_same_way_without_scripts(address: str) -> None:
    driver = browser(scripts=False)
    try:
        log_in(driver, address)
        driver.find_element(By.LINK_TEXT, "patient-1").click()
        WebDriverWait(driver, 60).until(lambda d: "Patient patient-1" in d.title)
        for box in driver.find_elements(By.NAME, "id"):
            if "frontal" in box.find_element(By.XPATH, "../..").text:
                box.click()
        driver.find_element(By.XPATH, "//button[text()='Compare']").click()

        def temperatures(told: Callable[[str], bool]) -> None:
            """Waits for three of them: a click loads the page anew, and what was found on the old one is gone then."""

            def are_there(d: WebDriver) -> bool:
                outputs = [o.text for o in d.find_elements(By.CSS_SELECTOR, "output.temperature")]
                return len(outputs) == 3 and all(told(text) for text in outputs)

            WebDriverWait(driver, 60, ignored_exceptions=(StaleElementReferenceException,)).until(are_there)

        temperatures(lambda text: text == "point at a place")
        WebDriverWait(driver, 60).until(lambda d: d.find_elements(By.CSS_SELECTOR, "input.thermogram"))[0].click()
        temperatures(lambda text: text.endswith(" degC"))
        low = driver.find_element(By.NAME, "low")
        low.clear()
        low.send_keys("28,5")
        driver.find_element(By.XPATH, "//button[text()='Show']").click()
        WebDriverWait(driver, 60, ignored_exceptions=(StaleElementReferenceException,)).until(
            lambda d: d.find_element(By.NAME, "low").get_attribute("value") == "28.5"
        )
        driver.find_elements(By.PARTIAL_LINK_TEXT, "Open")[0].click()
        WebDriverWait(driver, 60).until(lambda d: d.title.startswith("Capture"))
        read(driver)
    finally:
        driver.quit()
