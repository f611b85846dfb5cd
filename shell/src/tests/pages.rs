//! The pager, as a reader meets it.

use super::session;
use crate::Key;
use crate::testing::{Machine, Scripted, output};

const MORE: &str = "-- more --";

#[test]
fn output_longer_than_the_screen_stops_at_each_page() {
    let help = output(&mut Machine::full(), "help").0;
    let lines = help.lines().count();
    // Space for each page, with one to spare; then the prompt closes.
    let keys = format!("help\n{}", " ".repeat(lines / 9 + 1));
    let mut terminal = Scripted::new(80, 10).text(&keys);
    session(&mut terminal);
    assert_eq!(terminal.shown.matches(MORE).count(), (lines - 1) / 9);
    let text = terminal.screen.text();
    assert!(!text.contains(MORE), "the question is erased");
    assert!(text.contains(help.trim_end()), "{text}");
}

#[test]
fn a_page_that_is_exactly_full_asks_nothing() {
    let help = output(&mut Machine::full(), "help").0;
    let rows = help.lines().count() as u16 + 1;
    let mut terminal = Scripted::new(80, rows).text("help\n");
    session(&mut terminal);
    assert!(!terminal.shown.contains(MORE));
    let mut terminal = Scripted::new(80, rows - 1).text("help\n");
    session(&mut terminal);
    assert!(terminal.shown.contains(MORE));
}

#[test]
fn the_reader_may_go_on_by_lines_or_leave_or_see_it_all() {
    let shown = |keys: &str| {
        let mut terminal = Scripted::new(80, 10)
            .text("help\n")
            .text(keys)
            .text("echo $?\n");
        session(&mut terminal);
        terminal.screen.text()
    };
    let text = shown("q");
    assert!(
        text.contains("  walk") && !text.contains("  poweroff"),
        "{text}"
    );
    assert!(!text.contains("interrupted"));
    let longer = shown("\n\nq");
    let lines = |text: &str| text.lines().count();
    assert_eq!(lines(&longer), lines(&text) + 2, "{longer}");
    assert!(shown("a").contains("  poweroff"));
    // Other keys are not answers.
    assert!(shown("zzza").contains("  poweroff"));

    let mut terminal = Scripted::new(80, 10)
        .text("help; echo never\n")
        .keys([Key::Ctrl('c')]);
    session(&mut terminal);
    assert!(terminal.screen.text().contains("help: interrupted"));
    assert!(!terminal.screen.text().contains("\nnever"));
}

#[test]
fn leaving_the_pager_is_no_failure() {
    let mut terminal = Scripted::new(80, 10).text("help\nqassert $? == 0; echo fine\n");
    session(&mut terminal);
    assert!(
        terminal.screen.text().contains("\nfine"),
        "{}",
        terminal.screen.text()
    );
}
