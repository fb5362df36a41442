"""Start ``skk`` many times without loading the third parties of each anew: most of a start's second is theirs.

``python warm.py serve ADDRESS`` loads them once, and forks for each start; nothing of ours is loaded in it. A start
is a process of its own, with the descriptors, the environment, the folder and the terminal that it was given.
``python warm.py start ADDRESS WORDS`` is one such start, for shells: it stands where ``python -m skk WORDS`` would.
"""

import _socket
import os
import sys

MOST = 1 << 20


def ask(address, words, environ, folder, descriptors, at_terminal=False):
    """Have ``skk`` started; give its process id and a socket that tells its exit status when it has ended."""
    import array
    import marshal

    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    channel.connect(address)
    data = marshal.dumps(([*words], {**environ}, str(folder), at_terminal))
    passed = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", descriptors))]
    sent = channel.sendmsg([len(data).to_bytes(4, "big") + data], passed)
    channel.sendall((len(data).to_bytes(4, "big") + data)[sent:])
    return int.from_bytes(channel.recv(4), "big"), channel


def load():
    """Load what others have written and ``skk`` uses."""
    import contextlib
    import importlib

    for name in (
        *("asyncio", "json", "sqlite3", "click", "openai", "sqlalchemy.ext.asyncio", "aiosqlite"),
        *("sqlalchemy.dialects.sqlite.aiosqlite", "platformdirs", "rich.console", "rich.markdown", "rich.live"),
        *("prompt_toolkit", "prompt_toolkit.shortcuts", "prompt_toolkit.history", "prompt_toolkit.output.vt100"),
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with contextlib.suppress(ImportError):
        import openai

        for make in (openai.OpenAI, openai.AsyncOpenAI):
            client = make(api_key="none", base_url="http://127.0.0.1:9")
            assert client.chat.completions, client.models


def keep():
    """Have the third parties left alone at the end of each process: to take them apart costs a tenth of a second."""
    import atexit
    import ctypes

    theirs = {name: it for name, it in sys.modules.items() if name.partition(".")[0] not in sys.stdlib_module_names}
    theirs.pop("__main__", None)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(theirs))
    atexit.register(lambda: [sys.modules.pop(name, None) for name in theirs])


def serve(address):
    """Fork for each start; comes back in the new process, with what that is to do."""
    import gc
    import marshal
    import select
    import signal
    import socket

    load()
    keep()
    gc.collect()
    gc.freeze()
    told, tell = os.pipe()
    for end in (told, tell):
        os.set_blocking(end, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for what was started
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen(64)
    print("ready", flush=True)
    channels = {}
    while True:
        ready, _, _ = select.select([listener, told, 0], [], [])
        if 0 in ready:  # who has started this has gone
            sys.exit()
        if told in ready:
            os.read(told, 4096)
            while channels:
                ended, status = os.waitpid(-1, os.WNOHANG)
                if not ended:
                    break
                with channels.pop(ended) as channel:
                    channel.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
        if listener in ready:
            channel, _ = listener.accept()
            data, descriptors, _, _ = socket.recv_fds(channel, MOST, 3)
            while len(data) < 4 + int.from_bytes(data[:4], "big"):
                data += channel.recv(MOST)
            child = os.fork()
            if not child:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                return *marshal.loads(data[4:]), descriptors
            channels[child] = channel
            channel.sendall(child.to_bytes(4, "big"))
            for descriptor in descriptors:
                os.close(descriptor)


def become(words, environ, folder, at_terminal, descriptors):
    """Be the process that was asked for, as an interpreter is when it has started."""
    import fcntl
    import io
    import locale
    import termios

    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.closerange(3, 1024)
    if at_terminal:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    locale.setlocale(locale.LC_CTYPE, "")

    def stream(number, mode, errors):
        buffer = os.fdopen(number, f"{mode}b", closefd=False)
        by_line = number == 2 or buffer.raw.isatty()
        return io.TextIOWrapper(buffer, "utf-8", errors, line_buffering=by_line)

    sys.stdin = sys.__stdin__ = stream(0, "r", "surrogateescape")
    sys.stdout = sys.__stdout__ = stream(1, "w", "surrogateescape")
    sys.stderr = sys.__stderr__ = stream(2, "w", "backslashreplace")
    sys.argv = ["skk", *words]
    sys.path[0] = folder


if __name__ == "__main__":
    if sys.argv[1] == "start":
        _, channel = ask(sys.argv[2], sys.argv[3:], os.environ, os.getcwd(), [0, 1, 2])
        status = int.from_bytes(channel.recv(4), "big", signed=True)
        os._exit(status if status >= 0 else 128 - status)
    become(*serve(sys.argv[2]))
    import runpy

    runpy.run_module("skk", run_name="__main__", alter_sys=True)
