//! What the machine's own C compiler makes: DWARF 4 and 5, compressed, split off, with less or nothing in it.
//!
//! The program is compiled here, each time. Where there is no `gcc`, or it does not know an option, that is said.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use symbolizer::Index;
use symbolizer::dwarf::{Debug, Elf, Error};
use xtask::project::Project;

use crate::files::{self, Sample};

/// What the linker needs to make a program of one file that nothing is linked to.
const ALONE: [&str; 4] = ["-nostdlib", "-static", "-Wl,--build-id", "-O2"];

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Project::find().target().join("fixtures/c");
    std::fs::create_dir_all(&folder).expect("writable");
    folder
});

/// Compiles the program into `name` with these options; nothing if that cannot be done here.
fn compile(name: &str, options: &[&str]) -> Option<PathBuf> {
    let file = FOLDER.join(name);
    let output = Command::new("gcc")
        .current_dir(&*FOLDER)
        .args(ALONE)
        .args(options)
        .arg(Project::find().root().join("tests/fixtures/inlined.c"))
        .arg("-o")
        .arg(&file)
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => Some(file),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            println!("skipped {name}: gcc {options:?}: {why}");
            None
        }
        Err(why) => {
            println!("skipped {name}: gcc cannot be run: {why}");
            None
        }
    }
}

/// What is said of the first instruction of `outer`: the functions, innermost first, and the first line.
fn said(file: &Path) -> (Vec<String>, Option<(String, u32)>) {
    let bytes = std::fs::read(file).expect("readable");
    let elf = Elf::read(&bytes).expect("an ELF file");
    let debug = Debug::read(&elf).expect("readable");
    assert!(debug.damaged().is_empty(), "{:?}", debug.damaged());
    let outer = elf.symbols().iter().find(|symbol| symbol.name == "outer");
    let Some(outer) = outer else {
        return (Vec::new(), None);
    };
    let frames = debug.frames(outer.address).expect("undamaged");
    let place = frames
        .first()
        .and_then(|frame| Some((frame.file.clone()?, frame.line)));
    let made = symbolizer::build::index(&bytes).expect("an index");
    let index = Index::open(&made).expect("its own index");
    let found = index.lookup(outer.address).expect("it is there");
    assert_eq!(found.frames.count(), frames.len(), "{}", file.display());
    let names = frames.into_iter().filter_map(|frame| frame.function);
    (names.collect(), place)
}

fn is_source(place: &Option<(String, u32)>) -> bool {
    place
        .as_ref()
        .is_some_and(|(path, line)| path.ends_with("fixtures/inlined.c") && *line > 0)
}

/// Every address of code, and some around it. Only what no line is about may differ.
fn compare(sample: &Sample) {
    let bytes = std::fs::read(&sample.path).expect("readable");
    let elf = Elf::read(&bytes).expect("an ELF file");
    let all: Vec<u64> = elf
        .code()
        .iter()
        .flat_map(|range| range.start.saturating_sub(8)..range.end + 8)
        .collect();
    crate::compare(sample, &all, 90.0);
}

#[test]
fn what_gcc_writes_is_read_as_llvm_symbolizer_reads_it() {
    if crate::oracle::is_missing() {
        return;
    }
    for version in [4u8, 5] {
        let dwarf = format!("-gdwarf-{version}");
        for form in ["none", "zlib", "zstd"] {
            let compress = format!("-gz={form}");
            let name = format!("gcc-{version}-{form}");
            if let Some(path) = compile(&name, &[&dwarf, &compress]) {
                compare(&Sample {
                    name,
                    path,
                    version,
                });
            }
        }
        let options: [(&str, &[&str]); 4] = [
            ("dwarf64", &["-gdwarf64"]),
            ("g1", &["-g1"]),
            ("pie", &["-static-pie", "-fPIE"]),
            ("O0", &["-O0"]),
        ];
        for (form, options) in options {
            let name = format!("gcc-{version}-{form}");
            let all = [&[dwarf.as_str()], options].concat();
            if let Some(path) = compile(&name, &all) {
                compare(&Sample {
                    name,
                    path,
                    version,
                });
            }
        }
    }
}

/// llvm-symbolizer has given up reading this form, so it is held against what is not compressed.
#[test]
fn sections_compressed_the_old_way_are_read_too() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        let plain = compile(&format!("gcc-plain{version}"), &[version]);
        let old = compile(&format!("gcc-old{version}"), &[version, "-gz=zlib-gnu"]);
        let (Some(plain), Some(old)) = (plain, old) else {
            return;
        };
        let (functions, place) = said(&old);
        assert!(is_source(&place), "{place:?}");
        assert_eq!((functions, place), said(&plain), "{version}");
    }
}

