//! `image-bios`: a disk that BIOS can boot.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    image::main(|builder, image| builder.create_bios_image(image))
}
