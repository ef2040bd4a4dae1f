"""Saving and loading: nested Python data with tensors in it, as one `.npz` file without pickle.

The file is a zip of `structure.json`, which is the data with a reference in the place of each array, and of each array
as a `.npy` named after where it stands: `numpy.load(file)["0.weight"]` reads a weight without this package. Reading a
file runs no code from it.
"""

from __future__ import annotations

import copy
import io
import json
import math
import os
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

from .dtypes import check_device, device
from .random import Generator
from .tensor import Size, Tensor

_STRUCTURE = "structure.json"
_FORMAT = "microgradnet 1"
_PICKLED = b"microgradnet, pickled\n"


class CheckpointError(RuntimeError):
    """A file that cannot be loaded: damaged, or of another kind. The message names it and what is wrong."""


# --- saving ---------------------------------------------------------------------------------------------------------


def save(obj: Any, f: Any, pickle_module: Any = None) -> None:
    """Write `obj` to `f`, a path (used as it is) or a binary file.

    obj: dicts, OrderedDicts, lists, tuples and Sizes, nested, of Tensors, arrays, NumPy scalars, dtypes, str, int,
        float, bool and None. What refers to one Tensor or array twice does so again when loaded; Tensors on one ndarray
        share it again; other views become copies.
    pickle_module: `pickle`, to store any other object, such as a whole Module. Loading that needs `weights_only=False`
        and runs whatever code the file asks for; prefer `module.state_dict()`.
    A path is written under another name and renamed, so that an interrupted save leaves the old file as it was.
    Errors: TypeError names the place in `obj` of what cannot be stored.
    """
    if pickle_module is None:
        structure, arrays = _encode(obj)
        _write_to(f, lambda file: _write_archive(file, structure, arrays))
    else:
        pickled = _PICKLED + pickle_module.dumps(obj)
        _write_to(f, lambda file: file.write(pickled))