/// The same program, whole and split off: with the `.dwo`, with a `.dwp` of it, and without either.
#[test]
fn debug_information_that_is_split_off_is_read_from_where_it_is_or_said_to_be_missing() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        let name = format!("gcc-split{version}");
        let Some(file) = compile(&name, &[version, "-gsplit-dwarf"]) else {
            continue;
        };
        let whole = compile(&format!("gcc-unsplit{version}"), &[version]).expect("as above");
        let (functions, place) = said(&file);
        assert_eq!(functions, ["outer"], "{version}");
        assert!(is_source(&place), "{version}: {place:?}");

        let bytes = std::fs::read(&file).expect("readable");
        let elf = Elf::read(&bytes).expect("an ELF file");
        let missing = Debug::read(&elf).expect("readable").split_off();
        let [part] = missing.as_slice() else {
            panic!("{version}: {missing:?}");
        };
        let folder = part.folder.as_deref().expect("where gcc ran");
        let dwo = Path::new(folder).join(&part.file);
        let mut forms = vec![std::fs::read(&dwo).expect("it says where")];
        let dwp = FOLDER.join(format!("{name}.dwp"));
        // On what gcc 12 writes as DWARF 5, the llvm-dwp of LLVM 22 never comes to an end.
        if version == "-gdwarf-4" {
            let mut packed = Command::new(files::llvm("llvm-dwp"));
            match packed.arg(&dwo).arg("-o").arg(&dwp).status() {
                Ok(status) if status.success() => {
                    forms.push(std::fs::read(&dwp).expect("readable"));
                }
                other => println!("no .dwp: llvm-dwp: {other:?}"),
            }
        }
        let unsplit = std::fs::read(&whole).expect("readable");
        let unsplit = Elf::read(&unsplit).expect("an ELF file");
        let expected = Debug::read(&unsplit).expect("readable");
        for form in forms {
            let split = [Elf::read_split(&form).expect("an ELF file")];
            let debug = Debug::read_with(&elf, &split, &mut |_, _| {}).expect("readable");
            assert_eq!(debug.split_off(), []);
            let mut inlined = 0;
            for address in elf.code().iter().cloned().flatten() {
                let frames = debug.frames(address).expect("undamaged");
                inlined += usize::from(frames.len() > 1);
                let expected = expected.frames(address).expect("undamaged");
                assert_eq!(frames, expected, "{version} at {address:#x}");
            }
            assert!(inlined > 0, "{version}");
            // A number of another unit is none of these.
            let foreign = [Elf::read_split(&bytes).expect("an ELF file")];
            let debug = Debug::read_with(&elf, &foreign, &mut |_, _| {}).expect("readable");
            assert_eq!(debug.split_off(), missing);
        }
    }
}

#[test]
fn without_debug_information_there_are_symbols_and_without_symbols_nothing() {
    let Some(bare) = compile("gcc-bare", &["-g0"]) else {
        return;
    };
    assert_eq!(said(&bare), (vec!["outer".to_owned()], None));
    let stripped = compile("gcc-stripped", &["-g", "-s"]).expect("as above");
    assert_eq!(said(&stripped), (Vec::new(), None));
    let bytes = std::fs::read(&stripped).expect("readable");
    let elf = Elf::read(&bytes).expect("an ELF file");
    assert_eq!(elf.debug_bytes(), 0);
    assert!(symbolizer::build::index(&bytes).is_ok());
}

#[test]
fn debug_information_in_a_file_of_its_own_is_read_from_there() {
    let Some(whole) = compile("gcc-whole", &["-g"]) else {
        return;
    };
    let apart = FOLDER.join("gcc-whole.debug");
    let status = Command::new(files::llvm("llvm-objcopy"))
        .arg("--only-keep-debug")
        .args([&whole, &apart])
        .status();
    if !status.is_ok_and(|status| status.success()) {
        println!("skipped: there is no llvm-objcopy");
        return;
    }
    let (functions, place) = said(&apart);
    assert_eq!((functions, place), said(&whole));
}

#[test]
fn an_object_file_is_refused_in_words() {
    let Some(object) = compile("gcc-object.o", &["-g", "-c"]) else {
        return;
    };
    let bytes = std::fs::read(object).expect("readable");
    let why = Elf::read(&bytes).expect_err("it is not linked");
    assert_eq!(why, Error::NotLinked);
    assert!(why.to_string().contains("not linked yet"), "{why}");
}
