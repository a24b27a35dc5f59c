"""Processes that help this one: started here, or by a launcher such as torchrun on any number of machines.

This process is the program: it reads the config, writes files, talks to trackers. A helper knows nothing of
that. It gets a model, then units of work, and sends back what each gives, until its connection ends.
"""

import os
import pickle
import secrets
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

import torch
from torch.distributed.rendezvous import rendezvous

from mixsd.core.errors import HelperLost, SettingError
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.helper import ignore_signals
from mixsd.lm.parcels import Parcel, received, to_bytes

PLACES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What a launcher tells each of its processes."""
PATIENCE_S = 600.0
"""How long the other processes of a launcher are waited for."""


class Helper:
    """A process that works for this one.

    Args:
        connection: To it.
        rank: Its number; this process is 0.
        process: The process, where it was started here.
    """

    def __init__(self, connection: Connection, rank: int, process: "subprocess.Popen[bytes] | None") -> None:
        self._connection, self._rank, self._process = connection, rank, process
        self._has: int | None = None
        self._is_there = False

    def do(self, work: Any, parcel: Parcel, left: deque[Any], tell: Callable[[Any], None]) -> int:
        """Let it do units with a model until there are none.

        Args:
            work: See `shares.Work`.
            parcel: The model.
            left: The units; others take of them, too.
            tell: Gets every part.

        Returns:
            Forward passes that it made.

        Raises:
            HelperLost: It ended meanwhile.
        """
        passes = 0
        try:
            # Its start takes seconds, in which this process may do all alone.
            while left and not self._is_there:
                self._is_there = self._connection.poll(0.05) and bool(_receive(self._connection))
            if left and self._has != parcel.number:
                order = _Model(parcel.skeleton, len(parcel.tensors), torch.get_num_threads())
                _send(self._connection, order)
                for tensor in parcel.tensors:
                    _send_bytes(self._connection, to_bytes(tensor))
                self._has = None
                if isinstance(answer := _receive(self._connection), BaseException):
                    raise answer
                self._has = parcel.number
            while (unit := next_of(left)) is not None:
                _send(self._connection, _Unit(work, unit))
                while not isinstance(part := _receive(self._connection), _Done):
                    if isinstance(part, BaseException):
                        raise part
                    tell(part)
                passes += part.passes
        except _Gone as error:
            raise HelperLost(f"{self._said()}; give the same command again") from error
        return passes

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, as far as can be told."""
        return self._process is not None and self._process.poll() is not None

    def _said(self) -> str:
        status = None
        with suppress(subprocess.TimeoutExpired):
            status = self._process.wait(timeout=10) if self._process else None
        how = "" if status is None else f" by signal {-status}" if status < 0 else f" with status {status}"
        return f"helper process {self._rank} ended{how} in the middle of its work"

    def close(self) -> None:
        """Let it end, at once."""
        # Killed first: whoever still listens hears that, on a connection that is still this one.
        if self._process:
            self._process.kill()
            self._process.wait()
        self._connection.close()


@dataclass(frozen=True)
class _Model:
    """An order: take this model, whose weights follow, and compute with so many threads."""

    skeleton: bytes
    tensors: int
    threads: int


@dataclass(frozen=True)
class _Unit:
    """An order: do this unit of work."""

    work: Any
    unit: Any


@dataclass(frozen=True)
class _Done:
    """A unit is done; what it took."""

    passes: int


def next_of(left: deque[Any]) -> Any:
    """The next unit, None where there is none; threads take of the same ones."""
    try:
        return left.popleft()
    except IndexError:
        return None


class _Led:
    """The helpers of this process; there is one such group in it, as there is one process group in torch."""

    def __init__(self) -> None:
        self.wanted, self.threads, self.gpus = 0, 1, list[str]()
        self.helpers: list[Helper] = []
        self.launched = 0
        """Processes that a launcher started, this one among them."""


_led = _Led()


def lead(devices: int | None, threads: int, gpus: Sequence[str] = ()) -> None:
    """From now on, let work be shared among so many processes, this one among them.

    Args:
        devices: Processes (None: this one alone, or with those that a launcher started).
        threads: Threads of each.
        gpus: The GPUs of all, by their names; none on a CPU.

    Raises:
        SettingError: A launcher started another number of processes.
        HelperLost: They have ended.
    """
    if _led.launched:
        if devices not in (None, _led.launched):
            raise SettingError(
                f"devices={devices}, but the launcher started {_led.launched} processes; leave devices out, "
                "or give that number"
            )
        if not _led.helpers:
            raise HelperLost("the launcher's other processes have ended; give the same command again")
        return
    wanted = (devices or 1) - 1
    if (wanted, threads, list(gpus)) != (_led.wanted, _led.threads, _led.gpus):
        dismiss()
    _led.wanted, _led.threads, _led.gpus = wanted, threads, list(gpus)
    helpers()  # they start while this process loads its model


