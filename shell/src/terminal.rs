//! Where text goes and where keys come from.
//!
//! The shell draws with very little: SGR (0, 1, 7, 30-37, 40-47, 90-97), CSI *n* C, CSI *n* D,
//! CSI K, CSI J, CSI H, CR, LF, BS and BEL. It never asks the terminal anything and never
//! relies on its wrapping, so the same bytes work on a serial line and on a framebuffer.

/// Which of the two consoles a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Both.
    All,
    /// The serial line only.
    Wire,
    /// The framebuffer only.
    Screen,
}

/// A place to write to, with a person (or a program) typing.
pub trait Terminal {
    /// Waits for the next key. `None` means that no more will ever come.
    fn key(&mut self) -> Option<Key>;

    /// The next key if there is one already. Does not wait.
    fn poll(&mut self) -> Typed {
        Typed::Nothing
    }

    /// Writes text. `\n` stands for a new line; a serial line adds the CR itself.
    fn write(&mut self, sink: Sink, text: &str);

    /// Has a Ctrl-C arrived that [`key`](Terminal::key) has not returned? Then it is taken
    /// out, with everything typed before it. Cheap: it is asked at every line of output and
    /// in every loop.
    fn interrupted(&mut self) -> bool;

    /// A command begins, or is over. For whoever can end one without its help.
    fn working(&mut self, is_working: bool) {
        let _ = is_working;
    }

    /// Columns and rows.
    fn size(&self) -> (u16, u16);
}

/// What [`Terminal::poll`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A key.
    Key(Key),
    /// None yet.
    Nothing,
    /// None, and no more will ever come.
    Closed,
}

/// A key, wherever it was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Key {
    /// A printable character.
    Char(char),
    /// Enter, or the end of a line.
    Enter,
    /// Tab.
    Tab,
    /// Deletes to the left.
    Backspace,
    /// Deletes to the right.
    Delete,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Start of the line.
    Home,
    /// End of the line.
    End,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// Ctrl with arrow left.
    WordLeft,
    /// Ctrl with arrow right.
    WordRight,
    /// Ctrl with this lower-case letter.
    Ctrl(char),
    /// Alt with this character.
    Alt(char),
    /// Escape by itself.
    Escape,
    /// No key: what is looked at has been stopped while nobody typed.
    Stopped,
}
