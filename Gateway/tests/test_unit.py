"""The shipped unit against systemd's own judgement."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

UNIT = Path(__file__).parents[2] / "systemd" / "thermograph-gateway.service"
# What the unit promises; whoever opens it more has to say so here.
EXPOSURE_MAXIMUM = 1.1


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    assert analyze, "install the Debian package systemd"
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/thermograph-gateway/bin/thermograph-gateway", "/bin/true"))
    answer = subprocess.run([analyze, "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")
    copy.write_text(copy.read_text().replace("ProtectHome=yes", "ProtectHoem=yes"))
    answer = subprocess.run([analyze, "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False)
    assert "ProtectHoem" in answer.stderr


def test_its_exposure_is_held() -> None:
    analyze = shutil.which("systemd-analyze")
    assert analyze
    answer = subprocess.run([analyze, "security", "--offline=true", str(UNIT)], capture_output=True, text=True, check=False)
    level = re.search(r"Overall exposure level for thermograph-gateway\.service: ([0-9.]+)", answer.stdout)
    assert level, answer.stderr
    assert float(level.group(1)) <= EXPOSURE_MAXIMUM
