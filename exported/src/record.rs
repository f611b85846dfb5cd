//! Records: structures with C's layout and no gaps, which a debugger reads back byte by byte.

/// A value with a layout that does not depend on the compiler.
pub trait Record: Sized {
    /// How many bytes it has in memory.
    const BYTES: usize;
    /// All bytes zero.
    const ZERO: Self;

    /// Takes it off the front of `from`; `None` if that is too short, or holds no such value.
    fn take(from: &mut &[u8]) -> Option<Self>;

    /// It, from exactly its bytes.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let value = Self::take(&mut rest)?;
        rest.is_empty().then_some(value)
    }
}

macro_rules! numbers {
    ($($kind:ty)*) => {$(
        impl Record for $kind {
            const BYTES: usize = size_of::<$kind>();
            const ZERO: Self = 0;

            fn take(from: &mut &[u8]) -> Option<Self> {
                let (first, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(<$kind>::from_le_bytes(*first))
            }
        }
    )*};
}

numbers! { u8 u32 u64 }

impl<T: Record + Copy, const N: usize> Record for [T; N] {
    const BYTES: usize = T::BYTES * N;
    const ZERO: Self = [T::ZERO; N];

    fn take(from: &mut &[u8]) -> Option<Self> {
        let mut out = Self::ZERO;
        for place in &mut out {
            *place = T::take(from)?;
        }
        Some(out)
    }
}

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(C)]
        pub struct $name {
            $($(#[$about])* pub $field: $kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                <$name as $crate::Record>::ZERO
            }
        }

        impl $crate::Record for $name {
            const BYTES: usize = 0 $(+ <$kind as $crate::Record>::BYTES)*;
            const ZERO: Self = $name { $($field: <$kind as $crate::Record>::ZERO,)* };

            fn take(from: &mut &[u8]) -> Option<Self> {
                Some($name { $($field: $crate::Record::take(from)?,)* })
            }
        }

        // A gap would be read as a field.
        const _: () = assert!(size_of::<$name>() == <$name as $crate::Record>::BYTES);
    )*};
}

pub(crate) use records;
