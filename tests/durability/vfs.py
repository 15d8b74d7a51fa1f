"""The model disk beneath SQLite: a VFS around the system's own, in ctypes, so that no compiler is needed.

It sits in the very library that Python's `sqlite3` uses, and is its default while it is mounted: the broker under test opens
its database as always. Files outside of the disk's folder are not touched. Every call reaches the real file system too, whose
content is what SQLite reads back, and so locks and shared memory are real.
"""

from __future__ import annotations

import _sqlite3
import ctypes as c
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import format_exception
from typing import Any

import pytest

from tests.durability.disk import Content, Disk, Kind, Outcome

OK, FULL, CANTOPEN, IOERR = 0, 13, 14, 10
_IOERR: dict[Kind, int] = {
    "read": IOERR | 1 << 8,
    "write": IOERR | 3 << 8,
    "sync": IOERR | 4 << 8,
    "truncate": IOERR | 6 << 8,
    "delete": IOERR | 10 << 8,
    "shm_map": IOERR | 21 << 8,
    "open": CANTOPEN,
}
_REAL = 16  # where the real file's structure begins inside of ours
_OPEN_CREATE = 0x4

_P, _I, _L = c.c_void_p, c.c_int, c.c_int64
# sqlite3_io_methods, version 2 (no memory mapping, or writes would pass by us): name and arguments after the file.
_METHODS: list[tuple[str, list[Any]]] = [
    ("xClose", []),
    ("xRead", [_P, _I, _L]),
    ("xWrite", [_P, _I, _L]),
    ("xTruncate", [_L]),
    ("xSync", [_I]),
    ("xFileSize", [_P]),
    ("xLock", [_I]),
    ("xUnlock", [_I]),
    ("xCheckReservedLock", [_P]),
    ("xFileControl", [_I, _P]),
    ("xSectorSize", []),
    ("xDeviceCharacteristics", []),
    ("xShmMap", [_I, _I, _I, _P]),
    ("xShmLock", [_I, _I, _I]),
    ("xShmBarrier", []),
    ("xShmUnmap", [_I]),
]
_TYPES = {name: c.CFUNCTYPE(_I, _P, *arguments) for name, arguments in _METHODS}


class _Methods(c.Structure):
    _fields_ = [("iVersion", _I), *((name, _TYPES[name]) for name, _ in _METHODS)]


_OPEN = c.CFUNCTYPE(_I, _P, _P, _P, _I, _P)
_DELETE = c.CFUNCTYPE(_I, _P, c.c_char_p, _I)
_SET_CALL = c.CFUNCTYPE(_I, _P, c.c_char_p, _P)
_GET_CALL = c.CFUNCTYPE(_P, _P, c.c_char_p)
_OPEN_FOLDER = c.CFUNCTYPE(_I, c.c_char_p, _P)


class _Vfs(c.Structure):
    _fields_ = [
        ("iVersion", _I),
        ("szOsFile", _I),
        ("mxPathname", _I),
        ("pNext", _P),
        ("zName", c.c_char_p),
        ("pAppData", _P),
        ("xOpen", _OPEN),
        ("xDelete", _DELETE),
        *((f"same{number}", _P) for number in range(11)),  # xAccess to xCurrentTimeInt64: the system's own
        ("xSetSystemCall", _SET_CALL),
        ("xGetSystemCall", _GET_CALL),
        ("xNextSystemCall", _P),
    ]


def library() -> c.CDLL:
    """The SQLite that `sqlite3` itself is linked with. Skips where it is linked in and cannot be reached."""
    inside = getattr(_sqlite3, "__file__", None)
    for candidate in (inside, None):
        found = c.CDLL(candidate)  # looks through what this module is linked with
        if hasattr(found, "sqlite3_vfs_register"):
            found.sqlite3_vfs_find.restype = _P
            return found
    pytest.skip("this Python carries SQLite inside of itself: no test VFS can be put beneath it")


class _File:
    """An open file: its name and content on the model, and the real methods."""

    def __init__(self, name: str, content: Content, real: _Methods) -> None:
        self.name = name
        self.content = content
        self.real = real


