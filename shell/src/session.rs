//! The shell itself: reads lines, runs them, remembers what it must.

use core::fmt;

use crate::command::{Context, State};
use crate::editor::{Editor, History, LINE_BYTES, Manner, Read};
use crate::going::heed;
use crate::output::{Mode, Output, Room};
use crate::run::run_line;
use crate::stop;
use crate::{Error, Sink, Status, Target, Terminal, Went, framing};

/// Everything a session remembers between two lines.
///
/// It is about 12 KiB, so keep it in a static or another place that is not a small stack.
/// The same session can be run again after [`run`](Shell::run) has returned.
pub struct Shell {
    editor: Editor,
    session: Session,
    scratch: &'static mut [u8],
}

/// What a line works with, apart from the editor that holds the line.
struct Session {
    history: History,
    state: State,
}

impl Shell {
    /// A session in which nothing has been typed.
    pub const fn new() -> Self {
        Shell {
            editor: Editor::new(),
            session: Session {
                history: History::new(),
                state: State::new(),
            },
            scratch: &mut [],
        }
    }

    /// Gives the session room for the filters of pipes (`map | sort 3`). Without any there are
    /// none. Of what goes beyond 5 KiB, one filter can keep half, another one a quarter.
    pub fn lend(&mut self, scratch: &'static mut [u8]) {
        self.scratch = scratch;
    }

    /// Prompts, reads lines and runs them until the terminal has no more keys.
    ///
    /// The output is paged, unless it is framed.
    pub fn run(&mut self, target: &mut dyn Target, terminal: &mut dyn Terminal) {
        let Shell {
            editor,
            session,
            scratch,
        } = self;
        let mut goes_on = false;
        terminal.working(false);
        loop {
            let framed = session.state.framed;
            session.announce_stop(target, terminal);
            if !framed {
                // Inside a frame they would be taken for a command's output.
                let mut out = Output::new(terminal, Mode::Plain, Room::default());
                session.state.mentioned.report(target, &mut out);
                session.see_to_reactions(target, terminal);
            }
            let manner = Manner {
                echo: if framed { Sink::Screen } else { Sink::All },
                completes: !framed,
                is_stopped: stop::is_stopped(target),
                goes_on,
            };
            let read = editor.read(terminal, target, &session.history, manner);
            let line = editor.line();
            goes_on = read == Read::Stopped;
            match read {
                Read::Stopped => {}
                Read::Closed => return,
                Read::Abandoned => {}
                Read::TooLong => {
                    let mode = session.state.mode(true);
                    let out = Output::new(terminal, mode, Room::new(scratch));
                    session.execute(line, Some(Error::LineTooLong(LINE_BYTES)), target, out);
                }
                Read::Line => {
                    session.history.push(line);
                    terminal.working(true);
                    let mode = session.state.mode(true);
                    let out = Output::new(terminal, mode, Room::new(scratch));
                    session.execute(line, None, target, out);
                    terminal.working(false);
                }
            }
        }
    }

    /// Forgets the history, and all that was set, for a session that has failed again and again: only how
    /// it talks stays, and the line that was being run.
    pub fn forget(&mut self) {
        self.session.history = History::new();
        let State {
            framed,
            seq,
            frame_is_open,
            told,
            ..
        } = self.session.state;
        self.session.state = State {
            framed,
            seq,
            frame_is_open,
            told,
            ..State::new()
        };
    }

    /// Begins again after [`run`](Shell::run) was left without coming back, and says why.
    ///
    /// A frame that was open is begun a second time, with the same line; its answer is this
    /// message and nothing else.
    pub fn recover(
        &mut self,
        why: &dyn fmt::Display,
        is_wish: bool,
        target: &mut dyn Target,
        terminal: &mut dyn Terminal,
    ) {
        let Shell {
            editor, session, ..
        } = self;
        let status = match is_wish {
            true => Status::Interrupted,
            false => Status::Failed,
        };
        let state = &mut session.state;
        state.status = status;
        state.reactions.recover(target);
        let is_open = core::mem::take(&mut state.frame_is_open);
        terminal.write(Sink::All, "\n");
        if !is_open {
            return Output::new(terminal, Mode::Plain, Room::default()).error(&why);
        }
        let mut out = Output::new(terminal, Mode::Framed, Room::default());
        out.begin_frame(state.seq, editor.line());
        out.error(&why);
        stop::report(target, &mut out, state, "");
        out.end_frame(state.seq, status);
    }

    /// Runs one line of commands as if it had been typed, and says how it ended; of several
    /// commands, the worst. The output is not paged. It is framed after `framing on`, just
    /// as in [`run`](Shell::run).
    pub fn execute(
        &mut self,
        line: &str,
        target: &mut dyn Target,
        terminal: &mut dyn Terminal,
    ) -> Status {
        let too_long = line.len() > LINE_BYTES;
        let refused = too_long.then_some(Error::LineTooLong(LINE_BYTES));
        let mode = self.session.state.mode(false);
        let out = Output::new(terminal, mode, Room::new(self.scratch));
        self.session.execute(line, refused, target, out)
    }
}

impl Default for Shell {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// What the first command of a line has to work with.
    fn context<'a>(&'a mut self, target: &'a mut dyn Target, out: Output<'a>) -> Context<'a> {
        let Session { history, state } = self;
        Context {
            target,
            out,
            state,
            history,
            depth: 0,
            focus: None,
            blamed: None,
        }
    }

    /// Runs what is set for what happened while nobody's command ran.
    fn see_to_reactions(&mut self, target: &mut dyn Target, terminal: &mut dyn Terminal) {
        let out = Output::new(terminal, Mode::Plain, Room::default());
        self.context(target, out).see_to_reactions();
    }

    /// Says that everything was stopped while nobody's command ran.
    fn announce_stop(&mut self, target: &mut dyn Target, terminal: &mut dyn Terminal) {
        if !stop::is_stopped(target) {
            return;
        }
        let out = Output::new(terminal, Mode::Plain, Room::default());
        let mut context = self.context(target, out);
        if heed(&mut context) != Ok(Went::Stopped) {
            return;
        }
        // Outside a frame, lines are announced as not belonging to one.
        let mark = if context.state.framed { "note: " } else { "" };
        stop::report(context.target, &mut context.out, context.state, mark);
    }

    fn execute<'a>(
        &'a mut self,
        line: &str,
        refused: Option<Error>,
        target: &'a mut dyn Target,
        out: Output<'a>,
    ) -> Status {
        let framed = self.state.framed;
        let mut context = self.context(target, out);
        if framed {
            context.state.seq = context.state.seq.wrapping_add(1);
            context.state.frame_is_open = true;
            context.out.begin_frame(context.state.seq, line);
        }
        let status = match refused {
            Some(error) => {
                context.out.error(&error);
                Status::Failed
            }
            None => run_line(&mut context, line),
        };
        if framed {
            context.state.frame_is_open = false;
            // Whoever reads the end may send at once what would end a command.
            context.out.over();
            context.out.end_frame(context.state.seq, status);
        } else {
            context.out.finish_line();
        }
        let Context {
            out, target, state, ..
        } = context;
        if let Some(framed) = state.framing.take() {
            state.framed = framed;
            state.seq = 0;
            if framed {
                out.announce(framing::VERSION, target.build_id());
            }
        }
        status
    }
}
