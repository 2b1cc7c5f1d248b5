"""What can be said to `thermograph-gateway` on its command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import INTENDED_USE, __version__
from .accounts import ROLES
from .answers import STATES
from .corrections import KINDS
from .export import KINDS as EXPORT_KINDS
from .record import VIEWS
from .send import COMMANDS
from .supply import STATES as UPDATE_STATES

_EXAMPLES = """examples:
  thermograph-gateway user add dr.silva --role reader
  thermograph-gateway serve --folder /srv/received
  thermograph-gateway export --folder /srv/received --archive http://127.0.0.1:8042/dicom-web
  thermograph-gateway report --folder /srv/received --site clinic-a --patient REF --view frontal --output reports
  thermograph-gateway verify --folder /srv/received
  thermograph-gateway migrate --database 'service=thermograph' --role thermograph_gateway
  thermograph-gateway serve --database 'service=thermograph_gateway' --master-key-file /etc/thermograph-receiver/master.key
"""
_ANSWER_EXAMPLES = """examples:
  thermograph-gateway answer 0b6d1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11 --state answered --reviewer dr.silva \\
    --database service=thermograph_gateway --master-key-file master.key --result-key result.pem --online-keys online-keys.json
  thermograph-gateway answer 0b6d1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11 --state repeat-requested --reviewer dr.silva \\
    --note 'arm in the picture' --folder /srv/received --result-key result.pem
  thermograph-gateway answer 0b6d1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11 --folder /srv/received
