"""The prefix `rw`, and what all its commands have in common."""

import gdb


class Failure(Exception):
    """What a command says when it cannot: one line, without the command's name."""


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
        try:
            self.run(gdb.string_to_argv(argument))
        except Failure as why:
            raise gdb.GdbError(f"rw {self.name}: {why}") from None
        except gdb.MemoryError as why:
            raise gdb.GdbError(f"rw {self.name}: {str(why)[:1].lower()}{str(why)[1:]}") from None

    def run(self, words):
        """Does it."""
        raise NotImplementedError

    def complete(self, _text, word):
        """The words that may come next; `words` unless a command knows better."""
        return [each for each in self.words if each.startswith(word or "")]


def number(text):
    """A number as the shell reads it (`0x12_3400`, `17`), or as GDB does (`$rip`, `main`)."""
    try:
        return int(text.replace("_", ""), 0)
    except ValueError:
        pass
    try:
        return int(gdb.parse_and_eval(text)) & (2**64 - 1)
    except gdb.error as why:
        raise Failure(f"`{text}` is not a number: {why}") from None


Prefix()
