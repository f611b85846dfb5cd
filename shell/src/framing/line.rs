//! Reading frames: one line of the wire at a time, on the host's side.

use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};

use crate::Status;

static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// One line from the wire, without its line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// `@framed`: framing begins.
    Framed {
        /// The protocol's version.
        version: u32,
        /// The kernel's build id.
        build: &'a str,
    },
    /// `@begin`: a frame begins.
    Begin {
        /// Its number.
        seq: u64,
        /// The line it answers.
        command: &'a str,
    },
    /// `|`: a line of output.
    Output(&'a str),
    /// `!`: the one-line message of a failed command.
    Error(&'a str),
    /// `@end`: the frame is complete.
    End {
        /// Its number.
        seq: u64,
        /// How many output and error lines it had.
        lines: u64,
        /// Their checksum.
        crc: u32,
        /// How the commands ended.
        status: Status,
    },
    /// None of these: not written by the shell, or torn.
    Other(&'a str),
}

impl<'a> Line<'a> {
    /// Reads one line; CR and LF at its end are ignored. Anything is accepted: what does
    /// not follow the protocol to the letter is [`Line::Other`].
    pub fn parse(line: &'a str) -> Line<'a> {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some(text) = line.strip_prefix('|') {
            return Line::Output(text);
        }
        if let Some(text) = line.strip_prefix('!') {
            return Line::Error(text);
        }
        control(line).unwrap_or(Line::Other(line))
    }
}

fn control(line: &str) -> Option<Line<'_>> {
    let (word, rest) = line.split_once(' ')?;
    match word {
        "@framed" => {
            let (version, build) = rest.split_once(' ')?;
            let version = decimal(version)?.try_into().ok()?;
            let build = build.strip_prefix("build=")?;
            let fits = !build.is_empty() && !build.contains(' ');
            fits.then_some(Line::Framed { version, build })
        }
        "@begin" => {
            let (seq, command) = rest.split_once(' ')?;
            let seq = decimal(seq)?;
            Some(Line::Begin { seq, command })
        }
        "@end" => {
            let mut words = rest.split(' ');
            let seq = decimal(words.next()?)?;
            let lines = decimal(words.next()?.strip_prefix("lines=")?)?;
            let crc = words.next()?.strip_prefix("crc=")?;
            let hex = crc.len() == 8 && crc.bytes().all(|b| b.is_ascii_hexdigit());
            let crc = u32::from_str_radix(crc, 16).ok().filter(|_| hex)?;
            let status = Status::from_word(words.next()?.strip_prefix("status=")?)?;
            words.next().is_none().then_some(Line::End {
                seq,
                lines,
                crc,
                status,
            })
        }
        _ => None,
    }
}

/// Digits only: `parse` alone would take a plus sign.
fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// The running checksum of a frame, for both sides.
pub struct Checksum {
    digest: Digest<'static, u32, Table<1>>,
}

impl Checksum {
    /// Of nothing yet.
    pub fn new() -> Self {
        Checksum {
            digest: CRC.digest(),
        }
    }

    /// Adds bytes: of each `|` and `!` line the marker, the text and one `\n`.
    pub fn add(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// The CRC of everything added.
    pub fn value(&self) -> u32 {
        self.digest.clone().finalize()
    }
}

impl Default for Checksum {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_catalogued_crc_32() {
        // The check value of CRC-32/ISO-HDLC, from the CRC catalogue.
        let mut sum = Checksum::new();
        sum.add(b"1234");
        sum.add(b"56789");
        assert_eq!(sum.value(), 0xcbf4_3926);
        assert_eq!(Checksum::new().value(), 0);
    }

    #[test]
    fn every_kind_of_line_is_recognised() {
        let cases = [
            (
                "@framed 1 build=0123456789ab\r\n",
                Line::Framed {
                    version: 1,
                    build: "0123456789ab",
                },
            ),
            (
                "@begin 7 walk $rip; map",
                Line::Begin {
                    seq: 7,
                    command: "walk $rip; map",
                },
            ),
            (
                "@begin 8 ",
                Line::Begin {
                    seq: 8,
                    command: "",
                },
            ),
            ("|", Line::Output("")),
            ("|@end 1", Line::Output("@end 1")),
            ("!walk: which address?", Line::Error("walk: which address?")),
            (
                "@end 7 lines=2 crc=cbf43926 status=interrupted",
                Line::End {
                    seq: 7,
                    lines: 2,
                    crc: 0xcbf4_3926,
                    status: Status::Interrupted,
                },
            ),
        ];
        for (text, line) in cases {
            assert_eq!(Line::parse(text), line, "{text:?}");
        }
    }

    #[test]
    fn a_torn_line_is_not_taken_for_a_whole_one() {
        for text in [
            "",
            "@",
            "@end",
            "@end 7",
            "@end 7 lines=2",
            "@end 7 lines=2 crc=cbf43926",
            "@end 7 lines=2 crc=cbf4392 status=ok",
            "@end 7 lines=+2 crc=cbf43926 status=ok",
            "@end 7 lines=2 crc=cbf43926 status=o",
            "@end 7 lines=2 crc=cbf43926 status=ok ",
            "@begin 7",
            "@begin x y",
            "@framed 1 build=",
            "panicked at",
        ] {
            assert_eq!(Line::parse(text), Line::Other(text), "{text:?}");
        }
    }
}