class Mounted:
    """The VFS while it is the default. failures: what went wrong in here, which must be nothing."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.failures: list[BaseException] = []
        self._sqlite = library()
        self._address = self._sqlite.sqlite3_vfs_find(None)
        self._real = _Vfs.from_address(self._address)
        self._files: dict[int, _File] = {}
        self._methods = _Methods(2, *(self._safely(name, _TYPES[name]) for name, _ in _METHODS))
        self._ours = _Vfs.from_buffer_copy(self._real)
        self._ours.szOsFile = self._real.szOsFile + _REAL
        self._ours.pNext = None
        self._ours.zName = b"ophl7-power"
        self._ours.xOpen = self._open = self._safely("open", _OPEN)
        self._ours.xDelete = self._delete = self._safely("delete", _DELETE)
        self._folder_call = self._real.xGetSystemCall(self._address, b"openDirectory")
        self._real_open_folder = _OPEN_FOLDER(self._folder_call)
        self._open_folder = self._safely("open_folder", _OPEN_FOLDER)

    def mount(self) -> None:
        assert self._sqlite.sqlite3_vfs_register(c.byref(self._ours), 1) == OK
        # SQLite syncs a folder by opening it: only so a name becomes safe.
        assert self._real.xSetSystemCall(self._address, b"openDirectory", c.cast(self._open_folder, _P)) == OK

    def unmount(self) -> None:
        """Nothing on the disk may be open any more."""
        assert self._real.xSetSystemCall(self._address, b"openDirectory", self._folder_call) == OK
        assert self._sqlite.sqlite3_vfs_unregister(c.byref(self._ours)) == OK
        assert self._sqlite.sqlite3_vfs_register(_P(self._address), 1) == OK

    def _safely(self, name: str, kind: Any) -> Any:  # noqa: ANN401 - a ctypes function type
        """An exception in a callback would count as success: it becomes an error, and is kept."""
        work: Callable[..., int] = getattr(self, f"_{name}_", None) or (lambda *given: self._passed(name, *given))

        def call(*given: Any) -> int:  # noqa: ANN401 - whatever C hands over
            try:
                return work(*given)
            except BaseException as error:  # noqa: BLE001 - kept, and looked at when unmounted
                self.failures.append(error)
                return IOERR

        return kind(call)

    # -- the file system ---------------------------------------------------------------------------------------------------

    def _open_(self, _vfs: int, path: int | None, file: int, flags: int, out: int | None) -> int:
        name = c.string_at(path).decode() if path else ""
        if not self.disk.holds(name):
            return int(self._real.xOpen(self._address, path, file, flags, out))
        _P.from_address(file).value = None
        name = Path(name).name
        if self.disk.step("open", name) != "done":
            return CANTOPEN
        if not flags & _OPEN_CREATE and not (self.disk.folder / name).exists():
            return CANTOPEN
        code = int(self._real.xOpen(self._address, path, file + _REAL, flags, out))
        methods = _P.from_address(file + _REAL).value
        if methods is not None:
            self._files[file] = _File(name, self.disk.open(name), _Methods.from_address(methods))
            _P.from_address(file).value = c.addressof(self._methods)
        return code

    def _delete_(self, _vfs: int, path: bytes, sync_folder: int) -> int:
        name = Path(path.decode()).name
        ours = self.disk.holds(path.decode())
        if ours and self.disk.step("delete", name) != "done":
            return _IOERR["delete"]
        if ours:
            self.disk.delete(name)
        return int(self._real.xDelete(self._address, path, sync_folder))

    def _open_folder_(self, path: bytes, out: int) -> int:
        if self.disk.holds(path.decode()):
            self.disk.sync_folder()
        return int(self._real_open_folder(path, out))

    # -- a file --------------------------------------------------------------------------------------------------------------

    def _passed(self, name: str, file: int, *given: Any) -> int:  # noqa: ANN401 - whatever C hands over
        return int(getattr(self._files[file].real, name)(file + _REAL, *given))

    def _step(self, kind: Kind, file: int) -> tuple[Outcome, int]:
        """How it ends, and the error code if it is one."""
        outcome = self.disk.step(kind, self._files[file].name)
        return outcome, OK if outcome == "done" else FULL if outcome == "full" else _IOERR[kind]

    def _xClose_(self, file: int) -> int:  # noqa: N802 - as SQLite calls it
        code = self._passed("xClose", file)
        del self._files[file]
        return code

    def _xRead_(self, file: int, into: int, size: int, offset: int) -> int:  # noqa: N802 - as SQLite calls it
        _, code = self._step("read", file)
        return code or self._passed("xRead", file, into, size, offset)

    def _xWrite_(self, file: int, data: int, size: int, offset: int) -> int:  # noqa: N802 - as SQLite calls it
        outcome, code = self._step("write", file)
        written = {"done": size, "late": size, "short": size // 2}.get(outcome, 0)
        if written:
            self.disk.write(self._files[file].content, offset, c.string_at(data, written))
            return self._passed("xWrite", file, data, written, offset) or code
        return code

    def _xTruncate_(self, file: int, size: int) -> int:  # noqa: N802 - as SQLite calls it
        outcome, code = self._step("truncate", file)
        if outcome in {"done", "late"}:
            self.disk.truncate(self._files[file].content, size)
            return self._passed("xTruncate", file, size) or code
        return code

    def _xSync_(self, file: int, flags: int) -> int:  # noqa: N802 - as SQLite calls it
        outcome, code = self._step("sync", file)
        content = self._files[file].content
        if outcome in {"done", "late"}:
            passed = self._passed("xSync", file, flags)
            self.disk.sync(content)
            return passed or code
        if outcome != "off":
            self.disk.failed_sync(content)
        return code

    def _xShmMap_(self, file: int, *given: Any) -> int:  # noqa: ANN401, N802 - as SQLite calls it
        _, code = self._step("shm_map", file)
        return code or self._passed("xShmMap", file, *given)


@contextmanager
def mounted(disk: Disk) -> Iterator[Mounted]:
    """The disk is beneath SQLite until the end of the block, by which all connections to it must be closed."""
    vfs = Mounted(disk)
    vfs.mount()
    try:
        yield vfs
    finally:
        vfs.unmount()
    assert vfs.failures == [], "".join(line for one in vfs.failures[:3] for line in format_exception(one))
    assert vfs._files == {}, "a connection was left open"
