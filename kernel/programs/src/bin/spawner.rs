//! `spawner [N] [PROGRAM]`: starts a program N times, one after the other, and waits for each.
//! Without arguments, `nothing`, 100 times. All must exit with 0.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::{Arguments, Ended, calls, println};

programs::program!(main);

fn main(arguments: Arguments) -> u8 {
    let count = arguments.number(1, 100);
    let program = arguments.text(2).unwrap_or("nothing");
    for number in 1..=count {
        let ended = calls::spawn(program, &[])
            .and_then(|child| Ok((child, calls::wait(child)?)))
            .map(|(child, (pid, status))| (child == pid, Ended::from(status)));
        match ended {
            Ok((true, Ended::Exit(0))) => {}
            Ok((true, ended)) => {
                println!("spawner: {program}, time {number}: {ended}");
                return 1;
            }
            Ok((false, _)) => {
                println!("spawner: {program}, time {number}: another child was waited for");
                return 1;
            }
            Err(error) => {
                println!("spawner: {program}, time {number}: {error}");
                return 1;
            }
        }
    }
    println!("spawner: {program} {count} times");
    0
}