def _write_archive(file: IO[bytes], structure: str, arrays: dict[str, np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        with archive.open(_STRUCTURE, "w") as member:
            member.write(structure.encode())
        for name, array in arrays.items():
            with archive.open(name + ".npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _write_to(f: Any, write: Callable[[IO[bytes]], Any]) -> None:
    """Let `write` write to a file object, or to a path all or nothing."""
    if not isinstance(f, (str, os.PathLike)):
        _check_binary("save", f, "write", "wb")
        buffer = io.BytesIO()  # a zip wants to seek, which not every file can
        write(buffer)
        f.write(buffer.getvalue())
        return
    path = os.path.realpath(f)  # so that a link stays a link
    if not os.path.isdir(os.path.dirname(path)):
        raise FileNotFoundError(f"save(): the folder of {path!r} does not exist; create it first")
    if os.path.exists(path) and not os.path.isfile(path):  # a device or a pipe is written to, not replaced
        with open(path, "wb") as file:
            _write_to(file, write)
        return
    temporary = os.path.join(os.path.dirname(path), f".{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise


def _check_binary(caller: str, f: Any, method: str, mode: str) -> None:
    if not hasattr(f, method) or isinstance(f, io.TextIOBase):
        what = "a file opened as text" if isinstance(f, io.TextIOBase) else type(f).__name__
        raise TypeError(f"{caller}() expects a path or a file opened with mode {mode!r}, got {what}")


def _encode(obj: Any) -> tuple[str, dict[str, np.ndarray]]:
    """The structure of the data as JSON, and its arrays by the names of their members."""
    encoder = _Encoder()
    try:
        return json.dumps({"format": _FORMAT, "content": encoder.encode(obj, "obj", ())}), encoder.arrays
    except RecursionError:
        raise TypeError("save(): obj contains itself, or is nested too deeply, and cannot be stored") from None


class _Encoder:
    """Turns data into what JSON can hold, and collects its arrays.

    A list, str, int, bool, None and a finite float stand for themselves; everything else is {kind: content}.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}  # by the name of their member
        self._members: dict[int, str] = {}  # id of an array -> the name of its member
        self._objects: dict[int, int] = {}  # id of a Tensor or an array -> its number, in order

    def encode(self, obj: Any, where: str, path: tuple[str, ...]) -> Any:
        """`where` is the place as Python writes it, for messages; `path` the keys on the way, for names of members."""
        kind = type(obj)
        if kind in (str, bool, int, type(None)):
            return obj
        if kind is float:
            return obj if math.isfinite(obj) else {"float": str(obj)}
        if kind in (list, tuple, Size):
            items = [self.encode(x, f"{where}[{i}]", (*path, str(i))) for i, x in enumerate(obj)]
            return items if kind is list else {kind.__name__: items}
        if kind in (dict, OrderedDict):
            return {kind.__name__: [self._pair(key, value, where, path) for key, value in obj.items()]}
        if isinstance(obj, np.dtype) and np.dtype(obj.str) == obj:
            return {"dtype": obj.str}
        if isinstance(obj, np.generic) and not obj.dtype.hasobject:
            return {"scalar": self._member(np.asarray(obj), path)}
        if id(obj) in self._objects:
            return {"again": self._objects[id(obj)]}
        if isinstance(obj, Tensor):
            content = {"member": self._member(obj.array, path), "requires_grad": obj.requires_grad}
            content["parameter"] = _is_parameter(obj)
        elif kind is np.ndarray and not obj.dtype.hasobject:
            content = {"member": self._member(obj, path)}
        else:
            raise TypeError(f"save(): cannot store {where}, {_what(obj)}")
        self._objects[id(obj)] = len(self._objects)
        return {"tensor" if isinstance(obj, Tensor) else "array": content}

    def _pair(self, key: Any, value: Any, where: str, path: tuple[str, ...]) -> list:
        if type(key) not in (str, int, float, bool, type(None)):
            raise TypeError(f"save(): cannot store the key {key!r:.60} of {where}: use str, int, float, bool or None")
        return [self.encode(key, where, path), self.encode(value, f"{where}[{key!r}]", (*path, str(key)))]

    def _member(self, array: np.ndarray, path: tuple[str, ...]) -> str:
        name = self._members.get(id(array))
        if name is None:
            plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in ".".join(path))[:100] or "array"
            name, count = plain, 1
            while name in self.arrays:
                count += 1
                name = f"{plain}-{count}"
            self.arrays[name] = array  # which also keeps it alive, and so its id its own
            self._members[id(array)] = name
        return name


def _is_parameter(tensor: Tensor) -> bool:
    from .nn.parameter import Parameter

    return isinstance(tensor, Parameter)


def _what(obj: Any) -> str:
    """What cannot be stored, and the way out."""
    kind = type(obj)
    if hasattr(obj, "state_dict"):
        return f"a {kind.__name__}: save its state_dict(), and load it with load_state_dict()"
    if isinstance(obj, Generator):
        return "a Generator: save its get_state(), and load it with set_state()"
    for plain in (dict, list, tuple, str, int, float, np.ndarray):
        if isinstance(obj, plain):
            return f"a {kind.__name__}: convert it to a plain {plain.__name__}"
    return f"a {kind.__name__}: tensors, arrays, numbers, str, None and dicts, lists and tuples of them can be stored"


# --- loading --------------------------------------------------------------------------------------------------------


def load(f: Any, map_location: Any = None, pickle_module: Any = None, *, weights_only: bool = True,
         mmap: bool | None = None) -> Any:
    """What `save` wrote to `f`, a path or a binary file.

    map_location: None or 'cpu'; functions and dicts, as PyTorch takes them, and `mmap` change nothing here.
    weights_only: False also loads a pickled object, with `pickle_module` (by default `pickle`). This runs whatever code
        the file asks for: do it only with files you trust.
    Errors: CheckpointError for a file that is damaged or of another kind.
    """
    if isinstance(map_location, (str, device)):
        check_device(map_location)
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _read(file, os.fspath(f), pickle_module, weights_only)
    _check_binary("load", f, "read", "rb")
    return _read(io.BytesIO(f.read()), getattr(f, "name", type(f).__name__), pickle_module, weights_only)


def _read(file: IO[bytes], name: Any, pickle_module: Any, weights_only: bool) -> Any:
    try:
        head = file.read(len(_PICKLED))
        return _unpickle(file.read(), pickle_module, weights_only) if head == _PICKLED else _read_archive(file, head)
    except CheckpointError as error:
        raise CheckpointError(f"load(): {name!r} {error}") from error.__cause__


def _read_archive(file: IO[bytes], head: bytes) -> Any:
    try:
        archive = zipfile.ZipFile(file)
        members = set(archive.namelist())
    except Exception as error:  # a damaged file can make zipfile raise almost anything
        raise CheckpointError(_foreign(head)) from error
    if _STRUCTURE not in members:
        raise CheckpointError(_foreign_archive(members))
    try:
        document = json.loads(archive.read(_STRUCTURE))  # reading a member whole compares its checksum
        if document["format"] != _FORMAT:
            raise CheckpointError(f"is in the format {document['format']!r}, which this version cannot read")
        return _Decoder(archive).decode(document["content"])
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"is damaged: {type(error).__name__}: {error}") from error


def _foreign(head: bytes) -> str:
    """What a file is that is no zip archive, by how it begins."""
    if not head:
        return "is empty"
    if head.startswith(b"PK"):
        return "is truncated or damaged: it begins as an archive and has no directory at its end"
    if head.startswith(b"\x93NUMPY"):
        return "is a single array: read it with numpy.load"
    if head.startswith(b"\x80"):
        return "is a pickle, and loading it could run any code: save what is in it with microgradnet.save"
    return f"is no checkpoint of microgradnet: it begins with {head[:16]!r}"


def _foreign_archive(members: set[str]) -> str:
    """What a zip archive is that `save` did not write."""
    if any(name.endswith("data.pkl") for name in members):
        return ("is a checkpoint of PyTorch: load it there, and save its tensors as arrays with "
                "microgradnet.save({name: tensor.numpy() for name, tensor in state_dict.items()}, path)")
    if members and all(name.endswith(".npy") for name in members):
        return "holds plain arrays: read them with numpy.load"
    return f"is an archive, but no checkpoint of microgradnet: it has no {_STRUCTURE}"


class _Decoder:
    """Turns what `_Encoder` made back into data."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._arrays: dict[str, np.ndarray] = {}
        self._objects: list[Any] = []

    def decode(self, code: Any) -> Any:
        if isinstance(code, list):
            return [self.decode(item) for item in code]
        if not isinstance(code, dict):
            return code
        ((kind, content),) = code.items()
        match kind:
            case "float":
                return float(content)
            case "tuple":
                return tuple(self.decode(item) for item in content)
            case "Size":
                return Size(content)
            case "dict":
                return {self.decode(key): self.decode(value) for key, value in content}
            case "OrderedDict":
                return OrderedDict((self.decode(key), self.decode(value)) for key, value in content)
            case "dtype":
                return np.dtype(content)
            case "scalar":
                return self._member(content)[()]
            case "again":
                return self._objects[content]
            case "array":
                return self._noted(self._member(content["member"]))
            case "tensor":
                return self._noted(self._tensor(**content))
        raise CheckpointError(f"holds a {kind!r}, which this version does not know")

    def _noted(self, made: Any) -> Any:
        self._objects.append(made)
        return made

    def _tensor(self, member: str, requires_grad: bool, parameter: bool) -> Tensor:
        from .nn.parameter import Parameter

        tensor = (Parameter if parameter else Tensor)(self._member(member))
        return tensor.requires_grad_(requires_grad)

    def _member(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            data = io.BytesIO(self._archive.read(name + ".npy"))
            self._arrays[name] = np.lib.format.read_array(data, allow_pickle=False)
        return self._arrays[name]


def _unpickle(pickled: bytes, pickle_module: Any, weights_only: bool) -> Any:
    if weights_only:
        raise CheckpointError("holds a pickled object, and loading it could run any code: if you trust the file, pass "
                              "weights_only=False; better, save module.state_dict()")
    if pickle_module is None:
        import pickle as pickle_module
    try:
        return pickle_module.loads(pickled)
    except Exception as error:  # unpickling runs code, which may fail in any way
        raise CheckpointError(f"holds a pickle that cannot be loaded: {type(error).__name__}: {error}") from error


# --- checkpoints ----------------------------------------------------------------------------------------------------


def save_checkpoint(f: Any, *, model: Any, optimizer: Any = None, scheduler: Any = None,
                    generator: Generator | Mapping[str, Generator] | None = None, epoch: int | None = None,
                    **extra: Any) -> None:
    """Save where a training stands: the states of what is given, the epoch, and anything else that `save` can store.

    generator: one, or several by name; the default one is `microgradnet.random.default_generator`.
    """
    owners = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    content: dict[str, Any] = {name: owner.state_dict() for name, owner in owners.items() if owner is not None}
    if generator is not None:
        content["generator"] = _states(generator)
    save({**content, "epoch": epoch, **extra}, f)


def load_checkpoint(f: Any, model: Any = None, optimizer: Any = None, scheduler: Any = None,
                    generator: Generator | Mapping[str, Generator] | None = None) -> dict[str, Any]:
    """Load what `save_checkpoint` wrote, set what is given to its saved state, and return all that was saved as a dict.

    All or nothing: if anything does not fit, everything is left as it was, and the error says what it is.
    """
    content = load(f)
    wanted = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "generator": generator}
    wanted = {name: owner for name, owner in wanted.items() if owner is not None}
    missing = [name for name in wanted if not isinstance(content, dict) or name not in content]
    if missing:
        held = ", ".join(map(repr, content)) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise CheckpointError(f"load_checkpoint(): {f!r} holds no state of the {', '.join(missing)}, but {held}")
    before = {name: copy.deepcopy(_states(owner)) for name, owner in wanted.items()}
    try:
        for name, owner in wanted.items():
            _restore(owner, content[name])
    except BaseException:
        for name, owner in wanted.items():
            _restore(owner, before[name])
        raise
    return content


def _states(owner: Any) -> Any:
    if isinstance(owner, Mapping):
        return {name: one.get_state() for name, one in owner.items()}
    return owner.get_state() if isinstance(owner, Generator) else owner.state_dict()


def _restore(owner: Any, state: Any) -> None:
    if isinstance(owner, Mapping):
        if not isinstance(state, Mapping) or state.keys() != owner.keys():
            held = list(state) if isinstance(state, Mapping) else "one without a name"
            raise CheckpointError(f"load_checkpoint(): expected the states of generators {list(owner)}, not {held}")
        for name, one in owner.items():
            one.set_state(state[name])
    elif isinstance(owner, Generator):
        owner.set_state(state)
    else:
        owner.load_state_dict(state)
