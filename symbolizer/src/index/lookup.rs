//! From an address to names.

use super::Index;
use super::format::DEEPEST;
use super::found::{Found, Symbol};
use super::frames::{Frames, Level, Place};
use super::functions::Function;
use super::rows::Row;

impl<'a> Index<'a> {
    /// What is at an address, as the linker numbers them; nothing if the image says nothing of it.
    #[must_use]
    pub fn lookup(&self, address: u64) -> Option<Found<'a>> {
        let offset = self.offset(address)?;
        let (symbol, root) = match self.symbol_and_function_at(address) {
            Some((symbol, function)) => (Some(symbol), Some(function)),
            None => (None, None),
        };
        // A label in the data names what is right there, and nothing behind it.
        let symbol =
            symbol.filter(|symbol| symbol.is_code || symbol.bytes > 0 || symbol.address == address);
        // In one place from here on: it is large.
        let mut found = Found {
            address,
            symbol,
            frames: Frames::none(),
        };
        if symbol.is_none_or(|symbol| symbol.is_code) {
            let number = symbol.map_or(0, |symbol| symbol.function);
            let root = root.filter(|_| symbol.is_some());
            // What could not be read of a damaged index is left empty.
            let _ = self
                .row_at(offset)
                .and_then(|row| self.fill(&mut found.frames, row, number, root));
        }
        found.frames.offset = symbol.and_then(|symbol| address.checked_sub(symbol.address));
        if symbol.is_none() && found.frames.is_empty() {
            return None;
        }
        Some(found)
    }

    /// What made the call that returns to an address: nothing may be left of a caller that ends with it,
    /// and the line behind a call is not the one that calls.
    #[must_use]
    pub fn lookup_call(&self, return_address: u64) -> Option<Found<'a>> {
        let mut found = self.lookup(return_address.checked_sub(1)?)?;
        found.address = return_address;
        found.frames.offset = found.frames.offset.and_then(|offset| offset.checked_add(1));
        Some(found)
    }

    pub(super) fn offset(&self, address: u64) -> Option<u32> {
        u32::try_from(address.checked_sub(self.base)?).ok()
    }

    /// The function or variable an address lies in.
    #[must_use]
    pub fn symbol_at(&self, address: u64) -> Option<Symbol<'a>> {
        Some(self.symbol_and_function_at(address)?.0)
    }

    fn symbol_and_function_at(&self, address: u64) -> Option<(Symbol<'a>, Function)> {
        let number = self.symbols.last_not_above(self.offset(address)?)?;
        let (symbol, function) = self.symbol_and_function(number)?;
        let distance = address.checked_sub(symbol.address)?;
        (symbol.bytes == 0 || distance < symbol.bytes).then_some((symbol, function))
    }

    /// The symbol with this number, by address; `None` past the last one.
    #[must_use]
    pub fn symbol(&self, number: usize) -> Option<Symbol<'a>> {
        Some(self.symbol_and_function(number)?.0)
    }

    fn symbol_and_function(&self, number: usize) -> Option<(Symbol<'a>, Function)> {
        if number >= self.symbols.count() {
            return None;
        }
        let element = self.symbols.element(number)?;
        let field = |field| self.symbols.field(element, field);
        let function = u16::try_from(field(3)?).ok()?;
        let known = self.function(function)?;
        let symbol = Symbol {
            address: self.base.checked_add(field(0)?.into())?,
            bytes: field(1)?.into(),
            name: self.text_of(&known),
            is_code: field(2)? == 0,
            function,
        };
        Some((symbol, known))
    }

    /// The frames of a row, in a function that is there as such.
    pub(super) fn frames_of(&self, row: Row, root: u16) -> Option<Frames<'a>> {
        let mut frames = Frames::none();
        self.fill(&mut frames, row, root, None)?;
        Some(frames)
    }

    /// The frames of a row in the function with this number, which may be known already.
    fn fill(
        &self,
        frames: &mut Frames<'a>,
        row: Row,
        root: u16,
        mut known: Option<Function>,
    ) -> Option<()> {
        frames.paths = self.paths();
        // From the innermost call out to the function, and back with their names.
        let mut depth = 0usize;
        let mut context = row.context;
        while context != 0 {
            let call = self.context(context)?;
            frames.levels.get_mut(..DEEPEST)?.get_mut(depth)?.line = call.call;
            depth = depth.checked_add(1)?;
            context = call.parent;
        }
        let levels = &mut frames.levels;
        let (mut number, mut level) = (root, depth);
        // Inwards again, so it ends where the way out began.
        loop {
            let function = match known.take() {
                Some(function) => function,
                None => self.function(number)?,
            };
            let inner = level.checked_sub(1);
            let (callee, place) = match inner {
                Some(inner) => self.call(&function, levels.get(inner)?.line)?,
                None => (number, self.place_of(&function, row.place)?),
            };
            let place = self.place(place, number, &function)?;
            *levels.get_mut(level)? = Level {
                name_at: function.name_at,
                line: place.line,
                column: place.column,
                name_bytes: function.name_bytes,
                file: place.file,
                function: number,
            };
            let Some(inner) = inner else {
                // Nobody at no place is nobody.
                if depth > 0 || number != 0 || place != Place::default() {
                    frames.all = depth.checked_add(1)?;
                }
                return Some(());
            };
            (number, level) = (callee, inner);
        }
    }

    /// Whom a function calls, and where.
    fn call(&self, function: &Function, call: u32) -> Option<(u16, u32)> {
        if call >= function.calls {
            return None;
        }
        let number = usize::try_from(function.first_call.checked_add(call)?).ok()?;
        let element = self.calls.element(number)?;
        let callee = u16::try_from(self.calls.field(element, 0)?).ok()?;
        Some((callee, self.calls.field(element, 1)?))
    }

    fn place_of(&self, function: &Function, place: u32) -> Option<u32> {
        if place >= function.places {
            return None;
        }
        let number = function.first_place.checked_add(place)?;
        self.places.get(usize::try_from(number).ok()?, 0)
    }
}
