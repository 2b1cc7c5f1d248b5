"""The shipped unit against systemd's own judgement, as it is and with the drop-in for the database."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from thermograph_gateway.options import parser

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "thermograph-gateway.service"
DROP_IN = SYSTEMD / "thermograph-gateway-database.conf"
PROGRAM = "/opt/thermograph-gateway/bin/thermograph-gateway"
# What the unit promises; whoever opens it more has to say so here.
EXPOSURE_MAXIMUM = 1.1


@pytest.fixture(params=["folder", "database"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy that names a program which is there."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace(PROGRAM, "/bin/true"))
    if request.param == "database":
        folder = tmp_path / f"{UNIT.name}.d"
        folder.mkdir()
        (folder / "database.conf").write_text(DROP_IN.read_text().replace(PROGRAM, "/bin/true"))
    return copy


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    analyze = shutil.which("systemd-analyze")
    assert analyze, "install the Debian package systemd"
    return subprocess.run([analyze, *arguments], capture_output=True, text=True, check=False)


def test_systemd_understands_every_line(unit: Path) -> None:
    answer = systemd_analyze("verify", "--man=no", str(unit))
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHoem=yes"))
    assert "ProtectHoem" in systemd_analyze("verify", "--man=no", str(unit)).stderr


def test_its_exposure_is_held(unit: Path) -> None:
    answer = systemd_analyze("security", "--offline=true", str(unit))
    level = re.search(r"Overall exposure level for thermograph-gateway\.service: ([0-9.]+)", answer.stdout)
    assert level, answer.stderr
    assert float(level.group(1)) <= EXPOSURE_MAXIMUM


@pytest.mark.parametrize("path", [UNIT, DROP_IN], ids=["folder", "database"])
def test_the_program_takes_the_options_that_it_is_started_with(path: Path) -> None:
    (line,) = re.findall(rf"^ExecStart={PROGRAM} (.*)$", path.read_text(), re.M)
    words = line.replace("$GATEWAY_OPTIONS", "--database service=thermograph_gateway").split()
    options = parser().parse_args(words)
    assert options.behind_tls
    assert (options.folder is None) == (path == DROP_IN)
