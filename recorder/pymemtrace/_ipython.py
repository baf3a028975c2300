"""%memtrace and %%memtrace: record a statement or a cell of IPython or Jupyter, and show what mtdump says of it."""

import ast
import os

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from pymemtrace import _mtdump, cPyMemTrace

RESULT = "_memtrace_result"
VERBS = {"t": "top", "p": "peak", "g": "growth"}


@magics_class
class MemtraceMagics(Magics):

    @no_var_expand
    @line_cell_magic
    def memtrace(self, line, cell=None):
        """Record a statement or a cell, and show where its memory went.

            %memtrace [-t] [-p] [-g] [-q] [-o FILE] STATEMENT
            %%memtrace [-t] [-p] [-g] [-q] [-o FILE]
            CELL

        Options:
          -t       show the functions that did most to memory, "mtdump top" (the default)
          -p       show the calls that were open at the peak, and what was live, "mtdump peak"
          -g       show call paths that keep more with every call, "mtdump growth"
          -q       show nothing of this, only where the trace is
          -o FILE  name of the trace, which must not exist (default: YYMMDD_HHMMSS_PID.mtrace)

        A last expression is the result, as without the magic.  The variable _memtrace is the trace's path.
        """
        __tracebackhide__ = True                # in an error, only the cell is of interest
        options, statement = self.parse_options(line, "tpgqo:", posix=False, strict=False, preserve_non_opts=True)
        if cell is None:
            cell = statement
        elif statement:
            raise UsageError("%%memtrace: the statement belongs below it, not on its line: " + statement)
        code = self.compiled(cell)
        namespace = self.shell.user_ns
        profile = cPyMemTrace.Profile(filepath=unquoted(options.o) if "o" in options else None)
        try:
            cPyMemTrace._call(profile, exec, code, namespace)
        finally:
            if profile.path:                    # else it could not be made, and nothing has run
                namespace["_memtrace"] = profile.path
                self.show([VERBS[name] for name in VERBS if name in options], "q" in options, profile.path)
        return namespace.pop(RESULT, None)

    def compiled(self, cell):
        """Its code, which leaves the value of a last expression in RESULT."""
        source = self.shell.transform_cell(cell)
        name = self.shell.compile.cache(source, self.shell.execution_count, raw_code=cell)
        tree = self.shell.transform_ast(self.shell.compile.ast_parse(source, filename=name))
        if tree.body and isinstance(tree.body[-1], ast.Expr) and not source.rstrip().endswith(";"):
            last = tree.body[-1]
            target = ast.copy_location(ast.Name(RESULT, ast.Store()), last)
            tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)
        return self.shell.compile(tree, name, "exec")

    @staticmethod
    def show(verbs, quiet, path):
        try:
            for verb in [] if quiet else verbs or ["top"]:
                print(_mtdump.text(verb, *["-n10"] if verb == "top" else [], path))
        except _mtdump.Error as error:
            print(error)
        print("trace: %s" % os.path.relpath(path))


def unquoted(word):
    """-o "my trace.mtrace" has its quotes still."""
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word


def load_ipython_extension(shell):
    shell.register_magics(MemtraceMagics)
