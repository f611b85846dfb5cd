//! Pixels in the framebuffer: any size, stride, channel order and 1 to 4 bytes each.

use bootloader_api::info::{FrameBuffer, FrameBufferInfo, PixelFormat};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use spin::Once;

/// A glyph's cell, in dots.
const GLYPH_WIDTH: usize = get_raster_width(FontWeight::Regular, RasterHeight::Size16);
/// A glyph's cell, in dots.
const GLYPH_HEIGHT: usize = 16;

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

/// The framebuffer. A copy may be used while another is: the worst that can come of it is a
/// wrong picture, which is what a panic over a held lock needs.
#[derive(Clone, Copy)]
pub(super) struct Surface {
    start: usize,
    info: FrameBufferInfo,
}

static SURFACE: Once<Option<Surface>> = Once::new();

/// Remembers the framebuffer the bootloader found, unless it is too small for a letter.
pub(super) fn init(framebuffer: Option<&FrameBuffer>) {
    SURFACE.call_once(|| {
        let framebuffer = framebuffer?;
        let info = framebuffer.info();
        let fits = info.width >= GLYPH_WIDTH
            && info.height >= GLYPH_HEIGHT
            && (1..=4).contains(&info.bytes_per_pixel);
        fits.then(|| Surface {
            start: framebuffer.buffer().as_ptr().expose_provenance(),
            info,
        })
    });
}

/// The framebuffer, if there is one.
pub(super) fn surface() -> Option<Surface> {
    *SURFACE.get()?
}

impl Surface {
    /// Pixels to a dot of a glyph, across and down: letters stay readable on large screens.
    fn scale(&self) -> usize {
        (self.info.width / 1280).min(self.info.height / 720).max(1)
    }

    /// Whole glyph columns and rows.
    pub(super) fn cells(&self) -> (usize, usize) {
        let scale = self.scale();
        (
            self.info.width / (GLYPH_WIDTH * scale),
            self.info.height / (GLYPH_HEIGHT * scale),
        )
    }

    /// Draws a character in the cell at `column`, `row`; one the font lacks shows as `?`.
    pub(super) fn draw(
        &self,
        column: usize,
        row: usize,
        character: char,
        ink: Colour,
        paper: Colour,
    ) {
        let glyph = get_raster(character, FontWeight::Regular, RasterHeight::Size16)
            .or_else(|| get_raster('?', FontWeight::Regular, RasterHeight::Size16));
        let Some(glyph) = glyph else { return };
        let scale = self.scale();
        let (left, top) = (column * GLYPH_WIDTH * scale, row * GLYPH_HEIGHT * scale);
        let (solid_paper, solid_ink) = (self.encode(paper), self.encode(ink));
        for (y, dots) in glyph.rows().enumerate() {
            for again in 0..scale {
                let pixels = dots.iter().flat_map(|&dot| {
                    // Most dots are all paper or all ink.
                    let pixel = match dot {
                        0 => solid_paper,
                        255 => solid_ink,
                        between => self.encode(blend(ink, paper, between)),
                    };
                    core::iter::repeat_n(pixel, scale)
                });
                self.put(left, top + y * scale + again, pixels);
            }
        }
    }

    /// Fills the whole framebuffer, the margins right and below the cells included.
    pub(super) fn fill(&self, colour: Colour) {
        let pixel = self.encode(colour);
        for y in 0..self.info.height {
            self.put(0, y, core::iter::repeat_n(pixel, self.info.width));
        }
    }

    /// A colour as it lies in memory.
    fn encode(&self, [red, green, blue]: Colour) -> [u8; 4] {
        match self.info.pixel_format {
            PixelFormat::Rgb => [red, green, blue, 0],
            PixelFormat::Bgr => [blue, green, red, 0],
            PixelFormat::U8 => {
                let sum = u16::from(red) + u16::from(green) + u16::from(blue);
                [u8::try_from(sum / 3).unwrap_or(u8::MAX); 4]
            }
            PixelFormat::Unknown {
                red_position,
                green_position,
                blue_position,
            } => {
                let place =
                    |value: u8, at: u8| u32::from(value).checked_shl(u32::from(at)).unwrap_or(0);
                let word = place(red, red_position)
                    | place(green, green_position)
                    | place(blue, blue_position);
                word.to_le_bytes()
            }
            _ => [green; 4],
        }
    }

    /// Stores pixels from `x`, `y` to the right, as far as the framebuffer goes.
    fn put(&self, x: usize, y: usize, pixels: impl Iterator<Item = [u8; 4]>) {
        let bytes = self.info.bytes_per_pixel;
        let start = (y * self.info.stride + x) * bytes;
        let room = self.info.byte_len.saturating_sub(start) / bytes;
        let first = core::ptr::with_exposed_provenance_mut::<u8>(self.start + start);
        let is_aligned = bytes == 4 && first.addr().is_multiple_of(4);
        for (index, pixel) in pixels.take(room).enumerate() {
            let to = first.wrapping_add(index * bytes);
            if is_aligned {
                // SAFETY: `room` keeps it inside the framebuffer, which is mapped for ever, and
                // it is aligned; only this module touches the framebuffer, never by reference.
                unsafe { to.cast::<u32>().write_volatile(u32::from_le_bytes(pixel)) };
                continue;
            }
            for (index, &value) in pixel.iter().take(bytes).enumerate() {
                // SAFETY: as above; byte by byte, since 3-byte pixels are not aligned.
                unsafe { to.wrapping_add(index).write_volatile(value) };
            }
        }
    }
}

fn blend(ink: Colour, paper: Colour, intensity: u8) -> Colour {
    let mix = |ink: u8, paper: u8| {
        let sum =
            u16::from(ink) * u16::from(intensity) + u16::from(paper) * u16::from(255 - intensity);
        u8::try_from(sum / 255).unwrap_or(u8::MAX)
    };
    [
        mix(ink[0], paper[0]),
        mix(ink[1], paper[1]),
        mix(ink[2], paper[2]),
    ]
}
