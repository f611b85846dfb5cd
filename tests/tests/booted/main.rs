//! Boots the kernel, on UEFI and on BIOS, and holds it against transcripts, against QEMU's own
//! view of its page tables, and against rough handling.
//!
//! One guest of each firmware answers everything that leaves it as it was; what ends or
//! damages a guest boots its own.

mod access;
mod backtrace;
mod broken;
mod check;
mod compare;
mod console;
mod crashes;
mod dead;
mod early;
mod entry;
mod faults;
mod foretold;
mod frames;
mod gdb;
mod machines;
mod named;
mod oracle;
mod outside;
mod pages;
mod picture;
mod plants;
mod reports;
mod ring3;
mod rough;
mod sources;
mod stops;
mod stubs;
mod values;
mod ways_in;

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use libtest_mimic::{Arguments, Failed, Trial};
use machines::After;
use tests::readme;
use tests::transcript::{self, Answers};
use xtask::built::{self, Built};
use xtask::guest::{Firmware, Guest};

/// A guest that several tests use, one after another; booted when the first of them asks.
pub(crate) struct Shared {
    built: Arc<Built>,
    firmware: Firmware,
    guest: Mutex<Option<Guest>>,
}

impl Shared {
    fn new(built: &Arc<Built>, firmware: Firmware) -> Arc<Self> {
        Arc::new(Shared {
            built: Arc::clone(built),
            firmware,
            guest: Mutex::new(None),
        })
    }

    /// Runs a test on it. A guest on which a test failed is not used again.
    fn with(&self, test: impl FnOnce(&mut Guest) -> Result<()>) -> Result<()> {
        let mut place = self.guest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut guest = match place.take() {
            Some(guest) => guest,
            None => Guest::boot(&self.built.options(self.firmware)).context("boot")?,
        };
        guest.rewind();
        test(&mut guest)?;
        // Whatever it did, it left everything as it should be.
        check::clean(&mut guest).context("after the test")?;
        *place = Some(guest);
        Ok(())
    }
}

/// A guest that answers transcripts.
struct Framed<'a>(&'a mut Guest);

impl Answers for Framed<'_> {
    fn answer(&mut self, line: &str) -> Result<Vec<String>> {
        let reply = self.0.command(line)?;
        let errors = reply.errors.iter().map(|line| format!("! {line}"));
        Ok(reply.output.iter().cloned().chain(errors).collect())
    }
}

/// A trial on guests of its own, the last of which is clean at the end if it lives.
fn own(name: String, test: impl FnOnce() -> Result<After> + Send + 'static) -> Trial {
    trial(name, move || match test()? {
        After::Alive(mut guest) => check::clean(&mut guest).context("after the test"),
        After::Dead => Ok(()),
    })
}

fn trial(name: String, test: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test().map_err(|error| Failed::from(format!("{error:#}")))
    })
}

