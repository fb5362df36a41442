"""``skk completion``: real shells complete commands, options, settings, files, users and conversations."""

import json
import os
import shutil
import stat
import subprocess
import sys

import pexpect
import pytest

SHELLS = ["bash", "zsh", "fish"]


def needs(shell):
    missing = shutil.which(shell) is None or sys.platform == "win32"
    return pytest.mark.skipif(missing, reason=f"no {shell} here")


@pytest.fixture
def skk_on_path(tmp_path, monkeypatch, skk_command):
    """A program ``skk``, found as a shell finds programs; it runs this source."""
    program = tmp_path / "bin" / "skk"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {skk_command} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    return tmp_path


@pytest.fixture(params=[pytest.param(shell, marks=needs(shell)) for shell in ("bash", "fish")])
def complete(request, skk_on_path, skk_here):
    """Give what a shell offers for a line: in bash by the function that it calls, in fish by asking it."""
    shell = request.param
    script = skk_on_path / "script"
    script.write_text(skk_here("completion", shell).out)

    def ask(line):
        if shell == "fish":
            command = ["fish", "--no-config", "-c", f"source {script}; complete -C {line!r}"]
        else:
            words = line.split(" ")
            quoted = " ".join(f"'{word}'" for word in words)
            call = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _skk_completion skk"
            command = ["bash", "--norc", "-c", f'. {script}; {call}; printf "%s\\n" "${{COMPREPLY[@]}}"']
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=skk_on_path)
        assert done.stderr == ""
        return [found.partition("\t")[0] for found in done.stdout.split("\n") if found]

    return ask


class TestCandidates:
    def test_commands(self, complete):
        """All of them, and those that begin so."""
        assert {"ask", "chat", "completion", "config", "doctor", "simulator"} <= set(complete("skk "))
        assert sorted(complete("skk co")) == ["completion", "config"]

    @pytest.mark.parametrize(
        ("line", "found"),
        [
            ("skk doctor --off", ["--offline"]),
            ("skk config ", ["path", "set", "unset"]),
            ("skk config set b", ["base_url"]),
            ("skk config unset --la", ["--lang"]),
            ("skk completion ", ["bash", "zsh", "fish"]),
            ("skk chat --lang ", ["zh", "en"]),
        ],
    )
    def test_words(self, complete, line, found):
        """Commands of commands, options, what they may say, and the names of settings."""
        assert sorted(found) == sorted(complete(line))

    def test_users_and_their_conversations(self, complete, skk_there, served):
        """Both are in the store; the conversations are those of the user that is named."""
        for user in ("ann", "安娜"):
            skk_there("chat", "--user", user, text="自然数50的后面是几?\n")
        assert set(complete("skk chat --user ")) == {"ann", "安娜"}
        assert complete("skk ask -c --user 安") == ["安娜"]
        everybody, one = (complete(f"skk chat {words}--resume ") for words in ("", "--user ann "))
        assert (len(everybody), len(one), set(one) < set(everybody)) == (2, 1, True)

    @pytest.mark.parametrize("command", ["history", "show", "search x", "rm", "import", "export", "ask -c", "chat"])
    def test_users_wherever_one_is_named(self, complete, talks, command):
        """By the beginning of the name, whatever the form of its letters."""
        assert ["ann"] == complete(f"skk {command} --user an")

    @pytest.mark.parametrize("command", ["show", "rm", "export", "rm 1", "chat --resume"])
    def test_conversations_wherever_one_is_named(self, complete, talks, command):
        """Those of the user who stands before, else everybody's."""
        assert (set(talks.values()), [talks["ann"]]) == (
            set(complete(f"skk {command} ")),
            complete(f"skk {command.replace(' ', ' --user ann ', 1) if ' ' in command else f'{command} --user ann'} "),
        )

    def test_names_in_another_form(self, skk_here, skk_there, skk_on_path):
        """What is typed in decomposed letters finds what is kept in composed ones (where the shell takes it)."""
        (skk_on_path / "talk.json").write_text('[{"role": "user", "content": "1+1=?"}]')
        skk_here("import", "talk.json", "--user", "Ren\u00e9")
        words = {"_SKK_COMPLETE": "bash_complete", "COMP_WORDS": "skk show --user Rene\u0301", "COMP_CWORD": "3"}
        assert "plain,Ren\u00e9\n" == skk_there(**words).out

    def test_names_that_a_shell_would_read(self, complete, skk_there, skk_on_path, served):
        """Only what stands in a line as it is gets there: an imported name must not become a command."""
        plain, others = (
            ["a.b_c@d+e-3", "安娜", "é"],
            ["$(touch PWNED)", "a b", "a;b", "`a`", "a'b", "~", "-x", "a\u202eb"],
        )
        (skk_on_path / "talks.json").write_text(
            json.dumps({name: [{"role": "user", "content": "1+1=?"}] for name in (*plain, *others)})
        )
        skk_there("import", "talks.json")
        assert sorted(plain) == sorted(complete("skk chat --user "))

    def test_nothing_is_made(self, complete, tmp_path):
        """Nobody has talked yet: nothing is offered, and no store is made for it."""
        assert complete("skk chat --user ") == []
        assert not (tmp_path / "data").exists()

    def test_trouble_is_silent(self, complete, tmp_path):
        """A store that cannot be opened does not write into the line that is typed."""
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "skk.db").write_text("no database" * 1000)
        assert complete("skk chat --user ") == []


