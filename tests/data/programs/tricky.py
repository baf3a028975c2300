"""Programs that are short and hard to profile.  Each function whose name begins with "t_" is one."""

import asyncio
import collections
import contextlib
import dataclasses
import enum
import functools
import io
import itertools
import json
import operator
import re
import sys
import textwrap
import types
import warnings
import weakref


def leaf(x=None):
    return x


def t_calls():
    leaf()
    leaf(1)
    leaf(x=2)
    leaf(*(3,))
    leaf(**{"x": 4})
    (lambda a, b=leaf(5): leaf(a))(6)
    [leaf(i) for i in range(2)]
    {leaf(i) for i in range(2)}
    {leaf(i): leaf(i) for i in range(2)}
    list(leaf(i) for i in range(2))


def t_c_calls():
    len("x")
    len(*("x",))
    len(*["x"], **{})
    max([1, 2], key=leaf)
    sorted([2, 1], key=leaf, reverse=True)
    print(end="")
    [].append(1)
    append = [].append
    append(2)
    list.append([], 3)
    list.append(*([], 4))
    str.upper("a")
    "a".upper()
    str.join("", ["a"])
    "".join(map(leaf, "abc"))
    dict.fromkeys("ab")
    {}.fromkeys("ab")
    int.from_bytes(b"a", "big")
    (5).to_bytes(2, "big")
    bytes.fromhex("00")
    object.__repr__(1)
    {}.setdefault(1, 2)
    {}.get(1)
    getattr(1, "real")
    isinstance(1, int)
    hasattr(1, "nothing")
    iter([])
    next(iter([1]))
    vars()
    globals()
    locals()
    sum([1])
    divmod(5, 2)
    abs(-1)
    id(1)
    hash("x")


def t_c_exceptions():
    for function, arguments in (
            (len, (1,)), ([].pop, ()), (list.pop, ([],)), (str.upper, ()), (str.upper, (5,)),
            (next, (iter([]),)), (getattr, (1, "x")), (sorted, ([1, "a"],)), (int, ("x",)), ({}.__getitem__, (1,))):
        try:
            function(*arguments)
        except Exception:
            pass
    try:
        len(1)
    except TypeError:
        pass
    try:
        [].pop()
    except IndexError:
        pass
    try:
        str.upper()
    except TypeError:
        pass
    try:
        str.upper(5)
    except TypeError:
        pass
    try:
        sorted([1, 2], key=lambda x: 1 / 0)
    except ZeroDivisionError:
        pass


def t_types():
    int("5")
    str(1)
    list("ab")
    dict(a=1)
    type(1)
    type("T", (), {})()
    object()
    bytearray(5)
    Exception("x")
    super(T, T()).__repr__()
    range(3)
    zip([], [])
    enumerate([])
    property(leaf)
    functools.partial(leaf, 1)()


class T:
    def __init__(self):
        pass


class Meta(type):
    def __new__(mcs, name, bases, namespace):
        return super().__new__(mcs, name, bases, namespace)

    def __call__(cls, *args):
        return super().__call__(*args)

    def __prepare__(name, bases):
        return {}


class Everything(metaclass=Meta):
    slots = 1

    def __new__(cls, *args):
        return super().__new__(cls)

    def __init__(self, n=0):
        self.n = n

    def __getattr__(self, name):
        if name == "missing":
            raise AttributeError(name)
        return leaf(name)

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)

    def __getitem__(self, key):
        if key > 2:
            raise IndexError
        return key

    def __iter__(self):
        return iter([1, 2])

    def __contains__(self, item):
        return leaf(True)

    def __len__(self):
        return 3

    def __bool__(self):
        return True

    def __eq__(self, other):
        return self.n == getattr(other, "n", None)

    def __hash__(self):
        return hash(self.n)

    def __lt__(self, other):
        return self.n < other.n

    def __add__(self, other):
        return NotImplemented

    def __radd__(self, other):
        return other

    def __call__(self, *args, **named):
        return leaf(args)

    def __repr__(self):
        return "E(%s)" % self.n

    def __format__(self, spec):
        return repr(self) + spec

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return self.n > 0

    def __del__(self):
        leaf("del")

    def __index__(self):
        return 1

    @property
    def prop(self):
        return leaf(self.n)

    @prop.setter
    def prop(self, value):
        self.n = value

    @staticmethod
    def static():
        return leaf()

    @classmethod
    def klass(cls):
        return cls.static()

    def __init_subclass__(cls, **named):
        super().__init_subclass__(**named)

    def __class_getitem__(cls, item):
        return leaf(item)

    def __set_name__(self, owner, name):
        leaf(name)