exit status: 0 laid ready, or shown; 1 refused, with the reason; 2 wrong usage
"""


def _places(name: str) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser, argparse.ArgumentParser]:
    """Options of what needs a database, a memory, captures; the folder of the memory is called `name`."""
    base = argparse.ArgumentParser(add_help=False)
    base.add_argument("--database", help="the far side's PostgreSQL: a URI or connection string of libpq, without a password")
    base.add_argument(
        "--allow-plaintext", action="store_true", help="allow a connection without TLS to another machine's database"
    )
    state = argparse.ArgumentParser(add_help=False, parents=[base])
    state.add_argument(
        name,
        dest="state",
        type=Path,
        default=Path("/var/lib/thermograph-gateway"),
        help="beside a folder: the gateway's own database (mode 0700); beside a database it lies in that",
    )
    folder = argparse.ArgumentParser(add_help=False, parents=[state])
    folder.add_argument("--folder", type=Path, help="what `thermograph receive --output` fills; this or --database")
    folder.add_argument("--master-key-file", type=Path, help="with --database: the worker's master key, a file of mode 0600")
    folder.add_argument(
        "--older-master-key-file", type=Path, action="append", default=[], help="a master key that still wraps data keys"
    )
    folder.add_argument("--result-key", type=Path, help="PEM of the key that signs answers to devices, mode 0600")
    folder.add_argument(
        "--online-keys", type=Path, help="the site's online-keys.json: refuses a result key that devices would not believe"
    )
    return base, state, folder


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="thermograph-gateway",
        description="Shows, exports and reports captures: of the folder of `thermograph receive` or the far side's database; "
        f"{INTENDED_USE}.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main.add_argument("--version", action="version", version=__version__)
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    base, state, folder = _places("--state")

    def command(name: str, words: str, parents: list[argparse.ArgumentParser], example: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=words, description=words, parents=parents, epilog=f"example:\n  thermograph-gateway {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip

    serve = command("serve", "the reader's page", [folder], "serve --folder /srv/received --port 8080")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on; others than loopback need TLS")
    serve.add_argument("--port", type=int, default=8080)
    serve.add_argument("--certificate", type=Path, help="PEM, with --key: TLS of its own")
    serve.add_argument("--key", type=Path)
    serve.add_argument(
        "--behind-tls", action="store_true", help="a proxy on this machine speaks TLS: cookies are marked Secure"
    )
    serve.add_argument("--notifications", type=Path, help="TOML file: e-mail and webhook")

    export = command(
        "export", "DICOM to an archive or a folder, FHIR R4 to a server or a file", [folder],
        "export --folder /srv/received --archive http://127.0.0.1:8042/dicom-web --fhir bundles.ndjson",
    )  # fmt: skip
    export.add_argument("--archive", help="base URL of DICOMweb (STOW-RS)")
    export.add_argument("--to", type=Path, help="folder for .dcm files")
    export.add_argument("--fhir", help="base URL of a FHIR server, or a file for one bundle a line")
    export.add_argument(
        "--fhir-link", default="", help="base URL of the reader's page: bundles link to the image instead of holding it"
    )
    export.add_argument(
        "--only",
        choices=EXPORT_KINDS,
        action="append",
        help="master and view, nearest neighbour, report or structured report; default: all",
    )

    reports = command(
        "report", "one PDF page and one HTML page a session of a patient", [folder],
        "report --folder /srv/received --site clinic-a --patient REF --view frontal --output reports",
    )  # fmt: skip
    reports.add_argument("--site", required=True)
    reports.add_argument("--patient", required=True, metavar="REF")
    reports.add_argument("--view", choices=VIEWS, help="only sessions with this view, and its trend")
    reports.add_argument("--output", type=Path, default=Path("."))

    command(
        "verify", "checks every record, image and earlier export; exit 1 when one is not as it was", [folder],
        "verify --folder /srv/received",
    )  # fmt: skip

    data = command(
        "dataset",
        "readings, masters and splits for training",
        [folder],
        "dataset export --consent research --folder /srv/received data-1",
    )
    data.add_argument("action", choices=["export"])
    data.add_argument("output", type=Path)
    data.add_argument("--consent", choices=["research"], required=True, help="only captures whose record holds this consent")

    correct = command(
        "correct", "reassigns or withdraws a session, merges patients, undoes a correction", [folder],
        "correct reassign SESSION --to REF --site clinic-a --reason 'wrong tag' --folder /srv/received",
    )  # fmt: skip
    correct.add_argument("kind", choices=KINDS)
    correct.add_argument("subject", help="session, patient (merge) or the correction's number (revert)")
    correct.add_argument("--to", default="", metavar="REF")
    correct.add_argument("--site", required=True)
    correct.add_argument("--reason", required=True)

    answering = commands.add_parser(
        "answer", parents=[_places("--state-folder")[2]],
        help="answers a capture, or shows its answers and what became of them",
        description="Signs a reader's answer to a capture and lays it ready for the device, or (without --state) shows the "
        "answers and what the device said of each. The reader must have locked a reading of the capture. No finding and no "
        "note leaves: the device learns that there is an answer, or that the capture should be repeated.",
        epilog=_ANSWER_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    answering.add_argument("capture", help="the capture's id")
    answering.add_argument("--state", dest="answer", choices=STATES, help="without it: show the answers")
    answering.add_argument("--reviewer", default="", help="with --state: whose answer it is, a user of the page")
    answering.add_argument("--note", default="", help="kept here only")

    witnessing = command(
        "witness", "what was seen of devices' audit logs; exit 1 when one contradicts it", [folder],
        "witness --site clinic-a --device unit-1 --anchors anchors.jsonl --folder /srv/received",
    )  # fmt: skip
    witnessing.add_argument("--anchors", type=Path, help="with --site and --device: writes its heads for audit_verifier.py")
    witnessing.add_argument("--site", default="")
    witnessing.add_argument("--device", default="")
    witnessing.add_argument("--outbox", default="", help="of a device that was enrolled anew: which log")

    timing = command(
        "times", "how long captures took: median, 95 of 100, unknown, by term, over 30 days", [folder],
        "times --prometheus --folder /srv/received > /var/lib/prometheus/node-exporter/thermograph.prom",
    )  # fmt: skip
    timing.add_argument("--site", default="", help="of one site alone")
    form = timing.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--prometheus", action="store_true", help="text form of Prometheus")

    sending = command(
        "send", "signs a command or a configuration, or takes metadata; gives it to the worker, and shows the reply", [base],
        "send doctor parts=camera,frame --site clinic-a --device unit-1 --key commander.key --database 'service=thermograph' "
        "--master-key-file master.key",
    )  # fmt: skip
    sending.add_argument("name", choices=(*COMMANDS, "configuration", "trust"))
    sending.add_argument(
        "arguments",
        nargs="*",
        metavar="NAME=VALUE",
        help="lists with commas; of a configuration its TOML file; of trust the folder that was published",
    )
    sending.add_argument("--site")
    sending.add_argument("--device")
    sending.add_argument("--devices", type=Path, help="instead of one: a file with site/device, a line each")
    sending.add_argument("--wave", type=int, default=10, help="with --devices: per cent that are sent to at a time")
    sending.add_argument("--stop-at", type=int, default=1, help="with --devices: so many that did not take it end the roll-out")
    sending.add_argument("--key", type=Path, help="PEM of a key that the device knows, mode 0600; trust is signed already")
    sending.add_argument("--online-keys", type=Path, help="the site's online-keys.json: refuses a key without the role for it")
    sending.add_argument("--master-key-file", type=Path, help="the worker's master key: replies are sealed")
    sending.add_argument("--older-master-key-file", type=Path, action="append", default=[])
    sending.add_argument(
        "--hours",
        type=int,
        help="until when it may be done: 1 to 168 (24); of a configuration to 720 (72), of trust to 720 (720)",
    )
    sending.add_argument("--wait", type=int, help="seconds to wait for replies; 0: do not wait")
    sending.add_argument("--number", type=int, help="version of a configuration; without: one above the highest that is known")
    sending.add_argument("--confirm-minutes", type=int, default=10, help="so long a configuration is tried, 2 to 60")
    sending.add_argument("--for-boot", action="store_true", help="a configuration for the device's present start alone")
    sending.add_argument("--output", type=Path, help="writes a configuration for a stick, and sends nothing; needs --number")
    sending.add_argument(
        "--follow", choices=UPDATE_STATES[1:], help="of update-install: waits until the model has come to this state"
    )

    supplying = command(
        "supply", "gives devices the parts of models that they want, from what Scripts/repository published", [base],
        "supply /srv/vendor --database 'service=thermograph' --master-key-file master.key",
    )  # fmt: skip
    supplying.add_argument("folder", type=Path)
    supplying.add_argument("--site", action="append", default=[], help="only devices of this site; may be repeated")
    supplying.add_argument("--seconds", type=float, help="ends after so long; without: runs until it is interrupted")
    supplying.add_argument("--master-key-file", type=Path, required=True, help="the worker's master key: replies are sealed")
    supplying.add_argument("--older-master-key-file", type=Path, action="append", default=[])

    migrate = command(
        "migrate", "makes the gateway's own schema in the database, as its owner", [base],
        "migrate --database 'service=thermograph' --role thermograph_gateway",
    )  # fmt: skip
    migrate.add_argument("--role", default="thermograph_gateway", help="the role with which the gateway connects later")

    user = command("user", "who may log in", [state], "user add dr.silva --role reader")
    user.add_argument("action", choices=["add", "password", "disable", "enable", "list"])
    user.add_argument("name", nargs="?", default="")
    user.add_argument("--role", choices=ROLES, default="reader")
    user.add_argument("--password-file", type=Path, help="first line; without it the password is asked for")
    return main
