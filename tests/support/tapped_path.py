"""A path between a caller and a phone that keeps all it carries, as octets and as a capture, and may be bad.

It is what a network element with a SIP gateway is to both sides: each sees only the path, for addresses in
signalling are rewritten. So whole calls are captured without the right to listen on an interface. Every
port has five digits, which keeps every message as long as it was.
"""

import heapq
import random
import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from tests.support.capture import Carried, write_capture
from tests.support.rtp_phone import free_pair

_HOST: Final = "127.0.0.1"
_OCTETS_MAX: Final = 65_535
_MEDIA: Final = re.compile(rb"(?<=\nm=audio )[0-9]{5}")
_CALL_ID: Final = re.compile(rb"\n(?:Call-ID|i) *: *([^\r\n]+)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\n(?:Content-Length|l) *: *([0-9]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What happens to sound on its way to the phone; shares are from 0 to 1.

    Attributes:
        jitter_s: Each packet is late by anything up to this.
        deaf: Whether nothing of the phone's sound arrives at the caller.
    """

    lost: float = 0.0
    doubled: float = 0.0
    jitter_s: float = 0.0
    deaf: bool = False
    seed: int = 1


@dataclass(slots=True)
class _Sound:
    """The sockets of one call's sound: near the caller and near the phone; ports are learnt from SDP."""

    near: tuple[socket.socket, socket.socket] = field(default_factory=free_pair)
    far: tuple[socket.socket, socket.socket] = field(default_factory=free_pair)
    caller: int = 0
    phone: int = 0


class TappedPath:
    """The path; `with` it. The caller is told that the phone is at `port`.

    Args:
        phone_port: Where the phone is.
        transport: `UDP` or `TCP`.
        weather: What happens to sound.

    Attributes:
        carried: Everything, as the caller sent and received it.
    """

    def __init__(self, phone_port: int, *, transport: str = "UDP", weather: Weather | None = None) -> None:
        self.carried: list[Carried] = []
        self._phone = phone_port
        self._tcp = transport == "TCP"
        self._weather = weather or Weather()
        self._dice = random.Random(self._weather.seed)
        self._sounds: dict[bytes, _Sound] = {}
        self._late: list[tuple[float, int, socket.socket, bytes, int]] = []
        self._selector = selectors.DefaultSelector()
        self._caller = self._far_port = 0
        kind = socket.SOCK_STREAM if self._tcp else socket.SOCK_DGRAM
        self._near = socket.socket(socket.AF_INET, kind)
        self._near.bind((_HOST, 0))
        self.port = int(self._near.getsockname()[1])
        self._far = socket.socket(socket.AF_INET, kind)
        self._held: dict[socket.socket, bytes] = {}
        if self._tcp:
            self._near.listen()
            self._selector.register(self._near, selectors.EVENT_READ, self._take_connection)
        else:
            self._far.bind((_HOST, 0))
            self._far_port = int(self._far.getsockname()[1])
            self._selector.register(self._near, selectors.EVENT_READ, self._take_datagram)
            self._selector.register(self._far, selectors.EVENT_READ, self._take_datagram)
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b"x")
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
        for one in (self._wake, self._near, self._far):
            one.close()

    def signalling(self) -> list[bytes]:
        """Return every SIP message and keep-alive, whole as it went."""
        return [one.octets for one in self.carried if one.signalling]

    def sound(self) -> list[bytes]:
        """Return every RTP packet that the caller sent."""
        return [one.octets for one in self.carried if not one.signalling and one.sent and one.to % 2 == 0]

    def write(self, file: Path) -> Path:
        """Write all that was carried as a capture."""
        write_capture(file, self.carried, tcp=self._tcp)
        return file

    def _run(self) -> None:
        while True:
            due = max(0.0, self._late[0][0] - time.monotonic()) if self._late else None
            for key, _ in self._selector.select(due):
                if key.data is None:
                    return
                key.data(key.fileobj)
            while self._late and self._late[0][0] <= time.monotonic():
                *_, out, octets, to = heapq.heappop(self._late)
                out.sendto(octets, (_HOST, to))

    def _keep(self, octets: bytes, *, sent: bool, ours: int, theirs: int, signalling: bool) -> None:
        source, to = (theirs, ours) if sent else (ours, theirs)
        self.carried.append(Carried(time.time(), source, to, octets, sent=sent, signalling=signalling))

    def _take_datagram(self, on: socket.socket) -> None:
        with suppress(OSError):  # a phone that is gone
            octets, (_, source) = on.recvfrom(_OCTETS_MAX)
            if on is self._near:
                self._caller = source
                self._far.sendto(self._to_phone(octets), (_HOST, self._phone))
            else:
                self._near.sendto(self._to_caller(octets), (_HOST, self._caller))

    def _take_connection(self, on: socket.socket) -> None:
        near, (_, self._caller) = on.accept()
        self._selector.unregister(on)
        self._near = near
        self._far.connect((_HOST, self._phone))
        self._far_port = int(self._far.getsockname()[1])
        on.close()
        for one in (near, self._far):
            self._held[one] = b""
            self._selector.register(one, selectors.EVENT_READ, self._take_octets)

    def _take_octets(self, on: socket.socket) -> None:
        octets = b""
        with suppress(OSError):
            octets = on.recv(_OCTETS_MAX)
        if not octets:
            self._selector.unregister(on)
            for one in (self._near, self._far):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            return
        self._held[on] += octets
        for message in self._whole(on):
            if on is self._near:
                self._far.sendall(self._to_phone(message))
            else:
                self._near.sendall(self._to_caller(message))

    def _whole(self, on: socket.socket) -> Iterator[bytes]:
        """Cut what was held into messages; a keep-alive is one."""
        while self._held[on]:
            held = self._held[on]
            head, blank, _ = held.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            end = len(head) + len(blank) + (int(length[1]) if length else 0)
            if not blank or len(held) < end:
                return
            self._held[on] = held[end:]
            yield held[:end]

    def _to_phone(self, octets: bytes) -> bytes:
        self._keep(octets, sent=True, ours=self.port, theirs=self._caller, signalling=True)
        octets = _swapped(octets, {self._caller: self._far_port, self.port: self._phone})
        sound, port = self._sound_of(octets)
        if sound is not None:
            sound.caller = port
            octets = _moved(octets, port, sound.far)
        return octets

    def _to_caller(self, octets: bytes) -> bytes:
        octets = _swapped(octets, {self._far_port: self._caller, self._phone: self.port})
        sound, port = self._sound_of(octets)
        if sound is not None:
            sound.phone = port
            octets = _moved(octets, port, sound.near)
        self._keep(octets, sent=False, ours=self.port, theirs=self._caller, signalling=True)
        return octets

    def _sound_of(self, octets: bytes) -> tuple[_Sound | None, int]:
        media, call_id = _MEDIA.search(octets), _CALL_ID.search(octets)
        if media is None or call_id is None:
            return None, 0
        sound = self._sounds.get(call_id[1])
        if sound is None:
            sound = self._sounds[call_id[1]] = _Sound()
            for place in (0, 1):
                for one, back in ((sound.near, False), (sound.far, True)):
                    self._selector.register(
                        one[place],
                        selectors.EVENT_READ,
                        lambda on, place=place, back=back: self._take_sound(sound, on, place, back),
                    )
        return sound, int(media[0])

    def _take_sound(self, sound: _Sound, on: socket.socket, place: int, back: bool) -> None:
        with suppress(OSError):
            octets, (_, source) = on.recvfrom(_OCTETS_MAX)
            near, far = sound.near[place], sound.far[place]
            ours, theirs = near.getsockname()[1], sound.caller + place
            if not back:
                self._keep(octets, sent=True, ours=ours, theirs=source, signalling=False)
                self._blow(far, octets, sound.phone + place)
            elif not self._weather.deaf:
                self._keep(octets, sent=False, ours=ours, theirs=theirs, signalling=False)
                near.sendto(octets, (_HOST, theirs))

    def _blow(self, out: socket.socket, octets: bytes, to: int) -> None:
        """Send a packet to the phone, as the weather has it."""
        weather = self._weather
        for _ in range(1 + (self._dice.random() < weather.doubled)):
            if self._dice.random() < weather.lost:
                continue
            at = time.monotonic() + self._dice.random() * weather.jitter_s
            heapq.heappush(self._late, (at, len(self.carried), out, octets, to))


@contextmanager
def tapped_path(
    phone_port: int, *, transport: str = "UDP", weather: Weather | None = None
) -> Iterator[TappedPath]:
    """Open a path to a phone."""
    with TappedPath(phone_port, transport=transport, weather=weather) as path:
        yield path


def _swapped(octets: bytes, ports: dict[int, int]) -> bytes:
    """Show other ports of 127.0.0.1 instead, all at once."""
    wanted = {b"%d" % port: b"%d" % instead for port, instead in ports.items()}
    assert all(len(one) == len(other) for one, other in wanted.items()), "ports of five digits"
    return re.sub(
        rb"(?<=127\.0\.0\.1:)[0-9]{5}(?![0-9])", lambda found: wanted.get(found[0], found[0]), octets
    )


def _moved(octets: bytes, port: int, to: tuple[socket.socket, socket.socket]) -> bytes:
    """Show another place for the sound and its reports."""
    here = to[0].getsockname()[1]
    octets = _MEDIA.sub(b"%d" % here, octets)
    return octets.replace(b"\na=rtcp:%d" % (port + 1), b"\na=rtcp:%d" % (here + 1))