def t_classes():
    e = Everything(1)
    e.anything
    hasattr(e, "missing")
    e.x = 5
    e[1]
    try:
        e[5]
    except IndexError:
        pass
    list(e)
    1 in e
    len(e)
    bool(e)
    e == Everything(2)
    {e: 1}[e]
    sorted([Everything(3), e])
    try:
        e + 1
    except TypeError:
        pass
    1 + e
    e(1, a=2)
    repr(e)
    f"{e:>5}{e!r}"
    "%s" % e
    with e:
        raise KeyError
    with Everything(0) as f, Everything(1):
        f.n
    e.prop
    e.prop = 3
    e.static()
    Everything.klass()
    e.klass()
    [1, 2][e]
    Everything[int]
    del e

    class Sub(Everything):
        a = leaf()
        b = Everything()

        def method(self):
            return super().static()
    Sub().method()
    Everything.static()


def t_with():
    class Manager:
        def __enter__(self):
            return self

        def __exit__(self, *exc):
            return True
    with Manager():
        pass
    with Manager():
        raise ValueError
    with Manager() as a, \
            Manager() as b:
        leaf((a, b))
        raise ValueError
    with contextlib.suppress(KeyError):
        {}["x"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(Manager())
        stack.callback(leaf, 1)
        raise KeyError
    for i in range(3):
        with Manager():
            if i == 0:
                continue
            break

    def returns():
        with Manager():
            return leaf(1)
    returns()

    with io.StringIO() as file:
        file.write("x")


def t_exceptions():
    def raises():
        raise ValueError(leaf())

    def through():
        raises()

    def cleanup():
        try:
            through()
        finally:
            leaf("finally")

    def nested():
        try:
            try:
                cleanup()
            except KeyError:
                leaf("never")
            else:
                leaf("never")
            finally:
                leaf("inner")
        except ValueError as error:
            leaf(error)
            raise RuntimeError from error

    def returning():
        try:
            raises()
        finally:
            return leaf("swallowed")

    def reraising():
        try:
            raises()
        except ValueError:
            leaf("again")
            raise

    def loop():
        for i in range(3):
            try:
                if i == 1:
                    raises()
            except ValueError:
                continue
            finally:
                leaf(i)

    for function in (raises, through, cleanup, nested, returning, reraising, loop):
        try:
            function()
        except Exception as error:
            leaf(error)


def t_assertions_and_unpacking():
    for code in ("assert leaf(False), leaf('m')", "a, b = leaf((1,))", "a, *b = leaf(1)", "del nothing", "leaf(1)[0]",
                 "leaf(1)()", "leaf.nothing", "raise leaf(1)", "x = -leaf('a')", "import no_such_module_at_all",
                 "from sys import nothing_like_this", "leaf(**{1: 2})", "leaf(*1)", "leaf(1, 2, 3)", "[*leaf(1)]"):
        try:
            exec(code, globals())
        except Exception:
            pass


def generator(n):
    try:
        for i in range(n):
            received = yield i
            leaf(received)
    except KeyError:
        yield "caught"
    finally:
        leaf("closed")
    return "result"


def t_generators():
    list(generator(3))
    g = generator(3)
    next(g)
    g.send(1)
    g.throw(KeyError)
    list(g)
    g = generator(3)
    next(g)
    try:
        g.throw(ValueError("x"))
    except ValueError:
        pass
    g = generator(3)
    try:
        g.throw(ValueError("not begun"))
    except ValueError:
        pass

    def delegate():
        result = yield from generator(2)
        leaf(result)
        yield from [1, 2]
        yield from (leaf(i) for i in range(2))
    list(delegate())
    g = delegate()
    next(g)
    try:
        g.throw(RuntimeError("x"))
    except RuntimeError:
        pass
    a, b, *c = generator(4)
    for x in generator(2):
        break
    sum(x for x in generator(3))
    dict(zip(generator(2), generator(3)))
    any(x == 1 for x in generator(3))
    list(itertools.islice(generator(10), 2))

    def failing():
        yield 1
        raise KeyError
    try:
        list(failing())
    except KeyError:
        pass


def t_generators_dropped():
    g = generator(3)
    next(g)
    g = None
    g = generator(3)
    g = None
    g = generator(1)
    list(g)
    g.close()


class Awaitable:
    def __await__(self):
        leaf((yield 1))
        yield 2
        return 3


async def coroutine():
    return leaf(await Awaitable())


async def asynchronous():
    async def agen():
        try:
            for i in range(2):
                yield await coroutine()
        finally:
            leaf("closed")

    class AManager:
        async def __aenter__(self):
            return await coroutine()

        async def __aexit__(self, *exc):
            await coroutine()
            return True

    async for x in agen():
        leaf(x)
    async with AManager():
        raise ValueError
    [x async for x in agen()]
    {x: await coroutine() async for x in agen()}
    g = agen()
    await g.__anext__()
    await g.aclose()
    try:
        await g.asend(None)
    except StopAsyncIteration:
        pass
    return leaf("end")


def t_coroutines():
    c = asynchronous()
    try:
        while True:
            c.send(None)
    except StopIteration:
        pass
    c = coroutine()
    c.send(None)
    try:
        c.throw(ValueError)
    except ValueError:
        pass
    c = coroutine()
    c.send(None)
    c.close()
    coroutine().close()


def t_asyncio():
    async def child(n):
        await asyncio.sleep(0)
        return n

    async def main():
        return await asyncio.gather(*[child(n) for n in range(3)])
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def t_recursion():
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)
    fib(6)

    def deep(n):
        return n and deep(n - 1)
    deep(100)

    class R:
        def __init__(self, n):
            self.n = n

        def __repr__(self):
            return "R" + (repr(R(self.n - 1)) if self.n else "")
    repr(R(5))


