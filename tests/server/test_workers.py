"""Several worker processes: replaced when they crash, renewed without a failed request, never orphaned."""

import http.client
import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest

from chatproxy.errors import StartupError
from chatproxy.server import Drainable, ServerOptions, serve
from chatproxy.surfaces.edge import ASGIApp

from .conftest import StartProgram
from .programs import WAIT_S, Program, get


def workers_of(program: Program) -> list[psutil.Process]:
    return psutil.Process(program.process.pid).children()


def pids_that_answer(program: Program, count: int = 60) -> set[int]:
    return {int(program.get("/pid")) for _ in range(count)}


def wait_for_pids(program: Program, gone: set[int], count: int) -> set[int]:
    """Ask until `count` processes have answered, none of them in `gone`."""
    seen: set[int] = set()
    while len(seen - gone) < count:
        seen |= pids_that_answer(program, 10)
    return seen - gone


def test_ready_is_said_once_when_every_worker_answers(start_program: StartProgram) -> None:
    program = start_program(workers=2)
    workers = {worker.pid for worker in workers_of(program)}
    assert len(workers) == 2
    assert pids_that_answer(program) <= workers
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    assert program.process.stdout is not None
    assert program.process.stdout.read() == ""


def in_the_main_module() -> tuple[ASGIApp, Drainable]:
    raise AssertionError("never called")


def test_factory_that_no_worker_could_import_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "in_the_main_module", in_the_main_module, raising=False)
    monkeypatch.setattr(in_the_main_module, "__module__", "__main__")
    options = ServerOptions(port=0, workers=2)
    with pytest.raises(StartupError, match="need an application factory from an imported module, not from __main__"):
        serve(in_the_main_module, options)
    with pytest.raises(StartupError, match="need an application factory that can be pickled: "):
        serve(lambda: in_the_main_module(), options)  # noqa: PLW0108 - a lambda is the point


def test_crashed_worker_is_replaced(start_program: StartProgram) -> None:
    program = start_program(workers=2)
    before = {worker.pid for worker in workers_of(program)}
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        program.get("/crash")
    after = wait_for_pids(program, gone=before, count=1)
    assert after.isdisjoint(before)
    assert "ended with exit code 9: replacing it" in program.log


def test_workers_that_cannot_start_end_the_program(start_program: StartProgram, tmp_path: Path) -> None:
    program = start_program(workers=2, fail=__file__)
    assert program.first_line == ""
    assert program.wait() == 1
    assert "CRITICAL told to fail" in program.log
    assert "giving up" in program.log


def test_replacements_that_cannot_start_are_given_up(start_program: StartProgram, tmp_path: Path) -> None:
    program = start_program(workers=2, fail=str(tmp_path / "fail"))
    (tmp_path / "fail").touch()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        program.get("/crash")
    assert program.wait() == 1
    assert program.log.count("CRITICAL told to fail") == 5


def test_stream_finishes_when_its_worker_drains(start_program: StartProgram) -> None:
    program = start_program(workers=2, drain_timeout_s=0.2)
    with program.open_stream() as stream:
        program.signal(signal.SIGTERM)
        assert stream.read().endswith(b'data: {"error": {"code": "server_shutdown"}}\n\n\r\n0\r\n\r\n')
    assert program.wait() == 0


def test_second_signal_stops_all_workers_now(start_program: StartProgram) -> None:
    program = start_program(workers=2, drain_timeout_s=3_600)
    with program.open_stream() as stream:
        program.signal(signal.SIGTERM)
        program.wait_refused()
        program.signal(signal.SIGTERM)
        assert program.wait() == 128 + signal.SIGTERM
        assert b"[DONE]" not in stream.read()


def test_workers_drain_when_their_supervisor_is_killed(start_program: StartProgram) -> None:
    program = start_program(workers=2)
    workers = workers_of(program)
    program.process.kill()
    _, alive = psutil.wait_procs(workers, timeout=WAIT_S)
    assert alive == []


class Load(threading.Thread):
    """Requests one after another, on kept connections and on new ones in turn, until told to stop."""

    def __init__(self, program: Program, *, keep: bool) -> None:
        super().__init__()
        self.program = program
        self.keep = keep
        self.answered = 0
        self.failures: list[str] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        client: http.client.HTTPConnection | None = None
        while not self.stopped.wait(0.02):
            client = client or http.client.HTTPConnection("127.0.0.1", self.program.port, timeout=WAIT_S)
            try:
                get(client, "/pid")
            except (OSError, http.client.HTTPException) as exc:
                self.failures.append(repr(exc))
                client.close()
            self.answered += 1
            if not self.keep or client.sock is None:
                client.close()
                client = None
        if client is not None:
            client.close()


def test_rolling_restart_under_load_fails_no_request(start_program: StartProgram) -> None:
    program = start_program(workers=2, drain_idle_grace_s=5.0)
    loads = [Load(program, keep=keep) for keep in (True, False, True, False)]
    for load in loads:
        load.start()
    try:
        workers = workers_of(program)
        for _ in range(2):
            program.signal(signal.SIGHUP)
            psutil.wait_procs(workers, timeout=WAIT_S)
            before = {worker.pid for worker in workers}
            now = wait_for_pids(program, gone=before, count=1)
            assert now.isdisjoint(before)
            workers = workers_of(program)
    finally:
        for load in loads:
            load.stopped.set()
            load.join()
    assert [load.failures for load in loads] == [[], [], [], []]
    assert all(load.answered for load in loads)


def test_failed_renewal_keeps_the_old_workers(start_program: StartProgram, tmp_path: Path) -> None:
    program = start_program(workers=2, fail=str(tmp_path / "fail"))
    before = {worker.pid for worker in workers_of(program)}
    (tmp_path / "fail").touch()
    program.signal(signal.SIGHUP)
    program.wait_log("the old workers stay")
    assert {worker.pid for worker in workers_of(program)} == before
    assert pids_that_answer(program) <= before
