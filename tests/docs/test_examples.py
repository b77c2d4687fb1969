"""What the README and docs/ show is true: their commands run, their Python runs, their links lead somewhere.

In a block marked ``console`` every line that begins with ``$ coterie`` is run from the checkout's root; ``# exit N`` behind it
says that another exit status than 0 is right. Blocks marked ``sh`` need a cluster or a fresh machine and are not run here. A block
marked ``yaml`` whose first line names a file is that file.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "fixtures/README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\((?!https?://)([^)#\s]+)(?:#[^)]*)?\)")


def blocks(kind: str) -> list[tuple[Path, str]]:
    return [(page, body) for page in PAGES for found, body in BLOCK.findall(page.read_text(encoding="utf-8")) if found == kind]


def commands() -> list[tuple[str, int]]:
    lines = [line[2:] for _, body in blocks("console") for line in body.splitlines() if line.startswith("$ coterie")]
    found = []
    for line in dict.fromkeys(lines):
        command, _, comment = line.partition("#")
        status = re.search(r"exit (\d+)", comment)
        found.append((command.strip(), int(status.group(1)) if status else 0))
    return found


@pytest.mark.parametrize(("command", "status"), commands())
def test_a_command_shown_in_the_docs_runs_and_exits_as_shown(command: str, status: int, tmp_path: Path) -> None:
    words = [word if not word.endswith(".html") else str(tmp_path / "page.html") for word in shlex.split(command)[1:]]
    done = subprocess.run([sys.executable, "-m", "scheduler", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr


@pytest.mark.parametrize("body", [pytest.param(body, id=f"{page.name}-{i}") for i, (page, body) in enumerate(blocks("python"))])
def test_python_shown_in_the_docs_runs(body: str) -> None:
    done = subprocess.run([sys.executable, "-c", body], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def manifests() -> list[tuple[str, str]]:
    return [(named[1], body) for _, body in blocks("yaml") if (named := re.match(r"# (fixtures/[\w./-]+\.yaml): ", body))]


@pytest.mark.parametrize(("file", "body"), [pytest.param(file, body, id=file) for file, body in manifests()])
def test_a_manifest_shown_in_the_docs_is_the_file_that_it_names_and_is_planned(file: str, body: str) -> None:
    assert (ROOT / file).read_text(encoding="utf-8") == body
    assert any(f"plan -f {file} " in command for command, _ in commands())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_to_files(page: Path) -> None:
    missing = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / target).exists()]
    assert missing == []


def test_the_docs_show_commands_and_python() -> None:
    assert len(commands()) >= 5
    assert len(blocks("python")) >= 1
    assert len(manifests()) >= 4