def t_callbacks():
    list(map(leaf, [1, 2]))
    list(filter(leaf, [0, 1]))
    functools.reduce(lambda a, b: a + b, [1, 2, 3])
    sorted("ba", key=functools.cmp_to_key(lambda a, b: (a > b) - (a < b)))
    re.sub("a", lambda m: leaf("b"), "aaa")
    min([3, 1], key=lambda x: leaf(x))
    collections.defaultdict(leaf)[1]
    [leaf, operator.itemgetter(0)][1]([5])
    operator.methodcaller("upper")("x")
    functools.lru_cache(None)(leaf)(1)
    cached = functools.lru_cache()(leaf)
    cached(1)
    cached(1)
    functools.wraps(leaf)(lambda: 0)
    iter(leaf, None)
    list(iter(lambda l=[1, 2, 3]: l.pop(), 1))
    weakref.finalize(T(), leaf, "x")
    r = weakref.ref(T(), leaf)
    r()
    itertools.starmap(leaf, [(1,)]).__next__()


def t_library():
    json.loads(json.dumps({"a": [1, 2.5, None, "x"], "b": {"c": True}}))
    json.dumps([1], indent=1)
    textwrap.dedent("  a\n  b")

    @dataclasses.dataclass(order=True)
    class D:
        a: int
        b: list = dataclasses.field(default_factory=list)
    D(1) == D(1)
    repr(D(2, [3]))

    class E(enum.Enum):
        A = 1
        B = 2
    E(1)
    list(E)
    E["B"].name
    N = collections.namedtuple("N", "a b")
    N(1, 2)._replace(a=3)
    types.SimpleNamespace(a=1)
    collections.Counter("hello").most_common(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("x")


def t_exec():
    exec("leaf(1)\ndef f(): return leaf(2)\nf()", {"leaf": leaf})
    eval("leaf(3)")
    exec(compile("for i in range(2):\n    leaf(i)", "<made>", "exec"))
    eval(compile("[leaf(i) for i in range(2)]", "<made>", "eval"))
    exec("class C:\n    a = 1\n    def m(self): return self.a\nC().m()", {})


def t_lines():
    leaf(
        leaf(
            1
        )
        or
        leaf(
            2
        ),
    )
    x = (leaf(1)
         if leaf(0)
         else
         leaf(2))
    y = [
        leaf(i)
        for i in
        range(2)
        if leaf(i)
    ]
    return (
        x,
        len(
            y
        ),
    )


def t_control():
    while leaf(False):
        pass
    else:
        leaf("else")
    for i in range(3):
        if i == 1:
            continue
        leaf(i)
    for i in []:
        pass
    else:
        leaf()
    if leaf(1) and leaf(0) or leaf(2):
        pass
    assert leaf(1) < leaf(2) < leaf(3)
    del i
    global made_global
    made_global = leaf(1)
    not leaf(1)
    if (n := leaf(5)) > 3:
        leaf(n)


def t_closures():
    def outer():
        n = 0

        def inner():
            nonlocal n
            n += 1
            return leaf(n)
        return inner
    f = outer()
    f()
    f()

    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)
        return wrapper

    @decorate
    @decorate
    def decorated(a):
        return leaf(a)
    decorated(1)


