import socket
from pathlib import Path

from compose.stack.ports import HOST, free_port, is_free


def test_a_port_in_use_is_not_free() -> None:
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()

        assert not is_free(server.getsockname()[1])


def test_a_free_port_can_be_listened_on_and_is_not_one_of_those_refused() -> None:
    port = free_port()

    assert is_free(port)
    assert free_port(but=set(range(65_536)) - {port}) == port


def test_no_port_is_one_that_outgoing_connections_are_given() -> None:
    limits = Path("/proc/sys/net/ipv4/ip_local_port_range")
    floor = int(limits.read_text().split()[0]) if limits.exists() else 32_768

    assert all(free_port() < max(floor, 32_768) for _ in range(20))
