//! A shell that is sent lines and answers in frames, as over a wire.

use std::collections::VecDeque;

use shell::{Key, Shell, Sink, Target, Terminal};

/// A shell with framing on.
pub struct Framed {
    shell: Box<Shell>,
    wire: Wire,
}

impl Framed {
    /// A new one, whose filters of pipes may use so many bytes. They are never given back.
    pub fn new(target: &mut dyn Target, room: usize) -> Framed {
        let mut shell = Box::new(Shell::new());
        shell.lend(Box::leak(vec![0; room].into_boxed_slice()));
        let wire = Wire::default();
        let mut framed = Framed { shell, wire };
        framed.send(target, "framing on");
        framed
    }

    /// Types a line; all that is sent back for it.
    pub fn send(&mut self, target: &mut dyn Target, line: &str) -> String {
        let keys = line.chars().map(Key::Char).chain([Key::Enter]);
        self.wire.keys.extend(keys);
        self.shell.run(target, &mut self.wire);
        std::mem::take(&mut self.wire.sent)
    }
}

/// Keys in, text out.
#[derive(Default)]
struct Wire {
    keys: VecDeque<Key>,
    sent: String,
}

impl Terminal for Wire {
    fn key(&mut self) -> Option<Key> {
        self.keys.pop_front()
    }

    fn write(&mut self, sink: Sink, text: &str) {
        if matches!(sink, Sink::All | Sink::Wire) {
            self.sent.push_str(text);
        }
    }

    fn interrupted(&mut self) -> bool {
        false
    }

    fn size(&self) -> (u16, u16) {
        (80, 24)
    }
}