def t_bound():
    """Methods of C and Python, bound in all ways."""
    l = []
    bound = l.append
    bound(1)
    types.MethodType(leaf, 5)()
    types.MethodType(T.__init__, T())()
    e = Everything(1)
    m = e.static
    m()
    m = e.klass
    m()
    print_nothing = functools.partial(print, end="")
    print_nothing()
    str.format("{}", 1)
    "{}".format(leaf(1))
    T().__class__()
    T.__init__(T())
    object.__new__(T)
    [].__len__()
    list.__len__([])
    (1).__add__(2)
    int.__add__(1, 2)
    "a".__eq__("b")


if sys.version_info >= (3, 12):
    def t_bound_c_method():
        """3.12 gives only the return of a bound method around a C function; 3.13 both."""
        types.MethodType(len, "x")()

if sys.version_info >= (3, 10):
    exec(compile(textwrap.dedent('''
        def t_match():
            for value in (1, "x", [1, 2], {"a": 1}, Everything(3), None):
                match value:
                    case int():
                        leaf("int")
                    case [a, *b]:
                        leaf(a)
                    case {"a": x} if leaf(x):
                        leaf(x)
                    case Everything(n=3):
                        leaf("E")
                    case _:
                        leaf("else")
        '''), "match.py", "exec"))

if sys.version_info >= (3, 11):
    exec(compile(textwrap.dedent('''
        def t_exception_groups():
            try:
                raise ExceptionGroup("g", [ValueError(1), KeyError(2)])
            except* ValueError as e:
                leaf(e)
            except* KeyError:
                leaf("key")
            try:
                try:
                    raise ExceptionGroup("g", [TypeError(leaf(1))])
                except* ValueError:
                    leaf("never")
            except ExceptionGroup:
                leaf("rest")
        '''), "groups.py", "exec"))

if sys.version_info >= (3, 12):
    exec(compile(textwrap.dedent('''
        def t_type_parameters():
            def f[A, B: int](a: A) -> B:
                return leaf(a)
            f(1)
            class C[X]:
                def m[Y](self, y: Y): return leaf(y)
            C[int]().m(2)
            type L[Z] = list[Z]
            L.__value__
            [[leaf(i) for i in range(2)] for j in range(2)]
            class D:
                a = [leaf(i) for i in range(2)]
        '''), "parameters.py", "exec"))


def main():
    for name, function in sorted(globals().items()):
        if name.startswith("t_"):
            function()
