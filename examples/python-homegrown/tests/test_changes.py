"""How much of the server changes to be protected."""

import difflib
import re

from testing.acme import HOMEGROWN

MAY_CHANGE = 5


def test_protection_changes_five_lines_at_most() -> None:
    plain, protected = ((HOMEGROWN / name).read_text().splitlines() for name in ("main.py", "protected.py"))
    added = [line for line in difflib.ndiff(plain, protected) if line.startswith("+ ") and line[2:].strip()]
    removed = [line for line in difflib.ndiff(plain, protected) if line.startswith("- ") and line[2:].strip()]
    assert 0 < len(added) <= MAY_CHANGE, added
    assert len(removed) <= len(added), removed


def test_nothing_else_imports_ostiary() -> None:
    core = [path for path in (HOMEGROWN / "acme").iterdir() if path.suffix == ".py"]
    assert core
    assert not [path.name for path in core if re.search(r"^\s*(import|from) ostiary", path.read_text(), re.MULTILINE)]
