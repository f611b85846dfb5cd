"""What we ask of an ELF file before GDB knows it: which build it is, where it starts, its symbols."""

import struct

PT_LOAD = 1
PT_NOTE = 4
SHT_SYMTAB = 2
NT_GNU_BUILD_ID = 3


class Broken(Exception):
    """A file that is not the ELF file we expect."""


class Elf:
    """A 64-bit ELF file, or the start of one as it lies in memory (then without symbols)."""

    def __init__(self, data):
        if data[:6] != b"\x7fELF\x02\x01":
            raise Broken("not a 64-bit ELF file")
        self.data = data
        self.entry, self._segments_at, self._sections_at = struct.unpack_from("<QQQ", data, 24)
        self._segment_count, = struct.unpack_from("<H", data, 56)
        self._section_count, = struct.unpack_from("<H", data, 60)

    @classmethod
    def open(cls, path):
        """Reads a file in whole."""
        try:
            with open(path, "rb") as file:
                return cls(file.read())
        except OSError as why:
            raise Broken(f"cannot read {path}: {why.strerror}") from None
        except (Broken, struct.error):
            raise Broken(f"{path} is not a 64-bit ELF file") from None

    def segments(self, wanted):
        """The program headers of one type: flags, file offset, address, bytes in the file, in memory."""
        for index in range(self._segment_count):
            kind, flags, offset, address, _, in_file, in_memory, _ = struct.unpack_from(
                "<IIQQQQQQ", self.data, self._segments_at + 56 * index
            )
            if kind == wanted:
                yield flags, offset, address, in_file, in_memory

    def build_id(self):
        """The linker's build id as hex digits; `None` if there is no such note."""
        for _, _, address, size, _ in self.segments(PT_NOTE):
            # In both the file and memory, the note lies in the first segment, at its address.
            note = self.data[address : address + size]
            if len(note) >= 16 and note[12:16] == b"GNU\0":
                _, length, kind = struct.unpack_from("<III", note)
                if kind == NT_GNU_BUILD_ID:
                    return note[16 : 16 + length].hex()
        return None

    def symbols(self):
        """Every named symbol and its address as the linker chose it."""
        sections = [
            struct.unpack_from("<IIQQQQIIQQ", self.data, self._sections_at + 64 * index)
            for index in range(self._section_count)
        ]
        found = {}
        for section in sections:
            if section[1] != SHT_SYMTAB:
                continue
            offset, size, strings = section[4], section[5], sections[section[6]][4]
            for at in range(offset, offset + size, 24):
                name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", self.data, at)
                if name:
                    start = strings + name
                    end = self.data.index(b"\0", start)
                    found[self.data[start:end].decode(errors="replace")] = value
        return found