def helpers() -> list[Helper]:
    """The helpers of this process, started where they are not."""
    there = [helper for helper in _led.helpers if not helper.has_ended]
    if not _led.launched and len(there) < _led.wanted:
        dismiss()
        _led.helpers = [_start(rank) for rank in range(1, _led.wanted + 1)]
    return _led.helpers


def dismiss() -> None:
    """Let all helpers end."""
    for helper in _led.helpers:
        helper.close()
    _led.helpers = []


def _start(rank: int) -> Helper:
    ours, theirs = Pipe()
    command = [sys.executable, "-m", "mixsd.lm.helper", str(theirs.fileno())]
    variables = {**os.environ, "OMP_NUM_THREADS": str(_led.threads)}
    variables["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, sys.path))  # people's own classes, too
    if rank < len(_led.gpus):
        variables["CUDA_VISIBLE_DEVICES"] = _led.gpus[rank]
    # Its standard input ends with this process, however that ends.
    process = subprocess.Popen(
        command,
        pass_fds=[theirs.fileno()],
        stdin=subprocess.PIPE,
        env=variables,
    )
    theirs.close()
    return Helper(ours, rank, process)


def join_launcher() -> bool:
    """Where a launcher started several processes: be its helper, or take the others for this one's helpers.

    Returns:
        Whether this process was a helper, and is to end now.

    Raises:
        SettingError: What the launcher tells makes no sense, or the others do not come.
    """
    given = {name: os.environ[name] for name in PLACES if name in os.environ}
    try:
        size, rank = int(given["WORLD_SIZE"]), int(given["RANK"])
        store, _, _ = next(rendezvous("env://"))
        if rank:
            ignore_signals()
            address, port, key = store.get("mixsd").decode().split()
            connection = Client((address, int(port)), authkey=bytes.fromhex(key))
            _send(connection, rank)
            serve(connection)
            return True
        key = secrets.token_bytes(32)
        with Listener(("", 0), backlog=size, authkey=key) as listener:
            listener._listener._socket.settimeout(PATIENCE_S)  # type: ignore[attr-defined]
            store.set("mixsd", f"{given['MASTER_ADDR']} {listener.address[1]} {key.hex()}")
            there = [listener.accept() for _ in range(1, size)]
    except (KeyError, ValueError, OSError, RuntimeError, StopIteration) as error:
        told, said = (f"{name}={value}" for name, value in given.items()), " ".join(str(error).split())
        raise SettingError(
            f"{' '.join(told)} says that this is one of several processes, but they do not come together "
            f"({type(error).__name__}: {said[:120]}); start all by torchrun or its like, or unset WORLD_SIZE"
        ) from error
    _led.helpers = sorted(
        (Helper(connection, _receive(connection), None) for connection in there), key=lambda one: one._rank
    )
    _led.launched = size
    # Libraries would make a process group of their own out of these.
    for name in given:
        del os.environ[name]
    return False


def serve(connection: Connection) -> None:
    """Do what comes, until the connection ends."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: ChatModel | None = None
    passes = 0

    def count_pass(*_: object) -> None:
        nonlocal passes
        passes += 1

    with suppress(_Gone):
        _send(connection, True)  # it is there
        while True:
            order = _receive(connection)
            # All of them before anything can fail: what comes next is an order again.
            buffers = deque(_receive_bytes(connection) for _ in range(getattr(order, "tensors", 0)))
            try:
                if isinstance(order, _Model):
                    torch.set_num_threads(order.threads)
                    model = None  # two would not fit
                    model = received(order.skeleton, buffers, device)
                    model.network.get_decoder().register_forward_pre_hook(count_pass)
                else:
                    passes = 0
                    order.work(model, order.unit, partial(_send, connection))
                _send(connection, _Done(passes))
            except _Gone:
                raise
            except Exception as error:  # noqa: BLE001 - it is raised again where the work was given
                _send(connection, _sendable(error))


class _Gone(Exception):
    """The other end of a connection is."""


def _send(connection: Connection, what: Any) -> None:
    # Pickled here: torch would have `send` pass tensors on as shared memory, which ends at the machine.
    _send_bytes(connection, pickle.dumps(what))


def _receive(connection: Connection) -> Any:
    return pickle.loads(_receive_bytes(connection))


def _send_bytes(connection: Connection, what: Any) -> None:
    try:
        connection.send_bytes(what)
    except OSError as error:
        raise _Gone from error


def _receive_bytes(connection: Connection) -> bytes:
    try:
        return connection.recv_bytes()
    except (EOFError, OSError) as error:
        raise _Gone from error


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - errors of libraries may hold anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