fn main() -> Result<()> {
    // What GDB and the tests of dumps call is this program, so that nothing is built twice.
    if std::env::args().any(|word| word == "--conversation" || word == "--core") {
        let all_well = host::main(lexopt::Parser::from_env()).unwrap_or_else(|why| {
            eprintln!("rw: {why:#}");
            false
        });
        std::process::exit(i32::from(!all_well));
    }
    // Nor is there another `cargo xtask` than this, for the tests that call it.
    if std::env::args().nth(1).as_deref() == Some(dead::AS_XTASK) {
        let words = std::env::args_os().skip(2);
        let outcome = xtask::call::called(lexopt::Parser::from_args(words))?;
        std::process::exit(i32::from(outcome.code()));
    }
    let mut arguments = Arguments::from_args();
    // Two guests at once on two cores; while blessing, files are written once, in order.
    let bless = transcript::is_blessing();
    arguments.test_threads = Some(if bless { 1 } else { 2 });
    if arguments.list {
        // Listing must not build anything.
        println!("the tests are listed when they run: they need the built kernel");
        return Ok(());
    }
    let built = Arc::new(built::prepare(&[])?);
    let mut trials = Vec::new();
    // What takes longest comes first, so that nobody waits for it alone in the end. The stubs are the same
    // whoever booted them, and so are the names.
    let on_bios = [
        (
            "e17_an_nmi_at_every_instruction_of_the_stubs",
            stubs::e17 as machines::Test,
        ),
        ("iretq_takes_a_grid_of_frames_as_foretold", foretold::grid),
        ("broken_spaces_end_as_foretold", broken::spaces),
        (
            "names_of_the_deepest_and_a_report_cost_little",
            reports::names_cost_little,
        ),
    ];
    for (name, test) in on_bios {
        let built = Arc::clone(&built);
        trials.push(own(format!("bios::{name}"), move || {
            test(&built, Firmware::Bios)
        }));
    }
    for (firmware, word) in [(Firmware::Uefi, "uefi"), (Firmware::Bios, "bios")] {
        let shared = Shared::new(&built, firmware);
        for file in transcript::find(&["common", "booted"])? {
            let shared = Arc::clone(&shared);
            let name = format!("{word}::transcript::{}", transcript::name(&file));
            trials.push(trial(name, move || {
                shared.with(|guest| transcript::replay(&file, &mut Framed(guest), bless))
            }));
        }
        // The page was written with UEFI.
        if firmware == Firmware::Uefi {
            let shared = Arc::clone(&shared);
            trials.push(trial(
                "uefi::the_session_in_the_readme".to_owned(),
                move || {
                    shared.with(|guest| readme::replay(readme::README, &mut Framed(guest), bless))
                },
            ));
        }
        type Test = fn(&mut Guest) -> Result<()>;
        let on_shared: &[(&str, Test)] = &[
            (
                "map_agrees_with_info_tlb_line_by_line",
                oracle::map_agrees_with_info_tlb,
            ),
            (
                "random_addresses_agree_with_gva2gpa",
                oracle::addresses_agree_with_gva2gpa,
            ),
            (
                "control_registers_agree_with_info_registers",
                oracle::registers_agree,
            ),
            (
                "nothing_is_writable_and_executable",
                oracle::nothing_is_writable_and_executable,
            ),
            (
                "the_upper_half_has_no_user_bit_and_slot_0_is_empty",
                oracle::halves_are_clean,
            ),
            (
                "answers_from_outside_are_the_shells",
                outside::answers_are_the_shells,
            ),
            ("gdb_knows_our_types", outside::gdb_knows_our_types),
            ("gdb_shows_values_of_a_running_kernel", values::are_shown),
            ("a_cr3_that_leads_nowhere", dead::garbage_cr3),
            ("no_word_brings_a_traceback", dead::no_traceback),
            ("a_kernel_file_of_another_build", dead::another_build),
            ("guard_pages_are_unmapped", oracle::guard_pages_are_unmapped),
            (
                "no_fault_is_lost_from_the_count",
                reports::no_fault_is_lost_from_the_count,
            ),
            (
                "can_foretells_the_faults_of_programs",
                access::can_agrees_with_faults,
            ),
            (
                "the_cpu_does_what_can_foretells",
                access::the_cpu_does_what_can_foretells,
            ),
            (
                "prove_gives_everything_back",
                access::prove_gives_everything_back,
            ),
            (
                "keyboard_and_serial_type_into_one_shell",
                console::keyboard_types_into_the_shell,
            ),
            ("a_backtrace_of_every_thread", backtrace::of_threads),
            ("line_editing_over_serial", console::editing_over_serial),
            (
                "ctrl_c_ends_a_running_command",
                console::ctrl_c_ends_a_command,
            ),
            ("the_switch_to_ring_3_leaves_its_evidence", ring3::evidence),
            (
                "a_stack_mapped_later_is_seen_by_ten_processes",
                ring3::a_late_stack_is_seen_by_all,
            ),
            ("f02_misuse_is_refused", ring3::misuse_is_refused),
            (
                "two_thousand_processes_give_every_frame_back",
                ring3::frames_come_back,
            ),
            (
                "refused_frames_lose_nothing",
                ring3::refused_frames_lose_nothing,
            ),
            ("e04_iretq_with_a_bad_cs", entry::e04),
            ("e05_iretq_with_a_bad_ss", entry::e05),
            ("e06_iretq_with_cs_not_present", entry::e06),
            ("e09_e18_flags_of_ring_3_are_kept", entry::e09_and_e18),
            ("e10_iretq_with_any_rsp", entry::e10),
            ("e11_flags_in_the_frame_are_masked", entry::e11),
            ("e14_every_register_survives", entry::e14),
            ("e15_the_state_of_a_new_process", entry::e15),
            ("e16_segments_survive_a_switch", entry::e16),
            ("e20_tf_in_ring_3_is_one_db", entry::e20),
            ("e23_int_n_of_every_vector", entry::e23),
            ("e24_a_breakpoint_on_the_first_instruction", entry::e24),
            ("e25_privileged_instructions", entry::e25),
            ("e26_popf_cannot_change_if_or_iopl", entry::e26),
            ("e27_numbers_of_calls", entry::e27),
            ("e28_hostile_pointers", entry::e28),
            ("memory_until_there_is_none", entry::exhaustion),
            (
                "a_loop_of_pause_is_stepped",
                stops::a_loop_of_pause_is_stepped,
            ),
            (
                "every_stage_can_be_given_up",
                stops::every_stage_can_be_given_up,
            ),
            (
                "ten_processes_share_the_kernel_half",
                compare::the_kernel_half_is_shared,
            ),
            (
                "two_processes_differ_in_frames_only",
                compare::two_processes_differ_in_frames_only,
            ),
            ("check_finds_what_is_planted", check::plants_are_found),
            (
                "tables_are_all_accounted_for",
                compare::tables_are_all_accounted_for,
            ),
            (
                "each_plant_is_found_alone",
                plants::each_plant_is_found_alone,
            ),
            (
                "a_plant_in_the_kernel_half_is_found",
                plants::a_plant_in_the_kernel_half_is_found,
            ),
            ("the_cpu_sees_an_edit", plants::the_cpu_sees_an_edit),
            ("edits_lose_no_frame", plants::edits_lose_no_frame),
            (
                "a_picture_has_the_colours_of_its_letters",
                picture::slots_have_their_colours,
            ),
            ("the_audit_is_clean", frames::the_audit_is_clean),
            (
                "the_audit_is_clean_after_refusals",
                frames::the_audit_is_clean_after_refusals,
            ),
            (
                "frame_agrees_with_info_tlb",
                frames::frame_agrees_with_info_tlb,
            ),
            ("frame_names_each_role", frames::each_role_is_named),
            ("whatis_names_each_region", frames::whatis_names_each_region),
            (
                "every_page_of_a_process_is_its_own",
                frames::every_page_of_a_process_is_its_own,
            ),
        ];
        for &(name, test) in on_shared {
            let shared = Arc::clone(&shared);
            trials.push(trial(format!("{word}::{name}"), move || shared.with(test)));
        }
        let asked = Arc::clone(&shared);
        trials.push(trial(
            format!("{word}::every_fault_has_its_cause"),
            move || asked.with(|guest| reports::every_fault_has_its_cause(guest, &asked.built)),
        ));
        let on_their_own = [
            (
                "twenty_thousand_random_lines",
                rough::random_lines as machines::Test,
            ),
            ("a_flood_without_a_newline", rough::flood),
            ("poweroff_and_reboot_leave", machines::poweroff_and_reboot),
            ("no_serial_line", machines::no_serial_line),
            ("the_default_cpu_model", machines::default_cpu),
            (
                "a_breakpoint_is_survived",
                machines::a_breakpoint_is_survived,
            ),
            ("each_crash_is_reported_twice", crashes::each_kind_twice),
            ("what_is_set_for_faults_runs", reports::reactions_run),
            ("prove_on_the_default_cpu", access::prove_on_the_default_cpu),
            ("prove_takes_nmis", access::prove_takes_nmis),
            ("memory_sizes", machines::memory_sizes),
            ("an_nmi_is_noted_and_survived", machines::nmi),
            ("a_backtrace_of_a_panic", backtrace::of_a_panic),
            ("a_backtrace_into_a_program", backtrace::of_a_program),
            ("f01_every_kind_of_fault_in_ring_3", faults::each_kind),
            ("check_is_clean_under_load", check::clean_under_load),
            (
                "six_hundred_steps_are_those_of_the_gdb_stub",
                stops::steps_are_those_of_the_stub,
            ),
            (
                "a_way_in_while_a_program_spins",
                ways_in::while_a_program_spins,
            ),
            ("a_way_in_while_output_floods", ways_in::while_output_floods),
            (
                "a_way_in_to_an_interrupt_handler",
                ways_in::in_an_interrupt_handler,
            ),
            ("a_way_in_behind_a_full_queue", ways_in::behind_a_full_queue),
            (
                "a_fault_in_the_debugger_is_survived",
                stops::a_fault_in_the_debugger,
            ),
            ("gdb_steps_into_ring_3_and_back", gdb::into_ring_3),
            (
                "gdb_goes_back_to_the_cause_of_a_triple_fault",
                gdb::back_to_the_cause,
            ),
            ("gdb_attaches_to_a_run", dead::attach),
            ("a_dead_kernel_answers", dead::post_mortem),
            (
                "the_stack_region_grows_past_every_mark",
                ring3::the_stack_region_grows,
            ),
        ];
        for (name, test) in on_their_own {
            let built = Arc::clone(&built);
            trials.push(own(format!("{word}::{name}"), move || {
                test(&built, firmware)
            }));
        }
    }
    // The pages were written with BIOS.
    for (name, test) in pages::TESTS {
        let built = Arc::clone(&built);
        trials.push(own(format!("bios::{name}"), move || {
            test(&built, Firmware::Bios, bless)
        }));
    }
    // Half an hour: only where they are asked for by name.
    let soaks = [
        ("soak_of_processes", ring3::soak as machines::Test),
        ("soak_of_faults", reports::soak),
    ];
    for (name, test) in soaks {
        let filter = arguments.filter.as_deref().unwrap_or_default();
        if filter.starts_with("soak") {
            let built = Arc::clone(&built);
            trials.push(own(name.to_owned(), move || test(&built, Firmware::Bios)));
        }
    }
    let uefi = Arc::clone(&built);
    trials.push(own("uefi::no_screen".to_owned(), move || {
        machines::no_screen(&uefi)
    }));
    type Disks = fn(&Built) -> Result<()>;
    let with_disks: [(&str, Disks); 4] = [
        ("gdb_goes_back_in_a_boot_that_failed", gdb::back_in_a_boot),
        ("sources_that_were_built_in_are_listed", sources::are_listed),
        ("a_fault_too_early_in_boot", early::too_early),
        ("a_fault_later_in_boot", early::in_the_second_half),
    ];
    for (name, test) in with_disks {
        let built = Arc::clone(&built);
        trials.push(trial(name.to_owned(), move || test(&built)));
    }
    // xtask's set-up holds a lock; two programs must not each hold a guest of the other's.
    trials.push(trial(
        "hang_in_boot_is_reported".to_owned(),
        machines::hang_is_reported,
    ));
    libtest_mimic::run(&arguments, trials).exit()
}