@pytest.fixture
def talks(skk_here, skk_on_path):
    """Keep a talk of each of two users; gives the conversations' ids."""
    (skk_on_path / "talk.json").write_text('[{"role": "user", "content": "1+1=?"}]')
    for user in ("ann", "安娜"):
        skk_here("import", "talk.json", "--user", user)
    return {row["user"]: row["id"] for row in json.loads(skk_here("history", "--json").out)}


@pytest.fixture
def shell_with(skk_on_path, skk_here):
    """Start a shell at a terminal, with the completion that ``skk`` gives for it."""
    children = []

    def start(shell):
        script = skk_on_path / f"_skk.{shell}"
        script.write_text(skk_here("completion", shell).out)
        options = {"bash": ["--norc", "-i"], "zsh": ["-f", "-i"], "fish": ["--no-config", "-i"]}[shell]
        environment = {**os.environ, "TERM": "dumb" if shell != "fish" else "xterm", "PS1": "$ "}
        child = pexpect.spawn(
            shell, options, env=environment, encoding="utf-8", timeout=60, cwd=str(skk_on_path), dimensions=(24, 200)
        )
        children.append(child)
        ready = "autoload -Uz compinit; compinit -u; " if shell == "zsh" else ""
        child.sendline(f"{ready}source {script}; echo rea''dy")
        child.expect("ready\r?\n")
        return child

    yield start
    for child in children:
        child.close(force=True)


class TestAtATerminal:
    @pytest.mark.parametrize("shell", [pytest.param(shell, marks=needs(shell)) for shell in ("bash", "zsh")])
    @pytest.mark.parametrize(
        ("typed", "made"),
        [
            ("skk doc", "skk doctor"),
            ("skk doctor --offl", "skk doctor --offline"),
            ("skk ask --attach pict", "skk ask --attach picture-of-the-test.png"),
            ("skk restore pict", "skk restore picture-of-the-test.png"),
            ("skk export 1 pict", "skk export 1 picture-of-the-test.png"),
            ("skk config set --config picture-of-th", "skk config set --config picture-of-the-test.png"),
        ],
    )
    def test_tab(self, shell_with, tmp_path, shell, typed, made):
        """What a person types is completed in the line; files are the shell's own."""
        (tmp_path / "picture-of-the-test.png").touch()
        child = shell_with(shell)
        child.send(f"{typed}\t")
        child.expect_exact(made.removeprefix(typed))

    @pytest.mark.parametrize("shell", [pytest.param(shell, marks=needs(shell)) for shell in ("bash", "zsh")])
    def test_a_conversation_of_a_user(self, shell_with, talks, shell):
        """The name first, then the id."""
        child = shell_with(shell)
        child.send("skk show --user an\t")
        child.expect_exact("--user ann")
        child.send(f" {talks['ann'][:2]}\t")
        child.expect_exact(talks["ann"])

    @pytest.mark.parametrize("shell", [pytest.param(shell, marks=needs(shell)) for shell in ("bash", "zsh")])
    def test_a_name_is_no_command(self, shell_with, skk_there, served, tmp_path, shell):
        """Tab and Enter run nothing that somebody has called themselves."""
        skk_there("chat", "--user", "$(touch PWNED)", text="1+1=?\n")
        child = shell_with(shell)
        child.send("skk chat --help --user \t\r")
        child.sendline("echo do''ne")
        child.expect("done\r?\n")
        assert not (tmp_path / "PWNED").exists()


class TestTheScript:
    @pytest.mark.parametrize("shell", [pytest.param(shell, marks=needs(shell)) for shell in SHELLS])
    def test_it_is_one(self, skk_here, tmp_path, shell):
        """The shell reads it without a word."""
        script = tmp_path / "script"
        script.write_text(skk_here("completion", shell).out)
        done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_zsh_finds_what_it_is_for(self, skk_here):
        """In a folder of functions, the first line says which program a file completes."""
        assert skk_here("completion", "zsh").out.splitlines()[0] == "#compdef skk"

    @pytest.mark.parametrize("shell", SHELLS)
    def test_how_it_is_installed(self, skk_here, shell):
        """The script says it as a comment; a person at a terminal is told beside."""
        for terminal in (False, True):
            seen = skk_here("completion", shell, terminal=terminal)
            assert f"# skk completion {shell} > " in seen.out
            assert (f"  skk completion {shell} > " in seen.err) is terminal

    def test_another_shell(self, skk_here):
        """It is refused by the names of those that there are."""
        seen = skk_here("completion", "csh")
        assert seen.status == 2
        assert all(shell in seen.err for shell in SHELLS)
