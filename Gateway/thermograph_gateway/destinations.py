"""Where an export goes: a folder, an archive over DICOMweb (STOW-RS), a FHIR server."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any, Protocol

import requests

from .dicom import Instance
from .errors import GatewayError
from .files import read_bounded, write_durably

TIMEOUT_SECONDS = (5, 60)
ANSWER_BYTES_MAXIMUM = 4 << 20
# 40 UIDs of up to 64 characters keep an address below 3 kB.
UIDS_A_QUESTION = 40


class Destination(Protocol):
    """Takes DICOM files. `name` is the same for the same place in every run."""

    name: str

    def store(self, instances: list[Instance]) -> dict[str, str]:
        """By UID: `Stored` or `AlreadyStored`. Raises GatewayError when one is not taken."""


class FolderDestination:
    """`{study}/{uid}.dcm` would need the dataset; the UID alone names the file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        self.name = f"folder {self._folder}"

    def store(self, instances: list[Instance]) -> dict[str, str]:
        states: dict[str, str] = {}
        for instance in instances:
            path = self._folder / f"{instance.uid}.dcm"
            if path.exists():
                if read_bounded(path, len(instance.data)) != instance.data:
                    raise GatewayError(f"{path} has other bytes than this export of the same UID")
                states[instance.uid] = "AlreadyStored"
                continue
            write_durably(path, instance.data)
            states[instance.uid] = "Stored"
        return states


class ArchiveDestination:
    """STOW-RS (DICOM PS3.18). What the archive has already is asked first, so that a repeated export sends nothing."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self.name = f"archive {self._url}"

    def _known(self, uids: list[str]) -> set[str]:
        """Which of these the archive holds, by one question (a list of UIDs, PS3.18 8.3.4.1)."""
        answer = self._ask("GET", f"{self._url}/instances", params={"SOPInstanceUID": ",".join(uids), "limit": str(len(uids))})
        if answer.status_code == 204:
            return set()
        if answer.status_code != 200:
            raise GatewayError(f"{self._url}: the archive answers a question with status {answer.status_code}")
        found = _json(answer, self._url)
        items = found if isinstance(found, list) else []
        return {str(item.get("00080018", {}).get("Value", [""])[0]) for item in items if isinstance(item, dict)}

    def store(self, instances: list[Instance]) -> dict[str, str]:
        known: set[str] = set()
        for start in range(0, len(instances), UIDS_A_QUESTION):
            known |= self._known([instance.uid for instance in instances[start : start + UIDS_A_QUESTION]])
        states = {instance.uid: "AlreadyStored" for instance in instances if instance.uid in known}
        new = [instance for instance in instances if instance.uid not in states]
        if new:
            boundary = uuid.uuid4().hex
            body = b"".join(
                b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % (boundary.encode(), instance.data)
                for instance in new
            )
            answer = self._ask(
                "POST",
                f"{self._url}/studies",
                data=body + b"--%b--\r\n" % boundary.encode(),
                headers={
                    "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
                    "Accept": "application/dicom+json",
                },
            )
            stored = _stored(_json(answer, self._url)) if answer.status_code in (200, 202, 409) else set()
            for instance in new:
                if instance.uid not in stored:
                    raise GatewayError(
                        f"{self._url}: the archive did not store {instance.uid} ({instance.kind}), status {answer.status_code}"
                    )
                states[instance.uid] = "Stored"
        return states

    def _ask(self, method: str, url: str, **options: Any) -> requests.Response:
        try:
            return self._session.request(method, url, timeout=TIMEOUT_SECONDS, allow_redirects=False, **options)
        except requests.RequestException as error:
            raise GatewayError(
                f"{self._url} cannot be reached ({type(error).__name__}): is the archive running there?"
            ) from error


def _json(answer: requests.Response, url: str) -> Any:
    if len(answer.content) > ANSWER_BYTES_MAXIMUM:
        raise GatewayError(f"{url}: an answer of {len(answer.content)} bytes; expected at most {ANSWER_BYTES_MAXIMUM}")
    try:
        return answer.json()
    except ValueError as error:
        raise GatewayError(f"{url}: the answer is no JSON (status {answer.status_code})") from error


def _stored(answer: Any) -> set[str]:
    """UIDs of the ReferencedSOPSequence (0008,1199) of a store response."""
    items = answer.get("00081199", {}).get("Value", []) if isinstance(answer, dict) else []
    return {str(item.get("00081155", {}).get("Value", [""])[0]) for item in items if isinstance(item, dict)}


class FhirDestination:
    """A FHIR server's base URL, or a file of one bundle a line (NDJSON)."""

    def __init__(self, place: str) -> None:
        self._url = place if place.startswith(("http://", "https://")) else ""
        self._path = Path(place)
        self._session = requests.Session()
        self.name = f"fhir {self._url or self._path.resolve()}"
        if not self._url:
            # The file is made anew by each run; the ledger's memory of it is not asked.
            write_durably(self._path, b"")

    def store(self, bundle: bytes) -> None:
        if not self._url:
            with self._path.open("ab") as file:
                file.write(bundle)
            return
        try:
            answer = self._session.post(
                self._url, data=bundle, headers={"Content-Type": "application/fhir+json"}, timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )  # fmt: skip
        except requests.RequestException as error:
            raise GatewayError(f"{self._url} cannot be reached ({type(error).__name__})") from error
        if answer.status_code not in (200, 201):
            raise GatewayError(
                f"{self._url}: the server refuses the bundle with status {answer.status_code}: {_diagnosis(answer)}"
            )


def _diagnosis(answer: requests.Response) -> str:
    try:
        value = json.loads(answer.content[:65536])
        return str(value["issue"][0]["diagnostics"])[:200]
    except (ValueError, KeyError, IndexError, TypeError):
        return "no reason given"
