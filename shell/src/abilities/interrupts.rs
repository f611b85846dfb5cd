//! Interrupts: what is let through, what waits, and how often each has come.

/// Access to the interrupt controllers and the counters.
pub trait Interrupts {
    /// Whether the processor takes interrupts (RFLAGS.IF).
    fn is_enabled(&mut self) -> bool;

    /// The two 8259 controllers.
    fn lines(&mut self) -> Lines;

    /// How often this vector has been entered since boot: exceptions, interrupts, `int n`.
    fn counter(&mut self, vector: u8) -> u64;
}

/// The sixteen lines of two cascaded 8259 controllers; bit *n* of each word is line *n*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// The vector of line 0; the others follow it.
    pub first_vector: u8,
    /// The mask registers (IMR): a set bit keeps the line from being heard.
    pub masked: u16,
    /// The request registers (IRR): the line has asked and waits.
    pub requested: u16,
    /// The in-service registers (ISR): delivered, and its end has not been announced.
    pub in_service: u16,
}
