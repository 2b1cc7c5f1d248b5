"""A real archive: Orthanc with its DICOMweb plugin, on loopback, in a folder of its own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

PLUGIN = "/usr/share/orthanc/plugins"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def orthanc(folder: Path) -> Iterator[str]:
    """The base URL of an empty Orthanc that never overwrites."""
    program = shutil.which("Orthanc", path="/usr/sbin:/usr/bin")
    assert program, "install the Debian packages orthanc and orthanc-dicomweb"
    port = free_port()
    configuration = {
        "Name": "test",
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "OverwriteInstances": False,
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "Plugins": [PLUGIN],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "Worklists": {"Enable": False},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 120
            while True:
                try:
                    requests.get(f"{url}/system", timeout=10)
                    break
                except requests.RequestException:
                    log_text = (folder / "orthanc.log").read_text()[-2000:]
                    assert process.poll() is None, log_text
                    assert time.monotonic() < deadline, log_text
                    time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait(30)
