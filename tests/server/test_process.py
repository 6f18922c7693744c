"""One server process: its signals, its exit codes, and what it does without descriptors."""

import signal
import socket
import time

import pytest

from .conftest import StartProgram
from .programs import Program

LOOPS = ["uvloop", "asyncio"]
GET = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"


def released_by_its_last_byte(program: Program) -> socket.socket:
    """A request to ``/release`` whose last byte is still to come."""
    sock = program.connect()
    sock.sendall(b"POST /release HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
    return sock


@pytest.mark.parametrize("loop", LOOPS)
def test_sigterm_lets_50_streams_finish_and_exits_0(start_program: StartProgram, loop: str) -> None:
    program = start_program(loop=loop)
    streams = [program.open_stream() for _ in range(50)]
    release = released_by_its_last_byte(program)
    program.signal(signal.SIGTERM)
    program.wait_refused()
    release.sendall(b"x")
    for stream in streams:
        with stream:
            assert stream.read().endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    release.close()
    assert program.wait() == 0
    assert program.log == ""


@pytest.mark.parametrize("loop", LOOPS)
def test_streams_past_the_drain_limit_end_properly_and_it_exits_0(start_program: StartProgram, loop: str) -> None:
    program = start_program(loop=loop, drain_timeout_s=0.1)
    with program.open_stream() as stream:
        program.signal(signal.SIGINT)
        assert stream.read().endswith(b'data: {"error": {"code": "server_shutdown"}}\n\n\r\n0\r\n\r\n')
    assert program.wait() == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_second_signal_stops_now(start_program: StartProgram, loop: str) -> None:
    program = start_program(loop=loop, drain_timeout_s=3_600)
    with program.open_stream() as stream:
        program.signal(signal.SIGTERM)
        program.wait_refused()
        program.signal(signal.SIGTERM)
        assert program.wait() == 128 + signal.SIGTERM
        assert b"[DONE]" not in stream.read()


def test_failed_start_is_one_line_and_exit_code_1(start_program: StartProgram, tmp_path: object) -> None:
    program = start_program(fail=__file__)
    assert program.first_line == ""
    assert program.wait() == 1
    assert program.log == "program: told to fail\n"


def test_taken_address_is_one_line_and_exit_code_1(start_program: StartProgram) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = start_program(port=port)
        assert program.wait() == 1
    assert program.log == f"program: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_host_name_with_two_addresses_listens_on_one_port(start_program: StartProgram) -> None:
    program = start_program(host="localhost")
    urls = program.first_line.split()[1:]
    assert "http://127.0.0.1:" in program.first_line
    assert {url.rsplit(":", 1)[1] for url in urls} == {str(program.port)}


@pytest.mark.parametrize("loop", LOOPS)
def test_process_without_free_descriptors_waits_quietly_and_recovers(start_program: StartProgram, loop: str) -> None:
    program = start_program(loop=loop, descriptors=60, max_connections=10_000)
    started = time.monotonic()
    clients = [program.connect() for _ in range(80)]
    for client in clients:
        client.sendall(GET)
    again = program.wait_log(r"Too many open files \((\d+) more times")
    assert int(again[1]) <= 20, "accepting is tried about ten times a second, and never spins"
    lines = program.log.count("\n")
    assert lines <= 2 + (time.monotonic() - started)
    while clients:
        client = clients.pop(0)
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
        client.close()
    assert program.get("/echo") == b"0"


@pytest.mark.parametrize("loop", LOOPS)
def test_most_connections_make_the_next_one_wait(start_program: StartProgram, loop: str) -> None:
    program = start_program(loop=loop, max_connections=5)
    first = [program.connect() for _ in range(5)]
    for client in first:
        client.sendall(GET)
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
    waiting = program.connect()
    waiting.sendall(GET)
    program.wait_log("5 connections are open")
    first.pop().close()
    assert waiting.recv(65_536).startswith(b"HTTP/1.1 200 ")
    for client in [waiting, *first]:
        client.close()
