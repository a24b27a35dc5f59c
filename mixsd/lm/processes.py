"""Processes that help this one: started here, or by a launcher such as torchrun on any number of machines.

This process is the program: it reads the config, writes files, talks to trackers. A helper knows nothing of
that. It gets a model, then units of work, and sends back what each gives, until its connection ends.
"""

import copy
import os
import pickle
import secrets
import subprocess
import sys
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from multiprocessing import Pipe
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

import torch
from torch import Tensor, nn

from mixsd.core.errors import HelperLost, SettingError
from mixsd.lm.chat_model import ChatModel

PLACES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What a launcher tells each of its processes."""
_GONE = (EOFError, ConnectionError, BrokenPipeError)
_numbers = count()


@dataclass(frozen=True)
class Parcel:
    """A model on its way to helpers.

    Attributes:
        number: Names these weights; a helper that has them gets nothing.
        skeleton: The pickled network without its weights, and its chat template.
        tensors: The weights.
    """

    number: int
    skeleton: bytes
    tensors: Sequence[Tensor]


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
                self._is_there = self._connection.poll(0.05) and _receive(self._connection)
            if left and self._has != parcel.number:
                _send(self._connection, _Model(parcel.skeleton))
                for tensor in parcel.tensors:
                    self._connection.send_bytes(_bytes(tensor.cpu().contiguous()))
                self._has = parcel.number
            while (unit := next_of(left)) is not None:
                _send(self._connection, _Unit(work, unit))
                while not isinstance(part := _receive(self._connection), _Done):
                    if isinstance(part, BaseException):
                        raise part
                    tell(part)
                passes += part.passes
        except _GONE as error:
            raise HelperLost(f"{self._said()}; give the same command again") from error
        return passes

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, as far as can be told."""
        return self._process is not None and self._process.poll() is not None

    def _said(self) -> str:
        status = self._process.wait(timeout=10) if self._process else None
        how = "" if status is None else f" by signal {-status}" if status < 0 else f" with status {status}"
        return f"helper process {self._rank} ended{how} in the middle of its work"

    def close(self) -> None:
        """Let it end, at once."""
        self._connection.close()
        if self._process:
            self._process.kill()
            self._process.wait()


@dataclass(frozen=True)
class _Model:
    """An order: take this model, whose weights follow."""

    skeleton: bytes


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
        self.by_launcher = False
        self.known: tuple[Any, tuple[Any, ...], int, bytes] | None = None


_led = _Led()


def lead(devices: int | None, threads: int, gpus: Sequence[str] = ()) -> None:
    """From now on, let work be shared among so many processes, this one among them.

    Args:
        devices: Processes (None: this one alone, or with those that a launcher started).
        threads: Threads of each.
        gpus: The GPUs of all, by their names; none on a CPU.

    Raises:
        SettingError: A launcher started another number of processes.
    """
    if _led.by_launcher:
        if devices not in (None, len(_led.helpers) + 1):
            raise SettingError(
                f"devices={devices}, but the launcher started {len(_led.helpers) + 1} processes; leave "
                "devices out, or give that number"
            )
        return
    wanted = (devices or 1) - 1
    if (wanted, threads, list(gpus)) != (_led.wanted, _led.threads, _led.gpus):
        dismiss()
    _led.wanted, _led.threads, _led.gpus = wanted, threads, list(gpus)
    helpers()  # they start while this process loads its model


