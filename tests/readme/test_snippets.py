"""Every snippet of both READMEs and of the pages in docs runs as printed, against the simulator."""

import ast
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
PAGES = READMES + sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
IN_CHINESE = [page for page in PAGES if page.endswith(".zh-CN.md")]


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page, language):
    text = text_of(page)
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def promised(block):
    """What a snippet says it prints, and whether a line ends there.

    That is: the comments behind `print(...)`, the lines of comment below it, and those that quote a rollback.
    """
    below = False
    for line in block.splitlines():
        code, _, said = line.rpartition("  # ")
        if below and not code and line.lstrip().startswith("# "):
            yield line.lstrip()[2:], True
        elif "print(" in code or (".rollback(" in code and said.startswith("[")):
            yield said.strip(), "end=" not in code
            below = False
        else:
            below = "print(" in line


@pytest.fixture
def as_a_reader(simulator, monkeypatch, tmp_path):
    """Stand where a reader stands: a folder with a picture and a config file, a key and an address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-reader")
    monkeypatch.setenv("SKK_DATABASE_URL", f"sqlite:///{tmp_path}/data/skk.db")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", simulator.base_url.removesuffix("/v1"))
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # a program that is called reads what is piped in: nothing
    (tmp_path / "cat.png").write_bytes(draw("cat"))
    (tmp_path / "config.ini").write_text(f"[OpenAI]\nAPI_SECRET_KEY = sk-file\nBASE_URL = {simulator.base_url}\n")
    return tmp_path


def run(block, page, namespace):
    """Run a snippet, and hold what it prints against what it says."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(block, page, "exec"), namespace)
    printed, at = out.getvalue() + "\n", 0
    for said, to_the_end in promised(block):
        wanted = said + "\n" if to_the_end else said
        assert wanted in printed[at:], f"{said!r} is not in {printed[at:]!r}, printed by\n{block}"
        at = printed.index(wanted, at) + len(said)


@pytest.mark.parametrize("page", PAGES)
def test_python_snippets_print_what_they_say(page, as_a_reader, monkeypatch, request):
    """The snippets of a page run one after the other, and print what their comments say, in that order."""
    if "REDIS_URL" in text_of(page):
        monkeypatch.setenv("REDIS_URL", request.getfixturevalue("redis").url)
    monkeypatch.setenv("SKK_LANG", "zh" if page in IN_CHINESE else "en")
    namespace = {"__name__": "snippet"}
    found = blocks(page, "python")
    assert len(found) + len("".join(blocks(page, "sh")).splitlines()) >= (10 if page in READMES else 5)
    for block in found:
        run(block, page, namespace)


@pytest.mark.parametrize("lie", ["print(1 + 1)  # 3", "print(10)  # 1", "print(1)\n# 1\n# 2", "print(1, end='')  # 2"])
def test_a_snippet_that_lies_is_found(lie):
    """The guard can fail: a comment that is not what is printed is noticed."""
    with pytest.raises(AssertionError, match="is not in"):
        run(lie, "page", {})


def test_other_comments_are_no_promise():
    """What does not stand behind or below a print is said, not printed."""
    run("x = 3  # not printed\n# nor this\nprint(x)  # 3\n# nor this\n", "page", {})
    assert [] == list(promised("chat.rollback()  # takes the last turn back\n"))


@pytest.mark.skipif(os.name == "nt", reason="the snippets are for a POSIX shell")
@pytest.mark.parametrize("readme", [*READMES, "docs/terminal.md", "docs/terminal.zh-CN.md"])
def test_shell_snippets_run(readme, as_a_reader, skk_command):
    """Each line of a shell snippet runs; `make` lines name targets of the Makefile."""
    pytest.importorskip("click")
    (as_a_reader / "skk").write_text(f'#!/bin/sh\nexec {skk_command} "$@"\n')
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
                if command.startswith("skk chat")
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


@pytest.mark.parametrize("page", [page for page in PAGES if page not in READMES])
def test_a_page_begins_with_code(page):
    """A page says in a sentence what it gives, and shows it within ten lines."""
    assert {"```python", "```sh"} & {*text_of(page).splitlines()[:10]}


class _WithoutTexts(ast.NodeTransformer):
    """Code without what may be said in another language."""

    def visit_Constant(self, node):
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node):
        return ast.Constant("")


@pytest.mark.parametrize("page", IN_CHINESE)
def test_both_languages_have_the_same_sections_and_the_same_code(page):
    """What one language tells, the other tells too; the code differs in texts and comments alone."""
    both = [page.replace(".zh-CN", ""), page]
    sections = [text_of(name).count("\n## ") for name in both]
    assert sections[0] == sections[1]
    code = [[ast.unparse(_WithoutTexts().visit(ast.parse(block))) for block in blocks(name, "python")] for name in both]
    assert code[0] == code[1]


def test_every_page_is_there_in_both_languages():
    """A page without its other half is found."""
    assert sorted(IN_CHINESE) == sorted(
        page.removesuffix(".md") + ".zh-CN.md" for page in PAGES if page not in IN_CHINESE
    )


def anchor(heading):
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    """A link inside the repository names a file, and a section that is there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if "://" in target:
            continue
        path, _, section = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if section:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert section in map(anchor, headings), target


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_is_there(page):
    """A proof that is named can be run."""
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", text_of(page)):
        assert f"def {name}(" in tests, name
