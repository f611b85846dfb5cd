"""The prefix `rw`, and what all its commands have in common."""

import contextlib

import gdb


class Failure(Exception):
    """What a command says when it cannot: one line, without the command's name."""


@contextlib.contextmanager
def one_line(name):
    """Whatever goes wrong meanwhile becomes one line with the command's name, and never a traceback."""
    try:
        yield
    except gdb.GdbError:
        raise
    except Failure as why:
        raise gdb.GdbError(f"rw {name}: {why}") from None
    except gdb.error as why:
        # GDB's own messages begin with a capital letter, and some have several lines.
        text = " ".join(str(why).split())
        raise gdb.GdbError(f"rw {name}: {text[:1].lower()}{text[1:]}") from None
    except Exception as why:
        raise gdb.GdbError(f"rw {name}: {type(why).__name__}: {' '.join(str(why).split())}") from None


class Prefix(gdb.Command):
    """Ask a Ringwalk kernel. `help rw` lists the questions."""

    def __init__(self):
        super().__init__("rw", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, prefix=True)

    def invoke(self, argument, _from_tty):
        if argument:
            raise gdb.GdbError(f"rw: no command `{argument.split()[0]}`; help rw lists them")
        gdb.execute("help rw")


class Command(gdb.Command):
    """A command `rw NAME`. Its docstring is its help: the first line for the list, then the usage.

    `run` gets the words of the line; it raises `Failure` with one line when it cannot, and `words`
    may name what an argument can be, for completion.
    """

    name = ""
    kind = gdb.COMMAND_DATA
    words = ()

    def __init__(self):
        super().__init__("rw " + self.name, self.kind)

    def invoke(self, argument, _from_tty):
        with one_line(self.name):
            self.run(gdb.string_to_argv(argument))

    def run(self, words):
        """Does it."""
        raise NotImplementedError

    def complete(self, text, word):
        """The words that may come next; for the first `words`, unless a command knows better."""
        is_first = not text.strip() or text.strip() == word
        return [each for each in self.words if is_first and each.startswith(word or "")]


class Plain(Command):
    """A command without arguments."""

    def run(self, words):
        if words:
            raise Failure(f"what is `{words[0]}`?")
        self.act()

    def act(self):
        """Does it."""
        raise NotImplementedError


def number(text):
    """A number as the shell reads it (`0x12_3400`, `17`), or as GDB does (`$rip`, `main`)."""
    try:
        value = int(text.replace("_", ""), 0)
    except ValueError:
        try:
            found = gdb.parse_and_eval(text)
            if found.type.strip_typedefs().code == gdb.TYPE_CODE_FLAGS:
                # $cr3 and its like, which have names for their bits.
                found = found.cast(gdb.lookup_type("u64"))
            value = int(found) & (2**64 - 1)
        except (gdb.error, ValueError) as why:
            raise Failure(f"`{text}` is not a number: {why}") from None
    if not 0 <= value < 2**64:
        raise Failure(f"`{text}` does not fit into 64 bits")
    return value


Prefix()
