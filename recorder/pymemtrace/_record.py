"""pymemtrace.record: a decorator that records each call of a function."""

import functools
import inspect
import os
import threading

from pymemtrace import cPyMemTrace


class Recording:
    """The recordings of one function: a trace for each call of it, one at a time.

    A call that begins while another one is being recorded, in another thread or by recursion, is part of that
    recording, as every thread is.  So is what begins and ends within another task while this one waits.
    """

    def __init__(self, options):
        options = dict(options)
        kind = cPyMemTrace.Trace if options.pop("lines", False) else cPyMemTrace.Profile
        self.profile = kind(**options)
        # A signal handler, or what the garbage collector closes, may come in while this thread has it.
        self.lock = threading.RLock()
        # Another thread may hold it when the program forks, and is not there to let go of it in the child.
        os.register_at_fork(after_in_child=self.lock._at_fork_reinit)
        self.depth = 0
        self.pid = os.getpid()

    # What comes in between, at any point, is nested and only counted: depth is 1 before start() and until after stop().
    def __enter__(self):
        with self.lock:
            self.depth += 1
            if self.depth > 1:
                return
            try:
                self.profile.start()
            except BaseException as error:
                # Recording already: the process was forked while another thread was in here, or below.
                if not isinstance(error, RuntimeError) or os.getpid() == self.pid:
                    self.depth -= 1
                    raise

    def __exit__(self, *exc_info):
        with self.lock:
            if self.depth == 1:
                self.profile.stop()
            self.depth -= 1


def wrap(function, options):
    recording = Recording(options)

    if inspect.iscoroutinefunction(function):
        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            with recording:
                return await function(*args, **kwargs)
    elif inspect.isasyncgenfunction(function):
        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            with recording:
                generator = function(*args, **kwargs)
                step, value = generator.asend, None
                try:
                    while True:
                        item = await step(value)
                        try:
                            value = yield item
                            step = generator.asend
                        except GeneratorExit:
                            raise
                        except BaseException as error:
                            step, value = generator.athrow, error
                except StopAsyncIteration:
                    return
                finally:
                    await generator.aclose()
    elif inspect.isgeneratorfunction(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            with recording:
                return (yield from function(*args, **kwargs))
    else:
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            with recording:
                return function(*args, **kwargs)
    wrapper.recording = recording.profile
    return wrapper


def record(function=None, /, **options):
    """Record each call of a function, coroutine or generator in a trace of its own.

        @pymemtrace.record
        def work(): ...

        @pymemtrace.record(filepath="serve.mtrace", d_rss_trigger=0)
        async def serve(): ...

    The options are those of cPyMemTrace.Profile; lines=True makes it a cPyMemTrace.Trace.  A given filepath must not
    exist when the function is called first; the calls after that get _1, _2 and so on.  A generator is recorded from its
    first step to its end.  The function's attribute `recording` is the Profile: recording.path is the trace of the latest
    call.
    """
    if function is None:
        return lambda function: wrap(function, options)
    if not callable(function):
        raise TypeError("record() takes a function, or options by name")
    return wrap(function, options)
