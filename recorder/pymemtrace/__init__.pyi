from typing import Any, Callable, TypeVar, overload

from pymemtrace import cPyMemTrace as cPyMemTrace
from pymemtrace._reader import Event as Event, Trace as Trace, TraceError as TraceError, open as open

__version__: str
__all__ = ["cPyMemTrace", "record", "__version__"]

_F = TypeVar("_F", bound=Callable[..., Any])

@overload
def record(function: _F, /) -> _F: ...
@overload
def record(function: None = None, /, **options: Any) -> Callable[[_F], _F]: ...

def load_ipython_extension(shell: Any) -> None: ...
