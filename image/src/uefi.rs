//! `image-uefi`: a disk that UEFI can boot.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    image::main(|builder, image| builder.create_uefi_image(image))
}
