"""Logs in with headless Chromium, opens the newest patient, compares what can be compared, and takes a picture.

Used by `make demo-clinic`: screenshot.py URL USER PASSWORD-FILE PICTURE
"""

from __future__ import annotations

import sys
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait


def main(address: str, user: str, password: str, picture: str) -> None:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1500,1200"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        driver.get(address)
        driver.find_element(By.NAME, "name").send_keys(user)
        driver.find_element(By.NAME, "password").send_keys(Path(password).read_text(encoding="utf-8").strip(), Keys.ENTER)
        WebDriverWait(driver, 20).until(lambda d: d.title.startswith("Worklist"))
        driver.find_element(By.CSS_SELECTOR, "tbody a[href^='/patient/']").click()
        WebDriverWait(driver, 20).until(lambda d: d.title.startswith("Patient"))
        frontal = [b for b in driver.find_elements(By.NAME, "id") if "frontal" in b.find_element(By.XPATH, "../..").text]
        if len(frontal) >= 2:
            for box in frontal[:4]:
                box.click()
            driver.find_element(By.XPATH, "//button[text()='Compare']").click()
            WebDriverWait(driver, 20).until(lambda d: d.title.startswith("Compare"))
        driver.save_screenshot(picture)
    finally:
        driver.quit()


if __name__ == "__main__":
    main(*sys.argv[1:5])
