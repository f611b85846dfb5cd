//! The parts that judge each entry by itself: `wx`, `user-bits`, `nx`, `global`, `reserved`,
//! `loops`.

use machine::check::{self, Finding, Half, Site};
use machine::{Entry, HoleWhy, Node, Path, Paths, Progress, Range, VirtAddr};

use super::pace::Pace;
use super::report::Report;
use super::scope::{Scope, Tree};
use crate::Error;
use crate::abilities::StackKind;
use crate::command::Context;
use crate::render::Count;

/// What is asked of each entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Writes,
    Executes,
    UserBits,
    Global,
    Reserved,
    Loops,
}

pub(super) fn run(context: &mut Context<'_>, scope: &Scope, rule: Rule) -> Result<Report, Error> {
    let mut report = Report::default();
    let (mut spaces, mut seen) = (0_u64, 0_u64);
    let mut trees = scope.trees(context);
    while let Some(tree) = trees.next(context) {
        spaces = spaces.saturating_add(1);
        let mut paths = Paths::new(context.target.paging(), tree.space.root, Range::ALL);
        let mut pace = Pace::default();
        loop {
            let path = match paths.advance(&mut context.view(&tree.space)) {
                Progress::Done => break,
                Progress::Working => None,
                Progress::Row(path) => Some(path),
            };
            if !pace.goes_on(context, paths.visited())? {
                report.cut();
                break;
            }
            let Some(path) = path else { continue };
            if tree.shares(context, &path) {
                paths.skip();
                continue;
            }
            seen = seen.saturating_add(1);
            if let Some(finding) = judge(context, &tree, &path, rule) {
                report.finding(tree.who, &finding);
            } else if let Node::Hole(HoleWhy::Unreadable(_)) = path.node {
                report.unknown();
            }
        }
    }
    let (spaces, seen) = (Count(spaces, "space"), Entered(seen));
    report.extent(format_args!("{spaces}, {seen}"));
    Ok(report)
}

fn judge(context: &mut Context<'_>, tree: &Tree, path: &Path, rule: Rule) -> Option<Finding> {
    match rule {
        Rule::Writes => check::writes(path, &site(context, tree, path)),
        Rule::Executes => check::executes(path, &site(context, tree, path)),
        Rule::UserBits => check::user_bits(path, &site(context, tree, path)),
        Rule::Global => {
            let mut site = site(context, tree, path);
            // Asking about all stacks takes long, and nearly no entry has the bit.
            site.is_stack =
                path.last().entry.raw & Entry::GLOBAL != 0 && is_stack(context, path.va);
            check::global(path, &site)
        }
        Rule::Reserved => check::reserved(path, &mut context.view(&tree.space)),
        Rule::Loops => check::loops(path),
    }
}

fn site(context: &mut Context<'_>, tree: &Tree, path: &Path) -> Site {
    let is_upper = Range::UPPER.contains(path.va);
    let region = match is_upper && path.node == Node::Page {
        true => context.region(path.va),
        false => None,
    };
    Site {
        half: if is_upper { Half::Kernel } else { tree.lower },
        expected: region.and_then(|region| region.rights),
        is_stack: false,
    }
}

/// Whether an address is in one of the kernel's stacks.
fn is_stack(context: &mut Context<'_>, va: VirtAddr) -> bool {
    for index in 0.. {
        let Some(stack) = context.target.stacks().and_then(|s| s.stack(index)) else {
            break;
        };
        if stack.kind != StackKind::User && stack.bottom <= va && va < stack.top {
            return true;
        }
    }
    false
}

/// `1 entry`, `2 entries`.
struct Entered(u64);

impl core::fmt::Display for Entered {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let noun = if self.0 == 1 { "entry" } else { "entries" };
        write!(f, "{} {noun}", self.0)
    }
}
