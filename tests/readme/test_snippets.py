"""Every snippet of both READMEs runs as printed, against the simulator."""

import contextlib
import io
import os
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest

from skk.simulator.pictures import draw

ROOT = pathlib.Path(__file__).parents[2]
READMES = ["README.md", "README.zh-CN.md"]


def blocks(readme, language):
    text = (ROOT / readme).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def promised(block):
    """What a snippet says it prints: the comments behind `print(...)`, and those that quote a rollback."""
    for line in block.splitlines():
        code, _, said = line.rpartition("  # ")
        if "print(" in code or (".rollback(" in code and said.startswith("[")):
            yield said.strip()


@pytest.fixture
def as_a_reader(simulator, monkeypatch, tmp_path):
    """Stand where a reader stands: a folder with a picture and a config file, a key and an address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-reader")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", simulator.base_url.removesuffix("/v1"))
    (tmp_path / "cat.png").write_bytes(draw("cat"))
    (tmp_path / "config.ini").write_text(f"[OpenAI]\nAPI_SECRET_KEY = sk-file\nBASE_URL = {simulator.base_url}\n")
    return tmp_path


@pytest.mark.parametrize("readme", READMES)
def test_python_snippets_print_what_they_say(readme, as_a_reader):
    """The snippets of a README run one after the other, and print what their comments say, in that order."""
    namespace = {"__name__": "snippet"}
    found = blocks(readme, "python")
    assert len(found) >= 10
    for block in found:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(block, readme, "exec"), namespace)
        printed, at = out.getvalue(), 0
        for said in promised(block):
            assert said in printed[at:], f"{said!r} is not in {printed[at:]!r}, printed by\n{block}"
            at = printed.index(said, at) + len(said)


def test_a_snippet_that_lies_is_found():
    """The guard can fail: a comment that is not what is printed is noticed."""
    assert ["2"] == list(promised("print(1 + 1)  # 2\nx = 3  # not printed\n"))
    assert [] == list(promised("chat.rollback()  # takes the last turn back\n"))


@pytest.mark.skipif(os.name == "nt", reason="the snippets are for a POSIX shell")
@pytest.mark.parametrize("readme", READMES)
def test_shell_snippets_run(readme, as_a_reader):
    """Each line of a shell snippet runs; `make` lines name targets of the Makefile."""
    pytest.importorskip("click")
    (as_a_reader / "skk").write_text(f'#!/bin/sh\nexec {sys.executable} -m skk "$@"\n')
    (as_a_reader / "skk").chmod(0o755)
    # the snippet's `git diff`, where there is no repository
    (as_a_reader / "git").write_text("#!/bin/sh\necho '+ one line'\n")
    (as_a_reader / "git").chmod(0o755)
    path = f"{as_a_reader}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src")}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in "".join(blocks(readme, "sh")).splitlines():
        command = line.partition("  #")[0].strip()
        if command.startswith("make "):
            assert re.search(rf"^{command.removeprefix('make ')}:", makefile, re.MULTILINE), command
        else:
            asked = (
                {"input": "What comes after the number 8?\n"}
                if command == "skk chat"
                else {"stdin": subprocess.DEVNULL}
            )
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                cwd=as_a_reader,
                **asked,
            )
            assert 0 == done.returncode, f"{command}: {done.stderr}"
            assert done.stdout.strip(), command


def test_the_readme_answers_before_line_40():
    """A reader meets code that answers a question in the first 40 lines."""
    for readme in READMES:
        top = "\n".join((ROOT / readme).read_text(encoding="utf-8").splitlines()[:40])
        assert "chat.request(" in top
        assert len(textwrap.dedent(top)) < 3000


def test_both_readmes_have_the_same_sections():
    """What one language tells, the other tells too."""
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in READMES)
    assert english.count("\n## ") == chinese.count("\n## ")
    assert len(blocks(READMES[0], "python")) == len(blocks(READMES[1], "python"))