def helpers() -> list[Helper]:
    """The helpers of this process, started where they are not."""
    there = [helper for helper in _led.helpers if not helper.has_ended]
    if not _led.by_launcher and len(there) < _led.wanted:
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
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if size == 1:
        return False
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(rendezvous("env://"))
    if rank:
        address, port, key = store.get("mixsd").decode().split()
        connection = Client((address, int(port)), authkey=bytes.fromhex(key))
        _send(connection, rank)
        serve(connection)
        return True
    key = secrets.token_bytes(32)
    with Listener((os.environ["MASTER_ADDR"], 0), backlog=size, authkey=key) as listener:
        address, port = listener.address  # type: ignore[misc]
        store.set("mixsd", f"{address} {port} {key.hex()}")
        there = [listener.accept() for _ in range(1, size)]
    _led.helpers = sorted(
        (Helper(connection, _receive(connection), None) for connection in there), key=lambda one: one._rank
    )
    _led.by_launcher = True
    # Libraries would make a process group of their own out of these.
    for name in PLACES:
        os.environ.pop(name, None)
    return False


def parcel_of(model: ChatModel) -> Parcel:
    """A model as helpers get it."""
    network = model.network
    tensors = _tensors(network)
    # By content: a fused optimiser changes weights and leaves their version counters as they were.
    content = tuple(torch.hash_tensor(tensor).view(torch.int64).item() for tensor in tensors)
    known = _led.known
    if known is None or known[0]() is not network or known[1] != content:
        known = _led.known = (weakref.ref(network), content, next(_numbers), _skeleton(model))
    return Parcel(known[2], known[3], tensors)


def serve(connection: Connection) -> None:
    """Do what comes, until the connection ends."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: ChatModel | None = None
    passes = 0

    def count_pass(*_: object) -> None:
        nonlocal passes
        passes += 1

    try:
        _send(connection, True)  # it is there
        while True:
            order = _receive(connection)
            try:
                if isinstance(order, _Model):
                    model = None  # two would not fit
                    model = _received(order.skeleton, connection, device)
                    model.network.get_decoder().register_forward_pre_hook(count_pass)
                    continue
                assert model is not None
                passes = 0
                order.work(model, order.unit, partial(_send, connection))
                _send(connection, _Done(passes))
            except _GONE:
                raise
            except Exception as error:  # noqa: BLE001 - it is raised again where the work was given
                _send(connection, _sendable(error))
    except _GONE:
        return


def _send(connection: Connection, what: Any) -> None:
    # Pickled here: torch would have `send` pass tensors on as shared memory, which ends at the machine.
    connection.send_bytes(pickle.dumps(what))


def _receive(connection: Connection) -> Any:
    return pickle.loads(connection.recv_bytes())


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - errors of libraries may hold anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _tensors(network: nn.Module) -> list[Tensor]:
    """Each tensor of a network once: its weights, and buffers that no checkpoint holds."""
    found = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return list(found.values())


def _with(network: nn.Module, tensors: Sequence[Tensor]) -> Any:
    """A copy of a network with other tensors in the places of its own; tied ones stay tied."""
    given = zip(_tensors(network), tensors, strict=True)
    memo: dict[int, Any] = {id(own): _like(own, tensor) for own, tensor in given}
    return copy.deepcopy(network, memo)


def _like(own: Tensor, tensor: Tensor) -> Tensor:
    return nn.Parameter(tensor, requires_grad=False) if isinstance(own, nn.Parameter) else tensor


def _skeleton(model: ChatModel) -> bytes:
    network = model.network
    empty = _with(network, [torch.empty_like(tensor, device="meta") for tensor in _tensors(network)])
    # Those of a meter belong to this process.
    for module in empty.modules():
        module._forward_pre_hooks.clear()
    return pickle.dumps((empty, model.template))


def _received(skeleton: bytes, connection: Connection, device: str) -> ChatModel:
    empty, template = pickle.loads(skeleton)
    tensors = []
    for tensor in _tensors(empty):
        here = torch.empty_like(tensor, device="cpu")
        connection.recv_bytes_into(_bytes(here))
        tensors.append(here.to(device))
    return ChatModel(_with(empty, tensors).eval(), template)


def _bytes(tensor: Tensor) -> memoryview:
    """A tensor's memory, to be read or written as it is."""
    numbers: Any = tensor.detach().reshape(-1).view(torch.uint8).numpy()
    return memoryview(numbers)
