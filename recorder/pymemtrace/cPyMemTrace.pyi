import os
from types import TracebackType
from typing import Literal, Optional, Type, Union

__version__: str

class Profile:
    def __init__(
        self,
        d_rss_trigger: int = -1,
        message: Optional[str] = None,
        filepath: Optional[Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]] = None,
        *,
        rss: str = "auto",
        tick: Literal[1, 10, 100, 1000] = 10,
        children: bool = True,
        max_size: Optional[int] = None,
    ) -> None: ...
    @property
    def path(self) -> Optional[str]: ...
    def log_file_path(self) -> Optional[str]: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def write_message_to_log(self, text: str, /) -> None: ...
    def __enter__(self) -> Profile: ...
    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]] = None,
        exc_value: Optional[BaseException] = None,
        traceback: Optional[TracebackType] = None,
        /,
    ) -> Literal[False]: ...

class Trace(Profile):
    def __new__(
        cls,
        d_rss_trigger: int = -1,
        message: Optional[str] = None,
        filepath: Optional[Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]] = None,
        *,
        rss: str = "auto",
        tick: Literal[1, 10, 100, 1000] = 10,
        children: bool = True,
        max_size: Optional[int] = None,
    ) -> Trace: ...

def rss() -> int: ...
def rss_peak() -> int: ...
def profile_wrapper_depth() -> int: ...
