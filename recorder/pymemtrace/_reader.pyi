import os
from types import TracebackType
from typing import Any, Dict, Iterator, Literal, NamedTuple, Optional, Tuple, Type, Union, final

class TraceError(Exception):
    path: Optional[str]
    offset: Optional[int]

# It is one in all but its base.
class Event(NamedTuple):
    pid: int
    label: str
    event: Optional[int]
    extra: Optional[int]
    time_ns: Optional[int]
    rss_bytes: Optional[int]
    drss_bytes: Optional[int]
    rss_read: Optional[bool]
    thread: Optional[int]
    thread_name: Optional[str]
    kind: Optional[str]
    file: Optional[str]
    line: Optional[int]
    function: Optional[str]
    qualname: Optional[str]
    message: Optional[str]
    lost: Optional[int]

@final
class Trace:
    @property
    def path(self) -> str: ...
    @property
    def header(self) -> Dict[str, Any]: ...
    @property
    def names(self) -> Dict[str, Tuple[str, ...]]: ...
    @property
    def notes(self) -> Tuple[str, ...]: ...
    def __iter__(self) -> Iterator[Event]: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: Optional[object] = None) -> object: ...
    def close(self) -> None: ...
    def __enter__(self) -> Trace: ...
    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]] = None,
        exc_value: Optional[BaseException] = None,
        traceback: Optional[TracebackType] = None,
        /,
    ) -> None: ...

def open(
    path: Union[str, bytes, os.PathLike[str], os.PathLike[bytes]],
    *,
    on_damage: Literal["raise", "skip"] = "raise",
) -> Trace: ...
