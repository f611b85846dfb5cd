"""What the manual of the shell's commands says, for `help`: docs/commands.md, which is made from their table."""

import os
import re
import textwrap

from .host import ROOT

PATH = os.path.join(ROOT, "docs", "commands.md")
WIDTH = 100


class Manual:
    """The manual, read once."""

    def __init__(self):
        try:
            with open(PATH, encoding="utf-8") as file:
                text = file.read()
        except OSError:
            text = ""
        self.summaries = dict(re.findall(r"^\| \[`([^`]+)`\]\(#[^)]*\) \| (.*) \|$", text, re.MULTILINE))
        parts = re.split(r"^###? (\S+).*$", text, flags=re.MULTILINE)
        self.parts = dict(zip(parts[1::2], parts[2::2]))

    def help(self, name):
        """What GDB shows for `help rw NAME`: the summary, the usage, the rest."""
        summary = self.summaries.get(name, f"the shell's command {name}")
        # Behind the text are the tables of what it writes with --json.
        part = self.parts.get(name, f"\n    {name}\n").split("\n| ", 1)[0]
        shown = []
        for paragraph in part.strip("\n").split("\n\n"):
            if paragraph.startswith("```"):
                lines = paragraph.splitlines()[1:-1]
                shown.append("\n".join(f"    rw {line}" for line in lines))
            elif paragraph.startswith("    "):
                shown.append("    rw " + paragraph.strip())
            else:
                shown.append("\n".join(textwrap.fill(line, WIDTH) for line in paragraph.splitlines()))
        return "\n\n".join([f"{summary[:1].upper()}{summary[1:]}.", *shown])
