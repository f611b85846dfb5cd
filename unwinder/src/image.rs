//! The unwind tables of one ELF image, found by its headers.

use core::fmt;

use gimli::{BaseAddresses, EhFrame, EhFrameHdr, LittleEndian, ParsedEhFrameHdr};

pub(crate) type Bytes<'a> = gimli::EndianSlice<'a, LittleEndian>;

/// `.eh_frame` and `.eh_frame_hdr` of an image, and how far it runs from where it was linked.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    pub(crate) header: ParsedEhFrameHdr<Bytes<'a>>,
    pub(crate) frames: EhFrame<Bytes<'a>>,
    pub(crate) bases: BaseAddresses,
    pub(crate) base: u64,
    /// The link address of `.eh_frame`.
    frames_at: u64,
}

/// Why an image has no tables to go by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageError {
    /// The header lies outside the bytes given, or says that the tables do.
    Outside,
    /// The header is not as it should be.
    Header(gimli::Error),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::Outside => f.write_str("the unwind tables lie outside the image"),
            ImageError::Header(why) => write!(f, "the header of the unwind tables: {why}"),
        }
    }
}

impl<'a> Image<'a> {
    /// The tables of an image linked at 0 that runs at `base`.
    ///
    /// `segment` holds the loaded bytes from link address `at` on; the two sections lie in it.
    /// `header` is where `.eh_frame_hdr` is, the link address of PT_GNU_EH_FRAME.
    ///
    /// # Errors
    ///
    /// The header cannot be read, or leads out of the bytes.
    pub fn new(
        segment: &'a [u8],
        at: u64,
        header: u64,
        base: u64,
    ) -> Result<Image<'a>, ImageError> {
        let part = |address: u64| {
            let offset = usize::try_from(address.checked_sub(at)?).ok()?;
            segment.get(offset..).filter(|rest| !rest.is_empty())
        };
        let bytes = part(header).ok_or(ImageError::Outside)?;
        // gimli multiplies the number of entries before it looks whether there can be so many: only a number
        // that cannot be too large for that is let through. Linkers write four bytes.
        let encoding = gimli::DwEhPe(bytes.get(2).copied().unwrap_or(0));
        let is_small = [
            gimli::DW_EH_PE_udata2,
            gimli::DW_EH_PE_udata4,
            gimli::DW_EH_PE_omit,
        ];
        if !is_small.contains(&encoding) {
            let why = gimli::Error::UnsupportedPointerEncoding(encoding);
            return Err(ImageError::Header(why));
        }
        let bases = BaseAddresses::default().set_eh_frame_hdr(header);
        let parsed = EhFrameHdr::new(bytes, LittleEndian)
            .parse(&bases, 8)
            .map_err(ImageError::Header)?;
        let gimli::Pointer::Direct(frames_at) = parsed.eh_frame_ptr() else {
            return Err(ImageError::Outside);
        };
        let frames = part(frames_at).ok_or(ImageError::Outside)?;
        Ok(Image {
            header: parsed,
            frames: EhFrame::new(frames, LittleEndian),
            bases: bases.set_eh_frame(frames_at),
            base,
            frames_at,
        })
    }

    /// How far into `.eh_frame` a link address is.
    pub(crate) fn offset(&self, at: u64) -> Option<usize> {
        usize::try_from(at.checked_sub(self.frames_at)?).ok()
    }
}
